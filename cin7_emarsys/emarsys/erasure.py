"""Erasing persons from the ledger.

What belongs here: what of a record, a request or an answer is personal and what stays of it, so that every batch still
counts what it counted. What does not: whom it is about (``operations/person.py``), the order (``operations/erase.py``), and
deleting their contacts at Emarsys (``deletion.py``).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, cast, insert, or_, select, update

from cin7_emarsys.emarsys.ledger import Ledger, recount
from cin7_emarsys.emarsys.repair import who
from cin7_emarsys.emarsys.tables import audit, batches, bodies, dead_letters, records
from cin7_emarsys.erased import Erased, spellings

_FIGURES = ("item", "price", "order", "timestamp", "quantity", "reversal", "base_item", "base_price", "base_quantity")


@dataclass
class Found:
    """What in the ledger names a person: ids of records, batches and audit entries."""

    records: dict[str, list[int]] = field(default_factory=dict)  # by flow
    batches: set[int] = field(default_factory=set)
    audit: list[int] = field(default_factory=list)

    def places(self) -> dict[str, int]:
        """Place → rows: by flow, and of the audit."""
        ids = self.records | ({"audit": self.audit} if self.audit else {})
        return {f"ledger: {kind}": len(found) for kind, found in ids.items()}


def find(ledger: Ledger, erased: Erased, names: Sequence[str]) -> Found:
    """Everything in the ledger that names one of these, which ``erased`` knows."""
    found = Found()
    with ledger.engine.connect() as connection:
        columns = (records.c.key, records.c.payload, records.c.reason)
        asked = select(records.c.record_id, records.c.batch_id, records.c.flow, *columns).where(
            _named(ledger, columns, names)
        )
        for row in connection.execute(asked):
            if erased.mentions(" ".join(filter(None, (row.key, row.payload, row.reason)))):
                found.records.setdefault(row.flow, []).append(row.record_id)
                found.batches.add(row.batch_id)
        noted = (audit.c.reason, audit.c.details)
        for entry in connection.execute(select(audit.c.entry, *noted).where(_named(ledger, noted, names))):
            if erased.mentions(f"{entry.reason} {entry.details}"):
                found.audit.append(entry.entry)
    return found


def _named(ledger: Ledger, columns: Sequence[ColumnElement[Any]], names: Sequence[str]) -> ColumnElement[bool]:
    """In any letter case, which SQLite's LIKE ignores by itself: small letters of a million payloads take seconds.

    It ignores the case of ASCII only; in the place of another letter any will do, as whoever asks looks again.
    """
    texts = [cast(column, Text) for column in columns]
    spelled = [spelling for name in names for spelling in spellings(name)]
    if ledger.engine.dialect.name != "sqlite":
        return or_(*(text.icontains(name, autoescape=True) for text in texts for name in spelled))
    patterns = ["".join("_" if not x.isascii() else f"/{x}" if x in "%_/" else x for x in name) for name in spelled]
    return or_(*(text.like(f"%{pattern}%", escape="/") for text in texts for pattern in patterns))


def erase(ledger: Ledger, erased: Erased, names: Sequence[str], reason: str, at: datetime) -> Found:
    """Puts tombstones in the place of what names these, in one commit with its audit entry. Returns what it found.

    Outcomes and counts stay; of a sales line its figures stay as well. Open dead letters are closed: nothing of an erased
    person is sent again.
    """
    found = find(ledger, erased, names)
    chosen = [record for ids in found.records.values() for record in ids]
    with ledger.write() as connection:
        if ledger.engine.dialect.name == "sqlite":
            connection.exec_driver_sql("pragma secure_delete = on")
        for record_id in chosen:
            _bury(connection, erased, record_id, at)
        for batch_id in found.batches:
            _bury_bodies(connection, erased, batch_id)
        for entry in found.audit:
            kept = connection.execute(select(audit.c.reason, audit.c.details).where(audit.c.entry == entry)).one()
            connection.execute(
                update(audit)
                .where(audit.c.entry == entry)
                .values(reason=erased.without(kept.reason), details=erased.without(kept.details or ""))
            )
        recount(connection, sorted(found.batches))
        figures = {"person": erased.digest(names[0]), **{flow: len(ids) for flow, ids in found.records.items()}}
        connection.execute(
            insert(audit).values(
                at=at, who=who(), command="erase", reason=erased.without(reason), details=json.dumps(figures)
            )
        )
    if ledger.engine.dialect.name == "sqlite":
        with ledger.engine.connect() as connection:
            connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
    return found


def _bury(connection: Connection, erased: Erased, record_id: int, at: datetime) -> None:
    row = connection.execute(select(records).where(records.c.record_id == record_id)).one()
    left: dict[str, Any] = erased.tombstone(row.payload)
    if row.flow == "sales":
        payload = json.loads(row.payload)
        left |= {name: payload[name] for name in _FIGURES if name in payload}
    values: dict[str, Any] = {
        "key": f"erased:{erased.digest(row.key)}" if row.flow == "contacts" else row.key,
        "payload_hash": left["erased"] if row.payload_hash else None,
        "reason": erased.without(row.reason) if row.reason else None,
    }
    connection.execute(
        update(records)
        .where(records.c.record_id == record_id)
        .values(**values, payload=json.dumps(left), erased_at=row.erased_at or at)
    )
    letter = update(dead_letters).where(dead_letters.c.record_id == record_id)
    connection.execute(letter.values(**values))
    connection.execute(letter.where(dead_letters.c.closed_at.is_(None)).values(closed_at=at, closed_by="erased"))


def _bury_bodies(connection: Connection, erased: Erased, batch_id: int) -> None:
    kept = connection.execute(select(bodies).where(bodies.c.batch_id == batch_id)).one_or_none()
    if kept is not None:
        cleaned = {
            name: zlib.compress(without(zlib.decompress(content), erased), 1)
            for name, content in (("request", kept.request), ("response", kept.response))
            if content
        }
        if cleaned:
            connection.execute(update(bodies).where(bodies.c.batch_id == batch_id).values(**cleaned))
    note = connection.execute(select(batches.c.note).where(batches.c.batch_id == batch_id)).scalar_one()
    if note:
        connection.execute(update(batches).where(batches.c.batch_id == batch_id).values(note=erased.without(note)))


def without(content: bytes, erased: Erased) -> bytes:
    """A request or an answer in which the rows of erased persons are tombstones; the rows of others stay as they were."""
    text = content.decode(errors="replace")
    if not erased.mentions(text):
        return content
    try:
        parsed = json.loads(text)
    except ValueError:
        lines = text.split("\n")
        return "\n".join(f"erased,{erased.digest(line)}" if erased.mentions(line) else line for line in lines).encode()
    return json.dumps(_rows(parsed, erased), ensure_ascii=False).encode()


def _rows(value: Any, erased: Erased) -> Any:
    """Whatever has an erased name directly among its values is a row of theirs."""
    if isinstance(value, list):
        return [_rows(inside, erased) for inside in value]
    if isinstance(value, dict):
        if any(isinstance(inside, str) and erased.mentions(inside) for inside in value.values()):
            return erased.tombstone(json.dumps(value))
        return {
            f"erased:{erased.digest(name)}" if erased.mentions(name) else name: _rows(inside, erased)
            for name, inside in value.items()
        }
    if isinstance(value, str) and erased.mentions(value):
        return erased.without(value)
    return value
