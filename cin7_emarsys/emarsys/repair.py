"""What a person does about a record afterwards: deciding what is unknown, and what becomes of dead letters.

What belongs here: reading and changing such records in the ledger, each change with its audit entry in the same commit.
What does not: sending (a resolved or retried record goes with the next normal run), and printing (``cli``).
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, and_, cast, func, insert, select, update

from cin7_emarsys.emarsys.ledger import Ledger, recount
from cin7_emarsys.emarsys.tables import audit, batches, dead_letters, records

Resolution = Literal["accepted", "not-applied", "send-again"]
PARKED = ("sales", "events")
_LISTED = 50


class NothingThere(Exception):
    """No record answers the description; the text says what was looked for."""


def who() -> str:
    """The person who runs this process."""
    return getpass.getuser()


def parked(
    ledger: Ledger,
    *,
    flow: str | None = None,
    record: int | None = None,
    batch: int | None = None,
    limit: int = _LISTED,
) -> dict[str, Any]:
    """Sales lines and events of which nobody knows whether they were applied.

    ``flows``: flow, records, batches, since; ``records``: the oldest ``limit``, with what was sent; ``on_their_way``: as
    ``flows``, of batches that are being sent, or whose process died (the next run of their flow parks them then).
    """
    chosen = _parked(flow, record, batch)
    connecting = (batches.c.state == "connecting") & batches.c.flow.in_(PARKED if flow is None else (flow,))
    sending = select(
        batches.c.flow,
        func.sum(batches.c.records).label("records"),
        func.count().label("batches"),
        func.min(batches.c.connecting_at).label("since"),
    )
    with ledger.engine.connect() as connection:
        flows = connection.execute(by_flow(chosen)).all()
        on_their_way = connection.execute(sending.where(connecting).group_by(batches.c.flow)).all()
        rows = connection.execute(
            select(
                records.c.record_id, records.c.batch_id, records.c.flow, records.c.key, records.c.reason, records.c.at,
                records.c.payload, batches.c.connecting_at, batches.c.run_id, batches.c.status,
            )
            .join(batches, batches.c.batch_id == records.c.batch_id)
            .where(chosen)
            .order_by(records.c.record_id)
            .limit(limit)
        ).all()  # fmt: skip
    figures = [{"flow": f.flow, "records": f.records, "batches": f.batches, "since": f.first} for f in flows]
    return {
        "flows": figures, "records": [_with_payload(row) for row in _plain(rows)], "on_their_way": _plain(on_their_way),
    }  # fmt: skip


def by_flow(chosen: ColumnElement[bool]) -> Select[Any]:
    """Of these records: flow, records, batches, first, last. Counted batch by batch: they stand together in the file."""
    each = (
        select(
            func.min(records.c.flow).label("flow"),
            func.count().label("records"),
            func.min(records.c.at).label("first"),
            func.max(records.c.at).label("last"),
        )
        .where(chosen)
        .group_by(records.c.batch_id)
        .subquery()
    )
    return select(
        each.c.flow,
        cast(func.sum(each.c.records), BigInteger).label("records"),
        func.count().label("batches"),
        func.min(each.c.first).label("first"),
        func.max(each.c.last).label("last"),
    ).group_by(each.c.flow)


def resolve(
    ledger: Ledger,
    how: Resolution,
    reason: str,
    *,
    flow: str | None = None,
    record: int | None = None,
    batch: int | None = None,
    at: datetime | None = None,
) -> int:
    """Decides parked records: ``accepted`` (Emarsys has them), ``not-applied`` (it has not: they go with the next run), or
    ``send-again`` (nobody knows, and a double is the lesser harm). Returns how many. Raises `NothingThere`.

    Kept: who, when, which and why. The batch counts anew, so that the balance holds.
    """
    moment = at or now()
    outcome = "accepted" if how == "accepted" else "retryable"
    chosen = _parked(flow, record, batch)
    with ledger.write() as connection:
        rows = connection.execute(select(records.c.record_id, records.c.batch_id).where(chosen)).all()
        if not rows:
            raise NothingThere("no parked record answers that; `cin7-emarsys unknowns list` shows them")
        connection.execute(
            update(records).where(chosen).values(outcome=outcome, resolution=how, resolved_at=moment, attempt=False)
        )
        recount(connection, sorted({row.batch_id for row in rows}))
        note(connection, f"unknowns resolve {how}", reason, [row.record_id for row in rows], moment)
    return len(rows)


def letters(ledger: Ledger, *, flow: str | None = None, limit: int = _LISTED) -> dict[str, Any]:
    """Open dead letters. ``kinds``: flow, code, reason (one of them), records, since; ``records``: the oldest."""
    chosen = _open_letters(flow, None, None)
    with ledger.engine.connect() as connection:
        kinds = connection.execute(
            select(
                dead_letters.c.flow,
                dead_letters.c.code,
                func.min(dead_letters.c.reason).label("reason"),
                func.count().label("records"),
                func.min(dead_letters.c.opened_at).label("since"),
            )
            .where(chosen)
            .group_by(dead_letters.c.flow, dead_letters.c.code)
            .order_by(func.count().desc())
        ).all()
        rows = connection.execute(
            select(
                dead_letters.c.record_id, records.c.batch_id, dead_letters.c.flow, dead_letters.c.key, dead_letters.c.code,
                dead_letters.c.reason, dead_letters.c.attempts, dead_letters.c.opened_at, records.c.payload,
            )
            .join(records, records.c.record_id == dead_letters.c.record_id)
            .where(chosen)
            .order_by(dead_letters.c.opened_at, dead_letters.c.record_id)
            .limit(limit)
        ).all()  # fmt: skip
    return {"kinds": _plain(kinds), "records": [_with_payload(row) for row in _plain(rows)]}


def settle_letters(
    ledger: Ledger,
    how: Literal["retried", "dropped"],
    reason: str,
    *,
    flow: str | None = None,
    record: int | None = None,
    code: str | None = None,
    at: datetime | None = None,
) -> int:
    """Closes open dead letters: ``retried`` ones go with the next run, their attempts counted anew; ``dropped`` ones never
    go again as they are. Returns how many. Raises `NothingThere`. Kept: who, when, which and why."""
    moment = at or now()
    chosen = _open_letters(flow, record, code)
    with ledger.write() as connection:
        found = connection.execute(select(dead_letters.c.record_id).where(chosen)).scalars().all()
        if not found:
            raise NothingThere("no open dead letter answers that; `cin7-emarsys dead-letters list` shows them")
        connection.execute(update(dead_letters).where(chosen).values(closed_at=moment, closed_by=how))
        command = "dead-letters retry" if how == "retried" else "dead-letters drop"
        note(connection, command, reason, found, moment)
    return len(found)


def _parked(flow: str | None, record: int | None, batch: int | None) -> ColumnElement[bool]:
    flows = PARKED if flow is None else {flow} & {*PARKED}
    within = select(batches.c.batch_id).where(batches.c.unknown > 0, batches.c.flow.in_(flows))
    asked = [records.c.outcome == "unknown", records.c.batch_id.in_(within)]  # batches are few: no index for this
    for column, wanted in ((records.c.record_id, record), (records.c.batch_id, batch)):
        if wanted is not None:
            asked.append(column == wanted)
    return and_(*asked)


def _open_letters(flow: str | None, record: int | None, code: str | None) -> ColumnElement[bool]:
    asked: list[ColumnElement[bool]] = [dead_letters.c.closed_at.is_(None)]
    for column, wanted in (
        (dead_letters.c.flow, flow),
        (dead_letters.c.record_id, record),
        (dead_letters.c.code, code),
    ):
        if wanted is not None:
            asked.append(column == wanted)
    return and_(*asked)


def note(connection: Connection, command: str, reason: str, ids: Sequence[int], at: datetime) -> None:
    """The audit entry names records, never persons."""
    details = json.dumps({"records": len(ids), "first": list(ids[:100])})
    connection.execute(insert(audit).values(at=at, who=who(), command=command, reason=reason, details=details))


def _plain(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in rows]


def _with_payload(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "payload": json.loads(row["payload"])}


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
