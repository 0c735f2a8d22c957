"""The merchant's policy as tables, so that SQL reads the rules from one place and a preview can try others.

Belongs here: the shape of `policy.*`. Does not belong here: checking the policy (settings do that).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from cin7_emarsys import schema
from cin7_emarsys.merchant import Merchant

TABLES: dict[str, dict[str, str]] = {
    "settings": {
        "currency": "VARCHAR",
        "location_mode": "VARCHAR",
        "min_shelf_life_days": "INTEGER",
        "draft_orders_reserve": "BOOLEAN",
        "backorders_are_allocated": "BOOLEAN",
        "fractional_units": "VARCHAR",
        "restock_threshold": "INTEGER",
        "confirmations": "INTEGER",
        "min_flips": "INTEGER",
        "max_flip_share": "DOUBLE",
        "low_stock_threshold": "INTEGER",
        "low_stock_hysteresis": "INTEGER",
        "price_tier": "INTEGER",
        "msrp_tier": "INTEGER",
        "price_basis": "VARCHAR",
        "max_price_change": "DOUBLE",
        "link_template": "VARCHAR",
        "no_image": "VARCHAR",
        "no_category": "VARCHAR",
        "max_shrink": "DOUBLE",
        "include_wholesale": "BOOLEAN",
        "contact_key": "VARCHAR",
        "field_map_fingerprint": "VARCHAR",
        "history_sales_data": "BOOLEAN",
        "nightly_hours": "INTEGER",
    },
    "sellable_locations": {"position": "INTEGER", "location": "VARCHAR"},
    "blocked_bins": {"entry": "VARCHAR"},
    "buffers": {"sku": "VARCHAR", "category": "VARCHAR", "units": "DECIMAL(18,4)", "percent": "DECIMAL(9,4)"},
    "holds": {
        "hold": "INTEGER",
        "name": "VARCHAR",
        "sku": "VARCHAR",
        "category": "VARCHAR",
        "units": "DECIMAL(18,4)",
        "percent": "DECIMAL(9,4)",
        "for_price_tier": "VARCHAR",
        "for_tag": "VARCHAR",
        "for_source_channel": "VARCHAR",
        "from_date": "DATE",
        "until_date": "DATE",
    },
    "generic_customers": {"name": "VARCHAR"},
    "wholesale_price_tiers": {"name": "VARCHAR"},
    "wholesale_tags": {"tag": "VARCHAR"},
    "wholesale_customers": {"name": "VARCHAR"},
    "revenue_charges": {"pattern": "VARCHAR"},
    "events": {
        "event": "VARCHAR",
        "kind": "VARCHAR",
        "deadline_hours": "INTEGER",
        "enabled": "BOOLEAN",
    },
    "contact_fields": {"attribute": "VARCHAR", "string_id": "VARCHAR", "type": "VARCHAR", "is_ours": "BOOLEAN"},
    "owners": {"role": "VARCHAR", "who": "VARCHAR"},
}


def create_empty(connection: DuckDBPyConnection) -> None:
    """Every `policy.*` table without rows (the models' types are read from them)."""
    connection.execute("create schema if not exists policy")
    for table, columns in TABLES.items():
        listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        connection.execute(f"create or replace table policy.{table} ({listed})")


def write(connection: DuckDBPyConnection, merchant: Merchant) -> None:
    """Replace every `policy.*` table by the given policy, in the caller's transaction, unless it is there already."""
    said = _rows(merchant)
    if not schema.note_anew(connection, "policy", json.dumps([TABLES, said], default=str)):
        return
    create_empty(connection)
    for table, rows in said.items():
        if not rows:
            continue
        columns = TABLES[table]
        shape = json.dumps([columns])
        connection.execute(  # one JSON parameter: binding value by value costs 70 microseconds each
            f"insert into policy.{table} by name select unnest(from_json(?::json, ?), recursive := true)",
            [json.dumps(rows, default=str), shape],
        )


def differing(connection: DuckDBPyConnection, one: str, other: str) -> set[str]:
    """What the policies in two attached databases say differently: `policy.<table>`, of the settings each column."""
    found: set[str] = set()
    for table in TABLES:
        left, right = (_said(connection, f'"{database}".policy.{table}') for database in (one, other))
        if table == "settings" and len(left) == len(right) == 1:
            found |= {f"policy.settings.{name}" for name in TABLES[table] if left[0].get(name) != right[0].get(name)}
        elif left != right:
            found.add(f"policy.{table}")
    return found


def _said(connection: DuckDBPyConnection, table: str) -> list[dict[str, Any]]:
    try:
        answer = connection.execute(f"from {table} order by all")
    except duckdb.CatalogException:  # built by a version that had no such rule
        return []
    names = [column[0] for column in answer.description or []]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def _rows(merchant: Merchant) -> dict[str, Sequence[dict[str, Any]]]:
    availability, prices, customers = merchant.availability, merchant.prices, merchant.customers
    same = [
        "location_mode",
        "min_shelf_life_days",
        "draft_orders_reserve",
        "backorders_are_allocated",
        "fractional_units",
        "restock_threshold",
        "confirmations",
        "min_flips",
        "max_flip_share",
        "low_stock_threshold",
        "low_stock_hysteresis",
    ]
    settings: dict[str, Any] = {name: getattr(availability, name) for name in same} | {
        "currency": merchant.currency,
        "price_tier": prices.tier,
        "msrp_tier": prices.msrp_tier,
        "price_basis": prices.basis,
        "max_price_change": prices.max_price_change,
        "link_template": merchant.catalogue.link_template,
        "no_image": merchant.catalogue.no_image,
        "no_category": merchant.catalogue.no_category,
        "max_shrink": merchant.catalogue.max_shrink,
        "include_wholesale": customers.include_wholesale,
        "contact_key": merchant.contacts.key,
        "field_map_fingerprint": merchant.contacts.fingerprint,
        "history_sales_data": merchant.orders.history_sales_data,
        "nightly_hours": merchant.alerts.nightly_hours,
    }
    return {
        "settings": [settings],
        "sellable_locations": [
            {"position": place, "location": name} for place, name in enumerate(availability.sellable_locations)
        ],
        "blocked_bins": [{"entry": entry} for entry in availability.blocked_bins],
        "buffers": [buffer.model_dump(mode="json") for buffer in availability.buffers],
        "holds": [
            hold.model_dump(mode="json", exclude={"from_", "until"})
            | {"hold": number, "from_date": hold.from_, "until_date": hold.until}
            for number, hold in enumerate(availability.holds)
        ],
        "generic_customers": [{"name": name} for name in customers.generic_customers],
        "wholesale_price_tiers": [{"name": name} for name in customers.wholesale_price_tiers],
        "wholesale_tags": [{"tag": tag} for tag in customers.wholesale_tags],
        "wholesale_customers": [{"name": name} for name in customers.wholesale_customers],
        "revenue_charges": [{"pattern": pattern} for pattern in merchant.orders.revenue_charges],
        "events": [
            {"event": name, "kind": event.kind, "deadline_hours": event.deadline_hours, "enabled": event.enabled}
            for name, event in merchant.events.items()
        ],
        "contact_fields": [
            {"attribute": row.attribute, "string_id": row.string_id, "type": row.type, "is_ours": row.is_ours}
            for row in merchant.contacts.field_map
        ],
        "owners": [{"role": role, "who": who} for role, who in merchant.owners.items()],
    }
