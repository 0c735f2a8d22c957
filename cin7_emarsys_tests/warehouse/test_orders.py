"""Rows in, rows out: sales, documents, persons, value, sales lines, events and contacts."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from cin7_emarsys.warehouse import factory, gates
from cin7_emarsys_tests.warehouse.world import T0, World, credit_note, invoice, line, order

AFTER = "2026-11-24 12:00:00"
NEW = {"_in_first_scan": False}
OLD = {"_in_first_scan": True}


class Sold(World):
    read_models = (
        "mart.excluded",
        "mart.order_events",
        "mart.document_faults",
        "mart.customer_value_lines",
        "mart.sales_lines",
    )


def shop(**policy: Any) -> World:
    world = Sold(**policy).product("A", Category="Cups").product("B", Category="Tea").product("S", Type="Service")
    return world.put("raw.customers", account("C-1", "Ana", contact("ana@example.com", Name="Ana Lee Gray")))


def account(name: str, title: str, *contacts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"ID": name, "Name": title, "Status": "Active", "Contacts": list(contacts)} | more


def contact(email: str, **more: Any) -> dict[str, Any]:
    return {"Email": email, "Default": True, "MarketingConsent": 1} | more


def value(world: World, person: str = "ana@example.com") -> dict[str, Any]:
    row: dict[str, Any] = world.one(f"mart.customer_value where person_id = '{person}'")
    return {
        name: content for name, content in row.items() if content and name not in ("person_id", "email", "currency")
    }


def test_a_purchase_adds_up_to_its_statement() -> None:
    world = shop()
    world.sale("s1", Invoices=[invoice("i1", line("A", 3, 10, Discount=25), line("B", 1, 4), line("S", 1, 5))])
    world.sale("s2", SaleOrderDate="2026-11-22", Invoices=[invoice("i2", line("B", 2, 50), Status="AUTHORISED")],
               CreditNotes=[credit_note("c2", line("B", 1, 50))])  # fmt: skip
    world.build()
    assert world.rows("mart.purchases", "sale_id", "gross", "refunded", "net", "items", "kind") == [
        ("s1", 31.5, 0, 31.5, 5, "purchase"), ("s2", 100, 50, 50, 2, "purchase"),
    ]  # fmt: skip
    assert world.rows("mart.refunds", "document_id", "sale_id", "refunded", "items") == [("c2", "s2", 50, 1)]
    assert {key: str(content) for key, content in value(world).items()} == {
        "customer_type": "repeat", "first_order_date": "2026-11-20", "last_order_date": "2026-11-22",
        "order_count": "2", "items": "7", "gross": "131.5", "refunded": "50", "ltv": "81.5",
        "average_order_value": "65.75", "favourite_category": "Tea", "refund_count": "1",
        "last_refund_date": "2026-11-23",
    }  # fmt: skip
    assert world.rows("mart.customer_value_lines", "document_kind", "number", "amount", "note") == [
        ("credit_note", "CR-c2", -50, "refund"), ("invoice", "INV-i1", 31.5, "purchase"),
        ("invoice", "INV-i2", 100, "purchase"),
    ]  # fmt: skip
    assert world.rows("mart.sales_lines", '"order"', "item", "price", "quantity", "strftime(timestamp, '%d %H:%M')") == [
        ("SO-s1", "A", 22.5, 3, "21 00:00"), ("SO-s1", "B", 4, 1, "21 00:00"), ("SO-s1", "S", 5, 1, "21 00:00"),
        ("SO-s2", "B", -50, -1, "23 00:00"), ("SO-s2", "B", 100, 2, "21 00:00"),
    ]  # fmt: skip


@pytest.mark.parametrize("status", ["VOIDED", "DRAFT", "NOT AVAILABLE"])
def test_invoices_that_do_not_count(status: str) -> None:
    world = shop()
    world.sale(
        "s1", Status="INVOICING", Order=order(line("A", 1)), Invoices=[invoice("i1", line("A", 1), Status=status)]
    )
    world.build()
    assert world.rows("mart.purchases") == []
    assert world.rows("mart.open_orders", "sale_id", "person_id") == [("s1", "ana@example.com")]
    assert value(world) == {"customer_type": "new", "open_orders": 1}
    assert world.rows("staging.invoices", "is_counted") == [False]


def test_a_voided_sale_counts_for_nothing_even_its_credit_notes() -> None:
    world = shop()
    world.sale("s1", {"Status": "VOIDED", "Updated": AFTER}, Status="INVOICED",
               Invoices=[invoice("i1", line("A", 1))], CreditNotes=[credit_note("c1", line("A", 1))]).build()  # fmt: skip
    assert world.one("staging.sales", "status", "is_void", "detail_is_current") == ("VOIDED", True, False)
    assert world.rows("mart.documents") == []
    assert value(world) == {"customer_type": "prospect"}


def test_given_back_whole_is_no_purchase_but_stays_in_the_sums() -> None:
    world = shop()
    goods = line("A", 2, 10)
    world.sale("s1", Invoices=[invoice("i1", goods)], CreditNotes=[credit_note("c1", goods)])
    world.sale("s2", Invoices=[invoice("i2", line("A", 1, 0))]).build()
    assert world.rows("mart.purchases", "sale_id", "is_purchase", "kind") == [
        ("s1", False, "fully_refunded"), ("s2", False, "no_value"),
    ]  # fmt: skip
    assert {key: value(world)[key] for key in ("customer_type", "gross", "refunded")} == {
        "customer_type": "prospect", "gross": 20, "refunded": 20,
    }  # fmt: skip


@pytest.mark.parametrize("basis", ["Inclusive", "Exclusive"])
def test_given_back_piece_by_piece_is_given_back_whole(basis: str) -> None:
    """Rounding of each piece leaves a cent of tax, or takes back a ten-thousandth of a discount too much."""
    given = {"Tax": 2.72} if basis == "Inclusive" else {"Discount": 12.5}
    piece = {"Tax": 0.91} if basis == "Inclusive" else given
    world = shop().sale("s1", TaxCalculation=basis, Invoices=[invoice("i1", line("A", 3, 9.99, **given))],
                        CreditNotes=[credit_note(f"c{no}", line("A", 1, 9.99, **piece)) for no in range(3)])  # fmt: skip
    world.sale("s2", Email="bob@example.com", Invoices=[invoice("i2", line("A", 3, 0.01))]).build()
    assert world.rows("mart.purchases", "sale_id", "kind") == [("s1", "fully_refunded"), ("s2", "purchase")]
    assert value(world)["customer_type"] == "prospect"
    asked = [check for check in gates.conditions() if check.name in ("over_refunded", "value_below_zero")]
    assert [gates.ask(world.connection, check).rows for check in asked] == [0, 0]


def test_charges_discounts_and_their_spread_over_the_lines() -> None:
    charges = [{"Description": text, "Quantity": 1, "Price": price} for text, price in
               (("Order discount", -1), ("Shipping", 12), ("Gift wrap fee", 0.5))]  # fmt: skip
    world = shop(orders={"revenue_charges": ["gift.?wrap"]})
    lines = [line("A", 1, 10), line("B", 1, 10), line("S", 1, 10)]
    world.sale("s1", Invoices=[invoice("i1", *lines, AdditionalCharges=charges)],
               CreditNotes=[credit_note("c1", line("A", 1, 10), AdditionalCharges=charges[:2])]).build()  # fmt: skip
    assert world.rows("staging.document_lines where is_charge", "document_kind", "title", "net", "counts") == [
        ("credit_note", "Order discount", -1, True), ("credit_note", "Shipping", 12, False),
        ("invoice", "Gift wrap fee", 0.5, True), ("invoice", "Order discount", -1, True),
        ("invoice", "Shipping", 12, False),
    ]  # fmt: skip
    assert world.rows("mart.documents", "document_id", "net", "not_counted") == [("c1", 9, 12), ("i1", 29.5, 12)]
    assert world.rows("mart.sales_lines", "document_kind", "line_no", "price") == [
        ("credit_note", 1, -9), ("invoice", 1, 9.8334), ("invoice", 2, 9.8333), ("invoice", 3, 9.8333),
    ]  # fmt: skip


def test_tax_and_currency() -> None:
    """Prices with tax are taken without; each document has its own rate."""
    world = shop(prices={"basis": "gross"})
    world.sale("s1", TaxCalculation="Inclusive", CustomerCurrency="USD", CurrencyRate=1.5,
               Invoices=[invoice("i1", line("A", 1, 110, Tax=10), CurrencyConversionRate=1.6, Total=110)],
               CreditNotes=[credit_note("c1", line("A", 0.5, 110, Tax=5))])  # fmt: skip
    world.sale("s2", CustomerCurrency="EUR", CurrencyRate=None, Invoices=[invoice("i2", line("A", 1, 7))])
    dong = [invoice("i3", line("A", 1, 10**8))]
    world.sale("s3", CustomerCurrency="VND", CurrencyRate="0.0000612345", Invoices=dong).build()
    assert world.rows("mart.documents", "document_id", "goods", "net", "fault") == [
        ("c1", 50, 75, None), ("i1", 100, 160, None), ("i2", 7, 0, "no exchange rate for EUR"),
        ("i3", 10**8, 6123.45, None),
    ]  # fmt: skip
    assert world.rows("mart.sales_lines", "price") == [-82.5, 176, 6123.45]
    assert world.one("mart.customer_value_lines where document_id = 'c1'", "fx_difference") == 5
    assert world.one("mart.excluded where flow = 'sales'", "rule") == "no_exchange_rate"


def test_amounts_too_large_for_18_digits_in_between() -> None:
    world = shop().sale("s1", Invoices=[invoice("i1", line("A", 80995, 168469.6), line("A", 3, 0.001, Discount=50))])
    assert world.build().rows("staging.document_lines", "net") == [0.0015, 13645195252]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_discounted_amount_is_rounded_once_whatever_its_size(sign: int) -> None:
    """Below and above what fits into 18 digits in between; half a ten-thousandth goes away from zero."""
    given = [("1", "0.0001", "50"), ("1.5", "5999.9999", "33.3333"), ("1", "8999.9999", "12.5"), ("1", "9000", "12.5"),
             ("90000.5", "0.0999", "12.5"), ("3", "89999.9999", "0.0001"), ("3", "90000.0001", "0.0001"),
             ("2", "10.0001", "100"), ("2", "10.0001", "150"), ("2", "10.0001", "-12.5")]  # fmt: skip
    lines = [line("A", sign * float(quantity), float(price), Discount=discount) for quantity, price, discount in given]
    world = shop().sale("s1", Invoices=[invoice("i1", *lines)]).build()
    assert [amount for _, amount in world.rows("staging.document_lines", "line_no", "amount")] == [
        float((sign * Decimal(quantity) * Decimal(price) * (100 - Decimal(discount)) / 100).quantize(
            Decimal("0.0001"), ROUND_HALF_UP)) for quantity, price, discount in given
    ]  # fmt: skip


def test_a_barcode_in_the_wrong_field_counts_as_nothing_and_stops_nothing() -> None:
    barcode = 736000291452
    freight = {"Description": "Freight", "Quantity": 1, "Price": -barcode}
    lines = {
        "quantity": line("A", barcode, 0), "price": line("A", 1, barcode), "both": line("A", barcode, barcode),
        "discount": line("A", 1, Discount=barcode), "tax": line("A", 1, Tax=barcode),
    }  # fmt: skip
    world = shop().sale("s1", Invoices=[
        *(invoice(name, line("B", 1), bad) for name, bad in lines.items()),
        invoice("charge", line("B", 1), AdditionalCharges=[freight]),
        invoice("rate", line("B", 1), line("A", 9, 10**7), CurrencyConversionRate=25000, TotalBeforeTax=barcode),
        invoice("draft", *[lines["both"]] * 200, Status="DRAFT"),
    ])  # fmt: skip
    world.build(*factory.needed_for(*Sold.read_models, "reconciliation.document_books"))
    assert world.rows("mart.documents", "goods", "items") == [(10, 1)] * 7
    assert set(world.rows("mart.document_faults where document_id <> 'rate'", "fault")) == {
        "an amount no document can have"
    }
    assert len(world.rows("mart.document_faults")) == 7
    assert world.one("reconciliation.document_books where document_id = 'rate'", "books", "counted") == (0, 250000)


def test_documents_that_do_not_match_their_totals() -> None:
    world = shop()
    world.sale("s1", Invoices=[invoice("i1", line("A", 3, 3.335), TotalBeforeTax=10.02),
                               invoice("i2", line("A", 3, 3.335), TotalBeforeTax=10.03)]).build()  # fmt: skip
    assert world.rows("mart.document_faults", "document_id", "difference") == [("i2", -0.025)]


def test_prices_with_tax_are_checked_with_and_without_it() -> None:
    totals = {"TotalBeforeTax": 100, "Tax": 10, "Total": 110}
    world = shop().sale("s1", TaxCalculation="Inclusive", Invoices=[
        invoice("good", line("A", 1, 110, Tax=10.01), **totals),
        invoice("no tax", line("A", 1, 110), **totals),
        invoice("no price", line("A", 1, 108, Tax=8), **totals),
    ]).build()  # fmt: skip
    assert world.rows("mart.document_faults", "document_id", "difference") == [("no price", -2), ("no tax", 10)]


def test_a_credit_note_counts_once_whichever_endpoint_gave_it() -> None:
    world = shop()
    world.sale("s1", Invoices=[invoice("i1", line("A", 9))], CreditNotes=[credit_note("t1", line("A", 1))])
    twice = [credit_note("T1", line("A", 1)), credit_note("x", line("A", 1), TaskID=None, CreditNoteNumber=" CR-t1 ")]
    world.put("raw.credit_notes", {"SaleID": "s1", "CreditNotes": twice, "_header_updated": "2026-11-25"})
    world.put("raw.credit_notes", {"SaleID": "free", "CreditNotes": [credit_note("f", line("B", 2, 4), TaskID=None)]})
    for sale, number in (("free", "CR-f "), ("lost", "CR-lost")):
        world.put("raw.credit_note_headers", {"SaleID": sale, "CreditNoteNumber": number, "CustomerID": "C-1"})
    world.build()
    assert world.rows("staging.credit_notes", "document_id", "is_standalone", "is_counted") == [
        ("CR-f", True, True), ("t1", False, True),
    ]  # fmt: skip
    assert world.rows("staging.document_lines where document_kind = 'credit_note'", "document_id", "net") == [
        ("CR-f", 8),
        ("t1", 10),
    ]
    assert world.rows("mart.refunds", '"order_number"', "refunded", "is_standalone") == [
        ("CR-f", 8, True), ("SO-s1", 10, False),
    ]  # fmt: skip
    assert (value(world)["refunded"], world.one("mart.purchases", "refunded")) == (18, 10)


def test_a_credit_note_that_was_read_before_its_order_stays_one_refund() -> None:
    note = credit_note("n1", line("A", 1, 4), CreditNoteNumber="CR-1")
    head = {"SaleID": "s1", "CreditNoteNumber": "CR-1", "CustomerID": "C-1", "CustomerCurrency": "AUD", "Updated": T0}
    world = shop().put("raw.credit_note_headers", head | {"CreditNoteStatus": "AUTHORISED"})
    world.put("raw.credit_notes", {"SaleID": "s1", "CreditNotes": [note], "_header_updated": T0}).build()
    assert world.rows("mart.refunds", "document_id", "order_number", "is_standalone") == [("n1", "CR-1", True)]
    assert (value(world)["refunded"], world.rows("mart.purchases")) == (4, [])
    assert events(world) == [("refund_issued:n1", "refund_issued", None)]
    assert json.loads(world.one("mart.order_events", "data"))["currency"] == "AUD"

    world.sale("s1", NEW, Invoices=[invoice("i1", line("A", 1, 10))], CreditNotes=[note]).build()
    assert world.rows("mart.refunds", "document_id", "order_number", "is_standalone") == [("n1", "SO-s1", False)]
    assert (value(world)["refunded"], value(world)["ltv"], world.one("mart.purchases", "refunded")) == (4, 6, 4)
    assert [trigger for trigger, *_ in events(world)] == ["purchase:s1", "refund_issued:n1"]

    world.clear("raw.sales", "raw.sale_headers").sale("s1", NEW, Invoices=[invoice("i1", line("A", 1, 10))]).build()
    assert world.rows("mart.refunds") == []  # the order's own detail does not have it any more


def test_a_stand_alone_note_is_history_by_the_merchants_own_calendar() -> None:
    """The first reading began on the 24th in Los Angeles, which is the 25th in UTC; both notes were made after it."""
    world = shop().clear("raw.me", "raw.watermarks").put("raw.me", {"TimeZone": "America/Los_Angeles"})
    world.put(
        "raw.watermarks", {"entity": "baseline", "watermark": "2026-11-25 02:00", "completed_at": "2026-11-25 06:00"}
    )
    for day in ("23", "24"):
        made = {"SaleID": day, "_header_updated": "2026-11-25 05:00"}
        head = {"SaleID": day, "CreditNoteNumber": f"CR-{day}", "CustomerID": "C-1", "Updated": "2026-11-25 05:00"}
        note = credit_note(day, line("A", 1), CreditNoteDate=f"2026-11-{day}")
        world.put("raw.credit_note_headers", head).put("raw.credit_notes", made | {"CreditNotes": [note]})
    assert events(world.build()) == [("refund_issued:24", "refund_issued", None)]


def test_whose_a_sale_is() -> None:
    world = shop(customers={"generic_customers": ["web guests"], "wholesale_price_tiers": ["Trade"]})
    world.put("raw.customers", account("C-2", "Blank"), account("G", "Web Guests", contact("shop@example.com")))
    world.put("raw.customers", account("C-3", "Trader", contact("t@example.com"), PriceTier="Trade"))
    for name, customer, email in (
        ("s1", "C-1", "Bob@Example.com"), ("s2", "C-1", None), ("s3", "C-2", "n/a"), ("s4", "G", None),
        ("s5", "G", "guest@example.com"), ("s6", "C-3", ""),
    ):  # fmt: skip
        world.sale(name, CustomerID=customer, Customer=customer, Email=email, Invoices=[invoice(name, line("A", 1))])
    world.build()
    assert world.rows("mart.sale_persons", "sale_id", "person_id", "rule") == [
        ("s1", "bob@example.com", "sale_email"), ("s2", "ana@example.com", "default_contact"),
        ("s3", "customer:c-2", "customer_account"), ("s4", None, "none"), ("s5", "guest@example.com", "sale_email"),
        ("s6", "t@example.com", "default_contact"),
    ]  # fmt: skip
    assert world.rows("mart.persons", "person_id", "is_wholesale") == [
        ("ana@example.com", False), ("bob@example.com", False), ("customer:c-2", False), ("guest@example.com", False),
        ("t@example.com", True),
    ]  # fmt: skip
    assert world.rows("mart.sales_documents", "document_id", "excluded") == [
        ("s1", None), ("s2", None), ("s3", "no_email"), ("s4", "no_person"), ("s5", None), ("s6", None),
    ]  # fmt: skip
    assert value(world, "t@example.com")["customer_type"] == "wholesale"


def test_an_order_belongs_to_nobody_until_its_detail_says_whose_it_is() -> None:
    """The header names the account; its default contact may be somebody else than who ordered."""
    head = {"SaleID": "s1", "Status": "ORDERED", "OrderStatus": "AUTHORISED", "CustomerID": "C-1", "Updated": T0}
    world = shop().put("raw.sale_headers", head).build()
    assert (world.rows("mart.open_orders"), value(world)) == ([], {"customer_type": "prospect"})
    world.clear("raw.sale_headers").sale("s1", head, Email="bob@example.com", Order=order(line("A", 1))).build()
    assert value(world) == {"customer_type": "prospect"}
    assert value(world, "bob@example.com") == {"customer_type": "new", "open_orders": 1}


def test_contacts_carry_every_attribute_and_clear_what_is_gone() -> None:
    world = shop().sale("s1", Invoices=[invoice("i1", line("A", 1, 12.345))])
    row = world.build().one("mart.contacts")
    attributes = json.loads(row["attributes"])
    assert set(attributes) == {name.attribute for name in world.merchant.contacts.field_map} | {"external_id"}
    assert set(row["derived"]) == set(attributes) - {"first_name", "last_name", "customer_id", "external_id"}
    assert (row["first_name"], row["last_name"], row["consent"]) == ("Ana", "Lee Gray", "unknown")
    assert (attributes["ltv"], attributes["order_count"], attributes["last_refund_date"]) == ("12.35", "1", None)
    before = row["payload_hash"]
    assert world.build().one("mart.contacts", "payload_hash") == before

    world.put("raw.sale_queue", {"sale_id": "s9", "first_scan": True}).build()
    assert set(json.loads(world.one("mart.contacts", "attributes"))) == {
        "first_name", "last_name", "customer_id", "external_id", "currency",
    }  # fmt: skip


def test_contacts_that_stay_out_and_consent_of_any_account() -> None:
    world = Sold(customers={"generic_customers": ["Guests"], "wholesale_tags": ["b2b"], "include_wholesale": False})
    world.put("raw.customers",
              account("C-1", "One", contact("a@example.com", MarketingConsent=2), contact("not an address")),
              account("C-2", "Two", contact("A@example.com ", MarketingConsent=3), Status="Deprecated"),
              account("C-3", "Old", contact("old@example.com"), Status="Deprecated"),
              account("C-4", "Big", contact("big@example.com"), Tags="x, B2B"),
              account("C-5", "Guests", contact("guests@example.com"))).build()  # fmt: skip
    assert world.rows("mart.contacts", "email", "consent", "customer_id") == [("a@example.com", "opt_out", "c-2")]
    assert world.rows("mart.excluded where flow = 'contacts'", "key", "rule") == [
        ("big@example.com", "wholesale"), ("c-1:2", "invalid_email"), ("c-5:1", "generic_customer"),
        ("old@example.com", "deprecated_customer"),
    ]  # fmt: skip
    assert world.rows("staging.contacts", "customer_id", "is_valid") == [
        ("c-1", False), ("c-1", True), ("c-2", True), ("c-3", True), ("c-4", True), ("c-5", True),
    ]  # fmt: skip
    assert world.rows("staging.customers", "customer_id", "is_wholesale", "is_generic") == [
        ("c-1", False, False), ("c-2", False, False), ("c-3", False, False), ("c-4", True, False), ("c-5", False, True),
    ]  # fmt: skip


def events(world: World) -> list[Any]:
    return world.rows("mart.order_events", "trigger_id", "event", "excluded")


def test_history_is_silent_and_what_comes_later_is_an_event() -> None:
    world = shop().sale("s1", OLD, Invoices=[invoice("i1", line("A", 1))])
    world.build().build()
    assert events(world) == []
    assert world.rows("mart.order_facts", "fact_id", "silent", "absorbed") == [
        ("invoiced:i1", True, True), ("purchase:s1", True, True), ("seen:s1", True, False),
    ]  # fmt: skip
    assert world.rows("mart.excluded where flow = 'events'", "rule") == ["absorbed_by_baseline"]

    world.clear("raw.sales", "raw.sale_headers").sale(
        "s1", OLD | {"Updated": AFTER}, Invoices=[invoice("i1", line("A", 1))],
        CreditNotes=[credit_note("c1", line("A", 0.5, 10))], _header_updated=AFTER,
        Fulfilments=[{"FulfillmentNumber": 2, "Pick": {"Status": "AUTHORISED", "Lines": [line("A", 1)]},
                      "Ship": {"Status": "AUTHORISED", "Lines": [{"Carrier": "Post", "TrackingNumber": "T1"}]}}],
    ).now(AFTER).build()  # fmt: skip
    assert events(world) == [
        ("order_shipped:s1:2", "order_shipped", None), ("refund_issued:c1", "refund_issued", None),
    ]  # fmt: skip
    shipped, refund = (json.loads(data) for _, data in world.rows("mart.order_events", "trigger_id", "data"))
    assert (shipped["carrier"], shipped["tracking_number"], shipped["order"]) == ("Post", "T1", "SO-s1")
    assert shipped["lines"] == [
        {"sku": "A", "title": "The A", "quantity": "1", "price": None, "image": None, "link": None},
    ]  # fmt: skip
    assert (refund["refund"], refund["credit_note"], refund["currency"]) == ("5.00", "CR-c1", "AUD")
    assert world.rows("mart.sales_documents", "document_id", "excluded") == [("c1", None), ("i1", "history")]


def test_first_and_repeat_are_decided_once() -> None:
    world = shop()
    world.sale("s2", NEW, SaleOrderDate="2026-11-21", Invoices=[invoice("i2", line("A", 1))])
    world.sale("s3", NEW, SaleOrderDate="2026-11-22", Invoices=[invoice("i3", line("A", 1))]).build()
    expected = [("purchase:s2", "first_purchase", None), ("purchase:s3", "repeat_purchase", None)]
    assert events(world) == expected
    world.sale("s1", NEW, SaleOrderDate="2026-11-01", Invoices=[invoice("i1", line("A", 1))]).build()
    assert events(world) == [("purchase:s1", "repeat_purchase", None), *expected]
    assert world.rows("mart.order_events", "kind") == ["marketing"] * 3


def test_a_customer_of_the_history_is_greeted_as_such_once_it_is_read() -> None:
    world = shop().put("raw.sale_queue", {"sale_id": "s1", "first_scan": True})
    world.sale("s2", NEW, Invoices=[invoice("i2", line("A", 1))]).build()
    assert events(world) == []
    world.sale("s1", OLD, SaleOrderDate="2020-01-01", Invoices=[invoice("i1", line("A", 1))]).clear("raw.sale_queue")
    assert events(world.build()) == [("purchase:s2", "repeat_purchase", None)]


def test_backordered_then_cancelled_and_why_events_stay() -> None:
    late = {"events": {"order_backordered": {"name": "x", "deadline_hours": 1}}}
    world = shop(**late).sale("s1", NEW | {"Status": "BACKORDERED"}, Status="BACKORDERED",
                              Order=order(line("A", 3, BackorderQuantity=2)))  # fmt: skip
    world.sale("s2", NEW | {"Status": "VOIDED"}, Status="VOIDED")  # never announced, so not cancelled
    world.put("raw.customers", account("C-9", "Nobody"))
    world.sale("s3", NEW, CustomerID="C-9", Email=None, Invoices=[invoice("i3", line("A", 1))]).build()
    assert events(world) == [
        ("order_backordered:s1", "order_backordered", None), ("purchase:s3", "first_purchase", "no_email"),
    ]  # fmt: skip
    data = json.loads(world.one("mart.order_events where sale_id = 's1'", "data"))
    assert [(part["sku"], part["quantity"]) for part in data["lines"]] == [("A", "2")]

    # attempts that certainly changed nothing told nobody
    tried = {"flow": "events", "key": "order_backordered:s1"}
    world.put("delivery.records", tried | {"outcome": "retryable"}, tried | {"outcome": "rejected"})
    assert events(world.now(AFTER).build())[0] == ("order_backordered:s1", "order_backordered", "too_late")
    world.connection.execute("update raw.sale_headers set Status = 'VOIDED', Updated = ? where SaleID = 's1'", [AFTER])
    world.build()
    assert events(world)[:2] == [
        ("order_backordered:s1", "order_backordered", "undone"), ("order_cancelled:s1", "order_cancelled", None),
    ]  # fmt: skip
    world.put("delivery.records", {"flow": "events", "key": "order_backordered:s1", "outcome": "accepted"}).build()
    assert events(world)[0][2] is None


@pytest.mark.trouble
def test_what_is_undone_before_anybody_was_told_is_not_told() -> None:
    parcel = {"FulfillmentNumber": 1, "Ship": {"Status": "AUTHORISED", "Lines": []}}
    documents = {"Invoices": [invoice("i1", line("A", 2))], "CreditNotes": [credit_note("c1", line("A", 1))]}
    world = shop().sale("s1", NEW, Fulfilments=[parcel], **documents).build()
    names = (
        ("order_shipped:s1:1", "order_shipped"),
        ("purchase:s1", "first_purchase"),
        ("refund_issued:c1", "refund_issued"),
    )
    assert events(world) == [(*name, None) for name in names]
    world.clear("raw.sales", "raw.sale_headers").sale("s1", NEW | {"Status": "ORDERING", "OrderStatus": "DRAFT"},
                                                      Status="ORDERING").build()  # fmt: skip
    assert events(world) == [(*name, "undone") for name in names]
    world.put("delivery.records", {"flow": "events", "key": "purchase:s1", "outcome": "unknown"}).build()
    assert events(world)[1] == (*names[1], None)  # perhaps it was told: that is for a person to say
    world.clear("raw.sales", "raw.sale_headers").sale("s1", NEW, Fulfilments=[parcel], **documents).build()
    assert events(world) == [(*name, None) for name in names]


def test_source_rows_of_sales_are_sent_or_excluded() -> None:
    world = shop().put("raw.customers", account("C-9", "Nobody"))
    world.sale("s1", NEW, Invoices=[invoice("i1", line("A", 1), line("A", 1))])
    world.sale("s2", OLD, Invoices=[invoice("i2", line("A", 1))], CreditNotes=[credit_note("c2", line("A", 1, 0))])
    world.sale("s3", NEW, CustomerID="C-9", Email=None, Invoices=[invoice("i3", line("A", 1))]).build()
    assert len(world.rows("mart.sales_lines")) == 2
    assert world.rows("mart.excluded where flow = 'sales'", "key", "rule") == [
        ("credit_note:c2:1", "history"), ("invoice:i2:1", "history"), ("invoice:i3:1", "no_email"),
    ]  # fmt: skip


def test_an_item_is_spelt_as_in_the_catalogue_and_vanished_ones_are_listed() -> None:
    world = shop(orders={"history_sales_data": True})
    lines = [line("A", 1, SKU=" a "), line("X", 1, SKU="X-1 "), line("A", 1, SKU="OLD-A")]
    world.sale("s1", Invoices=[invoice("i1", *lines)]).build()
    assert world.rows("mart.sales_lines", "item") == ["A", "OLD-A", "X-1"]
    assert world.rows("mart.catalogue where held_reason = 'gone_from_cin7'", "item", "available") == [
        ("OLD-A", False), ("X-1", False),
    ]  # fmt: skip
