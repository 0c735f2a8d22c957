"""Erasing persons from `raw`: the records that name them are landed anew, which takes them out, and written over the old.

What belongs here: finding those records and writing over them, in the caller's transaction. What does not: what is personal
in a record (``forgetting.py``) and the order of an erasure (``operations/erase.py``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from duckdb import DuckDBPyConnection

from cin7_emarsys.cin7 import load
from cin7_emarsys.cin7.landing import Extract
from cin7_emarsys.cin7.models import duckdb_columns
from cin7_emarsys.erased import Erased


def find(connection: DuckDBPyConnection, erased: Erased, names: Sequence[str]) -> dict[str, list[tuple[int, str]]]:
    """Records of `raw` that name these e-mails and customer ids, which ``erased`` knows: table → rowid and text."""
    columns = {table: ["_raw"] for table in load.TABLES} | {"rejected": ["key", "payload"]}
    found = {table: erased.rows(connection, f"raw.{table}", texts, names) for table, texts in columns.items()}
    return {table: rows for table, rows in found.items() if rows}


def erase(connection: DuckDBPyConnection, landing: Path, erased: Erased, names: Sequence[str]) -> dict[str, int]:
    """Takes these out of `raw`. Returns table → records touched."""
    found = find(connection, erased, names)
    for table, rows in found.items():
        if table == "rejected":
            _bury(connection, erased, [rowid for rowid, _ in rows])
        else:
            _write_over(connection, landing, table, [rowid for rowid, _ in rows], [json.loads(raw) for _, raw in rows])
    return {table: len(rows) for table, rows in found.items()}


def _bury(connection: DuckDBPyConnection, erased: Erased, rowids: list[int]) -> None:
    """Rejected records: those of the persons themselves go, of others the payload."""
    for rowid in rowids:
        kept = connection.execute("select key, payload from raw.rejected where rowid = ?", [rowid]).fetchone()
        if kept and erased.knows(kept[0]):
            connection.execute("delete from raw.rejected where rowid = ?", [rowid])
        elif kept:
            left = json.dumps(erased.tombstone(kept[1]))
            reason = "the record of an erased person cannot be used"
            connection.execute("update raw.rejected set payload = ?, reason = ? where rowid = ?", [left, reason, rowid])


def _write_over(
    connection: DuckDBPyConnection, landing: Path, table: str, rowids: list[int], rows: list[dict[str, object]]
) -> None:
    model, own = load.TABLES[table]
    extract = Extract(landing, table, model, datetime.now(UTC).replace(tzinfo=None))
    try:
        extract.add(rows)
        if extract.rejected:
            raise ValueError(
                f"{extract.rejected} records of raw.{table} cannot be used without the person; nothing is erased"
            )
        marked = {name: kind for name, kind in own.items() if name == "_erased"}
        sets = ", ".join(f'"{name}" = new."{name}"' for name in [*duckdb_columns(model), *marked, "_hash", "_raw"])
        key = " and ".join(f'old."{name}" is not distinct from new."{name}"' for name in model.key_fields)
        chosen = {"rowids": rowids}
        connection.execute(
            f"create or replace temp table incoming as select * from {load.read_landed(extract.folder, model, marked)}"
        )
        connection.execute(
            f"delete from raw.{table} as old where list_contains($rowids, rowid) "
            f"and not exists (from incoming as new where {key})",
            chosen,
        )
        connection.execute(f"update raw.{table} as old set {sets} from incoming as new where {key}")
        connection.execute("drop table incoming")
    finally:
        extract.discard()
