"""Laws that hold after any sequence of business: the books agree, and nobody is promised what is not there."""

from __future__ import annotations

import json
import pickle
from collections import defaultdict
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cin7_emarsys.sandbox.cin7.paging import Pager
from cin7_emarsys.sandbox.cin7.params import Params
from cin7_emarsys.sandbox.cin7.routes import Routes
from cin7_emarsys.sandbox.cin7.switches import Switches
from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.faults import Faults
from cin7_emarsys.sandbox.merchant.actions import Actions
from cin7_emarsys.sandbox.merchant.documents import units
from cin7_emarsys.sandbox.merchant.places import pickable
from cin7_emarsys.sandbox.merchant.world import Merchant
from cin7_emarsys_tests.conftest import law

SKUS = ("TEE-RED-S", "TPL-01", "HONEY-500", "FABRIC-M", "KIT-PICNIC", "CUP-ENAMEL", "KIT-PICNIC-DUO", "OVERSOLD-01")
BASE = pickle.dumps(Merchant(Clock(), seed=3))

quantities = st.sampled_from([1, 2, 5, 12, 40, 2.5])
sku = st.sampled_from(SKUS)
place = st.sampled_from(["Main Warehouse", "3PL", "Shop Floor"])
actions = st.one_of(
    st.fixed_dictionaries(
        {"do": st.just("order"), "sku": sku, "quantity": quantities, "allocate": st.booleans(), "location": place}
    ),
    st.fixed_dictionaries({"do": st.just("order"), "tier": st.just("Wholesale"), "sku": sku, "quantity": quantities}),
    st.fixed_dictionaries({"do": st.sampled_from(["pick", "ship"])}, optional={"quantity": quantities}),
    st.fixed_dictionaries({"do": st.sampled_from(["invoice", "pay", "void", "undo", "allocate", "void_invoice"])}),
    st.fixed_dictionaries({"do": st.just("refund"), "restock": st.booleans()}),
    st.fixed_dictionaries({"do": st.just("credit_note"), "sku": sku, "restock": st.booleans()}),
    st.fixed_dictionaries({"do": st.just("receive"), "sku": sku, "quantity": quantities}),
    st.fixed_dictionaries({"do": st.just("adjust"), "sku": sku, "delta": st.sampled_from([-1, -5, 3])}),
    st.fixed_dictionaries(
        {"do": st.just("transfer"), "sku": sku, "to": st.sampled_from(["Quarantine", "3PL", "Shop Floor"])}
    ),
    st.fixed_dictionaries({"do": st.just("hold"), "sku": sku, "quantity": quantities}),
    st.fixed_dictionaries({"do": st.sampled_from(["release_hold", "deprecate", "reactivate"])}),
    st.fixed_dictionaries({"do": st.just("edit"), "quantity": quantities}),
)


def _fresh() -> Merchant:
    merchant: Merchant = pickle.loads(BASE)
    return merchant


def after(sequence: list[dict[str, Any]]) -> Merchant:
    """The merchant after these actions; those that it cannot do are left out."""
    merchant = _fresh()
    desk = Actions(merchant)
    for body in sequence:
        try:
            desk.act(body)
        except ValueError as problem:
            assert "action" not in str(problem)  # refused by the business, not broken
    return merchant


def served(merchant: Merchant) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    routes = Routes(merchant, Switches(), Pager(Faults()))
    on_hand: dict[str, Decimal] = defaultdict(Decimal)
    allocated: dict[str, Decimal] = defaultdict(Decimal)
    for page in (1, 2, 3):
        answer = json.loads(
            routes.availability(Params(f"Page={page}&Limit=1000".encode(), reject_z=False), "/x"), parse_float=Decimal
        )
        for row in answer["ProductAvailabilityList"]:
            assert row["Available"] == row["OnHand"] - row["Allocated"]
            on_hand[row["SKU"]] += row["OnHand"]
            allocated[row["SKU"]] += row["Allocated"]
    return on_hand, allocated


@law(15)
@given(st.lists(actions, max_size=14))
def test_books_agree_and_nothing_is_promised_that_cannot_be_picked(sequence: list[dict[str, Any]]) -> None:
    merchant = after(sequence)
    on_hand, allocated = served(merchant)
    promised: dict[int, Decimal] = defaultdict(Decimal)
    for sale in merchant.sales.kept.values():
        for index, line in enumerate(sale.lines):
            if sale.allocated:
                promised[line.product] += sale.allocated[index]
                assert sale.allocated[index] >= 0
                if sale.order_status == "AUTHORISED" and not sale.voided and merchant.products[line.product].is_stock:
                    waiting = line.quantity - units(sale, index, "ship")
                    assert sale.allocated[index] == (0 if line.drop_ship else waiting)
    for product in merchant.products:
        rows = merchant.book.of(product.n)
        assert sum(row.allocated for row in rows.values()) == promised[product.n]
        assert all(row.on_hand >= 0 and 0 <= row.picked <= row.on_hand for row in rows.values())
        if product.status != "Deprecated":
            assert on_hand[product.sku] == sum(row.on_hand for row in rows.values())
            assert allocated[product.sku] == promised[product.n]
    for code in SKUS:
        product = merchant.catalogue.find(code)
        truth = merchant.sellable_truth(product.n)
        lots = merchant.book.of(product.n).items()
        shelf = sum(row.on_hand - row.picked for lot, row in lots if pickable(lot.location, lot.bin))
        assert truth >= 0
        if not product.is_kit:
            assert truth <= shelf
        if product.status != "Active":
            assert truth == 0


@law(15)
@given(st.lists(actions, max_size=10), st.sampled_from(["TEE-RED-S", "TPL-01", "HONEY-500", "FABRIC-M", "OVERSOLD-01"]))
def test_truth_can_really_be_shipped_and_one_more_cannot(sequence: list[dict[str, Any]], code: str) -> None:
    """Serve everybody who was promised something, then sell exactly the truth: the shelves must yield it."""
    merchant = after(sequence)
    product = merchant.catalogue.find(code)
    truth = merchant.sellable_truth(product.n)
    if product.status != "Active":
        return
    desk = Actions(merchant)
    for hold in [h for h in merchant.holds if h.product == product.n and h.left > 0]:
        desk.act({"do": "order", "sku": code, "quantity": str(hold.left), "tier": "Wholesale", "allocate": False})
    for sale in merchant.sales.open_sales([product.n]):
        try:
            desk.act({"do": "pick", "sale_id": sale.id})
        except ValueError:
            continue
    for wanted, fits in ((truth, True), (1, False)):
        if wanted:
            made = desk.act({"do": "order", "sku": code, "quantity": wanted, "allocate": False})
            sale = merchant.sales.find(made["sale_id"])
            try:
                desk.act({"do": "pick", "sale_id": sale.id})
            except ValueError:
                assert not fits
            assert (units(sale, 0, "pick") == wanted) is fits
