"""Every life of an order in three steps, from documents to what Emarsys holds: after each step the accepted lines sum to
the documents as they stand, and each business fact is one event.

All lives share one world: a step is one build and one export.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

from cin7_emarsys.warehouse import factory
from cin7_emarsys_tests.emarsys.conftest import Project
from cin7_emarsys_tests.warehouse.world import World, credit_note, invoice, line

ANA = "ana@example.com"
MODELS = [name for name in factory.models() if name.startswith("staging.") or name in {
    "mart.sale_persons", "mart.documents", "mart.purchases", "mart.refunds", "mart.open_orders", "mart.persons",
    "mart.order_facts", "mart.order_events", "mart.sales_documents", "mart.sales_lines",
}]  # fmt: skip


def first(sale: str) -> dict[str, Any]:
    return invoice(f"{sale}-1", line("A", 1, 10))


def shapes(sale: str) -> dict[str, dict[str, Any]]:
    """What a sale may look like at a moment."""
    return {
        "open": {"Status": "ORDERED", "Invoices": []},
        "billed": {"Status": "INVOICED", "Invoices": [first(sale)]},
        "reissued": {
            "Status": "INVOICED",
            "Invoices": [first(sale) | {"Status": "VOIDED"}, invoice(f"{sale}-2", line("A", 1, 8))],
        },
        "two": {"Type": "Advanced Sale", "Invoices": [first(sale), invoice(f"{sale}-3", line("B", 1, 5))]},
        "undone": {"Status": "ORDERING", "Invoices": []},
        "refunded": {"Invoices": [first(sale)], "CreditNotes": [credit_note(f"{sale}-c", line("A", 1, 4))]},
        "void": {"Status": "VOIDED", "Invoices": [first(sale) | {"Status": "VOIDED"}]},
    }


WORTH = {"open": 0, "billed": 10, "reissued": 8, "two": 15, "undone": 0, "refunded": 6, "void": 0}
LIVES = {f"s{number}": life for number, life in enumerate(itertools.product(WORTH, repeat=3))}


def events(life: tuple[str, ...]) -> list[str]:
    """One purchase however often it was invoiced, one refund, one cancellation of what had been announced."""
    bought = next((step for step, shape in enumerate(life) if WORTH[shape]), None)
    voided = max((step for step, shape in enumerate(life) if shape == "void"), default=-1)
    told = ["purchase"] if bought is not None else []
    told += ["order_cancelled"] if bought is not None and voided > bought else []
    return told + (["refund_issued"] if "refunded" in life else [])


def test_every_life_of_an_order(work: Project) -> None:
    work.known(ANA)
    world = World(orders={"history_sales_data": True}).product("A").product("B")
    world.put("raw.customers", {"ID": "C-1", "Name": "Ana", "Contacts": [{"Email": ANA, "Default": True}]})
    for step in range(3):
        world.clear("raw.sales", "raw.sale_headers")
        headers, details = [], []
        at = f"2026-11-24 1{step + 1}:00:00"
        common = {"CustomerID": "C-1", "Customer": "Ana", "CustomerCurrency": "AUD", "BaseCurrency": "AUD"}
        for sale, life in LIVES.items():
            detail = {"Status": "COMPLETED"} | shapes(sale)[life[step]]
            order = "DRAFT" if life[step] == "undone" else "VOIDED" if life[step] == "void" else "AUTHORISED"
            headers.append(common | {"SaleID": sale, "OrderNumber": sale, "Updated": at, "OrderStatus": order,
                                     "Status": detail["Status"]})  # fmt: skip
            details.append(common | {"ID": sale, "Email": ANA, "_header_updated": at} | detail)
        world.put("raw.sale_headers", *headers).put("raw.sales", *details).now(at).build(*MODELS)
        for table in ("mart.documents", "mart.sales_lines"):
            work.fill(table, *world.rows(table))
        report = work.run("sales")
        assert (report.rejected, report.unknown, report.retryable, report.frozen) == (0, 0, 0, 0)
        held: Counter[str] = Counter()
        for sent in work.account.judge("sales"):
            held[sent["order"]] += sent["price"]
        assert {sale: held[sale] for sale in LIVES} == {sale: WORTH[life[step]] for sale, life in LIVES.items()}
    found: dict[str, list[str]] = {sale: [] for sale in LIVES}
    for trigger, sale in world.rows("mart.order_events", "trigger_id", "sale_id"):
        found[sale].append(trigger.partition(":")[0])
    assert {sale: sorted(told) for sale, told in found.items()} == {
        sale: sorted(events(life)) for sale, life in LIVES.items()
    }
