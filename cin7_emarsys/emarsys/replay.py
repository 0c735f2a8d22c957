"""Sending again what was sent: one record, one batch, or a window of time.

What belongs here: choosing accepted records, and sending them anew, verbatim (the very request that was kept) or recomputed
(what is desired by now, with the next normal run). What does not: what was never accepted (that goes again by itself, or is
decided in ``repair.py``).

A replayed sales line or event is there twice if Emarsys has it: that is the decision of the person who gives the reason.
"""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, or_, select, update

from cin7_emarsys.emarsys.answers import ACCEPTED, Verdict
from cin7_emarsys.emarsys.client import EMAIL_FIELD, Connecting, Emarsys
from cin7_emarsys.emarsys.ledger import Intended, Ledger, recount
from cin7_emarsys.emarsys.projection import project
from cin7_emarsys.emarsys.repair import PARKED, NothingThere, by_flow, note
from cin7_emarsys.emarsys.sending import Sending
from cin7_emarsys.emarsys.tables import batches, bodies, records

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

    def condition(self) -> ColumnElement[bool]:
        within = select(batches.c.batch_id).where(
            batches.c.flow != "catalogue"
        )  # that is published as a whole, each time
        if self.flow is not None:
            within = within.where(batches.c.flow == self.flow)
        if self.since is not None:  # a batch has one moment
            within = within.where(batches.c.closed_at >= self.since)
        if self.until is not None:
            within = within.where(batches.c.closed_at < self.until)
        asked: list[ColumnElement[bool]] = [
            records.c.outcome == "accepted",
            or_(records.c.resolution.is_(None), records.c.resolution != "replayed"),
            records.c.batch_id.in_(within),
            records.c.erased_at.is_(None),
        ]
        if self.record is not None:
            asked.append(records.c.record_id == self.record)
        if self.batch is not None:
            asked.append(records.c.batch_id == self.batch)
        return and_(*asked)


def preview(ledger: Ledger, chosen: Chosen) -> dict[str, Any]:
    """What would go again. ``flows``: flow, records, batches, first, last; ``records``: the first of them."""
    condition = chosen.condition()
    with ledger.engine.connect() as connection:
        flows = connection.execute(by_flow(condition)).all()
        names = ("record_id", "batch_id", "flow", "key", "at", "payload")
        rows = connection.execute(
            select(*(records.c[name] for name in names)).where(condition).order_by(records.c.record_id).limit(_EXAMPLES)
        ).all()
    found = [dict(row._mapping) for row in rows]
    return {
        "flows": [dict(row._mapping) for row in flows],
        "records": [{**row, "payload": json.loads(row["payload"])} for row in found],
    }


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


def verbatim(delivery: Delivery, chosen: Chosen, reason: str) -> int:
    """Sends these records of one flow at once, just as they were sent. Returns how many were accepted.

    Events cannot go verbatim: their deadline and the consent have to be asked again. Raises `NothingThere`, also for them
    and when a request is no longer kept, and a `TransportError`.
    """
    if delivery.flow == "events":
        raise NothingThere("events are replayed --recomputed, because deadline and consent have to be asked again")
    ledger, wanted = delivery.ledger, chosen.condition()
    with delivery.open() as emarsys:
        with ledger.engine.connect() as connection:
            rows = connection.execute(
                select(records, batches.c.endpoint, bodies.c.request)
                .join(batches, batches.c.batch_id == records.c.batch_id)
                .outerjoin(bodies, bodies.c.batch_id == records.c.batch_id)
                .where(wanted, records.c.flow == delivery.flow)
                .order_by(records.c.record_id)
            ).all()
        by_batch: dict[int, list[Any]] = {}
        for row in rows:
            if row.request is None:
                raise NothingThere(f"the request of batch {row.batch_id} is no longer kept; replay it recomputed")
            by_batch.setdefault(row.batch_id, []).append(row)
        mark(ledger, chosen, reason, "replay --verbatim", emarsys.now())
        for sent in by_batch.values():
            _send(delivery, emarsys, sent)
    project(ledger, delivery.warehouse)
    return delivery.report.accepted


def _send(delivery: Delivery, emarsys: Emarsys, sent: Sequence[Any]) -> None:
    """The records of one earlier batch, cut out of the request that was kept."""
    kept = zlib.decompress(sent[0].request)
    items = [Intended(row.key, row.payload, row.payload_hash, row.document) for row in sent]
    if delivery.flow == "sales":

        def request(some: Sequence[Intended]) -> bytes:
            return _lines(kept, some)

        def call(some: Sequence[Intended], connecting: Connecting) -> tuple[Mapping[str, Verdict], bytes]:
            return {item.key: ACCEPTED for item in some}, emarsys.upload_sales(request(some), connecting).encode()

        Sending(delivery, emarsys, sent[0].endpoint, request, call).send(items)
        return
    rows = json.loads(kept)
    by_key = {str(row[EMAIL_FIELD]): row for row in rows}

    def body(some: Sequence[Intended]) -> bytes:
        return json.dumps([by_key[item.key] for item in some], ensure_ascii=False).encode()

    def again(some: Sequence[Intended], connecting: Connecting) -> tuple[Mapping[str, Verdict], bytes]:
        content = emarsys.upsert_contacts([by_key[item.key] for item in some], connecting)
        return emarsys.verdicts(content, [item.key for item in some]).by_key, json.dumps(content).encode()

    sending = Sending(delivery, emarsys, sent[0].endpoint, body, again)
    for start in range(0, len(items), emarsys.contacts_per_call):
        sending.send(items[start : start + emarsys.contacts_per_call])


def _lines(kept: bytes, some: Sequence[Intended]) -> bytes:
    """The header and these lines of a sales file."""
    table = list(csv.reader(io.StringIO(kept.decode())))
    header, lines = table[0], table[1:]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for item in some:
        payload = json.loads(item.payload)
        line = [payload[column] for column in header]
        if line not in lines:
            raise NothingThere(f"the kept request does not hold {item.key}; replay it recomputed")
        writer.writerow(line)
    return out.getvalue().encode()
