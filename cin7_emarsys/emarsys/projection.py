"""The ledger as tables of the warehouse: `delivery.*`, brought up to date in one short transaction.

What belongs here: copying closed batches and what changed about them over, by the order of changes; small tables whole.
What does not: reading them (models, reconciliation).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from duckdb import DuckDBPyConnection, OutOfMemoryException
from sqlalchemy import Column, Connection, String, cast, func, literal_column, select, true, type_coerce

from cin7_emarsys import disk, schema
from cin7_emarsys.emarsys.ledger import LAST_COLLECTED, Ledger
from cin7_emarsys.emarsys.tables import audit, batches, dead_letters, publication_items, publications, records
from cin7_emarsys.erased import names_in
from cin7_emarsys.settings import Paths

if TYPE_CHECKING:
    from cin7_emarsys.warehouse.connections import Warehouse

_Result = TypeVar("_Result")
_BATCHES, _RECORDS = 5000, 10_000  # at most so many in one transaction
# DuckDB takes what it gets, to keep pages that nobody asks for again, and a small machine has other work. One thread needs
# least. What does not fit goes to disk meanwhile.
_LITTLE = ("48MB", "256MB")
_ITEM_COLUMNS = (
    "item VARCHAR, product_id VARCHAR, available BOOLEAN, price DECIMAL(18,4), c_stock BIGINT, c_low_stock BIGINT, "
    "c_stock_state VARCHAR, title VARCHAR, link VARCHAR, image VARCHAR, payload_hash VARCHAR"
)
_TABLES = f"""
create table if not exists delivery.batches (
    batch_id BIGINT, flow VARCHAR, run_id VARCHAR, endpoint VARCHAR, records BIGINT, accepted BIGINT,
    rejected BIGINT, retryable BIGINT, unknown BIGINT, created_at TIMESTAMP, connecting_at TIMESTAMP, closed_at TIMESTAMP,
    changed_seq BIGINT, status INTEGER, seconds DOUBLE, note VARCHAR
);
create table if not exists delivery.records (
    record_id BIGINT, batch_id BIGINT, flow VARCHAR, key VARCHAR, document VARCHAR, payload_hash VARCHAR, payload JSON,
    names VARCHAR, outcome VARCHAR, code VARCHAR, reason VARCHAR, "at" TIMESTAMP, attempt BOOLEAN, resolution VARCHAR,
    resolved_at TIMESTAMP, erased_at TIMESTAMP
);
create table if not exists delivery.in_flight (
    batch_id BIGINT, flow VARCHAR, run_id VARCHAR, state VARCHAR, records BIGINT, created_at TIMESTAMP,
    connecting_at TIMESTAMP
);
create table if not exists delivery.dead_letters (
    record_id BIGINT, flow VARCHAR, key VARCHAR, document VARCHAR, payload_hash VARCHAR, code VARCHAR, reason VARCHAR,
    attempts BIGINT, opened_at TIMESTAMP, closed_at TIMESTAMP, closed_by VARCHAR
);
create table if not exists delivery.delivered (
    flow VARCHAR, key VARCHAR, payload_hash VARCHAR, payload JSON, batch_id BIGINT, accepted_at TIMESTAMP,
    primary key (flow, key)
);
create table if not exists operations.audit (
    entry BIGINT, "at" TIMESTAMP, who VARCHAR, command VARCHAR, reason VARCHAR, details VARCHAR
);
create table if not exists delivery.publications (
    version BIGINT, run_id VARCHAR, published_at TIMESTAMP, rows BIGINT, sha256 VARCHAR, url VARCHAR, collected_at TIMESTAMP
);
create table if not exists delivery.catalogue_items ({_ITEM_COLUMNS}, version BIGINT);
create table if not exists delivery.catalogue_collected ({_ITEM_COLUMNS}, version BIGINT);
create table if not exists delivery.catalogue_history ({_ITEM_COLUMNS}, version BIGINT, until_version BIGINT);
"""

# Whom a payload names, to be looked for.
_NAMES = names_in("payload::varchar")

# What an item said from one version until the version that first said otherwise. The ledger keeps the items of the newest
# versions only.
_END_HISTORY = """
update delivery.catalogue_history as old set until_version = ?
where until_version is null and not exists (
    from delivery.catalogue_items as new where new.item = old.item and new.payload_hash is not distinct from old.payload_hash
)
"""
_GO_ON_WITH_HISTORY = """
insert into delivery.catalogue_history by name
select * from delivery.catalogue_items as new
where not exists (from delivery.catalogue_history as old where old.item = new.item and old.until_version is null)
"""


def ensure_delivery_tables(connection: DuckDBPyConnection) -> None:
    """Makes the tables and columns of `delivery` that are not there yet. Raises `SchemaUnknown`."""
    if schema.ensure(connection, "delivery", _TABLES):
        connection.execute(f"update delivery.records set names = {_NAMES} where names is null")


def in_little_memory(work: Callable[[Mapping[str, str]], _Result]) -> _Result:
    """Does this work with settings that give DuckDB little memory; where that does not do, anew with more."""
    for limit in _LITTLE:
        with suppress(OutOfMemoryException):
            return work({"threads": "1", "memory_limit": limit})
    return work({})


@contextmanager
def projected(
    ledger: Ledger, warehouse: Warehouse, limits: Mapping[str, str] | None = None
) -> Iterator[DuckDBPyConnection]:
    """A writing transaction in which `delivery.*` is as the ledger is now; slices before the last are committed already.

    ``limits`` are settings of DuckDB until it ends.
    """
    file = Paths(Path(warehouse.database)).projecting
    with ledger.snapshot() as source:
        while True:
            with warehouse.write() as connection:
                for name, value in (limits or {}).items():
                    connection.execute(f"set {name} = '{value}'")
                ensure_delivery_tables(connection)
                if not _slice(connection, source, file):
                    _small_tables(connection, source, file)
                    yield connection
                    return
                connection.execute("set max_vacuum_tasks = 0")  # the last slice puts what is in pieces together, once


def project(ledger: Ledger, warehouse: Warehouse) -> None:
    """Brings `delivery.*` up to date with the ledger, slice by slice in the order of changes."""

    def work(limits: Mapping[str, str]) -> None:
        with projected(ledger, warehouse, limits):
            pass

    in_little_memory(work)


def _slice(connection: DuckDBPyConnection, source: Connection, file: Path) -> bool:
    """Takes the next batches over, with their records. Returns whether there are more."""
    mark = connection.execute("select coalesce(max(changed_seq), 0) from delivery.batches").fetchone()
    newer = (batches.c.changed_seq > (mark[0] if mark else 0)) & (batches.c.state == "closed")
    chosen = select(batches.c.batch_id, batches.c.changed_seq, batches.c.records).where(newer)
    found = source.execute(chosen.order_by(batches.c.changed_seq).limit(_BATCHES)).all()
    new = found[: max(bisect_right(list(accumulate(row.records for row in found)), _RECORDS), 1)]
    if not new:
        return False
    ids = [row.batch_id for row in new]
    known = connection.execute(
        "select count(*) from delivery.batches where list_contains($ids, batch_id)", {"ids": ids}
    ).fetchone()
    if known and known[0]:  # an outcome was changed later: these batches are taken over anew
        for table in ("batches", "records", "delivered"):  # what is still delivered of them comes back below
            connection.execute(f"delete from delivery.{table} where batch_id in (select unnest($ids))", {"ids": ids})
    within = batches.c.changed_seq.between(new[0].changed_seq, new[-1].changed_seq)
    _load(connection, file, "delivery.batches", source, batches.c, within)
    inside = records.c.batch_id.in_(select(batches.c.batch_id).where(within))
    _load(connection, file, "delivery.records", source, records.c, inside)
    connection.execute(_DELIVERED, {"ids": ids})
    return len(new) < len(found) or len(found) == _BATCHES


def _small_tables(connection: DuckDBPyConnection, source: Connection, file: Path) -> None:
    """What is small is taken over whole."""
    for table, columns, where in (
        ("in_flight", batches.c, batches.c.state != "closed"),
        ("dead_letters", dead_letters.c, true()),
        ("publications", publications.c, publications.c.published.is_(True)),
        ("audit", audit.c, true()),
    ):
        target = f"{'operations' if table == 'audit' else 'delivery'}.{table}"
        connection.execute(f"delete from {target}")
        _load(connection, file, target, source, columns, where)
    _items(connection, source, file)


def _items(connection: DuckDBPyConnection, source: Connection, file: Path) -> None:
    """The items of the newest version of the product file, and of the one collected last."""
    for table, version in (
        ("catalogue_items", select(func.max(publications.c.version)).where(publications.c.published.is_(True))),
        ("catalogue_collected", LAST_COLLECTED),
    ):
        newest = source.execute(version).scalar_one()
        held = connection.execute(f"select any_value(version) from delivery.{table}").fetchone()
        if newest is None or (held and held[0] == newest):
            continue
        items = source.execute(select(publication_items.c.payload).where(publication_items.c.version == newest))
        connection.execute(f"delete from delivery.{table}")
        _load_lines(connection, file, f"delivery.{table}", (payload for (payload,) in items))
        connection.execute(f"update delivery.{table} set version = ?", [newest])
        if table == "catalogue_items":
            connection.execute(_END_HISTORY, [newest])
            connection.execute(_GO_ON_WITH_HISTORY)


# What was accepted last of each key, in these batches; an older batch may have changed after a newer one.
_DELIVERED = """
insert into delivery.delivered
select
    flow, key,
    case when resolution is distinct from 'replayed' then payload_hash end, -- to be sent again, whatever it says by now
    payload, batch_id, "at"
from delivery.records
where record_id in (
    select max(record_id)
    from delivery.records
    where outcome = 'accepted' and erased_at is null and batch_id in (select unnest($ids))
    group by flow, key
)
on conflict do update set
    payload_hash = excluded.payload_hash, payload = excluded.payload, batch_id = excluded.batch_id,
    accepted_at = excluded.accepted_at
where excluded.batch_id >= batch_id
"""


def _load(
    connection: DuckDBPyConnection,
    file: Path,
    table: str,
    source: Connection,
    columns: Iterable[Column[Any]],
    where: Any,
) -> None:
    """Rows of the ledger as JSON that the database itself writes: making objects of a million of them takes minutes."""
    row = func.json_object if source.dialect.name == "sqlite" else func.json_build_object
    pairs: list[Any] = []
    for each in columns:
        pairs += [literal_column(f"'{each.name}'"), type_coerce(each, String)]
    found = source.execute(select(cast(row(*pairs), String)).where(where)).yield_per(1000)
    _load_lines(connection, file, table, (line for (line,) in found))


def _load_lines(connection: DuckDBPyConnection, file: Path, table: str, lines: Iterable[str]) -> None:
    """Through a file, which is ours while we write the warehouse: binding values one by one is a hundred times slower."""
    longest = 0
    try:
        with file.open("w") as out:
            for line in lines:
                longest = max(longest, out.write(f"{line}\n"))
        if not longest:
            return
        described = connection.execute(f"describe {table}").fetchall()
        # A payload is text that holds JSON; read as JSON it would become a JSON string.
        columns = ", ".join(f"'{name}': '{'VARCHAR' if kind == 'JSON' else kind}'" for name, kind, *_ in described)
        # The reader takes memory for the largest object there may be. A letter takes four bytes at most.
        size = f"maximum_object_size={max(4 * longest, 1 << 20)}"
        read = f"{disk.files(file)}, format='newline_delimited', columns={{{columns}}}, {size}"
        every = f"* replace ({_NAMES} as names)" if table == "delivery.records" else "*"
        connection.execute(f"insert into {table} by name select {every} from read_json({read})")
    finally:
        file.unlink(missing_ok=True)
