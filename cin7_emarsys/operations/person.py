"""Whom an erasure is about, and every place that names her.

What belongs here: looking, in what the warehouse and the files hold. What does not: what is personal in a record of either
vendor (``cin7/forgetting.py``, ``emarsys/erasure.py``), changing anything (``erase.py``), printing (``cli``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from cin7_emarsys.cin7 import erasure as cin7
from cin7_emarsys.erased import Erased, spellings
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
    """What would go, place by place, as an erasure counts it. Raises `NotKnown` for nobody's.

    The ledger is seen as the last run copied it. Only where nothing names her so far, the ledger itself is asked and files
    are searched: they hold what the tables hold, and take longest.
    """
    warehouse = Warehouse(database=str(settings.paths.warehouse))
    with warehouse.read() as connection, connection.cursor() as second, ThreadPoolExecutor(1) as beside:
        person = find_person(connection, email)
        erased = Erased(settings.paths.state).adding(person.names)
        records = beside.submit(cin7.find, second, erased, person.names)  # half of the work
        found = books(connection, erased, person.names)
        sent = _sent(connection, erased, person.names)
        size = sum(file.stat().st_size for folder in _folders(settings) for file in _contents(folder))
        places = by_place({table: len(named) for table, named in records.result().items()}, found) | sent
    if places:
        return Erasure(person, True, places, unsearched_bytes=size)
    places = _in_ledger(settings, erased, person.names) | in_files(settings, erased, person.names)
    if not places:
        raise NotKnown("nothing here names that address, so there is nothing to erase")
    return Erasure(person, True, places)


def find_person(connection: DuckDBPyConnection, email: str) -> Person:
    """Her address, those that are written to be hers, and the accounts that are nobody else's.

    Raises `CannotRun` for what is no address.
    """
    names = [email.strip().lower()]
    if "@" not in names[0]:
        raise CannotRun(f"{email!r} is no e-mail address; the accounts that are hers are found by her address")
    written = [(row["alias"], row["person"]) for row in aliases.listed(connection)]
    for name in names:  # grows while it is walked
        names += {one for pair in written if name in pair for one in pair} - set(names)
    accounts = [row["customer_id"] for row in fetch(connection, "erase_accounts", names=names)]
    related = fetch(connection, "erase_related", accounts=accounts, names=names) if accounts else []
    return Person([name for name in names if "@" in name], accounts, [row["email"] for row in related])


def by_place(read: Mapping[str, int], found: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Place → rows, of records as read and of `books`."""
    return {f"raw.{table}": count for table, count in read.items()} | {table: len(ids) for table, ids in found.items()}


def books(connection: DuckDBPyConnection, erased: Erased, names: Sequence[str]) -> dict[str, list[int]]:
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


def search(connection: DuckDBPyConnection, erased: Erased, names: Sequence[str]) -> dict[str, int]:
    """Rows that name these, in every table and every column that can hold text."""
    rooms = ("raw", "staging", "mart", "delivery", "reconciliation", "operations")
    counts = {
        table: len(erased.rows(connection, table, columns, names))
        for table, columns in _text_columns(connection, *rooms).items()
    }
    return {table: count for table, count in counts.items() if count}


def in_files(settings: Settings, erased: Erased, names: Sequence[str]) -> dict[str, int]:
    """Lines of landed pages and of the outbox that name these: folder → lines."""
    lines: Counter[str] = Counter()
    for folder, _, named in lines_in_files(settings, erased, names):
        lines[folder] += len(named)
    return dict(lines)


def lines_in_files(settings: Settings, erased: Erased, names: Sequence[str]) -> Iterator[tuple[str, Path, set[int]]]:
    """Lines of landed pages and of the outbox that name these: the folder, the file, the lines' numbers from 0."""
    needles = [spelling for name in names for spelling in spellings(name)]
    for folder in _folders(settings):
        for file in _contents(folder):
            if named := _lines(file, erased, needles):
                yield f"{folder.name}/", file, named


def _sent(connection: DuckDBPyConnection, erased: Erased, names: Sequence[str]) -> dict[str, int]:
    """What an erasure finds in the ledger, in its copy: place → rows."""
    ours = ("key", "names")  # in small letters
    rowids = [rowid for rowid, _ in erased.rows(connection, "delivery.records", ("reason",), names, as_written=ours)]
    flows = fetch(connection, "erase_sent", rowids=rowids)
    noted = len(erased.rows(connection, "operations.audit", ("reason", "details"), names))
    counts = {row["flow"]: row["records"] for row in flows} | ({"audit": noted} if noted else {})
    return {f"ledger: {kind}": count for kind, count in counts.items()}


def _in_ledger(settings: Settings, erased: Erased, names: Sequence[str]) -> dict[str, int]:
    from cin7_emarsys.emarsys import erasure as emarsys  # it takes longer to load than the rest to look
    from cin7_emarsys.emarsys.ledger import Ledger

    ledger = Ledger(settings.ledger_url)
    try:
        return emarsys.find(ledger, erased, names).places()
    finally:
        ledger.close()


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


def _lines(file: Path, erased: Erased, needles: Sequence[str]) -> set[int]:
    content = file.read_bytes().decode(errors="replace").lower()
    if not any(needle in content for needle in needles):
        return set()
    return {
        number
        for number, line in enumerate(content.split("\n"))
        if any(needle in line for needle in needles) and erased.mentions(line)
    }
