"""The ledger: every batch and every record sent, with its outcome. Transactional state, in SQLite by default.

What belongs here: tables, and the few moves they allow (intend, connect, close). What does not: deciding what is sent
(``delivery.py``), and analytics (the warehouse has a projection, ``projection.py``).

Intent is committed before the first byte leaves, and the outcome before the next batch. A closed batch conserves:
sent = accepted + rejected + retryable + unknown; closing one that does not is refused. A sales line or an event that is on
its way, accepted or unknown cannot be intended again: the database refuses it.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    case,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.engine import make_url

from cin7_emarsys.emarsys.answers import Verdict

metadata = MetaData()

batches = Table(
    "batches",
    metadata,
    Column("batch_id", Integer, primary_key=True),
    Column("flow", String, nullable=False),
    Column("run_id", String),
    Column("endpoint", String, nullable=False),
    Column("state", String, nullable=False),  # intent, connecting, closed
    Column("records", Integer, nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("connecting_at", DateTime),
    Column("closed_at", DateTime),
    Column("closed_seq", Integer, index=True),  # order of closing; the projection goes by it
    Column("status", Integer),
    Column("seconds", Float),
    Column("note", String),
)

bodies = Table(
    "bodies",
    metadata,
    Column("batch_id", ForeignKey("batches.batch_id"), primary_key=True),
    Column("request", LargeBinary),
    Column("response", LargeBinary),
)

records = Table(
    "records",
    metadata,
    Column("record_id", Integer, primary_key=True),
    Column("batch_id", ForeignKey("batches.batch_id"), nullable=False, index=True),
    Column("flow", String, nullable=False),
    Column("key", String, nullable=False),
    Column("document", String),  # of a sales line
    Column("payload_hash", String),
    Column("payload", Text, nullable=False),
    Column("outcome", String),
    Column("code", String),
    Column("reason", String),
    Column("at", DateTime),
    Index("records_key", "flow", "key"),
    Index("records_document", "flow", "document"),
    Index(
        "once",
        "flow",
        "key",
        unique=True,
        sqlite_where=text("flow in ('sales', 'events') and (outcome is null or outcome in ('accepted', 'unknown'))"),
        postgresql_where=text(
            "flow in ('sales', 'events') and (outcome is null or outcome in ('accepted', 'unknown'))"
        ),
    ),
)

publications = Table(
    "publications",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("run_id", String),
    Column("published_at", DateTime),
    Column("rows", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("url", String, nullable=False),
    Column("published", Boolean, nullable=False),
    Column("collected_at", DateTime),
)

publication_items = Table(
    "publication_items",
    metadata,
    Column("version", ForeignKey("publications.version"), primary_key=True),
    Column("item", String, primary_key=True),
    Column("payload", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("entry", Integer, primary_key=True),
    Column("at", DateTime, nullable=False),
    Column("who", String, nullable=False),
    Column("command", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("details", Text),
)


@dataclass(frozen=True)
class Intended:
    """One record about to be sent. ``payload`` is JSON text; ``document`` names the document of a sales line."""

    key: str
    payload: str
    payload_hash: str | None = None
    document: str | None = None


class NotConserved(Exception):
    """A batch was about to be closed with records without a fate, or with fates for records it does not have."""


class Ledger:
    """The ledger at one SQLAlchemy address. A SQLite file is made with mode 0600. All times are naive UTC."""

    def __init__(self, url: str) -> None:
        address = make_url(url)
        if address.drivername.startswith("sqlite") and address.database:
            path = Path(address.database)
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self.engine: Engine = create_engine(url)
        if address.drivername.startswith("sqlite"):
            event.listen(self.engine, "connect", _durable)
        with self.engine.connect() as connection:  # flows start side by side: one of them makes the tables
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("begin immediate")
            elif self.engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"select pg_advisory_xact_lock({zlib.crc32(b'cin7-emarsys ledger')})")
            metadata.create_all(connection)
            connection.commit()

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            yield connection

    def intend(
        self, flow: str, endpoint: str, run_id: str | None, items: Sequence[Intended], request: bytes, at: datetime
    ) -> int:
        """Writes a batch down before it is sent. Returns its id. Raises `IntegrityError` for what may go only once."""
        with self._write() as connection:
            batch = connection.execute(
                insert(batches).values(
                    flow=flow, endpoint=endpoint, run_id=run_id, state="intent", records=len(items), created_at=at
                )
            )
            batch_id = int(batch.inserted_primary_key[0])  # type: ignore[index]
            connection.execute(
                insert(records),
                [
                    {
                        "batch_id": batch_id,
                        "flow": flow,
                        "key": item.key,
                        "document": item.document,
                        "payload_hash": item.payload_hash,
                        "payload": item.payload,
                    }
                    for item in items
                ],
            )
            connection.execute(insert(bodies).values(batch_id=batch_id, request=zlib.compress(request, 1)))
        return batch_id

    def connecting(self, batch_id: int, at: datetime) -> None:
        """From here on the request may reach the vendor."""
        with self._write() as connection:
            connection.execute(
                update(batches).where(batches.c.batch_id == batch_id).values(state="connecting", connecting_at=at)
            )

    def close_batch(
        self,
        batch_id: int,
        verdicts: Mapping[str, Verdict],
        at: datetime,
        *,
        response: bytes = b"",
        status: int | None = None,
        seconds: float | None = None,
        note: str | None = None,
    ) -> None:
        """Writes the fate of every record and closes the batch, in one commit. Raises `NotConserved`."""
        with self._write() as connection:
            rows = connection.execute(
                select(records.c.record_id, records.c.key).where(records.c.batch_id == batch_id)
            ).all()
            missing = [key for _, key in rows if key not in verdicts]
            if missing or len(verdicts) != len({key for _, key in rows}):
                raise NotConserved(
                    f"batch {batch_id}: {len(rows)} records sent, {len(verdicts)} fates, {len(missing)} missing"
                )
            connection.execute(
                update(records)
                .where(records.c.record_id == bindparam("_id"))
                .values(outcome=bindparam("_outcome"), code=bindparam("_code"), reason=bindparam("_reason"), at=at),
                [
                    {
                        "_id": record_id,
                        "_outcome": verdicts[key].outcome,
                        "_code": verdicts[key].code,
                        "_reason": verdicts[key].reason,
                    }
                    for record_id, key in rows
                ],
            )
            connection.execute(
                update(batches)
                .where(batches.c.batch_id == batch_id)
                .values(
                    state="closed",
                    closed_at=at,
                    closed_seq=select(func.coalesce(func.max(batches.c.closed_seq), 0) + 1).scalar_subquery(),
                    status=status,
                    seconds=seconds,
                    note=note,
                )
            )
            if response:
                connection.execute(
                    update(bodies).where(bodies.c.batch_id == batch_id).values(response=zlib.compress(response, 1))
                )

    def open_batches(self, flow: str) -> list[tuple[int, str, list[str]]]:
        """Batches that a dead process left open: id, state, keys."""
        with self.engine.connect() as connection:
            found = connection.execute(
                select(batches.c.batch_id, batches.c.state).where(batches.c.flow == flow, batches.c.state != "closed")
            ).all()
            return [
                (
                    batch_id,
                    state,
                    [key for (key,) in connection.execute(select(records.c.key).where(records.c.batch_id == batch_id))],
                )
                for batch_id, state in found
            ]

    def sales_lines(self, documents: Iterable[str]) -> list[dict[str, Any]]:
        """Every line ever intended for these documents: document, key, payload, outcome."""
        wanted = list(documents)
        found: list[dict[str, Any]] = []
        with self.engine.connect() as connection:
            for start in range(0, len(wanted), 500):
                rows = connection.execute(
                    select(records.c.document, records.c.key, records.c.payload, records.c.outcome)
                    .where(records.c.flow == "sales", records.c.document.in_(wanted[start : start + 500]))
                    .order_by(records.c.record_id)
                )
                found += [dict(row._mapping) for row in rows]
        return found

    def begin_publication(
        self, run_id: str | None, rows: int, sha256: str, url: str, items: Iterable[tuple[str, str]]
    ) -> int:
        """Writes a version of the product file down before it is put in place. Returns the version."""
        with self._write() as connection:
            unfinished = select(publications.c.version).where(publications.c.published.is_(False))
            connection.execute(delete(publication_items).where(publication_items.c.version.in_(unfinished)))
            connection.execute(delete(publications).where(publications.c.published.is_(False)))
            version = int(
                connection.execute(select(func.coalesce(func.max(publications.c.version), 0) + 1)).scalar_one()
            )
            connection.execute(
                insert(publications).values(
                    version=version, run_id=run_id, rows=rows, sha256=sha256, url=url, published=False
                )
            )
            connection.execute(
                insert(publication_items),
                [{"version": version, "item": item, "payload": payload} for item, payload in items],
            )
        return version

    def published(self, version: int, at: datetime) -> None:
        """The file is in place. Of older versions only the one last collected keeps its items."""
        with self._write() as connection:
            connection.execute(
                update(publications).where(publications.c.version == version).values(published=True, published_at=at)
            )
            collected = select(func.max(publications.c.version)).where(publications.c.collected_at.is_not(None))
            connection.execute(
                delete(publication_items).where(
                    publication_items.c.version < version,
                    publication_items.c.version != func.coalesce(collected.scalar_subquery(), 0),
                )
            )

    def unfinished_publications(self) -> list[tuple[int, str]]:
        """Versions written down and not known to be in place: version, sha256."""
        with self.engine.connect() as connection:
            rows = connection.execute(
                select(publications.c.version, publications.c.sha256).where(publications.c.published.is_(False))
            ).all()
        return [(int(version), str(sha)) for version, sha in rows]

    def collected(self, sha256: str, at: datetime) -> None:
        """Emarsys fetched the whole file with this hash, for the first time (never before it was there)."""
        with self._write() as connection:
            version = select(func.max(publications.c.version)).where(
                publications.c.sha256 == sha256, publications.c.published.is_(True)
            )
            connection.execute(
                update(publications)
                .where(publications.c.version == version.scalar_subquery(), publications.c.collected_at.is_(None))
                .values(collected_at=case((publications.c.published_at > at, publications.c.published_at), else_=at))
            )

    def write_audit(self, who: str, command: str, reason: str, details: str, at: datetime) -> None:
        """Keeps who overrode what, and why."""
        with self._write() as connection:
            connection.execute(insert(audit).values(at=at, who=who, command=command, reason=reason, details=details))


def _durable(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("pragma busy_timeout = 60000")
    cursor.execute("pragma journal_mode = wal")
    cursor.execute("pragma synchronous = full")
    cursor.execute("pragma foreign_keys = on")
    cursor.close()
