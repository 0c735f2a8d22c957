"""Sale documents: every example of a strange sale is there and adds up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cin7_emarsys_tests.sandbox.conftest import Vendor


def D(value: Any) -> Decimal:
    return Decimal(str(value))


def check_document(document: dict[str, Any], inclusive: bool) -> None:
    """Line arithmetic and totals, as the vendor states them."""
    parts = [*document["Lines"], *document["AdditionalCharges"]]
    for part in parts:
        expected = D(part["Quantity"]) * D(part["Price"]) * (100 - D(part["Discount"])) / 100
        assert abs(expected - D(part["Total"])) <= Decimal("0.005")
    total, tax = sum(D(p["Total"]) for p in parts), sum(D(p["Tax"]) for p in parts)
    assert tax == D(document["Tax"])
    assert total == D(document["Total"] if inclusive else document["TotalBeforeTax"])
    assert D(document["TotalBeforeTax"]) + tax == D(document["Total"])


def check_sale(sale: dict[str, Any]) -> None:
    inclusive = sale["TaxCalculation"] == "Inclusive"
    documents = [*sale["Invoices"], *sale["CreditNotes"]]
    if sale.get("Order"):
        documents.append(sale["Order"])
    for document in documents:
        check_document(document, inclusive)
    for invoice in sale["Invoices"]:
        assert D(invoice["Paid"]) == sum((D(p["Amount"]) for p in invoice["Payments"]), D(0))
        assert (invoice["Status"] == "PAID") == (invoice["Paid"] >= invoice["Total"]) or invoice["Status"] == "VOIDED"


def odd(vendor: Vendor, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(header, detail) of the example sale."""
    rows = vendor.rows("saleList", "SaleList", Search=f"ODD-{name}")
    row = next(r for r in rows if r["CustomerReference"] == f"ODD-{name}")
    return row, vendor.get("sale", ID=row["SaleID"], HideInventoryMovements="true")


def test_every_sale_adds_up_and_agrees_with_its_header(vendor: Vendor) -> None:
    for row in vendor.rows("saleList", "SaleList"):
        sale = vendor.get("sale", ID=row["SaleID"])
        check_sale(sale)
        assert sale["LastModifiedOn"] == row["Updated"]
        assert (sale["Status"], sale["FulFilmentStatus"]) == (row["Status"], row["FulFilmentStatus"])
        live = sum((D(i["Total"]) for i in sale["Invoices"] if i["Status"] in ("AUTHORISED", "PAID")), D(0))
        assert live == D(row["SaleInvoicesTotalAmount"])
        notes = sum((D(c["Total"]) for c in sale["CreditNotes"] if c["Status"] == "AUTHORISED"), D(0))
        assert live - notes == D(row["InvoiceAmount"])


@pytest.mark.parametrize(
    ("name", "status", "order_status"),
    [
        ("SIMPLE", "COMPLETED", "AUTHORISED"),
        ("ADVANCED", "ORDERED", "AUTHORISED"),
        ("SERVICE", "COMPLETED", "NOT AVAILABLE"),
        ("VOIDED", "VOIDED", "VOIDED"),
        ("REISSUED", "COMPLETED", "AUTHORISED"),
        ("BACKORDER", "BACKORDERED", "AUTHORISED"),
        ("NO-ALLOC", "ORDERED", "AUTH_NO_ALLOC"),
        ("NO-ALLOC-PICKED", "PICKING", "AUTH_NO_ALLOC"),
        ("UNDONE", "ORDERED", "AUTHORISED"),
        ("DRAFT", "ORDERING", "DRAFT"),
        ("CREDIT-RESTOCK", "COMPLETED", "AUTHORISED"),
    ],
)
def test_status_words(vendor: Vendor, name: str, status: str, order_status: str) -> None:
    row, sale = odd(vendor, name)
    assert (row["Status"], row["OrderStatus"]) == (status, order_status)
    assert sale["Status"] == status


def test_shapes_of_the_examples(vendor: Vendor) -> None:
    _, advanced = odd(vendor, "ADVANCED")
    assert [i["Status"] for i in advanced["Invoices"]] == ["AUTHORISED", "PAID"]
    assert advanced["FulFilmentStatus"] == "PARTIALLY FULFILLED"
    _, service = odd(vendor, "SERVICE")
    assert not service.get("Order")
    assert service["Invoices"][0]["Status"] == "PAID"
    _, reissued = odd(vendor, "REISSUED")
    assert [i["Status"] for i in reissued["Invoices"]] == ["VOIDED", "PAID"]
    _, backorder = odd(vendor, "BACKORDER")
    line = backorder["Order"]["Lines"][0]
    assert (line["Backorder"], line["Quantity"], line["BackorderQuantity"]) == (True, 10, 7)
    _, foreign = odd(vendor, "FOREIGN")
    assert (foreign["CustomerCurrency"], foreign["CurrencyRate"]) == ("USD", 1.5237)
    _, charges = odd(vendor, "CHARGES")
    assert [c["Price"] for c in charges["Order"]["AdditionalCharges"]] == [12, -10]
    _, free = odd(vendor, "FREE-LINE")
    assert (free["Order"]["Lines"][0]["Discount"], free["Order"]["Lines"][0]["Total"]) == (100, 0)
    _, fraction = odd(vendor, "FRACTION")
    assert [x["Quantity"] for x in fraction["Invoices"][0]["Lines"]] == [2.5, 0.75]
    _, drop_ship = odd(vendor, "DROPSHIP")
    assert drop_ship["Order"]["Lines"][0]["DropShip"] is True
    assert drop_ship["Fulfilments"] == []
    assert odd(vendor, "EMPTY-EMAIL")[1]["Email"] == ""
    guest, sale = odd(vendor, "GUEST")
    assert (guest["Customer"], sale["Email"]) == ("Web Shop Guest", "web.guest@example.com")
    assert odd(vendor, "INCLUSIVE")[1]["TaxCalculation"] == "Inclusive"
    assert odd(vendor, "EXCLUSIVE")[1]["TaxCalculation"] == "Exclusive"
    _, legacy = odd(vendor, "LEGACY")
    assert legacy["Order"]["Lines"] == [] != legacy["Invoices"][0]["Lines"]
    assert odd(vendor, "CREDIT-MONEY")[1]["CreditNotes"][0]["Restock"] == []
    assert odd(vendor, "CREDIT-RESTOCK")[1]["CreditNotes"][0]["Restock"][0]["Quantity"] == 1


def test_stand_alone_credit_note(vendor: Vendor) -> None:
    assert "ODD-CREDIT-ALONE" not in {r["CustomerReference"] for r in vendor.rows("saleList", "SaleList")}
    rows = vendor.rows("saleCreditNoteList", "SaleList")
    row = next(r for r in rows if r["CustomerReference"] == "ODD-CREDIT-ALONE")
    assert row["Type"] == "Sale Credit Note"
    assert "SaleInvoicesTotalAmount" not in row
    notes = vendor.get("sale/creditnote", SaleID=row["SaleID"])["CreditNotes"]
    assert notes[0]["Status"] == "AUTHORISED"
    assert notes[0]["Payments"][0]["Type"] == "Refund"
    assert notes[0]["TaskID"] == vendor.get("sale", ID=row["SaleID"])["CreditNotes"][0]["TaskID"]
    vendor.post("switches", {"credit_note_as_sale": False})
    assert vendor.raw("sale", ID=row["SaleID"]).status_code == 400
    assert vendor.raw("sale/creditnote", SaleID=row["SaleID"]).status_code == 200
    vendor.post("switches", {"credit_note_of_sales_only": True})
    assert vendor.get("sale/creditnote", SaleID=row["SaleID"]) == {"SaleID": row["SaleID"], "CreditNotes": []}
    attached = next(r for r in rows if r["CustomerReference"] == "ODD-CREDIT-RESTOCK")
    assert vendor.get("sale/creditnote", SaleID=attached["SaleID"])["CreditNotes"]
    assert attached["RestockStatus"] == "AUTHORISED"


def test_options_of_the_detail(vendor: Vendor) -> None:
    row, sale = odd(vendor, "CHARGES")
    combined = vendor.get("sale", ID=row["SaleID"].upper(), CombineAdditionalCharges="true", CountryFormat="Code2")
    assert combined["Order"]["AdditionalCharges"] == []
    assert len(combined["Order"]["Lines"]) == 3
    assert combined["Order"]["Total"] == sale["Order"]["Total"]
    assert combined["BillingAddress"]["Country"] == "AU"
    assert sale["BillingAddress"]["Country"] == "Australia"


def test_a_sale_through_its_life(vendor: Vendor) -> None:
    made = vendor.act("order", sku="PARTIAL-01", quantity=2, shipping=9.95, email="life@example.com")
    ident = made["sale_id"]

    def see() -> tuple[str, str, str]:
        head = vendor.get("saleList", Search=made["order_number"])["SaleList"][0]
        check_sale(vendor.get("sale", ID=ident))
        return head["Status"], head["CombinedInvoiceStatus"], head["CombinedPaymentStatus"]

    before = vendor.ledger()["PARTIAL-01"]
    assert see() == ("ORDERED", "NOT INVOICED", "UNPAID")
    vendor.act("pick", sale_id=ident)
    assert see()[0] == "PICKED"
    vendor.act("ship", sale_id=ident)
    assert see()[0] == "SHIPPING"
    after = vendor.ledger()["PARTIAL-01"]
    assert (after["on_hand"], after["allocated"]) == (before["on_hand"] - 2, before["allocated"] - 2)
    assert after["truth"] == before["truth"]
    vendor.act("invoice", sale_id=ident)
    assert see() == ("INVOICED", "INVOICED", "UNPAID")
    vendor.act("pay", sale_id=ident)
    assert see() == ("COMPLETED", "INVOICED", "PAID")
    vendor.act("void_invoice", sale_id=ident)
    assert [i["Status"] for i in vendor.get("sale", ID=ident)["Invoices"]] == ["VOIDED", "PAID"]
    vendor.act("refund", sale_id=ident, quantity=1, restock=True)
    assert see() == ("COMPLETED", "INVOICED / CREDITED", "PAID")
    assert vendor.ledger()["PARTIAL-01"]["on_hand"] == before["on_hand"] - 1
    vendor.act("undo", sale_id=ident)
    assert see()[0] == "ORDERING"
    assert vendor.ledger()["PARTIAL-01"]["on_hand"] == before["on_hand"]
    vendor.act("allocate", sale_id=ident)
    assert see()[0] == "ORDERED"
    vendor.act("void", sale_id=ident)
    assert see()[0] == "VOIDED"
    assert vendor.ledger()["PARTIAL-01"]["allocated"] == before["allocated"] - 2
