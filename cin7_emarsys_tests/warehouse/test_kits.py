"""Rows in, rows out: what kits can be built, what keeps them from more, and what their orders take from components."""

from __future__ import annotations

from typing import Any

import pytest

from cin7_emarsys.warehouse import factory
from cin7_emarsys_tests.warehouse.world import T0, World, line, order, part

Row = dict[str, Any]
PLACES = {"sellable_locations": ["Main", "Shop"]}


def waiting(world: World, *lines: Row, name: str = "s1", **detail: Any) -> World:
    """An order that waits without an allocation."""
    head = {"OrderStatus": "AUTH_NO_ALLOC", "Status": "ORDERED"}
    return world.sale(name, head, Status="ORDERED", Order=order(*lines, status="AUTH_NO_ALLOC"), **detail)


def figures(world: World, *columns: str) -> dict[str, Any]:
    """SKU → kit_build and ats, or these columns, of every product."""
    rows = world.rows("mart.ats where valid_to is null", "sku", *(columns or ("kit_build", "ats")))
    return {sku: values[0] if len(values) == 1 else tuple(values) for sku, *values in rows}


class Kits(World):
    read_models = ("mart.ats",)


def shop(**availability: Any) -> World:
    world = Kits(availability=PLACES | availability)
    for sku in ("CUP", "RUG", "OIL"):
        world.product(sku)
    return world.product("WRAP", Type="Service")


def test_a_bill_says_what_a_run_takes_and_makes() -> None:
    """Wastage by percent or quantity, units per run, services beside; the smallest share of a location limits."""
    world = shop().kit("A", part("CUP", 4), part("RUG"), part("OIL", 2, WastagePercent=5), part("WRAP"))
    world.kit("B", part("CUP", 2, WastageQuantity=0.5), QuantityToProduce=2)
    world.kit("C", part("CUP", 1, WastagePercent=50), part("CUP", 1), QuantityToProduce=0)
    stock = [
        {"sku": "CUP", "on_hand": 20}, {"sku": "RUG", "on_hand": 9}, {"sku": "OIL", "on_hand": 6.3},
        {"sku": "CUP", "on_hand": 9, "Location": "Shop"}, {"sku": "RUG", "on_hand": 9, "Location": "Shop"},
        {"sku": "OIL", "on_hand": 4.2, "Location": "shop "}, {"sku": "OIL", "on_hand": 90, "Location": "Outlet"},
        {"sku": "A", "on_hand": 2, "Location": "Shop"},
    ]  # fmt: skip
    world.snapshot("n1", T0, stock).build()
    assert world.rows("staging.components", "kit_sku", "component_sku", "makes", "need") == [
        ("A", "CUP", 1, 4), ("A", "OIL", 1, 2.1), ("A", "RUG", 1, 1), ("B", "CUP", 2, 2.5), ("C", "CUP", 1, 2.5),
    ]  # fmt: skip
    assert world.rows("mart.kit_builds", "kit_id", "location_key", "runs", "units") == [
        ("p-a", "main", 3, 3), ("p-a", "shop", 2, 2), ("p-b", "main", 8, 16), ("p-b", "shop", 3, 6),
        ("p-c", "main", 8, 8), ("p-c", "shop", 3, 3),
    ]  # fmt: skip
    assert figures(world)["A"] == (5, 7)
    limiting = world.rows("mart.kit_components where limits and kit_id = 'p-a'", "component_id", "location_key", "free")
    assert limiting == [("p-cup", "shop", 9), ("p-oil", "main", 6.3), ("p-oil", "shop", 4.2)]
    shared = world.rows("mart.kit_components where shared_component", "component_id", "kit_id")
    assert sorted(set(shared)) == [("p-cup", "p-a"), ("p-cup", "p-b"), ("p-cup", "p-c")]


def test_without_kits_their_tables_are_empty_as_their_queries_would_say() -> None:
    world = shop(holds=[{"name": "trade", "sku": "CUP", "units": 4, "for_tag": "trade", "from": "2026-11-01"}])
    waiting(world.snapshot("n1", T0, [{"sku": "CUP", "on_hand": 20}]), line("CUP", 3)).build()
    spared = [model for model in factory.models().values() if model.empty_without]
    assert {model.empty_without for model in spared} == {"mart.bills", "staging.components"}
    for model in spared:
        assert world.rows(model.name) == world.connection.execute(model.sql).fetchall() == []
    world.kit("A", part("CUP")).build()
    assert figures(world)["A"] == (13, 13)


def test_a_component_gives_what_its_own_terms_leave() -> None:
    """Allocations and orders come off in their own location, what names none from the first location of the policy."""
    rows = [
        {"sku": "CUP", "on_hand": 10, "Allocated": 2}, {"sku": "CUP", "on_hand": 8, "Bin": "Dock"},
        {"sku": "CUP", "on_hand": 6, "Location": "Shop", "Allocated": 7},
        {"sku": "CUP", "on_hand": 4, "ExpiryDate": "2026-11-20"},
        {"sku": "RUG", "on_hand": 10}, {"sku": "RUG", "on_hand": 10, "Location": "Shop"},
    ]  # fmt: skip
    hold = {"name": "trade", "sku": "RUG", "units": 12, "for_tag": "trade", "from": "2026-11-01"}
    world = shop(blocked_bins=["Dock"], holds=[hold], buffers=[{"sku": "CUP", "percent": 20}])
    world.kit("A", part("CUP")).kit("B", part("RUG", 1))
    waiting(world.snapshot("n1", T0, rows), line("RUG", 3), Location="Shop").build()
    # CUP: 8 free in Main, the shop lacks 1, a fifth of 7 is kept; RUG: 3 leave the shop, 12 are held from Main on
    assert world.rows("mart.component_stock where kit_id <> ''", "component_id", "location_key", "free") == [
        ("p-cup", "main", 5), ("p-cup", "shop", 0), ("p-rug", "main", 0), ("p-rug", "shop", 5),
    ]  # fmt: skip
    assert figures(world) == {"A": (5, 5), "B": (5, 5), "CUP": (0, 5), "RUG": (0, 5), "OIL": (0, 0)}


def test_orders_for_a_kit_take_its_components() -> None:
    """The kit's stock serves them first; allocated beyond it counts too. The kit is charged after it is built."""
    world = shop().kit("A", part("CUP", 4), part("RUG")).kit("B", part("CUP", 1), QuantityToProduce=2)
    rows = [{"sku": "CUP", "on_hand": 30}, {"sku": "RUG", "on_hand": 9}, {"sku": "A", "on_hand": 2},
            {"sku": "B", "Allocated": 3}]  # fmt: skip
    waiting(world.snapshot("n1", T0, rows), line("A", 3), line("B", 2)).build()
    demand = world.rows("mart.kit_demand", "kit_id", "component_id", "backordered_units", "order_units", "hold_units")
    assert demand == [("p-a", "p-cup", 0, 4, 0), ("p-a", "p-rug", 0, 1, 0), ("p-b", "p-cup", 2, 3, 0)]
    assert figures(world, "kit_build", "requested_open_unallocated", "ats") == {
        "A": (6, 3, 5),  # 30 - 3 for B = 27: 6 runs
        "B": (48, 2, 46),  # 30 - 4 for A - 2 for its own backorder = 24 runs of 2
        "CUP": (0, 7, 23), "RUG": (0, 1, 8), "OIL": (0, 0, 0),
    }  # fmt: skip
    assert world.rows("mart.ats_orders", "order_number", "sku", "location_key", "reason", "units") == [
        ("SO-s1", "A", "main", "unallocated", 3), ("SO-s1", "B", "main", "unallocated", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ordered", "held", "left"), [(0.4, 0, 8), (1.4, 0, 6), (0, 0.4, 8), (0.4, 1.2, 6), (2e14, 0, 0)]
)
def test_part_of_a_kit_takes_a_whole_run(ordered: float, held: float, left: float) -> None:
    holds = [{"name": "trade", "sku": "A", "units": held, "for_tag": "trade", "from": "2026-11-01"}] if held else []
    world = shop(holds=holds).kit("A", part("CUP", 2)).snapshot("n1", T0, [{"sku": "CUP", "on_hand": 10}])
    waiting(world, *[line("A", ordered / 200)] * 200).build()
    assert figures(world, "ats")["CUP"] == left


def test_an_order_that_no_place_can_assemble_takes_nothing_until_one_can() -> None:
    """N needs an A and a cup in one place: the A are in Main, where all cups are allocated; free cups are in the shop."""
    world = shop().kit("N", part("A"), part("CUP")).kit("A", part("CUP", 4), part("RUG"))
    rows = [{"sku": "CUP", "on_hand": 24, "Allocated": 24}, {"sku": "CUP", "on_hand": 12, "Location": "Shop"},
            {"sku": "A", "on_hand": 9}]  # fmt: skip
    waiting(world.snapshot("n1", T0, rows), line("N", 9)).build()
    assert figures(world, "ats") == {"N": 0, "A": 9, "CUP": 12, "RUG": 0, "OIL": 0}
    world.snapshot("n2", "2026-11-24 10:15", [*rows, {"sku": "CUP", "on_hand": 1}]).build()
    assert figures(world, "ats") == {"N": 0, "A": 8, "CUP": 12, "RUG": 0, "OIL": 0}, "one of the nine"
    assert world.rows("mart.kit_turns", "kit_id", "serves", "pool", "runs") == [("p-n", "orders", "", 1)]


@pytest.mark.parametrize(
    ("ordered_on", "mode", "left"),
    [("2026-11-21", "pooled", 0), ("2026-11-19", "pooled", 2), ("2026-11-21", "separate", 2)],
)
def test_a_kit_comes_before_younger_orders_which_can_be_served_elsewhere(ordered_on: str, mode: str, left: int) -> None:
    """The cups in Main are all allocated, two of them for an order of that day; the kit's order of the 20th needs two."""
    world = shop(location_mode=mode).kit("A", part("CUP", 2), part("RUG"))
    rows = [{"sku": "CUP", "on_hand": 6, "Allocated": 6}, {"sku": "CUP", "on_hand": 2, "Location": "Shop"},
            {"sku": "RUG", "on_hand": 9}]  # fmt: skip
    world.sale("s0", {"Status": "ORDERED"}, Status="ORDERED", SaleOrderDate="2026-11-18", Order=order(line("CUP", 4)))
    world.sale("s2", {"Status": "ORDERED"}, Status="ORDERED", SaleOrderDate=ordered_on, Order=order(line("CUP", 2)))
    waiting(world.snapshot("n1", T0, rows), line("A", 1)).build()
    assert figures(world, "ats")["CUP"] == left


@pytest.mark.parametrize(("ordered_on", "left"), [("2026-11-19", (3, 9)), ("2026-11-21", (1, 8))])
def test_a_kit_waits_for_older_orders_without_allocation(ordered_on: str, left: tuple[int, int]) -> None:
    """Two cups in Main and four in the shop: an order for three takes those in Main, the kit is assembled in Main only."""
    world = shop().kit("A", part("CUP", 2), part("RUG"))
    rows = [
        {"sku": "CUP", "on_hand": 2},
        {"sku": "CUP", "on_hand": 4, "Location": "Shop"},
        {"sku": "RUG", "on_hand": 9},
    ]
    world.snapshot("n1", T0, rows)
    waiting(waiting(world, line("CUP", 3), name="s0", SaleOrderDate=ordered_on), line("A", 1)).build()
    worth = figures(world, "ats")
    assert (worth["CUP"], worth["RUG"]) == left


def test_what_a_kit_takes_it_takes_in_one_place() -> None:
    """Two A are allocated and not there: one is assembled in Main, where a cup is left over, one in the shop."""
    world = shop().kit("A", part("CUP", 2)).kit("B", part("CUP", 2))
    world.snapshot("n1", T0, [{"sku": "CUP", "on_hand": 3}, {"sku": "CUP", "on_hand": 5, "Location": "Shop"},
                              {"sku": "A", "Allocated": 2}]).build()  # fmt: skip
    assert world.rows("mart.kit_turns", "kit_id", "location_key", "runs", "runs_before") == [
        ("p-a", "main", 1, 0), ("p-a", "shop", 1, 1),
    ]  # fmt: skip
    assert figures(world) == {"A": (1, 1), "B": (1, 1), "CUP": (0, 4), "RUG": (0, 0), "OIL": (0, 0)}


def test_a_hold_on_a_kit_holds_its_components() -> None:
    holds = [{"name": "trade", "sku": "A", "units": 4, "for_tag": "trade", "from": "2026-11-01"}]
    world = shop(holds=holds, buffers=[{"sku": "A", "units": 1}]).kit("A", part("CUP", 2))
    world.snapshot("n1", T0, [{"sku": "CUP", "on_hand": 20}, {"sku": "A", "on_hand": 1}]).build()
    rules = world.rows(
        "mart.stock_rules where sku = 'A'",
        "product_id",
        "hold_units",
        "hold_percent",
        "hold_percent_ordered",
        "buffer_units",
    )
    assert rules == [("p-a", 4, 0, 0, 1)]
    assert world.rows("mart.ats_holds", "product_id", "name", "units", "percent", "ordered", "units_left") == [
        ("p-a", "trade", 4, None, 0, 4)
    ]
    assert world.rows("mart.kit_turns", "kit_id", "serves", "pool", "runs") == [("p-a", "all", "", 3)], "one is there"
    assert figures(world, "kit_build", "requested_reserved", "requested_buffer", "ats") == {
        "A": (10, 4, 1, 6), "CUP": (0, 6, 0, 14), "RUG": (0, 0, 0, 0), "OIL": (0, 0, 0, 0),
    }  # fmt: skip


def test_kits_in_kits_share_the_components_below() -> None:
    """N needs an A and a cup, A needs 4 cups: 2 from stock take 2 cups, of 18 left each further one takes 5."""
    world = shop().kit("N", part("A"), part("CUP")).kit("A", part("CUP", 4))
    world.snapshot("n1", T0, [{"sku": "CUP", "on_hand": 20}, {"sku": "A", "on_hand": 2}]).build()
    assert figures(world) == {"N": (5, 5), "A": (5, 7), "CUP": (0, 20), "RUG": (0, 0), "OIL": (0, 0)}
    assert world.rows("mart.bills", "kit_id", "component_id", "kit_level", "is_nested", "is_shared") == [
        ("p-a", "p-cup", 1, False, True), ("p-n", "p-a", 0, True, False), ("p-n", "p-cup", 0, True, True),
    ]  # fmt: skip
    waiting(world, line("N", 3)).build()
    # 2 of the 3 take the two A; the third an A of 4 cups; each a cup
    assert figures(world, "ats") == {"N": 2, "A": 3, "CUP": 13, "RUG": 0, "OIL": 0}


@pytest.mark.parametrize("mode", ["pooled", "separate"])
def test_kits_where_locations_are_separate(mode: str) -> None:
    rows = [{"sku": "CUP", "on_hand": 3, "Allocated": 5}, {"sku": "CUP", "on_hand": 6, "Location": "Shop"}]
    world = shop(location_mode=mode).kit("A", part("CUP"))
    waiting(world.snapshot("n1", T0, rows), line("A", 1), Location="Shop").build()
    assert figures(world)["A"] == ((4, 3) if mode == "pooled" else (6, 5))
    assert figures(world)["CUP"] == ((0, 3) if mode == "pooled" else (0, 5))


def test_a_bill_that_is_wrong_builds_nothing_and_is_named_with_its_path() -> None:
    world = shop().product("OLD", Status="Deprecated").product("GONE", _missing_since=T0)
    world.kit("SELF", part("SELF"), part("CUP")).kit("X", part("Y")).kit("Y", part("Z"), part("CUP")).kit(
        "Z", part("X")
    )
    world.kit("LOST", part("NOPE"), part("CUP")).kit("PAST", part("OLD")).kit("LEFT", part("GONE"))
    world.kit("NONE", part("CUP", 0)).kit("EMPTY").kit("AIR", part("WRAP")).kit("ABOVE", part("X"))
    stock = [{"sku": sku, "on_hand": 9} for sku in ("CUP", "OLD", "GONE")] + [{"sku": "X", "on_hand": 2}]
    world.snapshot("n1", T0, stock)
    waiting(world, line("LOST", 5)).build()
    assert world.rows("mart.kit_faults", "sku", "fault", "path") == [
        ("AIR", "no_components", "AIR"), ("EMPTY", "no_components", "EMPTY"), ("LEFT", "deprecated", "LEFT → GONE"),
        ("LOST", "missing", "LOST → NOPE"), ("NONE", "no_quantity", "NONE → CUP"), ("PAST", "deprecated", "PAST → OLD"),
        ("SELF", "cycle", "SELF → SELF"), ("X", "cycle", "X → Y → Z → X"), ("Y", "cycle", "Y → Z → X → Y"),
        ("Z", "cycle", "Z → X → Y → Z"),
    ]  # fmt: skip
    worth = figures(world)
    assert {sku for sku, (build, _) in worth.items() if build} == {"ABOVE"}  # of the two X in stock
    assert worth["ABOVE"] == (2, 2) and worth["X"] == (0, 2) and worth["CUP"] == (0, 9)


def test_a_kit_is_not_trusted_further_than_its_components() -> None:
    world = shop().kit("N", part("A")).kit("A", part("CUP"))
    world.snapshot("n1", T0, [{"sku": "CUP", "on_hand": 9}])
    world.put("raw.snapshot_untrusted_skus",
              {"snapshot_id": "n1", "product_id": "p-cup", "sku": "CUP", "reason": "read twice"}).build()  # fmt: skip
    assert figures(world, "untrusted_reason") == {
        "A": "component CUP: read twice", "N": "component CUP: read twice", "CUP": "read twice", "RUG": None, "OIL": None,
    }  # fmt: skip
