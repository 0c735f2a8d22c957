"""The judge on cases with a known answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cin7_emarsys.sandbox.merchant.ids import from_ms
from cin7_emarsys.sandbox.merchant.world import Merchant

Act = Callable[..., dict[str, Any]]


def truth(merchant: Merchant, sku: str) -> int:
    return merchant.sellable_truth(merchant.catalogue.find(sku).n)


@pytest.mark.parametrize(
    ("sku", "expected"),
    [
        ("STAGED-01", 2),  # 8 in staging
        ("DAMAGED-01", 0),
        ("QUARANTINE-01", 1),
        ("SHOP-01", 0),
        ("TPL-01", 15),
        ("OVERSOLD-01", 0),  # 3 on hand, 10 promised
        ("ZERO-01", 0),
        ("NEVER-01", 0),
        ("OLD-LAMP", 0),  # deprecated
        ("PART-HINGE", 0),  # not sold
        ("SETUP-01", 0),
        ("HONEY-500", 25),  # 9 expired, 14 with 10 days left
        ("NOALLOC-01", 5),  # 12, of which 7 are ordered without allocation
        ("PARTIAL-01", 30),  # 40, 7 shipped, 3 still promised
        ("KIT-BROKEN", 0),
        ("KIT-PICNIC", 17),  # limited by cups
    ],
)
def test_opening(merchant: Merchant, sku: str, expected: int) -> None:
    assert truth(merchant, sku) == expected


def test_orders_count_whether_allocated_or_not(merchant: Merchant, act: Act) -> None:
    before = truth(merchant, "TPL-01")
    act("order", sku="TPL-01", quantity=4)
    assert truth(merchant, "TPL-01") == before - 4
    act("order", sku="TPL-01", quantity=3, allocate=False)
    assert truth(merchant, "TPL-01") == before - 7
    act("order", sku="TPL-01", quantity=3, draft=True)
    act("order", sku="TPL-01", quantity=5, location="Shop Floor")
    act("order", lines=[{"sku": "TPL-01", "quantity": 2, "drop_ship": True}])
    assert truth(merchant, "TPL-01") == before - 7


def test_sold_out_in_one_order(merchant: Merchant, act: Act) -> None:
    done = act("sell_out", sku="TPL-01", allocate=False)
    assert truth(merchant, "TPL-01") == 0
    assert done["order_status"] == "AUTH_NO_ALLOC"
    shipped = act("ship", sale_id=done["sale_id"])
    assert shipped["lines"][0]["quantity"] == 15
    assert truth(merchant, "TPL-01") == 0


def test_stock_that_moves_out_of_reach(merchant: Merchant, act: Act) -> None:
    assert truth(merchant, "TEE-RED-M") == 9
    act("transfer", sku="TEE-RED-M", quantity=4, **{"from": "Main Warehouse"}, to="Quarantine")
    assert truth(merchant, "TEE-RED-M") == 5
    act("transfer", sku="TEE-RED-M", quantity=1, to="Main Warehouse", to_bin="DAMAGED")
    assert truth(merchant, "TEE-RED-M") == 4
    act("transfer", sku="TEE-RED-M", quantity=2, to="3PL")
    assert truth(merchant, "TEE-RED-M") == 4
    act("receive", sku="TEE-RED-M", quantity=10, location="Shop Floor")
    assert truth(merchant, "TEE-RED-M") == 4


def test_a_closed_location_sells_nothing_and_its_goods_are_elsewhere(merchant: Merchant, act: Act) -> None:
    moved = {(entry["sku"], entry["quantity"]) for entry in act("close", location="3PL", to="Quarantine")["moved"]}
    assert ("TPL-01", 15) in moved
    assert truth(merchant, "TPL-01") == 0
    act("transfer", sku="TPL-01", source="Quarantine", to="3PL")
    assert truth(merchant, "TPL-01") == 15
    with pytest.raises(ValueError, match="itself"):
        act("close", location="3PL", to="3pl")


def test_assembling_a_kit_changes_where_the_units_are_and_not_how_many(merchant: Merchant, act: Act) -> None:
    kits, cups = truth(merchant, "KIT-PICNIC"), truth(merchant, "CUP-ENAMEL")
    assert act("assemble", sku="KIT-PICNIC", quantity=2)["quantity"] == 2
    assert truth(merchant, "KIT-PICNIC") == kits
    assert truth(merchant, "CUP-ENAMEL") == cups - 2 * 4
    with pytest.raises(ValueError, match="KIT-BROKEN"):
        act("assemble", sku="KIT-BROKEN")


def test_hold_is_drawn_by_those_it_is_for(merchant: Merchant, act: Act) -> None:
    act("hold", sku="TPL-01", quantity=10)
    assert truth(merchant, "TPL-01") == 5
    order = act("order", sku="TPL-01", quantity=4, tier="Wholesale")
    assert truth(merchant, "TPL-01") == 5
    act("order", sku="TPL-01", quantity=2)
    assert truth(merchant, "TPL-01") == 3
    act("void", sale_id=order["sale_id"])
    assert truth(merchant, "TPL-01") == 3
    act("release_hold")
    assert truth(merchant, "TPL-01") == 13


def test_refund_with_and_without_restock(merchant: Merchant, act: Act) -> None:
    before = truth(merchant, "TPL-01")
    sale = act("order", sku="TPL-01", quantity=3)["sale_id"]
    for step in ("ship", "invoice", "pay"):
        act(step, sale_id=sale)
    assert truth(merchant, "TPL-01") == before - 3
    act("refund", sale_id=sale, quantity=1, restock=False)
    assert truth(merchant, "TPL-01") == before - 3
    act("refund", sale_id=sale, quantity=2, restock=True, location="3PL")
    assert truth(merchant, "TPL-01") == before - 1


def test_shelf_life_passes(merchant: Merchant) -> None:
    assert truth(merchant, "HONEY-500") == 25
    merchant.clock.advance(50 * 86_400)
    assert truth(merchant, "HONEY-500") == 5
    merchant.clock.advance(200 * 86_400)
    assert truth(merchant, "HONEY-500") == 0


def test_kits_share_components(merchant: Merchant, act: Act) -> None:
    """3 kits need 12 cups; the kit promise without allocation eats components too."""
    cups, kits = truth(merchant, "CUP-ENAMEL"), truth(merchant, "KIT-PICNIC")
    act("order", sku="CUP-ENAMEL", quantity=8)
    assert truth(merchant, "CUP-ENAMEL") == cups - 8
    assert truth(merchant, "KIT-PICNIC") == kits - 2
    act("order", sku="KIT-PICNIC", quantity=1, allocate=False)
    assert truth(merchant, "CUP-ENAMEL") == cups - 12
    act("receive", sku="KIT-PICNIC", quantity=5)
    assert truth(merchant, "CUP-ENAMEL") == cups - 8


def test_journal_answers_for_the_past(merchant: Merchant, act: Act) -> None:
    start = merchant.clock.now()
    before = truth(merchant, "TPL-01")
    merchant.clock.advance(60)
    act("order", sku="TPL-01", quantity=2)
    middle = merchant.clock.now()
    merchant.clock.advance(60)
    act("adjust", sku="TPL-01", delta=-1, location="3PL")

    def at(moment: Any) -> tuple[int, float]:
        rows = [r for r in merchant.ledger(10_000, 0, moment)["rows"] if r["sku"] == "TPL-01"]
        return rows[0]["sellable_truth"], sum(r["on_hand"] for r in rows)

    assert at(start) == (before, 15)
    assert at(middle) == (before - 2, 15)
    assert at(None) == (before - 3, 14)
    assert at(from_ms(merchant.now() + 1)) == (before - 3, 14)
