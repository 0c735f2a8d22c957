"""Days at the merchant: what happened becomes known at Emarsys, once, and nothing else does."""

from __future__ import annotations

import pytest

from cin7_emarsys_tests.end_to_end.conftest import Place
from cin7_emarsys_tests.end_to_end.month import lived_through


def test_a_day_reaches_emarsys_once_and_truly(busy: Place) -> None:
    before = {tuple(line) for line in busy.judged()["sales"]}
    day = busy.ask("CIN7", "/_sandbox/merchant", {"do": "day"})["events"]
    outcome = busy.sync("nightly")
    assert outcome["ok"]

    shipped = {deed["order_number"] for deed in day if deed["do"] == "ship"}
    refunded = {deed["order_number"] for deed in day if deed["do"] == "refund"}
    events = busy.ask("EMARSYS", "/_sandbox/events?limit=1000")["events"]
    orders = {kind: [e["data"]["order"] for e in events if e["event"] == kind] for kind in {e["event"] for e in events}}
    assert sorted(orders["cin7_order_shipped"]) == sorted(shipped)
    assert sorted(orders["cin7_refund_issued"]) == sorted(refunded)
    # first and repeat purchase are marketing, and nobody has opted in
    assert "cin7_repeat_purchase" not in orders
    assert "cin7_first_purchase" not in orders

    fresh = [line for line in busy.judged()["sales"] if line not in before]
    invoiced = {deed["order_number"] for deed in day if deed["do"] == "invoice"}
    assert {order for order, *_ in fresh} == invoiced | refunded

    quarantined = next(deed["sku"] for deed in day if deed["do"] == "transfer")
    assert busy.rows(f"select available, c_stock from mart.catalogue where item = '{quarantined}'") == [(False, 0)]
    promised = next(deed["sku"] for deed in day if deed["do"] == "sell_out")
    assert busy.rows(f"select available from mart.catalogue where item = '{promised}'") == [(False,)]
    deprecated = next(deed["sku"] for deed in day if deed["do"] == "deprecate")
    state = f"select available, c_stock_state from mart.catalogue where item = '{deprecated}'"
    assert busy.rows(state) == [(False, "discontinued")]

    busy.sync("stock")  # what came back into stock is confirmed by a second snapshot
    again = busy.sync("nightly")
    assert [key for key, figures in again["assets"].items() if figures.get("sent")] == []


def test_consent_opens_the_way_for_marketing_and_only_then(busy: Place) -> None:
    order = busy.ask("CIN7", "/_sandbox/merchant", {"do": "order", "sku": "CUP-ENAMEL", "quantity": 1})
    for deed in ("ship", "invoice"):
        busy.ask("CIN7", "/_sandbox/merchant", {"do": deed, "sale_id": order["sale_id"]})
    busy.sync("orders")
    purchases = ("cin7_first_purchase", "cin7_repeat_purchase")

    def heard() -> list[str]:
        events = busy.ask("EMARSYS", "/_sandbox/events?limit=1000")["events"]
        return [e["event"] for e in events if e["event"] in purchases and e["email"] == order["email"]]

    assert heard() == []
    busy.ask("EMARSYS", "/_sandbox/contacts", {"email": order["email"], "fields": {"optin": "1"}})
    busy.sync("orders")
    assert len(heard()) == 1
    busy.sync("orders")
    assert len(heard()) == 1


def test_the_judge_after_busy_days(busy: Place) -> None:
    done = lived_through(busy, seed=1, half_days=2, busy=90)
    assert done.keys() >= {"undo", "void", "void_invoice", "refund", "edit", "change_email"}


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 5))
def test_the_judge_after_a_month(place: Place, seed: int) -> None:
    place.sync("nightly")
    lived_through(place, seed=seed, half_days=60, busy=20)
