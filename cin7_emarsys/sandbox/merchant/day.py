"""A realistic day at the merchant, as a list of actions that a test can check one by one."""

from collections.abc import Callable
from typing import Any

Act = Callable[[dict[str, Any]], dict[str, Any]]


def script(act: Act) -> list[dict[str, Any]]:
    """Does the day and gives back what each action answered, in order, each with a "why"."""
    events: list[dict[str, Any]] = []

    def do(why: str, **body: Any) -> dict[str, Any]:
        events.append({"why": why, **act(body)})
        return events[-1]

    taken = [do(f"web order {i + 1}", do="order", quantity=1 + i % 2, shipping=9.95) for i in range(4)]
    do("guest order", do="order", email="day.guest@example.com")
    wholesale = do("wholesale order", do="order", tier="Wholesale", quantity=2)
    for sold in (*taken[:3], wholesale):
        do("shipped", do="ship", sale_id=sold["sale_id"])
        do("invoiced", do="invoice", sale_id=sold["sale_id"])
    for sold in taken[:3]:
        do("paid", do="pay", sale_id=sold["sale_id"])
    do("restock of a sold-out SKU", do="receive", quantity=25)
    do("moved to quarantine: on hand lies", do="transfer", to="Quarantine")
    do("price change", do="price")
    do("refund with restock", do="refund", sale_id=taken[0]["sale_id"], restock=True)
    do("refund of money only", do="refund", sale_id=taken[1]["sale_id"], quantity=1)
    do("new product", do="new_product", quantity=12)
    do("deprecated product", do="deprecate")
    do("last units promised without allocation", do="sell_out", allocate=False)
    do("consent withdrawn", do="consent", consent=3)
    do("new customer", do="new_customer", consent=2)
    return events
