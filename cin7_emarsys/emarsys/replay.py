"""Sending again what was sent: one record, one batch, or a window of time.

What belongs here: choosing accepted records, and sending them anew, verbatim (the very request that was kept) or recomputed
(what is desired by now, with the next normal run). What does not: what was never accepted (that goes again by itself, or is
decided in ``repair.py``).

A replayed sales line or event is there twice if Emarsys has it: that is the decision of the person who gives the reason.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, cast, func, or_, select, update

from cin7_emarsys.emarsys.answers import Verdict
from cin7_emarsys.emarsys.client import EMAIL_FIELD, Connecting, Emarsys
from cin7_emarsys.emarsys.ledger import Intended, Ledger, recount
from cin7_emarsys.emarsys.projection import project
from cin7_emarsys.emarsys.repair import PARKED, NothingThere, by_flow, note
from cin7_emarsys.emarsys.sales import sending_of_lines
from cin7_emarsys.emarsys.sending import Sending
from cin7_emarsys.emarsys.tables import TOUCHED, batches, bodies, records

if TYPE_CHECKING:
    from cin7_emarsys.emarsys.delivery import Delivery

_EXAMPLES = 20


@dataclass(frozen=True)
class Chosen:
    """Which accepted records: those that answer everything that is given. Times are naive UTC."""

    record: int | None = None
    batch: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    flow: str | None = None

    def within(self) -> ColumnElement[bool]:
        """Those batches in which they may be."""
        # the catalogue is published as a whole, each time; a deletion is one for good
        asked: list[ColumnElement[bool]] = [batches.c.flow.in_(("contacts", *PARKED)), batches.c.accepted > 0]
        if self.flow is not None:
            asked.append(batches.c.flow == self.flow)
        if self.since is not None:  # a batch has one moment
            asked.append(batches.c.closed_at >= self.since)
        if self.until is not None:
            asked.append(batches.c.closed_at < self.until)
        if self.batch is not None:
            asked.append(batches.c.batch_id == self.batch)
        return and_(*asked)

    def condition(self) -> ColumnElement[bool]:
        asked: list[ColumnElement[bool]] = [
            records.c.outcome == "accepted",
            or_(records.c.resolution.is_(None), records.c.resolution != "replayed"),
            records.c.batch_id.in_(select(batches.c.batch_id).where(self.within())),
            records.c.erased_at.is_(None),
        ]
        if self.record is not None:
            asked.append(records.c.record_id == self.record)
        return and_(*asked)


def preview(ledger: Ledger, chosen: Chosen) -> dict[str, Any]:
    """What would go again. ``flows``: flow, records, batches, first, last; ``records``: the first of them."""
    condition = chosen.condition()
    with ledger.engine.connect() as connection:
        flows = connection.execute(_by_flow(chosen) if chosen.record is None else by_flow(condition)).all()
        names = ("record_id", "batch_id", "flow", "key", "at", "payload")
        rows = connection.execute(
            select(*(records.c[name] for name in names)).where(condition).order_by(records.c.record_id).limit(_EXAMPLES)
        ).all()
    found = [dict(row._mapping) for row in rows]
    return {
        "flows": [dict(row._mapping) for row in flows],
        "records": [{**row, "payload": json.loads(row["payload"])} for row in found],
    }


def _by_flow(chosen: Chosen) -> Select[Any]:
    """As `by_flow`, from what the batches count: of a million records only those are looked at that were changed later."""
    gone = (
        select(records.c.batch_id, func.count().label("records"))
        .where(TOUCHED, records.c.outcome == "accepted")
        .where(or_(records.c.resolution == "replayed", records.c.erased_at.is_not(None)))
        .group_by(records.c.batch_id)
        .subquery()
    )
    left = batches.c.accepted - func.coalesce(gone.c.records, 0)
    return (
        select(
            batches.c.flow,
            cast(func.sum(left), BigInteger).label("records"),
            func.count().label("batches"),
            func.min(batches.c.closed_at).label("first"),
            func.max(batches.c.closed_at).label("last"),
        )
        .outerjoin(gone, gone.c.batch_id == batches.c.batch_id)
        .where(chosen.within(), left > 0)
        .group_by(batches.c.flow)
    )


def mark(ledger: Ledger, chosen: Chosen, reason: str, command: str, at: datetime) -> int:
    """Lets these records count as not delivered, so that what is desired of them goes with the next run. Returns how many.

    Raises `NothingThere`. Kept: who, when, which and why.
    """
    condition = chosen.condition()
    with ledger.write() as connection:
        rows = connection.execute(select(records.c.record_id, records.c.batch_id).where(condition)).all()
        if not rows:
            raise NothingThere("no accepted record answers that; `cin7-emarsys ledger` shows what was sent")
        connection.execute(
            update(records)
            .where(condition, records.c.flow.in_(PARKED))
            .values(outcome="retryable", resolution="replayed", resolved_at=at)
        )
        connection.execute(update(records).where(condition).values(resolution="replayed", resolved_at=at))
        recount(connection, sorted({row.batch_id for row in rows}))
        note(connection, command, reason, [row.record_id for row in rows], at)
    return len(rows)


def may_go_verbatim(ledger: Ledger, chosen: Chosen) -> None:
    """Raises `NothingThere` unless every one of these records can go as it went.

    Events cannot: their deadline and the consent have to be asked again. Nor what is in a request that is no longer kept.
    """
    for sent in _by_batch(ledger, chosen):
        if sent[0].flow != "sales":
            _contacts_of(sent)


def verbatim(delivery: Delivery, chosen: Chosen, reason: str) -> int:
    """Sends these records of one flow at once, just as they were sent. Returns how many were accepted.

    Raises `NothingThere` when some cannot (then nothing is changed), and a `TransportError`.
    """
    ledger = delivery.ledger
    chosen = replace(chosen, flow=delivery.flow)
    with delivery.open() as emarsys:
        parts = [part for sent in _by_batch(ledger, chosen) for part in _parts(delivery, emarsys, sent)]
        mark(ledger, chosen, reason, "replay --verbatim", emarsys.now())  # nothing that cannot go
        for sending, items in parts:
            sending.send(items)
    project(ledger, delivery.warehouse)
    return delivery.report.accepted


def _by_batch(ledger: Ledger, chosen: Chosen) -> list[list[Any]]:
    """These records as they stand, with what was requested, batch by batch."""
    with ledger.engine.connect() as connection:
        rows = connection.execute(
            select(records, batches.c.endpoint, bodies.c.request)
            .join(batches, batches.c.batch_id == records.c.batch_id)
            .outerjoin(bodies, bodies.c.batch_id == records.c.batch_id)
            .where(chosen.condition())
            .order_by(records.c.record_id)
        ).all()
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.batch_id, []).append(row)
    return list(found.values())


def _contacts_of(sent: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """The contacts of one earlier batch by their key, as they were requested. Raises `NothingThere`."""
    batch, request = sent[0].batch_id, sent[0].request
    if sent[0].flow == "events":
        raise NothingThere(
            "events are replayed --recomputed, because deadline and consent have to be asked again; the others go "
            "verbatim flow by flow: --flow contacts, --flow sales"
        )
    if request is None:
        raise NothingThere(f"the request of batch {batch} is no longer kept; replay it recomputed")
    rows = json.loads(zlib.decompress(request))
    by_key = {str(row[EMAIL_FIELD]): row for row in rows if EMAIL_FIELD in row}  # the others were erased
    if not all(row.key in by_key for row in sent):
        raise NothingThere(f"the request of batch {batch} does not hold all of these; replay them recomputed")
    return by_key


def _parts(delivery: Delivery, emarsys: Emarsys, sent: Sequence[Any]) -> list[tuple[Sending, list[Intended]]]:
    """The records of one earlier batch, call by call.

    A sales line is kept as it went; a contact is cut out of the request, because what is kept of it says less.
    """
    items = [Intended(row.key, row.payload, row.payload_hash, row.document) for row in sent]
    if delivery.flow == "sales":
        return [(sending_of_lines(delivery, emarsys), items)]
    by_key = _contacts_of(sent)

    def body(some: Sequence[Intended]) -> bytes:
        return json.dumps([by_key[item.key] for item in some], ensure_ascii=False).encode()

    def again(some: Sequence[Intended], connecting: Connecting) -> tuple[Mapping[str, Verdict], bytes]:
        content = emarsys.upsert_contacts([by_key[item.key] for item in some], connecting)
        return emarsys.verdicts(content, [item.key for item in some]).by_key, json.dumps(content).encode()

    sending, size = Sending(delivery, emarsys, sent[0].endpoint, body, again), emarsys.contacts_per_call
    return [(sending, items[start : start + size]) for start in range(0, len(items), size)]
