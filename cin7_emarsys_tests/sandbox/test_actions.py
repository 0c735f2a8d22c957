"""The actions a test can ask for: defaults, answers, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.merchant.actions import Actions
from cin7_emarsys.sandbox.merchant.documents import header
from cin7_emarsys.sandbox.merchant.model import Sale
from cin7_emarsys.sandbox.merchant.world import SCALES, Merchant
from cin7_emarsys_tests.sandbox.conftest import NewVendor, Vendor

Act = Callable[..., dict[str, Any]]


def test_every_action_works_without_parameters_after_a_day(merchant: Merchant, act: Act) -> None:
    act("day")
    act("order", draft=True)
    for name in Actions(merchant).known:
        if name not in ("corrupt", "day"):
            assert act(name)["do"] == name


def test_defaults_are_deterministic() -> None:
    def story(seed: int) -> list[Any]:
        merchant = Merchant(Clock(), seed=seed)
        desk = Actions(merchant)
        return [{k: v for k, v in e.items() if k != "at"} for e in desk.act({"do": "day"})["events"]]

    assert story(1) == story(1) != story(2)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"do": "dance"}, ("dance", "order(sku", "transfer(", "day()")),
        ({}, ("None", "order(sku")),
        ({"do": "order", "colour": "red"}, ("colour", "quantity")),
        ({"do": "order", "sku": "NOPE"}, ("NOPE",)),
        ({"do": "order", "quantity": "many"}, ("quantity",)),
        ({"do": "order", "quantity": -1}, ("quantity",)),
        ({"do": "order", "location": "Moon"}, ("Moon", "3PL")),
        ({"do": "order", "lines": [{"sku": "TPL-01", "qty": 1}]}, ("qty", "drop_ship")),
        ({"do": "ship", "sale_id": "SO-99999"}, ("SO-99999",)),
        ({"do": "adjust", "sku": "TPL-01", "delta": -1000, "location": "3PL"}, ("unpicked",)),
        ({"do": "transfer", "sku": "TPL-01", "to": "3PL", "to_bin": "X"}, ("3PL has no bin",)),
        ({"do": "corrupt"}, ("entity",)),
        ({"do": "corrupt", "entity": "ship"}, ("availability",)),
        ({"do": "rename", "sku": "TPL-01", "to": "SHOP-01"}, ("exists",)),
        ({"do": "order", "repeat": 0}, ("repeat",)),
    ],
)
def test_what_is_wrong_is_named(vendor: Vendor, body: dict[str, Any], words: tuple[str, ...]) -> None:
    error = vendor.post("merchant", body, status=400)["error"]
    assert all(word in error for word in words), error


def test_a_credit_note_that_stands_alone_is_not_invoiced(act: Act) -> None:
    note, order = act("credit_note"), act("order")
    with pytest.raises(ValueError, match="is not authorised"):
        act("invoice", sale_id=note["sale_id"])
    act("credit_note")
    assert act("invoice")["sale_id"] == order["sale_id"]


def test_repeat_and_touch(vendor: Vendor) -> None:
    done = vendor.act("order", sku="GLOVE-L", repeat=3)
    assert len({r["sale_id"] for r in done["results"]}) == 3
    touched = vendor.act("touch", count=20)
    rows = vendor.get("saleList", Limit=20)["SaleList"]
    assert len({row["Updated"] for row in rows}) == 1
    assert {row["SaleID"] for row in rows} <= set(touched["sale_ids"])


def test_a_day_has_everything(new_vendor: NewVendor) -> None:
    vendor = new_vendor(seed=4)
    before = vendor.ledger()
    vendor.post("clock", {"advance": 3600})
    start = vendor.http.get(f"{vendor.root}/_sandbox/ledger", params={"limit": 1}).json()["rows"][0]["at"]
    vendor.post("clock", {"advance": 3600})
    events = vendor.act("day")["events"]
    after = vendor.ledger()
    did = {event["why"]: event for event in events}
    restocked = did["restock of a sold-out SKU"]["sku"]
    assert before[restocked]["truth"] == 0 < after[restocked]["truth"]
    moved = did["moved to quarantine: on hand lies"]
    assert after[moved["sku"]]["on_hand"] > after[moved["sku"]]["truth"]
    promised = did["last units promised without allocation"]
    assert promised["order_status"] == "AUTH_NO_ALLOC"
    assert after[promised["sku"]]["truth"] == 0 < after[promised["sku"]]["on_hand"]
    assert did["refund with restock"]["restock"] and not did["refund of money only"]["restock"]
    gone = did["deprecated product"]["sku"]
    assert after[gone]["truth"] == 0 < before[gone]["truth"]
    assert vendor.get("product", Sku=did["new product"]["sku"])["Total"] == 1
    assert did["price change"]["price"] != did["price change"]["old"]
    assert vendor.ledger(at=start) == before
    assert vendor.act("day")["events"]  # and the next day too


def test_products_change(vendor: Vendor) -> None:
    made = vendor.act("new_product", sku="NEW & ONE", price=12.5, quantity=3)
    row = vendor.get("product", Sku="NEW & ONE")["Products"][0]
    assert (row["ID"], row["PriceTier1"]) == (made["product_id"], 12.5)
    vendor.act("rename", sku="NEW & ONE", to="NEW-TWO")
    vendor.act("title", sku="NEW-TWO", title="Two")
    vendor.act("price", sku="NEW-TWO", price=0)
    row = vendor.get("product", ID=made["product_id"])["Products"][0]
    assert (row["SKU"], row["Name"], row["PriceTier1"]) == ("NEW-TWO", "Two", 0)
    assert vendor.ledger()["NEW-TWO"]["truth"] == 3
    vendor.act("deprecate", sku="NEW-TWO")
    assert vendor.get("product", ID=made["product_id"])["Total"] == 0
    assert vendor.get("ref/productavailability", Sku="NEW-TWO")["Total"] == 0
    assert vendor.ledger()["NEW-TWO"] == {"on_hand": 3.0, "allocated": 0.0, "truth": 0}
    vendor.act("reactivate", sku="NEW-TWO")
    assert vendor.get("ref/productavailability", Sku="NEW-TWO")["ProductAvailabilityList"][0]["OnHand"] == 3
    kit = vendor.act("new_product", sku="NEW-KIT", components=[{"sku": "NEW-TWO", "quantity": 2}])
    assert vendor.ledger()[kit["sku"]]["truth"] == 1


def test_customers_change(vendor: Vendor) -> None:
    made = vendor.act("new_customer", email="brand.new@example.com", consent=2)
    order = vendor.act("order", email="brand.new@example.com")
    assert order["customer_id"] == made["customer_id"]
    vendor.act("change_email", customer=made["customer_id"], to="newer@example.com")
    row = vendor.get("customer", ID=made["customer_id"])["CustomerList"][0]
    assert row["Contacts"][0]["Email"] == "newer@example.com"
    assert vendor.get("sale", ID=order["sale_id"])["Email"] == "brand.new@example.com"
    vendor.act("edit_customer", customer=made["customer_id"], status="Deprecated")
    assert vendor.get("customer", ID=made["customer_id"])["Total"] == 0


def test_an_order_taken_from_an_unknown_address_is_a_guest(vendor: Vendor) -> None:
    sale = vendor.get("sale", ID=vendor.act("order", email="nobody@example.com")["sale_id"])
    assert (sale["Customer"], sale["Email"]) == ("Web Shop Guest", "nobody@example.com")


def test_an_old_sale_keeps_its_figures_when_the_catalogue_changes(merchant: Merchant, act: Act) -> None:
    old = merchant.sales.get(5)
    merchant.products[old.lines[0].product].prices = (old.lines[0].price * 9,) * 10
    act("edit_customer", customer=merchant.people.get(old.customer).id, tier="Wholesale", name="Other")
    act("new_customer")
    act("new_product", quantity=2)
    assert merchant.sales.get(5) == old


@pytest.mark.parametrize("fate", ["returned", "voided", "unpaid", "advanced"])
def test_old_sales_can_be_acted_on(merchant: Merchant, act: Act, fate: str) -> None:
    conditions: dict[str, Callable[[Sale], bool]] = {
        "returned": lambda s: bool(s.credit_notes) and s.order_status == "AUTHORISED",
        "voided": lambda s: s.voided,
        "unpaid": lambda s: any(i.status == "AUTHORISED" for i in s.invoices),
        "advanced": lambda s: s.type == "Advanced Sale",
    }
    old = next(s for n in range(merchant.sales.source.count) if conditions[fate](s := merchant.sales.get(n)))
    before = sum(row.on_hand for row in merchant.book.of(old.lines[0].product).values())
    if fate == "voided":
        with pytest.raises(ValueError, match="void already"):
            act("void", sale_id=old.id)
    elif fate == "unpaid":
        act("pay", sale_id=old.id)
        sale = merchant.sales.find(old.id)
        assert header(sale, merchant.warehouse.goods(sale)).status == "COMPLETED"
    else:
        act("void", sale_id=old.number)
        assert merchant.sales.find(old.id).voided
        assert sum(row.on_hand for row in merchant.book.of(old.lines[0].product).values()) >= before


@pytest.mark.parametrize("scale", ["small", "store"])
def test_scales_have_their_sizes(scale: str) -> None:
    merchant, size = Merchant(Clock(), scale=scale), SCALES[scale]
    assert abs(len(merchant.products) - size.products) <= 6
    assert len(merchant.people) == size.customers
    assert len(merchant.sales) == size.sales
    assert len({p.sku.strip().lower() for p in merchant.products}) == len(merchant.products)
    assert len({merchant.sales.get(n).id for n in range(0, len(merchant.sales), 7)}) == len(range(0, size.sales, 7))
