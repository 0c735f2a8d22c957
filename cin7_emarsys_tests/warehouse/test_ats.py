"""Rows in, rows out: staging of stock and products, and the waterfall of available to sell."""

from __future__ import annotations

from typing import Any

import pytest

from cin7_emarsys_tests.warehouse.world import T0, World, line, order

TERMS = ("non_sellable_location", "blocked_bin", "expired", "allocated", "open_unallocated", "reserved", "buffer")
Row = dict[str, Any]


def waterfall(world: World, sku: str = "A") -> Row:
    """The terms that were charged (and those requested beyond), on hand, ats: what is 0 is left out."""
    row = world.one(f"mart.ats where valid_to is null and sku = '{sku}'")
    shown = {"on_hand": row["on_hand"], "ats": row["ats"]}
    for term in TERMS:
        requested, charged = row[f"requested_{term}"], row[f"charged_{term}"]
        if requested:
            shown[term] = charged if charged == requested else (charged, requested)
    return shown | {name: row[name] for name in ("shortfall", "oversold", "charged_fraction") if row[name]}


class Stocked(World):
    read_models = ("mart.availability", "staging.allocated_orders")


def stock(*rows: Row, **policy: Any) -> World:
    return Stocked(**policy).product("A").snapshot("n1", T0, list(rows))


def test_the_example_of_the_promise() -> None:
    world = stock(
        {"sku": "A", "on_hand": 12, "Allocated": 5},
        availability={
            "holds": [{"name": "trade", "sku": "A", "units": 3, "for_tag": "trade", "from": "2026-11-01"}],
            "buffers": [{"units": 2}],
        },
    )
    world.sale("s1", {"OrderStatus": "AUTH_NO_ALLOC", "Status": "ORDERED"}, Status="ORDERED",
               Order=order(line("A", 4), status="AUTH_NO_ALLOC")).build()  # fmt: skip
    assert waterfall(world) == {
        "on_hand": 12, "allocated": 5, "open_unallocated": 4, "reserved": 3, "buffer": (0, 2), "oversold": 2, "ats": 0,
    }  # fmt: skip


def test_on_hand_that_must_not_be_promised() -> None:
    world = stock(
        {"sku": "A", "on_hand": 10},
        {"sku": "A", "on_hand": 3, "Location": "Outlet"},
        {"sku": "A", "on_hand": 2, "Bin": "Quarantine"},
        {"sku": "A", "on_hand": 4, "Bin": "dock 1"},
        {"sku": "A", "on_hand": 1, "Bin": "Inbound"},
        {"sku": "A", "on_hand": 5, "Batch": "old", "ExpiryDate": "2026-11-26"},
        {"sku": "A", "on_hand": 6, "Batch": "new", "ExpiryDate": "2026-11-27"},
        {"sku": "A", "on_hand": 7, "Location": "Fixed"},
        availability={
            "sellable_locations": ["main ", "Fixed"],
            "blocked_bins": ["Main: Quarantine", "DOCK 1"],
            "min_shelf_life_days": 3,
        },
    )
    world.put(
        "raw.locations", {"ID": "L1", "Name": "Main", "Bins": [{"ID": "B", "Name": "Inbound", "IsStaging": True}]}
    )
    world.put("raw.locations", {"ID": "L2", "Name": "Fixed", "FixedAssetsLocation": True})
    world.put("raw.locations", {"ID": "L3", "Name": "Dock 9", "ParentID": "L1", "ParentName": "Main"})
    world.build()
    assert waterfall(world) == {
        "on_hand": 38, "non_sellable_location": 3, "blocked_bin": 14, "expired": 5, "ats": 16,
    }  # fmt: skip
    assert world.rows("staging.snapshot", "on_hand", "bar") == [
        (1, "blocked_bin"), (2, "blocked_bin"), (3, "non_sellable_location"), (4, "blocked_bin"), (5, "expired"),
        (6, None), (7, "blocked_bin"), (10, None),
    ]  # fmt: skip
    assert world.rows("staging.bins", "bin_key", "is_staging") == [("dock 9", False), ("inbound", True)]
    assert world.rows("staging.locations", "location", "is_blocked") == [("Fixed", True), ("Main", False)]


def test_shelf_life_is_counted_in_the_tenants_calendar() -> None:
    """At 14:00 UTC it is the next day in Sydney: what expires today there has no day left."""
    world = Stocked().product("A")
    world.snapshot("n1", "2026-11-24 14:00", [{"sku": "A", "on_hand": 5, "ExpiryDate": "2026-11-24"}]).build()
    assert waterfall(world)["expired"] == 5


def test_sellable_locations_are_one_pool_unless_the_policy_separates_them() -> None:
    rows = ({"sku": "A", "Allocated": 8}, {"sku": "A", "on_hand": 10, "Location": "Shop"})
    locations = {"sellable_locations": ["Main", "Shop"]}
    assert waterfall(stock(*rows, availability=locations).build())["ats"] == 2
    separate = stock(*rows, availability={**locations, "location_mode": "separate"}).build()
    assert waterfall(separate) == {"on_hand": 10, "allocated": (0, 8), "oversold": 8, "ats": 10}


def test_an_allocation_on_the_row_without_bin_counts_against_the_binned_stock() -> None:
    world = stock({"sku": "A", "on_hand": 12, "Allocated": 2, "Bin": "A-01"}, {"sku": "A", "Allocated": 3}).build()
    assert waterfall(world) == {"on_hand": 12, "allocated": 5, "ats": 7}


def test_negative_stock_and_parts_of_units() -> None:
    assert waterfall(stock({"sku": "A", "on_hand": -4}).build()) == {"on_hand": -4, "shortfall": 4, "ats": 0}
    assert waterfall(stock({"sku": "A", "on_hand": 2.5}).build()) == {"on_hand": 2.5, "ats": 2, "charged_fraction": 0.5}


@pytest.mark.parametrize(
    ("header", "detail", "policy", "units"),
    [
        ({"OrderStatus": "AUTH_NO_ALLOC"}, {}, {}, 4),
        ({"OrderStatus": "AUTHORISED"}, {}, {}, 0),  # in Allocated already
        ({"OrderStatus": "AUTHORISED"}, {}, {"backorders_are_allocated": False}, 1),
        ({"OrderStatus": "DRAFT"}, {}, {}, 0),
        ({"OrderStatus": "DRAFT"}, {}, {"draft_orders_reserve": True}, 4),
        ({"OrderStatus": "AUTH_NO_ALLOC", "Status": "VOIDED"}, {"Status": "VOIDED"}, {}, 0),
        ({"OrderStatus": "AUTH_NO_ALLOC", "FulFilmentStatus": "FULFILLED"}, {}, {}, 0),
        ({"OrderStatus": "AUTH_NO_ALLOC"}, {"Location": "Outlet"}, {}, 0),
        ({"OrderStatus": "AUTH_NO_ALLOC"}, {"Location": "Main: A-01"}, {}, 4),
        ({"OrderStatus": "AUTHORISED", "Updated": "2026-11-24 11:00"}, {"_order": "AUTH_NO_ALLOC"}, {}, 0),
        ({"OrderStatus": "AUTHORISED", "Updated": "2026-11-24 09:00"}, {"_order": "AUTH_NO_ALLOC"}, {}, 4),
    ],
)
def test_open_unallocated(header: Row, detail: Row, policy: Row, units: int) -> None:
    """Orders that wait without an allocation; the newer of header and detail says whether they do."""
    world = stock({"sku": "A", "on_hand": 9}, availability=policy).product("S", Type="Service")
    lines = [line("A", 4, BackorderQuantity=1), line("A", 2, DropShip=True), line("S", 7)]
    status = detail.pop("_order", header["OrderStatus"])
    detail = {"Status": "ORDERED"} | detail
    world.sale("s1", {"Status": "ORDERED"} | header, Order=order(*lines, status=status), **detail).build()
    assert waterfall(world).get("open_unallocated", 0) == units
    assert world.rows("staging.order_lines", "sku", "quantity", "is_drop_ship") == [
        ("A", 2, True), ("A", 4, False), ("S", 7, False),
    ]  # fmt: skip


def test_a_location_may_have_a_colon_in_its_name() -> None:
    policy = {"sellable_locations": ["Shop: North"]}
    world = stock({"sku": "A", "on_hand": 9, "Location": "Shop: North"}, availability=policy)
    world.put("raw.locations", {"ID": "L", "Name": "Shop"}, {"ID": "M", "Name": "Shop: North"})
    head = {"OrderStatus": "AUTH_NO_ALLOC", "Status": "ORDERED"}
    for units, place in ((1, "Shop: North"), (2, "shop: north: A-1"), (4, "Shop: A-1")):
        ordered = order(line("A", units), status="AUTH_NO_ALLOC")
        world.sale(f"s{units}", head, Status="ORDERED", Location=place, Order=ordered)
    assert waterfall(world.build()) == {"on_hand": 9, "open_unallocated": 3, "ats": 6}


def test_what_is_picked_or_shipped_no_longer_waits() -> None:
    world = stock({"sku": "A", "on_hand": 20})
    fulfilments = [
        {"FulfillmentNumber": 1, "Pick": {"Status": "AUTHORISED", "Lines": [line("A", 2)]}},
        {"FulfillmentNumber": 2, "Pick": {"Status": "DRAFT", "Lines": [line("A", 3)]},
         "Ship": {"Status": "AUTHORISED", "Lines": [{"Carrier": "Post", "TrackingNumber": "T1"}]}},
        {"FulfillmentNumber": 3, "Pick": {"Status": "DRAFT", "Lines": [line("A", 1)]}},
        {"FulfillmentNumber": 1, "Pick": {"Status": "VOIDED", "Lines": [line("A", 4)]}},  # a number given twice
    ]  # fmt: skip
    head = {"OrderStatus": "AUTH_NO_ALLOC", "Status": "PICKING"}
    world.sale("s1", head, Status="PICKING", Order=order(line("A", 9), status="AUTH_NO_ALLOC"), Fulfilments=fulfilments)
    world.build()
    assert waterfall(world)["open_unallocated"] == 4
    assert world.rows("staging.fulfilments", "fulfilment_no", "is_taken", "is_shipped", "carrier", "tracking_number") == [
        (1, True, False, None, None), (2, True, True, "Post", "T1"), (3, False, False, None, None),
    ]  # fmt: skip
    assert world.rows("staging.pick_lines", "fulfilment_no", "quantity", "is_taken") == [
        (1, 2, True), (1, 4, False), (2, 3, True), (3, 1, False),
    ]  # fmt: skip


def test_a_hold_shrinks_by_what_its_people_ordered() -> None:
    hold = {"name": "trade", "category": "things", "units": 5, "for_price_tier": "Trade", "from": "2026-11-10"}
    world = stock({"sku": "A", "on_hand": 20, "Allocated": 3}, availability={"holds": [hold]})
    ordered = {"Status": "ORDERED", "PriceTier": "trade", "Order": order(line("A", 3))}
    world.sale("s1", {"Status": "ORDERED"}, **ordered)
    world.sale("s2", {"Status": "ORDERED"}, **ordered | {"SaleOrderDate": "2026-11-09"})  # before the hold
    world.sale("s3", {"Status": "VOIDED"}, **ordered | {"Status": "VOIDED"})
    assert waterfall(world.build()) == {"on_hand": 20, "allocated": 3, "reserved": 2, "ats": 15}


@pytest.mark.parametrize(
    ("status", "reserve", "charged"),
    [
        ("AUTH_NO_ALLOC", False, {"open_unallocated": 3, "reserved": 2}),
        ("DRAFT", True, {"open_unallocated": 3, "reserved": 2}),
        ("DRAFT", False, {"reserved": 5}),
    ],
)
def test_an_order_is_charged_once_and_not_to_a_hold_as_well(status: str, reserve: bool, charged: Row) -> None:
    hold = {"name": "trade", "sku": "A", "units": 5, "for_price_tier": "Trade", "from": "2026-11-10"}
    world = stock({"sku": "A", "on_hand": 20}, availability={"holds": [hold], "draft_orders_reserve": reserve})
    ordered = order(line("A", 3), status=status)
    world.sale("s1", {"OrderStatus": status, "Status": "ORDERED"}, Status="ORDERED", PriceTier="Trade", Order=ordered)
    assert waterfall(world.build()) == {"on_hand": 20, "ats": 15} | charged


def test_holds_outside_their_days_and_percent_holds() -> None:
    def hold(**more: Any) -> Row:
        return {"name": "x", "sku": "a", "for_source_channel": "Shop", "from": "2026-11-01"} | more

    holds = [hold(units=9, until="2026-11-23"), hold(units=9, **{"from": "2026-11-25"}), hold(percent=30)]
    world = stock({"sku": "A", "on_hand": 11}, availability={"holds": holds}).build()
    assert waterfall(world) == {"on_hand": 11, "reserved": 4, "ats": 7}


@pytest.mark.parametrize("whom", [{"for_tag": "Trade"}, {"for_source_channel": "eBay"}, {"for_price_tier": "Retail"}])
def test_a_percent_hold_shrinks_by_what_its_people_ordered(whom: Row) -> None:
    hold = {"name": "x", "sku": "A", "percent": 50, "from": "2026-11-01"} | whom
    world = stock({"sku": "A", "on_hand": 21, "Allocated": 3}, availability={"holds": [hold]})
    world.put("raw.customers", {"ID": "C-1", "Name": "Ana", "Tags": "new, TRADE"})
    ordered = {"Status": "ORDERED", "Order": order(line("A", 3)), "PriceTier": "retail", "SourceChannel": "EBAY"}
    world.sale("s1", {"Status": "ORDERED"}, **ordered).build()
    assert waterfall(world) == {"on_hand": 21, "allocated": 3, "reserved": 6, "ats": 12}


def test_what_is_still_to_arrive_never_counts() -> None:
    world = stock({"sku": "A", "OnOrder": 9, "InTransit": 9, "NextDeliveryDate": "2026-11-25"}).build()
    assert waterfall(world) == {"on_hand": 0, "ats": 0}


@pytest.mark.parametrize("type_", ["Service", "Non Inventory"])
def test_what_is_not_counted_has_no_waterfall(type_: str) -> None:
    world = Stocked().product("A", Type=type_).snapshot("n1", T0, [{"sku": "A", "on_hand": 9}]).build()
    assert world.rows("mart.ats") == []
    assert world.one("mart.availability", "state", "available", "c_stock") == ("not_tracked", False, 0)


def test_orders_that_should_hold_units_in_cin7() -> None:
    """An authorised order holds its lines until they are shipped, any other what is picked; backorders by policy."""
    picked = [{"FulfillmentNumber": 1, "Pick": {"Status": "AUTHORISED", "Lines": [line("A", 2)]}}]
    shipped = [picked[0] | {"Ship": {"Status": "AUTHORISED", "Lines": []}}]
    found = []
    for counts in (True, False):
        world = stock({"sku": "A", "on_hand": 20}, availability={"backorders_are_allocated": counts})
        waits = "AUTH_NO_ALLOC"
        for name, status, tasks in (("s1", "AUTHORISED", picked), ("s2", "AUTHORISED", shipped), ("s3", waits, picked),
                                    ("s4", waits, shipped), ("s5", waits, [])):  # fmt: skip
            goods = order(line("A", 5, BackorderQuantity=1), line("A", 9, DropShip=True), status=status)
            world.sale(
                name, {"OrderStatus": status, "Status": "PICKING"}, Status="PICKING", Order=goods, Fulfilments=tasks
            )
        world.build()
        found.append(world.rows("staging.allocated_orders", "order_number", "ordered", "picked", "units"))
    assert found[0] == [("SO-s1", 5, 2, 5), ("SO-s2", 5, 2, 3), ("SO-s3", 5, 2, 2)]
    assert found[1] == [("SO-s1", 5, 2, 4), ("SO-s2", 5, 2, 2), ("SO-s3", 5, 2, 2)]


def test_the_most_specific_buffer_counts() -> None:
    buffers = [{"units": 1}, {"category": "Things", "percent": 15}, {"sku": "b", "units": 4}]
    world = stock({"sku": "A", "on_hand": 10}, {"sku": "B", "on_hand": 10}, {"sku": "C", "on_hand": 10},
                  availability={"buffers": buffers}).product("B").product("C", Category="Other").build()  # fmt: skip
    assert [waterfall(world, sku)["buffer"] for sku in "ABC"] == [2, 4, 1]


def test_fractions_are_dropped_or_by_policy_promise_nothing() -> None:
    rows = [{"sku": "A", "on_hand": 7.25, "Allocated": 2}, {"sku": "B", "on_hand": 3}]
    world = stock(*rows, availability={"fractional_units": "zero"}).product("B").build()
    assert waterfall(world) == {"on_hand": 7.25, "allocated": 2, "charged_fraction": 5.25, "ats": 0}
    assert waterfall(world, "B") == {"on_hand": 3, "ats": 3}


def test_rows_that_are_spelt_or_keyed_oddly() -> None:
    """A bin within the location; no expiry; odd case and spaces; more allocated without a bin than there is; deprecated."""
    world = Stocked(availability={"blocked_bins": ["Main: Dock"], "min_shelf_life_days": 9})
    world.put("raw.locations", {"ID": "L", "Name": "Main"}, {"ID": "M", "Name": "Main: East"})
    for sku in ("A", "B", " Sp Ace-1 "):
        world.product(sku)
    world.product("OLD", Status="DEPRECATED")
    rows = [
        {"sku": "A", "on_hand": 4, "Location": "MAIN: A-01"}, {"sku": "A", "on_hand": 2, "Location": " main : dock"},
        {"sku": "A", "on_hand": 3, "Location": "Main: Dock"}, {"sku": "A", "on_hand": 9, "Location": "Main: East"},
        {"sku": "B", "on_hand": 5, "Batch": "b1"}, {"sku": "B", "Allocated": 9},
        {"sku": "sp ace-1", "ID": "p- SP Ace-1 ", "on_hand": 6, "Bin": "A-01"}, {"sku": "OLD", "on_hand": 8},
    ]  # fmt: skip
    world.snapshot("n1", T0, rows).build()
    assert waterfall(world) == {"on_hand": 18, "non_sellable_location": 11, "blocked_bin": 3, "ats": 4}
    assert waterfall(world, "B") == {"on_hand": 5, "allocated": (5, 9), "oversold": 4, "ats": 0}
    assert waterfall(world, "Sp Ace-1") == {"on_hand": 6, "ats": 6}
    assert waterfall(world, "OLD")["ats"] == 8  # counted; its state says that it is not sold any more
    assert world.one("mart.availability where sku = 'OLD'", "state", "available", "c_stock") == (
        "discontinued",
        False,
        0,
    )
    assert world.rows("staging.stock_places where location <> 'Main'", "location", "location_key", "bin_key", "bar") == [
        (" main : dock", "main : dock", None, "non_sellable_location"), ("MAIN: A-01", "main", "a-01", None),
        ("Main: Dock", "main", "dock", "blocked_bin"), ("Main: East", "main: east", None, "non_sellable_location"),
    ]  # fmt: skip


def test_a_kit_is_worth_its_own_free_stock_and_rows_join_by_id() -> None:
    world = Stocked().product("KIT", AutoAssembly=True)
    world.snapshot("n1", T0, [{"sku": "kit ", "on_hand": 2, "ID": "p-KIT"}]).build()
    row = world.one("mart.ats", "sku", "kit_build", "ats")
    assert row == ("KIT", 0, 2)


def test_history_keeps_changed_rows_only() -> None:
    world = stock({"sku": "A", "on_hand": 5}, {"sku": "B", "on_hand": 5}).product("B").build()
    world.snapshot("n2", "2026-11-24 10:15", [{"sku": "A", "on_hand": 5}, {"sku": "B", "on_hand": 4}]).build()
    world.build()
    found = world.rows(
        "mart.ats", "sku", "ats", "snapshot_id", "strftime(valid_from, '%H:%M')", "strftime(valid_to, '%H:%M')"
    )
    assert found == [("A", 5, "n1", "10:00", None), ("B", 4, "n2", "10:15", None), ("B", 5, "n1", "10:00", "10:15")]


def test_products_are_cleaned_and_priced_by_tier() -> None:
    world = Stocked(prices={"tier": 2, "msrp_tier": 1})
    text = {"Name": "A\n tea  😀pot", "Description": "<p>Fine<br>\nchina</p>", "Brand": "Acme\nLtd"}
    images = [{"ContentType": kind, "DownloadUrl": kind} for kind in ("text/plain", "image/webp", "image/png")]
    world.product("A ", **text, PriceTier2=8, Attachments=images)
    world.product("B", PriceTier2=0, Status="DEPRECATED", Type="Non Inventory")
    world.put("raw.product_families", {"ID": "F1", "SKU": "FAM", "Products": [{"ID": "P-A "}]})
    world.build("staging.tenant", "staging.families", "staging.products")
    assert world.rows(
        "staging.products", "sku", "title", "description", "brand", "image", "group_id", "price", "msrp"
    ) == [
        ("A", "A tea pot", "Fine china", "Acme Ltd", "image/png", "FAM", 8, 10),
        ("B", "The B", None, None, None, None, None, 10),
    ]
    assert world.rows("staging.products", "sku", "is_active", "is_stock") == [("A", True, True), ("B", False, False)]
    assert world.rows("staging.families", "product_id", "family_sku") == [("p-a ", "FAM")]


def test_the_tenant_has_one_clock() -> None:
    world = Stocked().now("2026-11-24 13:30").put("raw.sale_queue", {"sale_id": "s", "first_scan": True})
    world.build("staging.tenant")
    row = world.one("staging.tenant", "strftime(as_of, '%d %H:%M')", "strftime(today, '%d')", "history_complete")
    assert row == ("24 13:30", "25", False)
