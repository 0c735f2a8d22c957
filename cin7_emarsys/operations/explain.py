"""Why a number is what it is: one SKU's availability, one customer's value.

What belongs here: gathering the evidence from the warehouse, and the one sentence that says why. What does not: working
anything out anew (the models did), and printing (``views``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from cin7_emarsys.operations.refusals import NotKnown

_QUERIES = Path(__file__).parent / "queries"

# The waterfall in its order: each term in words.
TERMS: Mapping[str, str] = {
    "non_sellable_location": "in locations we do not sell from",
    "blocked_bin": "in blocked or staging bins",
    "expired": "without enough shelf life",
    "allocated": "allocated to orders",
    "open_unallocated": "ordered, not yet allocated",
    "reserved": "held for others",
    "buffer": "safety buffer",
}

# Why a state is not what the figures alone say (`reason` up to its colon), in words a merchandiser uses.
REASONS: Mapping[str, str] = {
    "no_trusted_snapshot": "no count of stock that can be trusted has been read yet",
    "sku_untrusted": "Cin7's rows of it cannot be trusted, so it keeps its last state",
    "below_restock_threshold": "there are units again, but fewer than the restock threshold asks for",
    "orders_older_than_snapshot": "it may be back, but the orders were read before the stock; the next sync decides",
    "unallocated_orders_not_read": "it may be back, but orders that hold no stock yet are still to be read",
    "not_confirmed": "there are units again, but not yet in as many counts as it takes",
    "second_look_due": "there are units again; they are read once more before it is believed",
    "second_look_failed": "there are units again, but they could not be read once more",
    "second_look_saw_less": "there were units again, but fewer when they were read once more",
    "rows_vanished": "its stock rows are gone from the count; it stays as it was until they are looked for",
    "not_sold": "it is not marked as sold in Cin7",
    "no_price": "Cin7 has no price for it",
    "renamed": "Cin7 calls the product something else now; the old item stays, not available",
    "gone_from_cin7": "Cin7 no longer has the product; the item stays, not available",
}


# What is behind the terms: as it is kept, and as it is called here.
_EVIDENCE: Mapping[str, str] = {
    "stock_rows": "rows",
    "open_orders": "orders",
    "kit_orders": "kit_orders",
    "rules": "rules",
    "components": "components",
    "bill_faults": "bill_faults",
}


def fetch(connection: DuckDBPyConnection, query: str | Path, **parameters: object) -> list[dict[str, Any]]:
    """Rows of ``queries/<query>.sql``, or of another file, as dictionaries; parameters it does not name are left out."""
    file = query if isinstance(query, Path) else _QUERIES / f"{query}.sql"
    sql = file.read_text()
    cursor = connection.execute(sql, {name: value for name, value in parameters.items() if f"${name}" in sql})
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _first(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    return rows[0] if rows else None


def explain_sku(connection: DuckDBPyConnection, sku: str, at: datetime | None = None) -> dict[str, Any]:
    """One SKU's waterfall with its evidence, its state and why, and what Emarsys was told: now, or as known at a moment.

    ``at`` is naive UTC by Cin7's clock. Everything comes from what was kept at that time. Units are units of the product.
    Raises `NotKnown`.
    """
    asked = {"sku": sku, "at": at}
    product = _first(fetch(connection, "explain_product", **asked))
    if product is None:
        product = None if at else _first(fetch(connection, "explain_listed", sku=sku))
        if product is None:
            raise _not_known(connection, sku, at)
        product |= dict.fromkeys(("type", "known_since", *_EVIDENCE)) | {
            "is_active": False,
            "is_sellable": False,
        }
    about = {"product_id": product["product_id"], "sku": product["sku"], "at": at}
    item = {"sku": product["sku"], "at": at}
    changes = fetch(connection, "explain_changes", **about)
    facts = {
        **{name: product[name] for name in ("sku", "product_id", "title", "type", "is_active", "is_sellable")},
        "renamed_to": product.get("renamed_to"),
        "at": at,
        "known_since": product["known_since"],
        "waterfall": _waterfall(_first(fetch(connection, "explain_waterfall", **about))),
        "state": product["state"]
        and {name: product[name] for name in ("state", "available", "c_stock", "reason")}
        | {"changed_at": changes[0]["changed_at"] if changes else None},
        "published": _first(fetch(connection, "explain_published", **item)),
        "collected": _first(fetch(connection, "explain_collected", **item)),
        **{key: product[name] or [] for name, key in _EVIDENCE.items()},
        "holds": fetch(connection, "explain_holds", **item),
        "changes": changes,
    }
    return facts | {"why": _why(facts)}


def _waterfall(row: dict[str, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    terms = [
        {
            "term": term,
            "meaning": meaning,
            "requested": row[f"requested_{term}"],
            "charged": row[f"charged_{term}"],
        }
        for term, meaning in TERMS.items()
    ]
    kept = ("snapshot_id", "since", "on_hand", "shortfall", "kit_build", "oversold", "ats", "untrusted_reason")
    return {name: row[name] for name in kept} | {"terms": terms, "fraction": row["charged_fraction"]}


def _why(facts: Mapping[str, Any]) -> str:
    """The reason for the state in one sentence, from the facts alone."""
    state, falls = facts["state"], facts["waterfall"]
    if state is None:
        return "nothing has been said about it: " + REASONS["no_trusted_snapshot"]
    if state["reason"]:
        code, _, detail = str(state["reason"]).partition(": ")
        if code.startswith("held "):
            return f"its return is held for a person to look at, because {detail}"
        return REASONS.get(code, code.replace("_", " ")) + (f" ({detail})" if detail else "")
    if state["state"] == "discontinued":
        return "it is deprecated in Cin7, so it is not offered whatever is in stock"
    if state["state"] == "not_tracked":
        return f"Cin7 keeps no stock of it ({facts['type']})"
    if falls is None or state["available"]:
        return f"{state['c_stock']:,} can be promised now"
    there = falls["on_hand"] + falls["kit_build"]
    if there <= 0:
        return "there is none on hand" if not falls["shortfall"] else "Cin7 counts less than nothing on hand"
    taken = [f"{term['charged'].normalize():f} {term['meaning']}" for term in falls["terms"] if term["charged"]]
    part = [f"{falls['fraction'].normalize():f} is less than a whole unit"] if falls["fraction"] else []
    counted = "on hand or to be built" if falls["kit_build"] else "on hand"
    return f"of {there.normalize():f} {counted} none can be promised: {', '.join(taken + part)}"


def _not_known(connection: DuckDBPyConnection, sku: str, at: datetime | None) -> NotKnown:
    known = _first(fetch(connection, "explain_known", sku=sku, at=at)) or {}
    if at and known.get("called"):
        return NotKnown(f"{sku} was called {known['called']} at {at:%Y-%m-%d %H:%M:%S} UTC; ask for that")
    if at and known.get("since"):
        return NotKnown(
            f"nothing was known of {sku} at {at:%Y-%m-%d %H:%M:%S} UTC; what is kept of it begins at "
            f"{known['since']:%Y-%m-%d %H:%M:%S} UTC"
        )
    near = [row["sku"] for row in fetch(connection, "explain_near", sku=sku)]
    hint = f"; did you mean {' or '.join(near)}?" if near else "; has `cin7-emarsys sync products` run?"
    return NotKnown(f"no product with SKU {sku!r} in the warehouse{hint}")


def explain_customer(connection: DuckDBPyConnection, who: str) -> dict[str, Any]:
    """One person's statement: each document that adds up to the lifetime value, why it changed, every key that leads to
    the person, the contact as sent, the events.

    ``who`` is an e-mail, our person id or Cin7's customer id; a written alias shows the person it leads to. Amounts are in
    ``currency``. Raises `NotKnown`.
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
        "changes": fetch(connection, "statement_changes", person_id=person["person_id"]),
        "aliases": fetch(connection, "statement_aliases", person_id=person["person_id"]),
        "sent": _first(fetch(connection, "statement_sent", email=email)) if email else None,
        "events": fetch(connection, "statement_events", email=email) if email else [],
    }
