"""Retention: what is older than the policy keeps it, class by class, shown first and removed when that is said.

What belongs here: finding and removing what has had its time, and what stays because a later decision needs it. What does
not: how long a class is kept (``merchant.toml``, ``[retention]``), which rows of the warehouse may go (``retention/*.sql``),
and forgetting a person (``erase.py``).
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from sqlalchemy import delete, func, select

from cin7_emarsys import progress
from cin7_emarsys.emarsys.ledger import LAST_COLLECTED, Ledger
from cin7_emarsys.emarsys.projection import project
from cin7_emarsys.emarsys.repair import PARKED, who
from cin7_emarsys.emarsys.tables import batches, bodies, dead_letters, publication_items, publications, records
from cin7_emarsys.merchant import Retention
from cin7_emarsys.operations import dagster_internals
from cin7_emarsys.settings import LocalSettings
from cin7_emarsys.warehouse.connections import Warehouse

_QUERIES = Path(__file__).parent / "retention"
_ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
_HEADER = re.compile(r"^-- (class|table): (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Aged:
    """What of one place has had its time: rows (or files, runs), bytes where they can be told, and the oldest (UTC)."""

    kind: str
    place: str
    days: int
    rows: int
    bytes: int | None = None
    oldest: datetime | None = None


@dataclass(frozen=True)
class _Place:
    settings: LocalSettings
    ledger: Ledger
    instance: DagsterInstance
    now: datetime
    apply: bool

    @property
    def rules(self) -> Retention:
        return self.settings.merchant.retention

    def before(self, kind: str) -> datetime:
        return self.now - timedelta(days=self.days(kind))

    def days(self, kind: str) -> int:
        return int(getattr(self.rules, f"{kind}_days"))


def prune(settings: LocalSettings, instance: DagsterInstance, *, apply: bool = False) -> list[Aged]:
    """Everything that has had its time, place by place; ``apply`` removes it, and notes that in the audit."""
    ledger = Ledger(settings.ledger_url)
    now = datetime.now(UTC).replace(tzinfo=None)
    place = _Place(settings, ledger, instance, now, apply)
    try:
        found = []
        for look in _LOOKS:
            for aged in look(place):
                if aged.rows:
                    progress.report(aged.place, aged.rows, None)
                    found.append(aged)
        if apply and found:
            removed = json.dumps({aged.place: aged.rows for aged in found})
            ledger.write_audit(who(), "prune --apply", "retention", removed, now)
            project(ledger, Warehouse(database=str(settings.paths.warehouse)))
    finally:
        ledger.close()
    return found


def _landing(place: _Place) -> Iterator[Aged]:
    """Extracts; the newest of each entity stays, and so does what an untrusted snapshot is judged by."""
    old = []
    for entity in sorted(place.settings.paths.landing.glob("*")):
        folders = sorted((f for f in entity.iterdir() if f.is_dir()), key=lambda f: f.stat().st_mtime)
        old += [folder for folder in folders[:-1] if _changed(folder) < place.before("landing")]
    yield _of_paths(place, "landing", "landing/", old)


def _outbox(place: _Place) -> Iterator[Aged]:
    """Examples of dry runs, and what a process that died was about to send: it is worked out anew by each run."""
    files = [file for file in sorted(place.settings.paths.outbox.glob("*.ndjson")) if file.is_file()]
    yield _of_paths(place, "dry_runs", "outbox/", [file for file in files if _changed(file) < place.before("dry_runs")])


def _product_files(place: _Place) -> Iterator[Aged]:
    """Files that a publication broken off left beside the product file."""
    files = [
        file for file in sorted(place.settings.paths.feed.glob("*.new")) if _changed(file) < place.before("dry_runs")
    ]
    yield _of_paths(place, "dry_runs", "feed/", files)


def _leftovers(place: _Place) -> Iterator[Aged]:
    """What a process that was killed left half-made beside the warehouse."""
    files = [file for file in place.settings.paths.leftovers() if _changed(file) < place.before("dry_runs")]
    yield _of_paths(place, "dry_runs", "half-made files", files)


def _bodies(place: _Place) -> Iterator[Aged]:
    """Requests and answers; those of batches with a record that a person has to decide about stay."""
    open_letters = select(records.c.batch_id).where(
        records.c.record_id.in_(select(dead_letters.c.record_id).where(dead_letters.c.closed_at.is_(None)))
    )
    parked = select(records.c.batch_id).where(records.c.outcome == "unknown", records.c.flow.in_(PARKED))
    needed = parked.union(open_letters)
    old = (
        select(batches.c.batch_id)
        .where(batches.c.state == "closed", batches.c.closed_at < place.before("bodies"))
        .where(batches.c.batch_id.not_in(needed))
    )
    size = func.coalesce(func.length(bodies.c.request), 0) + func.coalesce(func.length(bodies.c.response), 0)
    with place.ledger.engine.connect() as connection:
        rows, total, oldest = connection.execute(
            select(func.count(), func.sum(size), func.min(batches.c.closed_at))
            .select_from(bodies.join(batches, batches.c.batch_id == bodies.c.batch_id))
            .where(bodies.c.batch_id.in_(old))
        ).one()
    if place.apply and rows:
        with place.ledger.write() as connection:
            connection.execute(delete(bodies).where(bodies.c.batch_id.in_(old)))
    yield Aged("bodies", "ledger: requests and answers", place.days("bodies"), int(rows), int(total or 0), oldest)


def _publications(place: _Place) -> Iterator[Aged]:
    """Versions of the product file that were replaced; the newest and the one collected last stay."""
    newest = select(func.max(publications.c.version)).where(publications.c.published.is_(True))
    old = (
        select(publications.c.version)
        .where(publications.c.published.is_(True), publications.c.published_at < place.before("history"))
        .where(publications.c.version != newest.scalar_subquery())
        .where(publications.c.version != func.coalesce(LAST_COLLECTED.scalar_subquery(), 0))
    )
    with place.ledger.engine.connect() as connection:
        found = connection.execute(
            select(func.count(), func.min(publications.c.published_at)).where(publications.c.version.in_(old))
        ).one()
        versions = connection.execute(old).scalars().all() if place.apply else []
    if versions:
        with place.ledger.write() as connection:
            for table in (publication_items, publications):
                connection.execute(delete(table).where(table.c.version.in_(versions)))
    yield Aged("history", "ledger: versions of the product file", place.days("history"), int(found[0]), None, found[1])


def _warehouse(place: _Place) -> Iterator[Aged]:
    """Rows that `retention/*.sql` names, all in one transaction."""
    warehouse = Warehouse(database=str(place.settings.paths.warehouse))
    if not place.settings.paths.warehouse.exists():
        return
    with warehouse.write() if place.apply else warehouse.read() as connection:
        for file in sorted(_QUERIES.glob("*.sql")):
            sql = file.read_text()
            named = dict(_HEADER.findall(sql))
            before = {"before": place.before(named["class"])}
            try:
                row = connection.execute(f'select count(*), min("at") from ({sql})', before).fetchone() or (0, None)
            except duckdb.CatalogException:
                continue  # nothing has been read or built yet
            if place.apply and row[0]:
                connection.execute(f"delete from {named['table']} where rowid in (select rowid from ({sql}))", before)
            yield Aged(named["class"], named["table"], place.days(named["class"]), int(row[0]), None, row[1])


def _runs(place: _Place) -> Iterator[Aged]:
    """Dagster's runs and their files; the one that made an asset last stays, because its age is told by it."""
    needed = dagster_internals.runs_that_made_something_last(place.instance)
    before = place.before("runs").replace(tzinfo=UTC)
    old = [
        record
        for record in place.instance.get_run_records(RunsFilter(statuses=_ENDED, created_before=before))
        if record.dagster_run.run_id not in needed
    ]
    files = [
        file for record in old for file in dagster_internals.files_of_run(place.instance, record.dagster_run.run_id)
    ]
    size = sum(_size(file) for file in files)
    if place.apply:
        for record in old:
            place.instance.delete_run(record.dagster_run.run_id)
        for file in files:  # delete_run leaves them
            _remove(file)
    oldest = min((record.create_timestamp for record in old), default=None)
    yield Aged(
        "runs",
        "Dagster: runs and their logs",
        place.days("runs"),
        len(old),
        size,
        oldest and oldest.replace(tzinfo=None),
    )


_LOOKS: tuple[Callable[[_Place], Iterator[Aged]], ...] = (
    _landing, _outbox, _product_files, _leftovers, _bodies, _warehouse, _publications, _runs,
)  # fmt: skip


def _of_paths(place: _Place, kind: str, name: str, paths: list[Path]) -> Aged:
    size = sum(_size(path) for path in paths)
    oldest = min((_changed(path) for path in paths), default=None)
    if place.apply:
        for path in paths:
            _remove(path)
    return Aged(kind, name, place.days(kind), len(paths), size, oldest)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None)
