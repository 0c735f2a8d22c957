"""Looking up one SKU, e-mail, customer id or order: what is known of it, and its time line.

What belongs here: finding out what was meant, and gathering it. What does not: the waterfall and the statement
(``operations/explain.py``), and words for the terminal (``views``).
"""

from __future__ import annotations

from typing import Any

from cin7_emarsys.desk.source import Facts
from cin7_emarsys.operations.explain import explain_customer, explain_sku, fetch
from cin7_emarsys.operations.refusals import NotKnown

LINES = 200


def look_up(facts: Facts, asked: str) -> dict[str, Any]:
    """Everything that answers to ``asked``: `item`, `order`, `person`, each with its `timeline` (``at, kind, says, detail``,
    newest first, at most 200 lines), or None; `orphans`: customers on one side only; `near`: SKUs like it, when nothing
    does. Raises `NothingPublished`."""
    wanted = asked.strip()
    found: dict[str, Any] = {"asked": wanted, "item": None, "order": None, "person": None, "orphans": [], "near": []}
    if not wanted:
        return found
    facts.once("today")  # a warehouse that has not been built says so, instead of not knowing anything
    if "@" not in wanted:
        found["item"] = _item(facts, wanted)
        found["order"] = _order(facts, wanted)
    if not found["item"] and not found["order"]:
        orphans = found["orphans"] = facts.ask("orphan", key=wanted)
        names = [wanted, *(row[name] for row in orphans for name in ("email", "customer_id") if row[name])]
        found["person"] = next(filter(None, (_person(facts, who) for who in names)), None)
        if not found["person"] and not orphans and "@" not in wanted:
            found["near"] = [row["sku"] for row in fetch(facts.connection, "explain_near", sku=wanted)]
    return found


def _item(facts: Facts, sku: str) -> dict[str, Any] | None:
    try:
        told = explain_sku(facts.connection, sku)
    except NotKnown:
        return None
    asked = {"product_id": told["product_id"], "sku": told["sku"], "limit": LINES}
    return told | {"timeline": facts.ask("item_timeline", **asked)}


def _order(facts: Facts, number: str) -> dict[str, Any] | None:
    orders = facts.ask("order", number=number)
    if not orders:
        return None
    sale = orders[0]
    asked = {"sale_id": sale["sale_id"], "number": sale["order_number"], "limit": LINES}
    return sale | {"timeline": facts.ask("order_timeline", **asked)}


def _person(facts: Facts, who: str) -> dict[str, Any] | None:
    try:
        told = explain_customer(facts.connection, who)
    except NotKnown:
        return None
    asked = {"email": told["email"], "person_id": told["person_id"], "limit": LINES}
    return told | {"timeline": facts.ask("person_timeline", **asked)}
