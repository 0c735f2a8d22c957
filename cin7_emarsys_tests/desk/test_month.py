"""Month close: Cin7's books, the mart and Emarsys tie up, and every difference has a name."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cin7_emarsys.desk import month as months
from cin7_emarsys.warehouse.factory import models
from cin7_emarsys_tests.desk.conftest import Shop
from cin7_emarsys_tests.warehouse.world import Row, credit_note, invoice, line


def needed(name: str) -> set[str]:
    """This model and all it is built from."""
    found = {name}
    for model in reversed(list(models().values())):
        if model.name in found:
            found |= model.depends & set(models())
    return found


BOOKS = needed("reconciliation.document_books")


def books(*invoices: Row, notes: tuple[Row, ...] = (), told: dict[str, str] | None = None) -> Shop:
    """A shop with one sale of these documents; ``told``: key of a sales line → its outcome at Emarsys."""
    shop = Shop()
    shop.product("A").sale("s1", Invoices=list(invoices), CreditNotes=list(notes))
    for place, (key, outcome) in enumerate((told or {}).items(), 1):
        document, _, price = key.partition("=")
        payload = {"price": price, "timestamp": "2026-11-21T00:00:00Z"}
        shop.send(place, "sales", "2026-11-24 10:00:00", outcome, f"{document}#{place}", payload, document=document)
    shop.put("raw.watermarks", {"entity": "baseline", "watermark": "2026-11-01", "completed_at": "2026-11-24 10:00:00"})
    return shop.build(*BOOKS)


def closed(shop: Shop, month: str = "2026-11") -> dict[str, Any]:
    found = months.close(shop.facts, month)
    whole = found["totals"]["together"]
    assert whole["books"] == whole["mart"] + whole["charges"] + whole["left_out"] + whole["unexplained"]
    assert whole["told"] == whole["accepted"] + whole["parked"] + whole["refused"] + whole["open"]
    return found


def reasons(found: dict[str, Any]) -> list[tuple[str, Decimal]]:
    return [(row["reason"], row["amount"]) for row in found["differences"]]


def test_a_month_that_emarsys_has_accepted_ties_up() -> None:
    shop = books(
        invoice("i1", line("A", 3), TotalBeforeTax=30),
        notes=(credit_note("c1", line("A", 1), TotalBeforeTax=10),),
        told={"invoice:i1=30": "accepted", "credit_note:c1=-10": "accepted"},
    )
    found = closed(shop)
    whole = found["totals"]["together"]
    assert (whole["invoices"], whole["credit_notes"], whole["mart"], whole["accepted"]) == (30, 10, 20, 20)
    assert [(day["day"], day["books"]) for day in found["days"]] == [
        (date(2026, 11, 21), 30),
        (date(2026, 11, 23), -10),
    ]
    assert found["settled"] and not found["differences"]


def test_a_month_of_which_nothing_was_read_is_not_settled() -> None:
    shop = books(invoice("i1", line("A", 3), TotalBeforeTax=30), told={"invoice:i1=30": "accepted"})
    assert closed(shop)["settled"]
    assert not closed(shop, "2019-01")["settled"], "there is nothing in it"
    shop.put("raw.sale_queue", {"sale_id": "s2", "first_scan": True}).build(*BOOKS)
    found = closed(shop)
    assert found["adds_up"] and not found["settled"], "who knows of which month s2 is"


def test_every_way_to_differ_has_its_name() -> None:
    freight = {"Description": "Freight", "Quantity": 1, "Price": 7}
    shop = books(
        invoice("i1", line("A", 3), TotalBeforeTax=37, AdditionalCharges=[freight]),
        invoice("i2", line("A", 1), TotalBeforeTax=14),
        notes=(credit_note("c1", line("A", 1), TotalBeforeTax=10),),
        told={"invoice:i1=10": "accepted", "invoice:i1=12": "unknown", "invoice:gone=5": "accepted"},
    )
    found = closed(shop)
    assert set(reasons(found)) == {
        ("charges outside value (shipping, handling)", Decimal(7)),
        ("lines and charges do not add up to its total", Decimal(4)),
        ("parked: nobody knows whether Emarsys has it", Decimal(12)),
        ("not sent yet", Decimal(8)),
        ("not sent yet", Decimal(10)),
        ("not sent yet", Decimal(-10)),
        ("no longer counts here: to be taken back", Decimal(-5)),
    }
    assert found["adds_up"] and not found["settled"]


def test_a_difference_without_a_reason_counts_wherever_it_stands_in_the_list() -> None:
    shop = books(
        invoice("i1", line("A", 9), TotalBeforeTax=190),
        invoice("i2", *[line("A", 1)] * 10, TotalBeforeTax=100.05),
    )
    assert not closed(shop)["adds_up"] and not months.close(shop.facts, "2026-11", limit=1)["adds_up"]


def test_documents_of_a_voided_sale_are_in_the_books_and_left_out_by_name() -> None:
    shop = Shop()
    shop.product("A").sale("s1", Status="VOIDED", Invoices=[invoice("i1", line("A", 3), TotalBeforeTax=30)])
    found = closed(shop.build(*BOOKS))
    assert reasons(found) == [("sale voided", Decimal(30))]
    assert found["totals"]["together"]["mart"] == 0 and found["settled"]


def test_what_comes_after_the_month_stands_apart_and_a_locked_span_is_named() -> None:
    shop = Shop()
    shop.clear("raw.me").put("raw.me", {"Company": "Test", "TimeZone": "Australia/Sydney", "LockDate": "2026-10-31"})
    shop.product("A").sale("s1", Invoices=[invoice("i1", line("A", 1), InvoiceDate="2026-10-30", TotalBeforeTax=10)])
    found = closed(shop.build(*BOOKS), "2026-10")  # first read on 24 November
    assert found["locked"] and found["over"]
    assert not found["days"] and [day["books"] for day in found["late"]] == [10]
    late = found["differences"][0]
    assert (late["late"], late["locked"]) == (True, True)
    assert closed(shop, "2026-11")["totals"]["together"]["documents"] == 0


@pytest.mark.parametrize("written", ["9999-12", "2026-13", "2026-1", "x", "", "2026-11-01", "٢٠٢٦-١١"])
def test_what_is_no_month_is_refused(written: str) -> None:
    with pytest.raises(months.NoSuchMonth, match="YYYY-MM"):
        months.span(written)
