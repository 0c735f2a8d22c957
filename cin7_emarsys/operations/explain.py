"""Why a number is what it is: one SKU's availability, one customer's value.

What belongs here: gathering the evidence from the warehouse. What does not: working anything out anew (the models did),
and printing (``cli.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

_QUERIES = Path(__file__).parent / "queries"

# The waterfall in its order: term, and the sign with which it acts.
TERMS: Mapping[str, str] = {
    "non_sellable_location": "in locations we do not sell from",
    "blocked_bin": "in blocked or staging bins",
    "expired": "without enough shelf life",
    "allocated": "allocated to orders",
    "open_unallocated": "ordered, not yet allocated",
    "reserved": "held for others",
    "buffer": "safety buffer",
}


class NotKnown(Exception):
    """There is nothing of that name in the warehouse; the text says what was looked for and what to do."""


def fetch(connection: DuckDBPyConnection, query: str, **parameters: object) -> list[dict[str, Any]]:
    """Rows of ``queries/<query>.sql`` as dictionaries."""
    cursor = connection.execute((_QUERIES / f"{query}.sql").read_text(), parameters)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _first(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    return rows[0] if rows else None


def explain_sku(connection: DuckDBPyConnection, sku: str, at: datetime) -> dict[str, Any]:
    """The waterfall of one SKU at a moment (naive UTC), the evidence behind it, its state, and what Emarsys was told.

    Units are whole units of the product; times are UTC. Raises `NotKnown`.
    """
    product = _first(fetch(connection, "explain_product", sku=sku))
    if product is None:
        raise NotKnown(f"no product with SKU {sku!r} in the warehouse; has `cin7-emarsys sync products` run?")
    product_id = product["product_id"]
    waterfall = _first(fetch(connection, "explain_waterfall", product_id=product_id, at=at))
    terms = [
        {
            "term": term,
            "meaning": meaning,
            "requested": waterfall[f"requested_{term}"],
            "charged": waterfall[f"charged_{term}"],
        }
        for term, meaning in TERMS.items()
        if waterfall is not None
    ]
    return {
        **product,
        "at": at,
        "waterfall": waterfall
        and {
            "snapshot_id": waterfall["snapshot_id"],
            "since": waterfall["since"],
            "on_hand": waterfall["on_hand"],
            "shortfall": waterfall["shortfall"],
            "kit_build": waterfall["kit_build"],
            "terms": terms,
            "fraction": waterfall["charged_fraction"],
            "oversold": waterfall["oversold"],
            "ats": waterfall["ats"],
            "untrusted_reason": waterfall["untrusted_reason"],
        },
        "state": _first(fetch(connection, "explain_state", product_id=product_id, at=at)),
        "published": _first(fetch(connection, "explain_published", sku=product["sku"])),
        "rows": fetch(connection, "explain_rows", product_id=product_id),
        "orders": fetch(connection, "explain_orders", product_id=product_id),
        "holds": fetch(connection, "explain_holds", product_id=product_id),
        "changes": fetch(connection, "explain_changes", product_id=product_id),
    }


def explain_customer(connection: DuckDBPyConnection, who: str) -> dict[str, Any]:
    """One person's statement: each document that adds up to the lifetime value, the contact as sent, the events.

    ``who`` is an e-mail, our person id or Cin7's customer id. Amounts are in ``currency``. Raises `NotKnown`.
    """
    person = _first(fetch(connection, "statement_person", who=who))
    if person is None:
        raise NotKnown(
            "nobody in the warehouse has that e-mail or customer id; has `cin7-emarsys sync customers` run, "
            "and `sync orders` if it is a guest?"
        )
    email = person["email"]
    return {
        **person,
        "documents": fetch(connection, "statement_lines", person_id=person["person_id"]),
        "sent": _first(fetch(connection, "statement_sent", email=email)) if email else None,
        "events": fetch(connection, "statement_events", email=email) if email else [],
    }
