"""What a changed policy would change, on the newest trusted snapshot. Nothing is sent, and nothing is written.

What belongs here: building, in memory and by the models themselves, what a policy decides differently from the one that the
warehouse was built with, and comparing. What does not: deciding anything (the models do), and printing (``views``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any

from duckdb import DuckDBPyConnection

from cin7_emarsys.merchant import Merchant
from cin7_emarsys.operations.explain import fetch
from cin7_emarsys.operations.refusals import NotKnown
from cin7_emarsys.warehouse import factory, gates, policy

_COMPARED = {"mart.ats", "mart.availability", "mart.held_flips", "mart.prices"}
_SHOWN = {"staging.products", "staging.locations"}
_LOCATIONS = "locations_exist"


def preview(connection: DuckDBPyConnection, running: Merchant, changed: Merchant) -> dict[str, Any]:
    """Both policies on the same stock, orders and prices as last read, and how the items would differ.

    A rise is shown as it would end, without its wait for further snapshots. Units are whole units. Raises `NotKnown`.
    """
    settings = list(_differences("", running.model_dump(mode="json"), changed.model_dump(mode="json")))
    snapshot = fetch(connection, "preview_snapshot")
    if not snapshot:
        raise NotKnown("there is no trusted snapshot of stock to try a policy on; run `cin7-emarsys sync stock` first")
    items, holds, unknown = [], [], []
    if settings:
        kept = connection.execute("select current_database()").fetchall()[0][0]
        for name, merchant in (("running", running), ("changed", changed)):
            _build(connection, kept, f"side_{name}", merchant)
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


def _build(connection: DuckDBPyConnection, kept: str, side: str, merchant: Merchant) -> None:
    """A database in memory in which all is the warehouse's own but what this policy decides differently."""
    connection.execute(f"attach ':memory:' as {side} (read_write)")
    connection.execute(f"use {side}")
    settled = merchant.availability.model_copy(update={"confirmations": 1})  # as it ends, not as it begins
    policy.write(connection, merchant.model_copy(update={"availability": settled}))
    touched = _touched(policy.differing(connection, kept, side))
    there = connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = $kept union all "
        "select schema_name, view_name from duckdb_views() where database_name = $kept and not internal",
        {"kept": kept},
    ).fetchall()
    needed = factory.read_by(touched) | _COMPARED | _SHOWN
    for schema, table in there:
        name = f"{schema}.{table}"
        if name not in needed or schema == "policy":
            continue
        # a history starts anew, a view is made anew; what a model reads of its own past is copied: building replaces it
        if name not in touched:
            kind = "view"
        elif factory.models()[name].materialize in ("history", "view"):
            continue
        else:
            kind = "table"
        connection.execute(f"create schema if not exists {schema}")
        connection.execute(f'create {kind} {schema}."{table}" as from "{kept}".{schema}."{table}"')
    factory.build_alone(connection, touched)


def _touched(differing: Set[str]) -> set[str]:
    """The models that such a difference of policies reaches, as far as items depend on them."""
    models = factory.models()
    settings = {name.removeprefix("policy.settings.") for name in differing if name.startswith("policy.settings.")}
    reached = set(differing)
    for model in models.values():  # in build order: what a model reads comes before it
        words = set(re.findall(r"\w+", model.sql)) if "policy.settings" in model.depends else set()
        if model.depends & reached or words & settings:
            reached.add(model.name)
    needed = set(_COMPARED)
    for model in reversed(list(models.values())):
        if model.name in needed:
            needed |= model.depends
    return reached & needed & set(models)


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
