"""Loading: from landed files into `raw`, each extract in one short transaction together with its watermark.

What belongs here: the tables of `raw`, the merge, rejected records, drift of the schema, watermarks. What does not: pages
(``landing.py``), what a record means (``models.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from cin7_emarsys import crash, disk, schema
from cin7_emarsys.cin7 import models, sale_models
from cin7_emarsys.cin7.documented import DOCUMENTED
from cin7_emarsys.cin7.models import TopRecord, duckdb_columns

# Table to model; the columns of our own beside those every table has.
TABLES: Mapping[str, tuple[type[TopRecord], Mapping[str, str]]] = {
    "me": (models.Me, {}),
    "locations": (models.Location, {}),
    "categories": (models.Category, {}),
    "brands": (models.Brand, {}),
    "price_tiers": (models.PriceTier, {}),
    "products": (models.Product, {"_missing_since": "TIMESTAMP"}),
    "product_families": (models.ProductFamily, {"_missing_since": "TIMESTAMP"}),
    "customers": (models.Customer, {"_missing_since": "TIMESTAMP"}),
    "sale_headers": (sale_models.SaleHeader, {"_in_first_scan": "BOOLEAN", "_erased": "BOOLEAN"}),
    "sales": (sale_models.Sale, {"_header_updated": "TIMESTAMP", "_erased": "BOOLEAN"}),
    "credit_note_headers": (sale_models.CreditNoteHeader, {"_erased": "BOOLEAN"}),
    "credit_notes": (sale_models.SaleCreditNotes, {"_header_updated": "TIMESTAMP", "_source": "VARCHAR"}),
}
_BOOKKEEPING = {"_hash": "VARCHAR", "_raw": "JSON", "_extract_id": "VARCHAR", "_loaded_at": "TIMESTAMP"}

AVAILABILITY_KEYS = ", ".join(f'"{name}"' for name in models.AvailabilityRow.key_fields)

_OTHER_TABLES = """
create table if not exists raw.availability (snapshot_id varchar, {availability}, _pass integer);
create table if not exists raw.snapshots (
    snapshot_id varchar primary key, taken_at timestamp, finished_at timestamp, headers_scanned_at timestamp,
    unallocated_pending integer, passes integer, total bigint, rows bigint, unique_keys bigint, trusted boolean,
    reason varchar, released_reason varchar
);
create table if not exists raw.snapshot_untrusted_skus (
    snapshot_id varchar, product_id varchar, sku varchar, reason varchar
);
create table if not exists raw.vanished (
    product_id varchar primary key, sku varchar, since timestamp, free_before decimal(18, 4)
);
create table if not exists raw.second_looks (
    product_id varchar primary key, sku varchar, snapshot_id varchar, looked_at timestamp, trouble varchar
);
create table if not exists raw.second_look_rows ({availability});
create table if not exists raw.sale_queue (
    sale_id varchar primary key, updated timestamp, priority integer, order_date date, first_scan boolean, kind varchar,
    queued_at timestamp, attempts integer, last_error varchar
);
create table if not exists raw.watermarks (
    entity varchar primary key, watermark timestamp, extract_id varchar, mode varchar, completed_at timestamp,
    calls integer
);
create table if not exists raw.rejected (
    entity varchar, key varchar, payload json, reason varchar, first_seen timestamp, last_seen timestamp,
    extract_id varchar, primary key (entity, key)
);
create table if not exists raw.schema_drift (
    entity varchar, field varchar, seen bigint, first_seen timestamp, last_seen timestamp, primary key (entity, field)
);
"""

# Keys given as one JSON parameter, to be looked up by hash: a changed schema can refuse every record of a list.
_LISTED = "select unnest(from_json(${}::json, '[\"VARCHAR\"]'))"


@dataclass
class Loaded:
    """What one load did, in records."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    missing: int = 0
    erased: int = 0

    def __add__(self, other: Loaded) -> Loaded:
        return Loaded(
            *(mine + theirs for mine, theirs in zip(asdict(self).values(), asdict(other).values(), strict=True))
        )


def columns_of(table: str) -> dict[str, str]:
    """All columns of one table of `raw` with their types."""
    model, own = TABLES[table]
    return {**duckdb_columns(model), **own, **_BOOKKEEPING}


def ensure_tables(connection: DuckDBPyConnection) -> None:
    """Makes the tables and columns of `raw` that are not there yet. Raises `SchemaUnknown`."""
    schema.ensure(connection, "raw", _ddl())


@cache
def _ddl() -> str:
    made = []
    for table in TABLES:
        listed = ", ".join(f'"{name}" {kind}' for name, kind in columns_of(table).items())
        made.append(f"create table if not exists raw.{table} ({listed});")
    availability = ", ".join(f'"{name}" {kind}' for name, kind in duckdb_columns(models.AvailabilityRow).items())
    return "\n".join([*made, _OTHER_TABLES.format(availability=availability)])


def read_landed(folder: Path, model: type[TopRecord], own: Mapping[str, str]) -> str:
    """A FROM item with the typed records of an extract and `_line`, their order; empty when it has none."""
    columns = {**duckdb_columns(model), **own, "_hash": "VARCHAR", "_raw": "JSON"}
    listed = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    return (
        f"(select *, row_number() over () as _line from read_json({disk.files(folder, '/page-*.ndjson')}, "
        "format='newline_delimited', "
        f"maximum_object_size=67108864, columns={{{listed}}}))"
    )


def merge(connection: DuckDBPyConnection, table: str, folder: Path, *, complete: bool = False) -> Loaded:
    """Merges a whole extract into its table and keeps `raw.rejected` and `raw.schema_drift` up to date.

    ``complete`` says that the extract lists everything there is: what it lacks is marked `_missing_since` (tables that have
    it) or deleted (lists that are always read whole), and rejected records it no longer has are forgotten. A record that
    came and cannot be used, or came twice and differs, is not missing: what is known of it stays.
    """
    model, own = TABLES[table]
    manifest = json.loads((folder / "manifest.json").read_text())
    at = datetime.fromisoformat(manifest["at"])
    result = Loaded(rejected=manifest["rejected"], erased=manifest["erased"])
    key = " and ".join(f'old."{name}" is not distinct from new."{name}"' for name in model.key_fields)
    if manifest["pages"]:
        stored = [name for name in columns_of(table) if name not in ("_extract_id", "_loaded_at", "_missing_since")]
        partition = ", ".join(f'"{name}"' for name in model.key_fields)
        taken = {name: kind for name, kind in own.items() if name != "_missing_since"}
        landed = read_landed(folder, model, taken)
        if manifest.get("distinct") and not connection.execute(f"from raw.{table} limit 1").fetchone():
            # Nothing to compare with: the rows go straight from the files into the table.
            names = ", ".join(f'"{name}"' for name in stored)
            inserted = connection.execute(
                f"insert into raw.{table} ({names}, _extract_id, _loaded_at) select {names}, $id, $at from {landed}",
                {"id": folder.name, "at": at},
            ).fetchone()
            result.inserted = inserted[0] if inserted else 0
            _settle(connection, table, folder, at, manifest, arrived=f"raw.{table}", complete=complete)
            return result
        connection.execute(f"create or replace temp table incoming as select * from {landed}")
        # Rare, and a window over all the payloads costs more memory than the table: so only where it is needed.
        connection.execute(
            f"delete from incoming where _line in (select _line from (select _line, row_number() over "
            f"(partition by {partition} order by _line desc) as place from incoming) where place > 1)"
        )
        conflicts = manifest.get("conflicts", [])
        result.rejected += len(conflicts)
        incoming_key = _key_text(model.key_fields)
        connection.execute(
            f"create or replace temp table conflicting as select {incoming_key} as key, _raw as payload from incoming "
            f"where {incoming_key} in ({_LISTED.format('conflicts')})",
            {"conflicts": json.dumps(conflicts)},
        )
        connection.execute(f"delete from incoming where {incoming_key} in (select key from conflicting)")
        connection.execute(
            "insert into raw.rejected select $entity, key, any_value(payload), $reason, $at, $at, $id from conflicting "
            "group by key on conflict (entity, key) do update set payload = excluded.payload, reason = excluded.reason, "
            "last_seen = excluded.last_seen, extract_id = excluded.extract_id",
            {"entity": table, "reason": "came twice and differs", "at": at, "id": folder.name},
        )
        connection.execute("drop table conflicting")
        changed = ['old."_hash" is distinct from new."_hash"']
        changed += [f'old."{name}" is distinct from new."{name}"' for name in taken if name != "_in_first_scan"]
        back = ', "_missing_since" = null' if "_missing_since" in own else ""
        if back:
            changed.append('old."_missing_since" is not null')
        sets = ", ".join(f'"{name}" = new."{name}"' for name in stored if name != "_in_first_scan")
        names = ", ".join(f'"{name}"' for name in stored)
        values = ", ".join(f'new."{name}"' for name in stored)
        actions = connection.execute(
            f"merge into raw.{table} as old using incoming as new on {key} "
            f"when matched and ({' or '.join(changed)}) then update set {sets}, _extract_id = $id, _loaded_at = $at{back} "
            f"when not matched then insert ({names}, _extract_id, _loaded_at) values ({values}, $id, $at) "
            "returning merge_action",
            {"id": folder.name, "at": at},
        ).fetchall()
        result.inserted = sum(action == "INSERT" for (action,) in actions)
        result.updated = len(actions) - result.inserted
        count = connection.execute("select count(*) from incoming").fetchone()
        result.unchanged = (count[0] if count else 0) - len(actions)
        if complete:
            result.missing = _part_with_missing(connection, table, key, _refused_keys(folder, conflicts), at)
    _settle(
        connection, table, folder, at, manifest, arrived="incoming" if manifest["pages"] else None, complete=complete
    )
    connection.execute("drop table if exists incoming")
    return result


def _part_with_missing(
    connection: DuckDBPyConnection, table: str, key: str, refused: Sequence[str], at: datetime
) -> int:
    """Marks, or deletes, what a complete extract lacks. Returns how many records."""
    model, own = TABLES[table]
    missing = (  # what came with an extract that began later may be newer than this one
        f"old._loaded_at <= $at and not exists (from incoming as new where {key}) "
        f"and {_key_text(model.key_fields)} not in ({_LISTED.format('refused')}) returning 1"
    )
    if "_missing_since" in own:
        change = f"update raw.{table} as old set _missing_since = $at where _missing_since is null and {missing}"
        return len(connection.execute(change, {"at": at, "refused": json.dumps(refused)}).fetchall())
    if model.changed_field:
        return 0
    # The account has no id: while its record cannot be used, the one that is known stays.
    change = f"delete from raw.{table} as old where exists (from incoming) and {missing}"
    return len(connection.execute(change, {"at": at, "refused": json.dumps(refused)}).fetchall())


def _key_text(key_fields: Sequence[str]) -> str:
    """SQL for a record's key as text, as `Extract.key_of` writes it."""
    own, *rest = (f"trim(coalesce(\"{name}\"::varchar, ''))" for name in key_fields)
    return " || '|' || ".join((f"lower({own})", *rest))


def _refused_keys(folder: Path, conflicts: Sequence[str]) -> list[str]:
    """Keys of records that came and cannot be used: they are not missing, what is known of them stays."""
    file = folder / "rejected.ndjson"
    lines = file.read_text().splitlines() if file.exists() else []
    return [*conflicts, *(json.loads(line)["key"] for line in lines)]


def _settle(
    connection: DuckDBPyConnection,
    table: str,
    folder: Path,
    at: datetime,
    manifest: Mapping[str, Any],
    *,
    arrived: str | None,
    complete: bool,
) -> None:
    """Brings `raw.rejected` and `raw.schema_drift` up to date; ``arrived`` names where the usable records are."""
    if arrived:
        key = _key_text(TABLES[table][0].key_fields)
        connection.execute(
            f"delete from raw.rejected where entity = $entity and key in (select {key} from {arrived})",
            {"entity": table},
        )
    keep_rejected(connection, table, folder, at)
    if complete:
        connection.execute(
            "delete from raw.rejected where entity = $entity and last_seen < $at", {"entity": table, "at": at}
        )
    keep_drift(connection, table, manifest.get("drift", {}), at, complete=complete)
    crash.point("loaded")


def keep_rejected(connection: DuckDBPyConnection, entity: str, folder: Path, at: datetime) -> None:
    """Takes the rejected records of an extract into `raw.rejected`; first seen stays, last seen and reason move."""
    file = folder / "rejected.ndjson"
    if file.exists():
        connection.execute(
            "insert into raw.rejected select $entity, key, any_value(payload), any_value(reason), $at, $at, $id "
            f"from read_json({disk.files(file)}, format='newline_delimited', "
            "columns={key: 'VARCHAR', payload: 'VARCHAR', reason: 'VARCHAR'}) group by key "
            "on conflict (entity, key) do update set payload = excluded.payload, reason = excluded.reason, "
            "last_seen = excluded.last_seen, extract_id = excluded.extract_id",
            {"entity": entity, "at": at, "id": folder.name},
        )


def keep_drift(
    connection: DuckDBPyConnection, entity: str, drift: Mapping[str, int], at: datetime, *, complete: bool
) -> None:
    """Takes the unknown fields of an extract into `raw.schema_drift`; what Cin7 documents and we do not use is none.

    What a ``complete`` extract no longer has is gone.
    """
    strange = {name: seen for name, seen in drift.items() if name not in DOCUMENTED.get(entity, frozenset())}
    if strange:
        connection.execute(
            "insert into raw.schema_drift select $entity, key, value::bigint, $at, $at from json_each($fields) "
            "on conflict (entity, field) do update set seen = excluded.seen, last_seen = excluded.last_seen",
            {"entity": entity, "at": at, "fields": json.dumps(strange)},
        )
    if complete:
        connection.execute(
            "delete from raw.schema_drift where entity = $entity and last_seen < $at", {"entity": entity, "at": at}
        )


def watermark(connection: DuckDBPyConnection, entity: str) -> datetime | None:
    """How far an entity has been read, by Cin7's clock; None before its first complete read."""
    row = connection.execute("select watermark from raw.watermarks where entity = ?", [entity]).fetchone()
    return row[0] if row else None


def extract_of(connection: DuckDBPyConnection, entity: str) -> str | None:
    """The extract that moved an entity's watermark last."""
    row = connection.execute("select extract_id from raw.watermarks where entity = ?", [entity]).fetchone()
    return row[0] if row else None


def set_watermark(
    connection: DuckDBPyConnection,
    entity: str,
    at: datetime,
    extract_id: str,
    mode: str,
    completed_at: datetime,
    calls: int,
) -> None:
    """Moves the watermark; call it in the transaction of the rows it describes."""
    connection.execute(
        "insert or replace into raw.watermarks values (?, ?, ?, ?, ?, ?)",
        [entity, at, extract_id, mode, completed_at, calls],
    )
    crash.point("watermark")
