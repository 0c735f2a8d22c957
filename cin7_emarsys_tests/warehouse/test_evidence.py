"""Rows in, rows out: what is kept of each product so that the past can be explained."""

from __future__ import annotations

from cin7_emarsys_tests.warehouse.test_availability import STOCK
from cin7_emarsys_tests.warehouse.world import World, line, order


def test_orders_read_between_two_snapshots_begin_a_new_span() -> None:
    world = World().product("A").snapshot("n1", "2026-11-24 10:00:00", [{"sku": "A", "on_hand": 9}]).build(*STOCK)
    status = {"Status": "ORDERED"}
    goods = order(line("A", 9), status="AUTH_NO_ALLOC")
    world.sale("s1", {"OrderStatus": "AUTH_NO_ALLOC"} | status, Order=goods, **status)
    world.now("2026-11-24 10:08:00").build(*STOCK)
    world.now("2026-11-24 10:12:00").build(*STOCK)  # nothing happened
    spans = ("strftime(valid_from, '%H:%M')", "strftime(valid_to, '%H:%M')")
    assert world.rows("mart.ats", *spans, "ats") == [("10:00", "10:08", 9), ("10:08", None, 0)]
    kept = world.rows("mart.evidence", *spans, "state", "stock_rows[1].on_hand", "open_orders[1].order_number")
    assert kept == [("10:00", "10:08", "in_stock", 9, None), ("10:08", None, "out_of_stock", 9, "SO-s1")]


def test_places_are_spelled_as_in_cin7() -> None:
    bins = [{"ID": "B", "Name": "A-01", "IsDeprecated": False, "IsStaging": False}]
    world = World().product("A").put("raw.locations", {"ID": "L1", "Name": "Main", "Bins": bins})
    rows = [
        {"sku": "A", "on_hand": 9, "Location": " main", "Bin": "a-01 "},
        {"sku": "A", "on_hand": 1, "Location": "Attic"},
    ]
    world.snapshot("n1", "2026-11-24 10:00:00", rows).build(*STOCK)
    shown = ("stock_rows[1].location", "stock_rows[1].bin", "stock_rows[2].location")
    assert world.rows("mart.evidence", *shown) == [("Main", "A-01", "attic")]
