"""Replay of retail lines, on a small file that has every oddity."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from cin7_emarsys.sandbox.cin7.render_sales import SaleRenderer
from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.merchant.world import Merchant
from cin7_emarsys_tests.sandbox.conftest import NewVendor

_ROWS = """
('489434', '85048 ', 'Lights', 12, '2009-12-01 07:45', 6.95, '13085', 'United Kingdom', '2009-2010', 1),
('489434', '85048', 'Lights', 12, '2009-12-01 07:45', 6.95, '13085', 'United Kingdom', '2009-2010', 2),
('489434', 'POST', 'POSTAGE', 1, '2009-12-01 07:45', 18.00, '13085', 'United Kingdom', '2009-2010', 3),
('489435', '22041a', 'Record', 3, '2010-07-01 23:30', 0.001, NULL, 'France', '2009-2010', 4),
('489435', '22041A', 'Record', -2, '2010-07-01 23:30', 0, NULL, 'France', '2009-2010', 5),
('489436', '22041A', 'damaged', -150, '2010-07-02 10:00', 0, NULL, 'France', '2009-2010', 6),
('C489449', '85048', 'Lights', -5, '2009-12-03 10:33', 6.95, '13085', 'United Kingdom', '2009-2010', 7),
('A506401', 'B', 'Adjust bad debt', 1, '2010-04-29 13:36', -53594.36, NULL, 'United Kingdom', '2009-2010', 8),
('536365', '85123A', 'Heart', 6, '2010-12-01 08:26', 2.55, '17850', 'United Kingdom', '2009-2010', 9),
('536365', '85123A', 'Heart', 6, '2010-12-01 08:26', 2.55, '17850', 'United Kingdom', '2010-2011', 1),
('C536379', 'D', 'Discount', -1, '2010-12-01 09:41', 27.50, '17850', 'United Kingdom', '2010-2011', 2)
"""


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "retail.parquet"
    columns = "invoice_no, stock_code, description, quantity, invoice_date, unit_price, customer_id, country, sheet, "
    with duckdb.connect() as db:
        db.execute(f"create table t as select * from (values {_ROWS}) v({columns}line_no)")
        db.execute(
            f"copy (select * replace (quantity::integer as quantity, invoice_date::timestamp as invoice_date,"
            f" unit_price::decimal(18,4) as unit_price) from t) to '{path}' (format parquet)"
        )
    return path


def test_replay_follows_the_rules(retail: Path) -> None:
    merchant = Merchant(Clock(), history=retail)
    assert (merchant.currency, merchant.zone.key) == ("GBP", "Europe/London")
    assert {p.sku: (p.type, p.sellable) for p in merchant.products} == {
        "22041A": ("Stock", True), "85048": ("Stock", True), "85123A": ("Stock", True),
        "B": ("Service", False), "D": ("Service", False), "POST": ("Service", False),
    }  # fmt: skip
    sales = [merchant.sales.get(n) for n in range(len(merchant.sales))]
    assert [s.number for s in sales] == ["SO-489434", "SO-489435", "SO-536365", "C489449", "C536379"]
    assert [str(line.quantity) for line in sales[0].lines] == ["12", "12", "1"]
    assert str(sales[1].lines[0].price) == "0.001"
    assert [str(line.quantity) for line in sales[3].lines] == ["5"]
    assert sales[1].email is None
    assert sales[0].email == "c13085@example.com"
    on_hand = {p.sku: sum(r.on_hand for r in merchant.book.of(p.n).values()) for p in merchant.products if p.is_stock}
    assert on_hand == {"85048": 100, "85123A": 100, "22041A": 100 - 152}
    assert merchant.sellable_truth(merchant.catalogue.find("22041A").n) == 0
    assert merchant.sellable_truth(merchant.catalogue.find("85048").n) == 100


def test_short_form_for_lists_says_the_same(retail: Path) -> None:
    merchant = Merchant(Clock(), history=retail)
    renderer = SaleRenderer(merchant)
    for n in range(len(merchant.sales)):
        whole, brief = (json.loads(renderer.list_row(x)) for x in (merchant.sales.get(n), merchant.sales.brief(n)))
        assert whole == brief


def test_replay_over_http(retail: Path, new_vendor: NewVendor) -> None:
    vendor = new_vendor(history=str(retail))
    assert vendor.get("me")["Currency"] == "GBP"
    rows = vendor.rows("saleList", "SaleList")
    assert [r["OrderNumber"] for r in rows] == ["SO-536365", "SO-489435", "SO-489434"]
    assert rows[1]["Updated"] == "2010-07-01T22:30:00.0Z"
    assert rows[1]["OrderDate"] == "2010-07-01T00:00:00"
    assert {r["Status"] for r in rows} == {"COMPLETED"}
    sale = vendor.get("sale", ID=rows[2]["SaleID"])
    invoice = sale["Invoices"][0]
    assert (invoice["Status"], invoice["Total"], len(invoice["Lines"])) == ("PAID", 184.8, 3)
    assert vendor.get("sale", ID=rows[1]["SaleID"])["Invoices"][0]["Total"] == 0.003
    notes = vendor.rows("saleCreditNoteList", "SaleList")
    assert [n["CreditNoteNumber"] for n in notes] == ["C536379", "C489449"]
    note = vendor.get("sale/creditnote", SaleID=notes[1]["SaleID"])["CreditNotes"][0]
    assert (note["Status"], note["Lines"][0]["Quantity"], note["Total"]) == ("AUTHORISED", 5, 34.75)
    customers = {c["Name"]: c for c in vendor.rows("customer", "CustomerList")}
    assert customers["Customer 13085"]["Contacts"][0]["MarketingConsent"] == 0
    assert (
        vendor.act("order", sku="85048", email="c13085@example.com")["customer_id"] == customers["Customer 13085"]["ID"]
    )
    vendor.act("refund", sale_id="SO-489434", sku="85048", quantity=1, restock=True)
    assert vendor.ledger()["85048"] == {"on_hand": 101.0, "allocated": 1.0, "truth": 100}
