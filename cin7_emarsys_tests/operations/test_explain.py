"""Why an item is, or is not, available: now, and as it was known at a moment that has passed."""

from __future__ import annotations

import io
import re
from datetime import datetime
from typing import Any

import pytest
from rich.console import Console

from cin7_emarsys import views
from cin7_emarsys.emarsys.projection import ensure_delivery_tables
from cin7_emarsys.operations.explain import REASONS, explain_sku
from cin7_emarsys.operations.refusals import NotKnown
from cin7_emarsys.warehouse import factory
from cin7_emarsys_tests.warehouse.test_availability import STOCK
from cin7_emarsys_tests.warehouse.world import World, line, merchant, order, part

POLICY = {"availability": {"sellable_locations": ["Main"], "blocked_bins": ["DAMAGED"]}}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-24 {text}")


class Told(World):
    """A world whose items are published and collected as well."""

    def __init__(self) -> None:
        super().__init__(**POLICY)
        ensure_delivery_tables(self.connection)

    def count(self, at: str, *stock: dict[str, Any]) -> Told:
        self.snapshot(f"n{at}", f"2026-11-24 {at}", stock)
        self.build(*STOCK)
        return self

    def publish(self, version: int, at: str, collected: str | None, **stock: int) -> None:
        times = {"published_at": f"2026-11-24 {at}", "collected_at": collected and f"2026-11-24 {collected}"}
        self.put("delivery.publications", {"version": version} | times)
        self.connection.execute(
            "update delivery.catalogue_history set until_version = ? where until_version is null", [version]
        )
        for sku, units in stock.items():
            row = {"item": sku, "available": units > 0, "price": 10, "c_stock": units, "version": version}
            self.put("delivery.catalogue_history", row)

    def ask(self, sku: str = "A", at: str | None = None) -> dict[str, Any]:
        return explain_sku(self.connection, sku, moment(at) if at else None)

    def charged(self, facts: dict[str, Any]) -> dict[str, int]:
        return {term["term"]: int(term["charged"]) for term in facts["waterfall"]["terms"] if term["charged"]}


def unallocated(world: World, units: int) -> None:
    status = {"Status": "ORDERED"}
    goods = order(line("A", units), status="AUTH_NO_ALLOC")
    world.sale("s1", {"OrderStatus": "AUTH_NO_ALLOC"} | status, Order=goods, **status)


def shown(facts: dict[str, Any], width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(views.stock.explanation(facts))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


@pytest.fixture(scope="module")
def world() -> Told:
    """10:00 nine units; 10:20 an order and a damaged lot leave none; 10:40 all is shipped and restocked."""
    told = Told()
    told.product("A").product("B", Type="Service").product("OLD", Status="Deprecated").product("C")
    told.count("10:00", {"sku": "A", "on_hand": 9})
    told.publish(1, "10:01", "10:05", A=9)
    unallocated(told, 5)
    told.count("10:20", {"sku": "A", "on_hand": 4}, {"sku": "A", "Bin": "DAMAGED", "on_hand": 5})
    told.publish(2, "10:21", "10:35", A=0)
    told.clear("raw.sales", "raw.sale_headers")
    told.connection.execute("update raw.products set Name = 'Renamed'")
    told.count("10:40", {"sku": "A", "on_hand": 20})
    told.publish(3, "10:41", None, A=20)
    return told


def test_the_past_is_answered_with_what_was_known_then(world: Told) -> None:
    then = world.ask(at="10:30")
    assert (then["title"], then["waterfall"]["ats"], world.charged(then)) == (
        "The A", 0, {"blocked_bin": 5, "open_unallocated": 4},
    )  # fmt: skip
    assert [(row["bin"], int(row["on_hand"]), row["bar"]) for row in then["rows"]] == [
        (None, 4, None), ("damaged", 5, "blocked_bin"),
    ]  # fmt: skip
    assert [(row["order_number"], int(row["ordered"]), row["term"]) for row in then["orders"]] == [
        ("SO-s1", 5, "open_unallocated")
    ]
    assert (then["state"]["state"], then["state"]["changed_at"]) == ("out_of_stock", moment("10:20"))
    assert (then["published"]["version"], then["published"]["available"], then["published"]["collected_at"]) == (
        2, False, None,
    )  # fmt: skip
    assert (then["collected"]["version"], then["collected"]["c_stock"]) == (1, 9)
    assert then["why"] == (
        "of 9 on hand none can be promised: 5 in blocked or staging bins, 4 ordered, not yet allocated"
    )


def test_without_a_moment_it_is_what_is_known_now(world: Told) -> None:
    now = world.ask(" a ")
    assert (now["title"], now["waterfall"]["ats"], now["orders"]) == ("Renamed", 20, [])
    assert (now["state"]["state"], now["why"]) == (
        "out_of_stock", "there are units again, but not yet in as many counts as it takes (in 1 of 2 snapshots)",
    )  # fmt: skip
    assert (now["published"]["version"], now["collected"]["version"]) == (3, 2)
    assert [change["to_state"] for change in now["changes"]] == ["out_of_stock"]
    assert world.ask(at="10:10")["changes"] == []


def test_every_reason_has_words() -> None:
    models = factory.models()
    texts = [models[name].sql for name in ("mart.confirmations", "mart.stock_states")]
    codes = {
        code for text in texts for code in re.findall(r"^\s+when (?:not )?.* then (?:format\()?'(\w+)", text, re.M)
    }
    assert "not_confirmed" in codes
    assert codes - {"discontinued", "not_tracked", "out_of_stock", "low_stock", "held"} <= REASONS.keys()


@pytest.mark.parametrize(
    ("sku", "why"),
    [
        ("B", "Cin7 keeps no stock of it (Service)"),
        ("OLD", "it is deprecated in Cin7, so it is not offered whatever is in stock"),
        ("C", "there is none on hand"),
    ],
)
def test_items_without_stock_say_why(world: Told, sku: str, why: str) -> None:
    facts = world.ask(sku)
    assert facts["why"] == why
    assert why in " ".join(shown(facts).split())


def test_what_is_not_known_is_said_with_a_way_on(world: Told) -> None:
    with pytest.raises(NotKnown, match=r"did you mean OLD\?"):
        world.ask("OLDD")
    with pytest.raises(NotKnown, match=r"begins at 2026-11-24 10:00:00 UTC"):
        world.ask("A", "09:59")


def test_a_renamed_item_leads_to_its_product() -> None:
    told = Told()
    told.product("A").count("10:00", {"sku": "A", "on_hand": 9})
    told.connection.execute("update raw.products set SKU = 'A2'")
    told.count("10:20", {"sku": "A2", "ID": "P-A", "on_hand": 9})
    old = told.ask("A")
    assert (old["renamed_to"], old["state"]["state"], old["waterfall"]) == ("A2", "discontinued", None)
    assert "The product is called A2 now." in shown(old)
    assert told.ask("A", "10:10")["waterfall"]["ats"] == 9
    with pytest.raises(NotKnown, match="was called A at"):
        told.ask("A2", "10:10")


def test_orders_kits_and_rules_behind_the_terms_are_those_of_the_terms() -> None:
    told = Told()
    hold = {"name": "trade", "category": "Things", "units": 2, "for_tag": "trade", "from": "2026-11-01"}
    rules = {"holds": [hold], "buffers": [{"sku": "CUP", "percent": 10}, {"units": 1}]}
    told.merchant = merchant(availability=POLICY["availability"] | rules)
    told.product("CUP").kit("A", part("CUP", 4)).kit("X", part("NOPE"), Category="Else")
    status = {"Status": "ORDERED"}
    for name, order_status, more in (
        ("s1", "AUTHORISED", {}), ("s2", "AUTH_NO_ALLOC", {}), ("s3", "AUTH_NO_ALLOC", {"Location": "Outlet"}),
        ("s4", "DRAFT", {}), ("s5", "AUTHORISED", {"Location": "Outlet"}),
    ):  # fmt: skip
        goods = order(line("CUP", 3), line("A", 1), status=order_status)
        told.sale(name, {"OrderStatus": order_status} | status, Order=goods, **status, **more)
    told.count("10:00", {"sku": "CUP", "on_hand": 40, "Allocated": 3}, {"sku": "A", "Allocated": 1})
    facts = told.ask("CUP")
    requested = {term["term"]: int(term["requested"]) for term in facts["waterfall"]["terms"] if term["requested"]}
    assert requested == {"allocated": 3, "open_unallocated": 11, "reserved": 10, "buffer": 2}
    assert [(row["order_number"], row["term"], int(row["units"])) for row in facts["orders"]] == [
        ("SO-s2", "open_unallocated", 3), ("SO-s1", "allocated", 3),
    ]  # fmt: skip
    kits = [
        (row["kit"], row["location"], int(row["order_units"]), int(row["hold_units"])) for row in facts["kit_orders"]
    ]
    assert kits == [("A", None, 8, 8)]
    assert [(rule["rule"], rule["name"], rule["units"], rule["percent"]) for rule in facts["rules"]] == [
        ("hold", "trade", 2, None), ("buffer", "sku", None, 10),
    ]  # fmt: skip
    assert [tuple(fault.values()) for fault in told.ask("X")["bill_faults"]] == [("missing", "X → NOPE")]
    text = shown(facts)
    assert max(len(row) for row in text.splitlines()) <= 100
    for words in ("hold trade", "buffer (of this SKU)", "10 % of what remains", "Left for kits"):
        assert words in text
    assert "a component is not in Cin7: X → NOPE" in shown(told.ask("X"))
    told.clear("raw.sales", "raw.sale_headers").count("10:20", {"sku": "CUP", "on_hand": 40})
    assert told.ask("CUP")["kit_orders"][0]["order_units"] == 0
    assert told.ask("CUP", "10:10")["orders"] == facts["orders"]  # what was known then is kept


def test_a_kit_names_the_component_that_limits_it() -> None:
    told = Told()
    told.product("CUP").product("RUG").kit("A", part("CUP", 4), part("RUG"))
    told.count("10:00", {"sku": "CUP", "on_hand": 20}, {"sku": "RUG", "on_hand": 3})
    facts = told.ask("A")
    assert [(each["sku"], int(each["allows"]), each["limits"]) for each in facts["components"]] == [
        ("CUP", 5, False), ("RUG", 3, True),
    ]  # fmt: skip
    assert (facts["waterfall"]["kit_build"], facts["why"]) == (3, "3 can be promised now")
    assert "+ can be built from components" in shown(facts)


def test_it_fits_a_hundred_columns(world: Told) -> None:
    text = shown(world.ask(at="10:30"))
    assert max(len(row) for row in text.splitlines()) <= 100
    assert "at Emarsys available, stock 9, price 10.00, version 1 collected 2026-11-24 10:05 UTC" in text
    assert "blocked or staging bin" in text
    assert "as known at 2026-11-24 10:30 UTC" in text
