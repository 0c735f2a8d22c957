"""The ledger: every batch and every record sent, with its outcome. Transactional state, in SQLite by default.

What belongs here: the few moves a delivery makes (intend, connect, close, publish). What does not: the tables
(``tables.py``), deciding what is sent (``delivery.py``), what a person does afterwards (``repair.py``), and analytics (the
warehouse has a projection, ``projection.py``).

Intent is committed before the first byte leaves, and the outcome before the next batch. A batch with an open end belongs to
a process that is at it or that died.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, func, insert, or_, select, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError

from cin7_emarsys import disk
from cin7_emarsys.emarsys.answers import Verdict
from cin7_emarsys.emarsys.tables import (
    audit,
    batches,
    bodies,
    dead_letters,
    event_connections,
    open_engine,
    publication_items,
    publications,
    records,
    take_turn,
)

_PARKED = ("sales", "events")
_UNWRITABLE = ("full", "readonly", "read-only", "disk I/O", "unable to open")
# The newest version of the product file that Emarsys fetched and whose items are still known.
LAST_COLLECTED = select(func.max(publications.c.version)).where(
    publications.c.collected_at.is_not(None), publications.c.version.in_(select(publication_items.c.version))
)


@dataclass(frozen=True)
class Intended:
    """One record about to be sent. ``payload`` is JSON text; ``document`` names the document of a sales line."""

    key: str
    payload: str
    payload_hash: str | None = None
    document: str | None = None


@dataclass(frozen=True)
class Ceiling:
    """How often, and for how long, a record is tried before it becomes a dead letter."""

    attempts: int
    hours: float


class NotConserved(Exception):
    """A batch was about to be closed with records without a fate, or with fates for records it does not have."""


class TakenOver(Exception):
    """A batch was closed by somebody else before it was sent: another machine took its process for dead."""


class LedgerUnwritable(disk.Unwritable):
    """The ledger cannot be written down to (disk full, or read-only). Nothing is sent that is not written down first."""


@contextmanager
def _told(url: str | URL) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        reason = str(error.orig)
        if any(word in reason for word in _UNWRITABLE):
            raise LedgerUnwritable(
                f"the ledger {make_url(url).render_as_string()} cannot be written: {reason}. Nothing was sent after that; "
                "make room, or make it writable, and run again"
            ) from None
        raise


class Ledger:
    """The ledger at one SQLAlchemy address. A SQLite file is made with mode 0600. All times are naive UTC.

    Raises `Unwritable` when it cannot be opened to write.
    """

    def __init__(self, url: str) -> None:
        with _told(url), disk.told("the ledger", make_url(url).render_as_string()):
            self.engine = open_engine(url)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction. Raises `LedgerUnwritable`, and then nothing of it stays."""
        with _told(self.engine.url), self.engine.begin() as connection:
            take_turn(connection)  # the order of changes is the order of commits
            yield connection

    @contextmanager
    def alone(self, flow: str) -> Iterator[None]:
        """On Postgres, one delivery of a flow at a time on all machines; waits for as long as another one is at it."""
        with ExitStack() as stack:
            if self.engine.dialect.name == "postgresql":
                connection = stack.enter_context(self.engine.connect())
                connection.detach()  # closed for good in the end, and the lock with it
                connection.execute(select(func.pg_advisory_lock(zlib.crc32(f"cin7-emarsys flow {flow}".encode()))))
                connection.commit()
            yield

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection that sees the ledger as it is now, whatever others write meanwhile."""
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("begin")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def intend(
        self,
        flow: str,
        endpoint: str,
        run_id: str | None,
        items: Sequence[Intended],
        request: bytes,
        at: datetime,
        *,
        repeats: bool = False,
    ) -> int:
        """Writes a batch down before it is sent. Returns its id. Raises `IntegrityError` for what may go only once.

        ``repeats`` says that these records stand as unknown and are sent again because the vendor de-duplicates them.
        """
        with self.write() as connection:
            if repeats:
                in_doubt = (records.c.outcome == "unknown") & records.c.resolution.is_(None)
                again = {"outcome": "retryable", "resolution": "repeated", "resolved_at": at}
                _change(connection, flow, [item.key for item in items], in_doubt, again)
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
        """From here on the request may reach the vendor. Raises `TakenOver` when the batch is closed: it must not go."""
        with self.write() as connection:
            still_open = (batches.c.batch_id == batch_id) & (batches.c.state != "closed")
            noted = connection.execute(update(batches).where(still_open).values(state="connecting", connecting_at=at))
            if not noted.rowcount:
                raise TakenOver(f"batch {batch_id} was closed by another process, so it is not sent; run again")

    def close_batch(
        self,
        batch_id: int,
        verdicts: Mapping[str, Verdict],
        at: datetime,
        *,
        ceiling: Ceiling | None = None,
        response: bytes = b"",
        status: int | None = None,
        seconds: float | None = None,
        note: str | None = None,
    ) -> set[str]:
        """Writes the fate of every record and closes the batch, in one commit. Returns the keys of new dead letters.

        A dead letter is a record that was rejected, or that has used up the ``ceiling``; an accepted one closes the dead
        letter of its key. Raises `NotConserved`.
        """
        with self.write() as connection:
            rows = connection.execute(
                select(records.c.record_id, records.c.key, records.c.flow).where(records.c.batch_id == batch_id)
            ).all()
            missing = [row.key for row in rows if row.key not in verdicts]
            if missing or len(verdicts) != len({row.key for row in rows}):
                raise NotConserved(
                    f"batch {batch_id}: {len(rows)} records sent, {len(verdicts)} fates, {len(missing)} missing"
                )
            _write_fates(connection, batch_id, {row.record_id: verdicts[row.key] for row in rows}, at)
            flow = rows[0].flow
            made = _bury(connection, batch_id, flow, ceiling, at)
            retryable = [row.key for row in rows if verdicts[row.key].outcome == "retryable"]
            if flow == "events" and retryable:
                # The repeat did not happen: what this batch repeated is in doubt as before.
                intended = select(batches.c.created_at).where(batches.c.batch_id == batch_id).scalar_subquery()
                repeated = (records.c.resolution == "repeated") & (records.c.resolved_at == intended)
                doubt = {"outcome": "unknown", "resolution": None, "resolved_at": None}
                _change(connection, flow, retryable, repeated, doubt)
            connection.execute(
                update(batches)
                .where(batches.c.batch_id == batch_id)
                .values(state="closed", closed_at=at, status=status, seconds=seconds, note=note, **_counts(batch_id))
            )
            if response:
                connection.execute(
                    update(bodies).where(bodies.c.batch_id == batch_id).values(response=zlib.compress(response, 1))
                )
        return made

    def proven(self, endpoint: str) -> bool:
        """Whether the vendor ever took a batch of this form."""
        with self.engine.connect() as connection:
            asked = select(batches.c.batch_id).where(batches.c.endpoint == endpoint, batches.c.accepted > 0).limit(1)
            return connection.execute(asked).first() is not None

    def accepted_last(self, flow: str) -> datetime | None:
        """When Emarsys last accepted a record of this flow."""
        with self.engine.connect() as connection:
            newest = select(func.max(batches.c.closed_at)).where(batches.c.flow == flow, batches.c.accepted > 0)
            found: datetime | None = connection.execute(newest).scalar_one()
        return found

    def keep_connection(self, event_id: str, email: bool, at: datetime) -> None:
        """Keeps whether an e-mail hangs on this event, as the vendor's last answer told."""
        with self.write() as connection:
            connection.execute(delete(event_connections).where(event_connections.c.event_id == event_id))
            connection.execute(insert(event_connections).values(event_id=event_id, email=email, seen_at=at))

    def connected_to_email(self, event_id: str) -> bool | None:
        """What was last told of this event; None when it never was."""
        with self.engine.connect() as connection:
            asked = select(event_connections.c.email).where(event_connections.c.event_id == event_id)
            return connection.execute(asked).scalar_one_or_none()

    def close_dead_letters(self, flow: str, keys: Sequence[str], how: str, at: datetime) -> int:
        """Closes the open dead letters of these keys. Returns how many."""
        closed = 0
        with self.write() as connection:
            for start in range(0, len(keys), 500):
                chosen = dead_letters.c.key.in_(keys[start : start + 500])
                closed += connection.execute(
                    update(dead_letters)
                    .where(dead_letters.c.flow == flow, chosen, dead_letters.c.closed_at.is_(None))
                    .values(closed_at=at, closed_by=how)
                ).rowcount
        return closed

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

    def begin_publication(
        self, run_id: str | None, rows: int, sha256: str, url: str, items: Iterable[tuple[str, str]]
    ) -> int:
        """Writes a version of the product file down before it is put in place. Returns the version."""
        with self.write() as connection:
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
        """The file is in place. Of older versions only two keep their items: the one last collected, and the one before
        this, which Emarsys may be downloading."""
        with self.write() as connection:
            fetched = publications.c.collected_at  # perhaps before this note, never before it was there
            connection.execute(
                update(publications)
                .where(publications.c.version == version)
                .values(published=True, published_at=at, collected_at=case((fetched < at, at), else_=fetched))
            )
            connection.execute(
                delete(publication_items).where(
                    publication_items.c.version < version - 1,
                    publication_items.c.version != func.coalesce(LAST_COLLECTED.scalar_subquery(), 0),
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
        with self.write() as connection:
            version = select(func.max(publications.c.version)).where(publications.c.sha256 == sha256)
            connection.execute(
                update(publications)
                .where(publications.c.version == version.scalar_subquery(), publications.c.collected_at.is_(None))
                .values(collected_at=case((publications.c.published_at > at, publications.c.published_at), else_=at))
            )

    def write_audit(self, who: str, command: str, reason: str, details: str, at: datetime) -> None:
        """Keeps who overrode what, and why."""
        with self.write() as connection:
            connection.execute(insert(audit).values(at=at, who=who, command=command, reason=reason, details=details))


def _write_fates(connection: Connection, batch_id: int, fates: Mapping[int, Verdict], at: datetime) -> None:
    """The commonest fate for the whole batch in one statement, then the others record by record: as a rule there are few."""

    def values(verdict: Verdict) -> dict[str, Any]:
        return {"outcome": verdict.outcome, "code": verdict.code, "reason": verdict.reason, "attempt": verdict.attempt}

    commonest, _ = Counter(fates.values()).most_common(1)[0]
    connection.execute(update(records).where(records.c.batch_id == batch_id).values(at=at, **values(commonest)))
    others = [
        {f"_{name}": value for name, value in values(verdict).items()} | {"_id": record}
        for record, verdict in fates.items()
        if verdict != commonest
    ]
    if others:
        named: dict[str, Any] = {name: bindparam(f"_{name}") for name in values(commonest)}
        connection.execute(update(records).where(records.c.record_id == bindparam("_id")).values(**named), others)


def _bury(connection: Connection, batch_id: int, flow: str, ceiling: Ceiling | None, at: datetime) -> set[str]:
    """Opens dead letters for what was rejected or has been tried too often, and closes those of what was accepted."""
    inside = records.c.batch_id == batch_id
    accepted = select(records.c.key).where(inside, records.c.outcome == "accepted")
    connection.execute(
        update(dead_letters)
        .where(dead_letters.c.flow == flow, dead_letters.c.closed_at.is_(None), dead_letters.c.key.in_(accepted))
        .values(closed_at=at, closed_by="accepted")
    )
    failed = connection.execute(
        select(records).where(
            inside, or_(records.c.outcome == "rejected", records.c.attempt & records.c.outcome.in_(_again(flow)))
        )
    ).all()
    letters = []
    for row in failed:
        attempts, first = _attempts(connection, row)
        worn = ceiling and (attempts >= ceiling.attempts or at - first >= timedelta(hours=ceiling.hours))
        if row.outcome == "rejected" or worn:
            same = ("record_id", "flow", "key", "document", "payload_hash", "code", "reason")
            letters.append({name: row._mapping[name] for name in same} | {"attempts": attempts, "opened_at": at})
    if letters:
        replaced = select(records.c.key).where(records.c.record_id.in_([letter["record_id"] for letter in letters]))
        connection.execute(
            update(dead_letters)
            .where(dead_letters.c.flow == flow, dead_letters.c.closed_at.is_(None), dead_letters.c.key.in_(replaced))
            .values(closed_at=at, closed_by="replaced")
        )
        connection.execute(insert(dead_letters), letters)
    return {letter["key"] for letter in letters}


def _again(flow: str) -> tuple[str, ...]:
    """Outcomes after which a record of this flow is tried again by itself."""
    return ("retryable",) if flow in _PARKED else ("retryable", "unknown")


def _attempts(connection: Connection, row: Any) -> tuple[int, datetime]:
    """Attempts used up by the same record since it last succeeded or was buried, and when the first of them was."""
    same = (records.c.flow == row.flow) & (records.c.key == row.key)
    accepted = select(func.max(records.c.record_id)).where(same, records.c.outcome == "accepted")
    buried = select(func.max(dead_letters.c.record_id)).where(
        dead_letters.c.flow == row.flow, dead_letters.c.key == row.key
    )
    since = max(connection.execute(asked).scalar_one() or 0 for asked in (accepted, buried))
    count, first = connection.execute(
        select(func.count(), func.min(records.c.at)).where(
            same,
            records.c.attempt,
            records.c.payload_hash.is_not_distinct_from(row.payload_hash),
            records.c.record_id > since,
        )
    ).one()
    return max(int(count), 1), first or row.at


def _counts(batch_id: int) -> dict[str, Any]:
    """Figures of a batch, counted from its records, and its place in the order of changes."""

    def count(outcome: str) -> Any:
        chosen = (records.c.batch_id == batch_id) & (records.c.outcome == outcome)
        return select(func.count()).where(chosen).scalar_subquery()

    figures = {name: count(name) for name in ("accepted", "rejected", "retryable", "unknown")}
    last = select(func.coalesce(func.max(batches.c.changed_seq), 0) + 1).scalar_subquery()
    return {**figures, "changed_seq": last}


def _change(
    connection: Connection, flow: str, keys: Sequence[str], which: ColumnElement[bool], values: Mapping[str, Any]
) -> None:
    """Gives those records of these keys another outcome; their batches count anew and are projected again."""
    for start in range(0, len(keys), 500):
        chosen = (records.c.flow == flow) & records.c.key.in_(keys[start : start + 500]) & which
        touched = connection.execute(select(records.c.batch_id).where(chosen).distinct()).scalars().all()
        connection.execute(update(records).where(chosen).values(**values))
        recount(connection, touched)


def recount(connection: Connection, batch_ids: Iterable[int]) -> None:
    """Counts closed batches anew whose records were changed; an open one is counted when it is closed."""
    for batch_id in batch_ids:
        closed = (batches.c.batch_id == batch_id) & (batches.c.state == "closed")
        connection.execute(update(batches).where(closed).values(**_counts(batch_id)))
