"""What a changed policy would change, on the newest trusted snapshot. Nothing is sent, and nothing is written.

What belongs here: building what the policy decides twice, in memory, by the models themselves, and comparing. What does
not: deciding anything (the models do), and printing (``views``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from duckdb import DuckDBPyConnection

from cin7_emarsys.merchant import Merchant
from cin7_emarsys.operations.explain import NotKnown, fetch
from cin7_emarsys.warehouse import factory, gates, policy

_COMPARED = ("mart.ats", "mart.availability", "mart.held_flips", "mart.prices")
_LOCATIONS = "locations_exist"


def preview(connection: DuckDBPyConnection, running: Merchant, changed: Merchant) -> dict[str, Any]:
    """Both policies on the same stock, orders and prices as last read, and how the items would differ.

    A rise is shown as it would end, without its wait for further snapshots. Units are whole units. Raises `NotKnown`.
    """
    settings = list(_differences("", running.model_dump(mode="json"), changed.model_dump(mode="json")))
    snapshot = fetch(connection, "preview_snapshot")
    if not snapshot:
        raise NotKnown("there is no trusted snapshot of stock to try a policy on; run `cin7-emarsys sync stock` first")
    touched = _touched(running, changed)
    items, holds, unknown = [], [], []
    if touched:
        kept = connection.execute("select current_database()").fetchall()[0][0]
        for name, merchant in (("running", running), ("changed", changed)):
            _build(connection, kept, f"side_{name}", merchant, touched)
        items = fetch(connection, "preview_items")
        holds, unknown = fetch(connection, "preview_holds"), _unknown_locations(connection)
    counted = {kind: sum(item["flip"] == kind for item in items) for kind in ("rise", "fall")}
    return {
        "settings": settings,
        "snapshot": snapshot[0],
        "totals": {
            "items": len(items),
            "ats": sum(item["ats_was"] != item["ats_would"] for item in items),
            "states": sum(item["state_was"] != item["state_would"] for item in items),
            "prices": sum(item["price_was"] != item["price_would"] for item in items),
            "rises": counted["rise"],
            "falls": counted["fall"],
        },
        "items": items,
        "holds": holds,
        "unknown_locations": unknown,
    }


def _touched(running: Merchant, changed: Merchant) -> list[str]:
    """The models that the difference between two policies reaches, in build order, as far as items depend on them."""
    models = factory.models()
    reached = {f"policy.{table}" for table in policy.differing(running, changed)}
    for model in models.values():  # in build order: what a model reads comes before it
        if model.depends & reached:
            reached.add(model.name)
    needed = set(_COMPARED)
    for model in reversed(list(models.values())):
        if model.name in needed:
            needed |= model.depends
    return [name for name in models if name in reached & needed]


def _build(connection: DuckDBPyConnection, kept: str, side: str, merchant: Merchant, touched: list[str]) -> None:
    """A database in memory in which the touched models are built and all else is the warehouse's own."""
    connection.execute(f"attach ':memory:' as {side} (read_write)")
    connection.execute(f"use {side}")
    tables = connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = ? and schema_name <> 'policy'",
        [kept],
    ).fetchall()
    for schema in sorted({schema for schema, _ in tables}):
        connection.execute(f"create schema if not exists {schema}")
    for schema, table in tables:
        model = factory.models().get(f"{schema}.{table}")
        # a history starts anew; what a model reads of its own past is copied, since building replaces it
        if model and model.name in touched and model.materialize == "history":
            continue
        kind = "table" if model and model.name in touched else "view"
        connection.execute(f'create {kind} {schema}."{table}" as from "{kept}".{schema}."{table}"')
    settled = merchant.availability.model_copy(update={"confirmations": 1})  # as it ends, not as it begins
    factory.build(connection, merchant.model_copy(update={"availability": settled}), touched)


def _unknown_locations(connection: DuckDBPyConnection) -> list[dict[str, Any]]:
    """Locations that the changed policy names and Cin7 does not know (``connection`` uses that side)."""
    (condition,) = (each for each in gates.conditions() if each.name == _LOCATIONS)
    return gates.ask(connection, condition).sample


def _differences(path: str, was: object, would: object) -> Iterator[dict[str, Any]]:
    """Each setting that differs, by its name in the file."""
    if isinstance(was, Mapping) and isinstance(would, Mapping):
        for name in was.keys() | would.keys():
            yield from _differences(f"{path}.{name}" if path else name, was.get(name), would.get(name))
    elif was != would:
        yield {"name": path, "was": was, "would": would}
