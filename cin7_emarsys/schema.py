"""Schemas of what is stored, from one version of this program to the next.

What belongs here: adding columns that are new, and refusing what would need more than that, with what to do. What does not:
the tables themselves (``cin7/load.py``, ``emarsys/tables.py``, ``emarsys/projection.py``, ``warehouse/factory.py``).

A column that is new is added when a store is opened; rows that are there have null in it. Any other change raises the
version of its store, and a store of another version is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache

import duckdb
from duckdb import DuckDBPyConnection

WAREHOUSE = 2
LEDGER = 1

_REBUILD = (
    "move the file away and run `cin7-emarsys sync nightly`: everything is read anew from Cin7, and the ledger knows what "
    "was sent (aliases have to be written again: `cin7-emarsys customer alias list` with the version that wrote it)"
)
_RESTORE = "use the version that wrote it, or restore a backup that this one can read"
_TABLE = "create table if not exists operations.schema_version (store varchar primary key, version varchar)"


class SchemaUnknown(Exception):
    """A store was written by another version of this program and cannot be used as it is; the text says what to do."""


def check(store: str, found: int, known: int) -> None:
    """Raises `SchemaUnknown` unless a store has the version this program knows."""
    if found != known:
        whose = "a newer" if found > known else "an older"
        step = _REBUILD if store == "warehouse" and found < known else _RESTORE
        raise SchemaUnknown(
            f"the {store} was written by {whose} version of this program (schema {found}; this one knows {known}): {step}"
        )


def check_warehouse(connection: DuckDBPyConnection) -> None:
    """A new warehouse gets this version; of any other raises `SchemaUnknown`."""
    connection.execute(_TABLE)
    found = _version(connection, "warehouse")
    if found is None:
        _keep(connection, "warehouse", str(WAREHOUSE))
    else:
        check("warehouse", int(found), WAREHOUSE)


def ensure(connection: DuckDBPyConnection, store: str, ddl: str) -> bool:
    """Makes the tables of ``ddl`` (``create table if not exists …``) that are not there, and adds columns that are new.

    What was done is noted under the name ``store``: to compare every column each time would take longer than to load a page.
    Returns whether there may have been something to do. Raises `SchemaUnknown` when a column has another type.
    """
    if not note_anew(connection, store, ddl):
        return False
    connection.execute(ddl)
    for table, columns in described(ddl).items():
        add_columns(connection, table, columns)
    return True


def note_anew(connection: DuckDBPyConnection, store: str, text: str) -> bool:
    """Notes a text under this name, in the caller's transaction. Returns False when it was noted there last already."""
    connection.execute("create schema if not exists operations")
    connection.execute(_TABLE)
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    if _version(connection, store) == digest:
        return False
    _keep(connection, store, digest)
    return True


def add_columns(connection: DuckDBPyConnection, table: str, wanted: Mapping[str, str], *, types: bool = True) -> None:
    """Adds columns (name → type, as DuckDB writes it) that a table lacks.

    Raises `SchemaUnknown` for one of another type, unless ``types`` do not matter.
    """
    have = {row[0]: row[1] for row in connection.execute(f"describe {table}").fetchall()}
    for name, kind in wanted.items():
        if name not in have:
            connection.execute(f'alter table {table} add column "{name}" {kind}')
        elif types and have[name] != kind:
            was, needed = (" ".join(text.split())[:60] for text in (have[name], kind))
            raise SchemaUnknown(
                f"{table}.{name} in the warehouse is {was} and this version of the program needs {needed}: {_REBUILD}"
            )


@cache
def described(ddl: str) -> Mapping[str, Mapping[str, str]]:
    """The columns that a DDL gives each of its tables (`schema.name`), with types as DuckDB writes them."""
    with duckdb.connect(":memory:") as connection:
        for schema in ("raw", "delivery", "reconciliation", "operations"):
            connection.execute(f"create schema {schema}")
        connection.execute(ddl)
        found: dict[str, dict[str, str]] = {}
        for table, column, kind in connection.execute(
            "select schema_name || '.' || table_name, column_name, data_type from duckdb_columns() where not internal "
            "order by table_name, column_index"
        ).fetchall():
            found.setdefault(table, {})[column] = kind
        return found


def _version(connection: DuckDBPyConnection, store: str) -> str | None:
    row = connection.execute("select version from operations.schema_version where store = ?", [store]).fetchone()
    return str(row[0]) if row else None


def _keep(connection: DuckDBPyConnection, store: str, version: str) -> None:
    connection.execute("insert or replace into operations.schema_version values (?, ?)", [store, version])
