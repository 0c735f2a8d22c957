"""Exceptions as people deal with them: listing them, taking one on, ignoring one until a date – each with a reason kept.

What belongs here: every class there is, reading `operations.exceptions`, and what people decide, with its audit. What does
not: finding and resolving them (``warehouse/exceptions.py``, with every check), and telling people (``sensors.py``).
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from cin7_emarsys.emarsys.ledger import Ledger
from cin7_emarsys.operations.explain import fetch
from cin7_emarsys.operations.refusals import NotKnown
from cin7_emarsys.settings import LocalSettings
from cin7_emarsys.warehouse import factory, gates
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys.warehouse.gates import Condition

_ROOMS = ("cin7", "emarsys", "reconciliation")


@cache
def classes() -> Mapping[str, Condition]:
    """Every class of exceptions there is, by name: the conditions of all rooms."""
    package = Path(__file__).parent.parent
    models = list(factory.models().values())
    every = [
        *(condition for room in _ROOMS for condition in gates.read(package / room / "checks")),
        *gates.conditions(),
        *(gates.unique_keys([m for m in models if m.schema == schema]) for schema in ("staging", "mart")),
    ]
    return {condition.name: condition for condition in sorted(every, key=lambda each: each.name)}


def listed(connection: DuckDBPyConnection, *, everything: bool = False) -> list[dict[str, Any]]:
    """The columns of `operations.exceptions`, the worst and oldest first; with ``everything`` those resolved as well."""
    return fetch(connection, "exceptions", everything=everything)


def shown(connection: DuckDBPyConnection, name: str, limit: int = 50, *, everything: bool = False) -> dict[str, Any]:
    """One class: `exceptions` (its rows by cause), `items` (the oldest open ones: key, cause, owner, next_step,
    first_seen_at, resolved_at, reopened; with ``everything`` those resolved as well), `items_in_all` and `decisions`.
    Raises `NotKnown`."""
    _known(name)
    items = fetch(connection, "exception_items", name=name, limit=limit, everything=everything)
    rows = [row for row in listed(connection, everything=True) if row["class"] == name]
    return {
        "class": name,
        "exceptions": rows,
        "items": [{column: item[column] for column in item if column != "total"} for item in items],
        "items_in_all": items[0]["total"] if items else 0,
        "decisions": fetch(connection, "exception_decisions", name=name),
    }


def assign(settings: LocalSettings, name: str, who: str, reason: str, key: str | None = None) -> dict[str, Any]:
    """Writes down who deals with a class, or with one item of it. Returns what was written. Raises `NotKnown`."""
    return _decide(settings, "exceptions assign", name, key, reason, assigned_to=who)


def ignore(settings: LocalSettings, name: str, until: datetime, reason: str, key: str | None = None) -> dict[str, Any]:
    """A class, or one item of it, alarms nobody until a moment (UTC; one gone by ends it). Raises `NotKnown`."""
    return _decide(settings, "exceptions ignore", name, key, reason, ignored_until=until)


def _decide(
    settings: LocalSettings,
    command: str,
    name: str,
    key: str | None,
    reason: str,
    *,
    assigned_to: str | None = None,
    ignored_until: datetime | None = None,
) -> dict[str, Any]:
    _known(name)
    now = datetime.now(UTC).replace(tzinfo=None)
    row = {
        "class": name,
        "key": key,
        "assigned_to": assigned_to,
        "ignored_until": ignored_until,
        "reason": reason,
        "who": getpass.getuser(),
        "decided_at": now,
    }
    with Warehouse(database=str(settings.paths.warehouse)).write() as connection:
        if key is not None and not fetch(connection, "exception_item", name=name, key=key):
            raise NotKnown(f"{name} has no item {key}; `cin7-emarsys exceptions show {name}` lists them")
        columns = ", ".join(f"${column} as {column}" for column in row)
        connection.execute(f"insert into operations.exception_decisions by name select {columns}", row)
    ledger = Ledger(settings.ledger_url)
    try:
        told = {column: str(row[column]) for column in ("class", "key", "assigned_to", "ignored_until") if row[column]}
        ledger.write_audit(row["who"], command, reason, json.dumps(told), now)  # type: ignore[arg-type]
    finally:
        ledger.close()
    return row


def _known(name: str) -> None:
    if name not in classes():
        raise NotKnown(f"there is no class of exceptions named {name}; `cin7-emarsys exceptions list --all` shows them")
