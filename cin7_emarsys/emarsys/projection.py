"""The ledger as tables of the warehouse: `delivery.*`, brought up to date in one short transaction.

What belongs here: copying closed batches and what changed about them over, by the order of changes; small tables whole.
What does not: reading them (models, reconciliation).
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duckdb import DuckDBPyConnection
from sqlalchemy import func, select

from cin7_emarsys import schema
from cin7_emarsys.emarsys.ledger import Ledger
from cin7_emarsys.emarsys.tables import audit, batches, dead_letters, publication_items, publications, records

if TYPE_CHECKING:
    from cin7_emarsys.warehouse.resource import Warehouse

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
    outcome VARCHAR, code VARCHAR, reason VARCHAR, "at" TIMESTAMP, attempt BOOLEAN, resolution VARCHAR,
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
    schema.ensure(connection, "delivery", _TABLES)


def project(ledger: Ledger, warehouse: Warehouse) -> int:
    """Brings `delivery.*` up to date with the ledger. Returns how many batches were new or had changed."""
    with tempfile.TemporaryDirectory() as folder, ledger.engine.connect() as source, warehouse.write() as connection:
        ensure_delivery_tables(connection)
        mark = connection.execute("select coalesce(max(changed_seq), 0) from delivery.batches").fetchone()
        since = mark[0] if mark else 0
        newer = batches.c.changed_seq > since
        new = source.execute(select(*(batches.c[name] for name in _BATCH)).where(newer)).all()
        if new:
            ids = [row.batch_id for row in new]
            known = connection.execute(
                "select count(*) from delivery.batches where list_contains($ids, batch_id)", {"ids": ids}
            ).fetchone()
            if known and known[0]:  # an outcome was changed later: these batches are taken over anew
                for table in ("batches", "records"):
                    connection.execute(
                        f"delete from delivery.{table} where batch_id in (select unnest($ids))", {"ids": ids}
                    )
                # what is still delivered of them comes back below
                connection.execute(
                    "delete from delivery.delivered where batch_id in (select unnest($ids))", {"ids": ids}
                )
            _load(connection, Path(folder), "batches", [dict(row._mapping) for row in new])
            sent = source.execute(
                select(*(records.c[name] for name in _RECORD))
                .join(batches, batches.c.batch_id == records.c.batch_id)
                .where(newer)
            )
            _load(connection, Path(folder), "records", (dict(row._mapping) for row in sent))
            connection.execute(_DELIVERED, {"ids": ids})
        for table, rows in (
            (
                "in_flight",
                source.execute(select(*(batches.c[name] for name in _FLIGHT)).where(batches.c.state != "closed")),
            ),
            ("dead_letters", source.execute(select(dead_letters))),
        ):
            connection.execute(f"delete from delivery.{table}")
            _load(connection, Path(folder), table, (dict(row._mapping) for row in rows))
        connection.execute("delete from operations.audit")
        entries = source.execute(select(audit))
        _load(connection, Path(folder), "audit", (dict(row._mapping) for row in entries), "operations")
        _publications(connection, source, Path(folder))
    return len(new)


# What was accepted last of each key that these batches touch; an older batch may have changed after a newer one.
_DELIVERED = """
insert or replace into delivery.delivered
select
    flow, key,
    case when resolution is distinct from 'replayed' then payload_hash end, -- to be sent again, whatever it says by now
    payload, batch_id, "at"
from delivery.records
where outcome = 'accepted' and erased_at is null and (flow, key) in (
    select (flow, key) from delivery.records
    where outcome = 'accepted' and batch_id in (select unnest($ids))
)
qualify row_number() over (partition by flow, key order by record_id desc) = 1
"""
_BATCH = (
    "batch_id", "flow", "run_id", "endpoint", "records", "accepted", "rejected", "retryable", "unknown", "created_at",
    "connecting_at", "closed_at", "changed_seq", "status", "seconds", "note",
)  # fmt: skip
_RECORD = (
    "record_id", "batch_id", "flow", "key", "document", "payload_hash", "payload", "outcome", "code", "reason", "at",
    "attempt", "resolution", "resolved_at", "erased_at",
)  # fmt: skip
_FLIGHT = ("batch_id", "flow", "run_id", "state", "records", "created_at", "connecting_at")


def _publications(connection: DuckDBPyConnection, source: Any, folder: Path) -> None:
    connection.execute("delete from delivery.publications")
    known = source.execute(
        select(
            publications.c.version,
            publications.c.run_id,
            publications.c.published_at,
            publications.c.rows,
            publications.c.sha256,
            publications.c.url,
            publications.c.collected_at,
        ).where(publications.c.published.is_(True))
    ).all()
    _load(connection, folder, "publications", [dict(row._mapping) for row in known])
    for table, version in (
        ("catalogue_items", select(func.max(publications.c.version)).where(publications.c.published.is_(True))),
        (
            "catalogue_collected",
            select(func.max(publications.c.version)).where(publications.c.collected_at.is_not(None)),
        ),
    ):
        newest = source.execute(version).scalar_one()
        held = connection.execute(f"select any_value(version) from delivery.{table}").fetchone()
        if newest is None or (held and held[0] == newest):
            continue
        items = source.execute(select(publication_items.c.payload).where(publication_items.c.version == newest))
        connection.execute(f"delete from delivery.{table}")
        _load(connection, folder, table, ({**json.loads(payload), "version": newest} for (payload,) in items))
        if table == "catalogue_items":
            connection.execute(_END_HISTORY, [newest])
            connection.execute(_GO_ON_WITH_HISTORY)


def _load(connection: DuckDBPyConnection, folder: Path, table: str, rows: Any, schema: str = "delivery") -> None:
    """Through a file: binding values one by one is a hundred times slower."""
    file = folder / f"{table}.ndjson"
    with file.open("w") as out:
        written = 0
        for row in rows:
            out.write(json.dumps(row, default=str) + "\n")
            written += 1
    if not written:
        return
    described = connection.execute(f"describe {schema}.{table}").fetchall()
    # A payload is text that holds JSON; read as JSON it would become a JSON string.
    columns = ", ".join(f"'{name}': '{'VARCHAR' if kind == 'JSON' else kind}'" for name, kind, *_ in described)
    connection.execute(
        f"insert into {schema}.{table} by name "
        f"select * from read_json('{file}', format='newline_delimited', columns={{{columns}}}, maximum_object_size=67108864)"
    )
