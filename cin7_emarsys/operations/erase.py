"""Forgetting a person: whom that is, every place that names her, and the order in which these are cleared.

What belongs here: the order, the tables that are kept for ever, the search that proves that nothing is left. What does not:
what is personal in a record of either vendor (``cin7/forgetting.py``, ``emarsys/erasure.py``), printing (``cli``).

The order makes a broken-off erasure one that is finished by saying it again: first the salted hashes, so that nothing that
is read from now on brings her back; then Emarsys, the ledger and the files; last, in one transaction, the warehouse, from
which it is known which other addresses and accounts are hers.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from cin7_emarsys import crash, locks, progress
from cin7_emarsys.cin7 import erasure as cin7
from cin7_emarsys.emarsys import erasure as emarsys
from cin7_emarsys.emarsys.ledger import Ledger
from cin7_emarsys.emarsys.projection import project
from cin7_emarsys.emarsys.repair import now
from cin7_emarsys.erased import Erased
from cin7_emarsys.operations import aliases
from cin7_emarsys.operations.explain import fetch
from cin7_emarsys.operations.refusals import CannotRun, NotKnown
from cin7_emarsys.settings import Settings
from cin7_emarsys.warehouse import factory
from cin7_emarsys.warehouse.connections import Warehouse


@dataclass(frozen=True)
class Person:
    """Whom it is about: her addresses (the one that was given first), her accounts; ``related`` addresses may be hers."""

    addresses: list[str]
    accounts: list[str]
    related: list[str]

    @property
    def names(self) -> list[str]:
        return [*self.addresses, *self.accounts]


@dataclass
class Erasure:
    """What an erasure found, or would: place → rows; and what is left afterwards (nothing, unless something went wrong).

    ``unsearched_bytes``: size of the landed files and of the outbox, which a dry run leaves to the erasure itself.
    """

    person: Person
    dry_run: bool
    places: dict[str, int] = field(default_factory=dict)
    unsearched_bytes: int = 0
    deleted_at_emarsys: int | None = None
    left: dict[str, int] = field(default_factory=dict)


def facts(done: Erasure) -> dict[str, Any]:
    """An erasure as the keys of `--json`."""
    return {
        "addresses": done.person.addresses,
        "accounts": done.person.accounts,
        "related": done.person.related,
        "dry_run": done.dry_run,
        "places": [{"place": place, "rows": rows} for place, rows in done.places.items()],
        "unsearched_bytes": done.unsearched_bytes,
        "deleted_at_emarsys": done.deleted_at_emarsys,
        "left": [{"place": place, "rows": rows} for place, rows in done.left.items()],
    }


def preview(settings: Settings, email: str) -> Erasure:
    """What would go, place by place, as an erasure counts it; nothing of hers is changed. Raises `NotKnown` for nobody's.

    Files are searched only where nothing else names her: they hold what the tables hold, and take longest.
    """
    warehouse = _warehouse(settings)
    ledger = Ledger(settings.ledger_url)
    try:
        project(ledger, warehouse)  # a million payloads are searched in the copy of the ledger
    finally:
        ledger.close()
    with warehouse.read() as connection, connection.cursor() as second, ThreadPoolExecutor(1) as beside:
        person = _person(connection, email)
        erased = Erased(settings.paths.state).adding(person.names)
        records = beside.submit(cin7.find, second, erased, person.names)  # half of the work
        books = _books(connection, erased, person.names)
        sent = emarsys.find_projected(connection, erased, person.names)
        size = sum(file.stat().st_size for folder in _folders(settings) for file in _contents(folder))
        read = {table: len(rows) for table, rows in records.result().items()}
        places = _rows(read, books) | {f"ledger: {kind}": rows for kind, rows in sent.items()}
    if places:
        return Erasure(person, True, places, unsearched_bytes=size)
    places = _files(settings, erased, person.names, clear=False)
    if not places:
        raise NotKnown("nothing here names that address, so there is nothing to erase")
    return Erasure(person, True, places)


def erase(settings: Settings, email: str, reason: str, *, everywhere: bool = False) -> Erasure:
    """Forgets a person; ``everywhere`` deletes her contact at Emarsys as well. Waits for jobs that run; none starts then.

    Raises `NotKnown` when nothing names the address, `CannotRun` when Emarsys cannot be asked or did not delete the contact
    (then nothing but her hashes is written, and it is finished by saying it again), and a `TransportError`.
    """
    warehouse = _warehouse(settings)
    if everywhere:
        _may_delete(settings)
    with ExitStack() as stack:
        for name in _lock_names(settings):
            stack.enter_context(locks.held(settings.paths.locks, name))
        with warehouse.read() as connection:
            person = _person(connection, email)
        done = Erasure(person, False)
        erased = Erased(settings.paths.state)
        known = all(erased.knows(name) for name in person.names)
        if not known and not everywhere:
            preview(settings, email)  # raises where there is nobody
        erased.add(person.names)
        crash.point("hashed")
        ledger = Ledger(settings.ledger_url)
        try:
            if everywhere:
                done.deleted_at_emarsys = _delete_there(settings, warehouse, ledger, erased, person.addresses)
            crash.point("deleted_there")
            progress.report("ledger", 0, None)
            found = emarsys.erase(ledger, erased, person.names, reason, now())
            done.places = {f"ledger: {kind}": rows for kind, rows in found.counts().items()}
            crash.point("ledger_erased")
            done.places |= _files(settings, erased, person.names, clear=True)
            for left in settings.paths.leftovers():
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
            crash.point("files_erased")
            progress.report("warehouse", 0, None)
            project(ledger, warehouse)
            with warehouse.write() as connection:
                done.places |= _erase_in_warehouse(connection, settings, erased, person.names)
                done.left = _search(connection, erased, person.names)
            crash.point("warehouse_erased")
            kept = emarsys.find(ledger, erased, person.names).counts()
            done.left |= {f"ledger: {kind}": rows for kind, rows in kept.items()}
        finally:
            ledger.close()
        progress.report("the freed pages of the warehouse file", 0, None)
        warehouse.write_anew()
        if settings.paths.published.exists():  # what readers see must not name her until the next run
            warehouse.publish_copy(settings.paths.published)
        shutil.rmtree(settings.paths.report, ignore_errors=True)  # it shows customer ids; the next night writes it anew
    return done


def _warehouse(settings: Settings) -> Warehouse:
    return Warehouse(database=str(settings.paths.warehouse))


def _lock_names(settings: Settings) -> list[str]:
    """Every job and every delivery: what was read or planned before must not be written after."""
    from cin7_emarsys.operations.jobs import DESCRIPTIONS
    from cin7_emarsys.warehouse.gates import FLOWS

    used = {file.stem for file in settings.paths.locks.glob("job-*.lock")}
    return [*sorted(used | {f"job-{job}" for job in DESCRIPTIONS}), *(f"flow-{flow}" for flow in FLOWS)]


def _may_delete(settings: Settings) -> None:
    if settings.merchant.emarsys.edition == "engagement_cloud":
        raise CannotRun(
            "the Engagement Cloud edition has no call that deletes a contact: delete it in Emarsys by hand, and say it here "
            "without --everywhere"
        )
    if not settings.merchant.armed:
        raise CannotRun("armed is false in merchant.toml, so nothing is sent to Emarsys, not even a deletion")


def _person(connection: DuckDBPyConnection, email: str) -> Person:
    """Her address, those that are written to be hers, and the accounts that are nobody else's."""
    names = [email.strip().lower()]
    written = [(row["alias"], row["person"]) for row in aliases.listed(connection)]
    for name in names:  # grows while it is walked
        names += {one for pair in written if name in pair for one in pair} - set(names)
    accounts = [row["customer_id"] for row in fetch(connection, "erase_accounts", names=names)]
    related = fetch(connection, "erase_related", accounts=accounts, names=names) if accounts else []
    return Person([name for name in names if "@" in name], accounts, [row["email"] for row in related])


def _delete_there(
    settings: Settings, warehouse: Warehouse, ledger: Ledger, erased: Erased, addresses: Sequence[str]
) -> int:
    from cin7_emarsys.emarsys import deletion  # what speaks HTTP takes long to load, for a dry run
    from cin7_emarsys.emarsys.delivery import Delivery

    delivery = Delivery(deletion.FLOW, settings, warehouse, ledger, None, dry_run=False)
    deletion.delete_contacts(delivery, erased, addresses)
    report = delivery.report
    if report.accepted < len(addresses):
        raise CannotRun(
            f"Emarsys deleted {report.accepted} of {len(addresses)} contacts (rejected {report.rejected}, unknown "
            f"{report.unknown}, not sent {report.retryable}); nothing else is erased yet. `cin7-emarsys ledger --flow "
            f"{deletion.FLOW}` says why; say it again, or without --everywhere"
        )
    return report.accepted


def _erase_in_warehouse(
    connection: DuckDBPyConnection, settings: Settings, erased: Erased, names: Sequence[str]
) -> dict[str, int]:
    """One transaction: what was read, the books, and all that is worked out from them. Returns place → rows."""
    read = cin7.erase(connection, settings.paths.landing, erased, names)
    books = _books(connection, erased, names)
    for table, rowids in books.items():
        connection.execute(f"delete from {table} where list_contains($gone, rowid)", {"gone": rowids})
    factory.build(connection, settings.merchant)
    return _rows(read, books)


def _rows(read: Mapping[str, int], books: Mapping[str, Sequence[int]]) -> dict[str, int]:
    return {f"raw.{table}": rows for table, rows in read.items()} | {table: len(ids) for table, ids in books.items()}


def _books(connection: DuckDBPyConnection, erased: Erased, names: Sequence[str]) -> dict[str, list[int]]:
    """Rows that name these and outlive a build (kept for ever, by hand, or compared with by the next): table → rowids."""
    models = factory.headers()
    compared = {name for model in models for name in model.feedback}
    rebuilt = {
        model.name
        for model in models
        if model.materialize == "view" or (model.materialize == "table" and model.name not in compared)
    }
    rebuilt.add("operations.audit")  # the ledger's
    found = {
        table: [rowid for rowid, _ in erased.rows(connection, table, columns, names)]
        for table, columns in _text_columns(connection, "mart", "reconciliation", "operations").items()
        if table not in rebuilt
    }
    return {table: rowids for table, rowids in found.items() if rowids}


def _search(connection: DuckDBPyConnection, erased: Erased, names: Sequence[str]) -> dict[str, int]:
    """Rows that name these, in every table and every column that can hold text."""
    rooms = ("raw", "staging", "mart", "delivery", "reconciliation", "operations")
    counts = {
        table: len(erased.rows(connection, table, columns, names))
        for table, columns in _text_columns(connection, *rooms).items()
    }
    return {table: rows for table, rows in counts.items() if rows}


def _text_columns(connection: DuckDBPyConnection, *schemas: str) -> dict[str, list[str]]:
    """Table → its columns that can hold text."""
    found: dict[str, list[str]] = {}
    for table, column in connection.execute(
        "select columns.schema_name || '.' || columns.table_name, column_name "
        "from duckdb_columns() as columns join duckdb_tables() as tables using (schema_name, table_name) "
        "where list_contains($schemas, columns.schema_name) and (contains(data_type, 'VARCHAR') or data_type = 'JSON') "
        "order by all",
        {"schemas": schemas},
    ).fetchall():
        found.setdefault(table, []).append(column)
    return found


def _folders(settings: Settings) -> tuple[Path, Path]:
    return settings.paths.landing, settings.paths.outbox


def _contents(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.is_file()]


def _files(settings: Settings, erased: Erased, names: Sequence[str], *, clear: bool) -> dict[str, int]:
    """Lines of landed pages and of the outbox that name these, by folder; ``clear`` takes them out."""
    needles = [name.encode() for name in names]
    lines: Counter[str] = Counter()
    for folder in _folders(settings):
        for file in _contents(folder):
            if named := _lines(file, erased, needles):
                lines[f"{folder.name}/"] += len(named)
                if clear:
                    _rewrite(file, erased, named)
    return dict(lines)


def _lines(file: Path, erased: Erased, needles: Sequence[bytes]) -> set[int]:
    content = file.read_bytes().lower()
    if not any(needle in content for needle in needles):
        return set()
    return {
        number
        for number, line in enumerate(content.split(b"\n"))
        if any(needle in line for needle in needles) and erased.mentions(line.decode(errors="replace"))
    }


def _rewrite(file: Path, erased: Erased, named: set[int]) -> None:
    """A record becomes a tombstone; in other files the names alone go."""
    beside = file.with_name(f".{file.name}.erasing")
    with file.open("rb") as content, beside.open("wb") as kept:
        for number, line in enumerate(content):
            if number in named:
                text = line.decode(errors="replace")
                whole = file.suffix == ".ndjson"
                line = (json.dumps(erased.tombstone(text)) + "\n" if whole else erased.without(text)).encode()
            kept.write(line)
    beside.replace(file)
