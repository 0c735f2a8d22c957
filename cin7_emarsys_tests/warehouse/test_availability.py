"""Rows in, rows out: stock states, the circuit breaker, prices and the product file."""

from __future__ import annotations

from typing import Any

import pytest

from cin7_emarsys.warehouse import factory
from cin7_emarsys_tests.conftest import trouble
from cin7_emarsys_tests.warehouse.world import World, line, merchant, order, part


def at(minute: int) -> str:
    return f"2026-11-24 {10 + minute // 60:02}:{minute % 60:02}:00"


ORDERS = ("invoice", "credit", "contact", "sale_", "sales_", "document", "purchase", "refund", "open_", "person",
          "customer_value", "order_facts", "order_events")  # fmt: skip
STOCK = [name for name in factory.models() if not name.split(".")[1].startswith(ORDERS)]


class Shop(World):
    """Products A to Z by name; `count` takes a snapshot and builds; `publish` does what the export does."""

    read_models = ("mart.catalogue", "mart.held_flips", "mart.availability_events", "mart.published", "mart.second_looks",
                   "mart.second_look_wanted")  # fmt: skip

    def __init__(self, *skus: str, **policy: Any) -> None:
        super().__init__(**policy)
        self.minute = 0
        for sku in skus:
            self.product(sku)

    def count(self, snapshot: dict[str, Any] | None = None, **units: float) -> Shop:
        stock = [{"sku": sku, "on_hand": number} for sku, number in units.items()]
        self.snapshot(f"n{self.minute}", at(self.minute), stock, **(snapshot or {}))
        self.minute += 15
        self.build()
        return self

    def rise(self, **units: float) -> Shop:
        """As many snapshots as it takes to be believed."""
        for _ in range(self.merchant.availability.confirmations):
            self.count(None, **units)
        return self

    def vanish(self, *skus: str) -> Shop:
        """The next snapshot lacks rows of these."""
        rows = ({"product_id": f"p-{sku.lower()}", "sku": sku, "since": at(self.minute)} for sku in skus)
        self.put("raw.vanished", *rows)
        return self

    def publish(self, table: str = "catalogue_items") -> Shop:
        columns = "item, product_id, available, price, c_stock, c_low_stock, c_stock_state"
        self.clear(f"delivery.{table}")
        self.connection.execute(f"insert into delivery.{table} by name select {columns} from mart.catalogue")
        return self

    def state(self, sku: str = "A") -> tuple[Any, ...]:
        return tuple(self.one(f"mart.availability where sku = '{sku}'", "state", "available", "c_stock", "reason"))


def test_first_sight_is_silent_and_unchanged_snapshots_say_nothing() -> None:
    shop = Shop("A", "B", "C").count(A=9, B=0)
    for _ in range(3):
        shop.publish().count(A=9, B=0)
    assert shop.rows("mart.availability", "sku", "state", "c_stock", "c_low_stock") == [
        ("A", "in_stock", 9, 9), ("B", "out_of_stock", 0, 999999), ("C", "out_of_stock", 0, 999999),
    ]  # fmt: skip
    assert shop.rows("mart.availability_events") == []
    assert shop.rows("mart.held_flips") == []


def test_a_fall_is_taken_at_once_and_a_row_that_vanished_is_none_left() -> None:
    shop = Shop("A", "B").count(A=9, B=9).publish().vanish("B").count(A=0)
    assert shop.state("A") == ("out_of_stock", False, 0, None)
    assert shop.state("B") == ("out_of_stock", False, 0, None)
    events = shop.rows(
        "mart.availability_events",
        "sku",
        "from_state",
        "to_state",
        "waterfall_before->>'ats'",
        "waterfall_after->>'ats'",
    )
    assert events == [("A", "in_stock", "out_of_stock", "9", "0"), ("B", "in_stock", "out_of_stock", "9", "0")]


@pytest.mark.parametrize(
    ("snapshot", "units", "reason"),
    [
        ({}, 3, None),
        ({"headers_scanned_at": "2026-11-24 10:05:00"}, 3, "orders_older_than_snapshot"),
        *trouble(
            ({}, 2, "below_restock_threshold"),
            ({"headers_scanned_at": None}, 3, "orders_older_than_snapshot"),
            ({"unallocated_pending": 1}, 3, "unallocated_orders_not_read"),
        ),
    ],
)
def test_a_rise_needs_enough_units_and_one_moment(snapshot: dict[str, Any], units: int, reason: str | None) -> None:
    shop = Shop("A", availability={"restock_threshold": 3}).count(A=0).publish().count(A=units).count(snapshot, A=units)
    assert shop.state() == (("low_stock", True, 3, None) if reason is None else ("out_of_stock", False, 0, reason))
    if reason and units == 3:  # the next good snapshot brings it
        assert shop.count(A=3).state()[:2] == ("low_stock", True)


def test_a_rise_is_confirmed_by_snapshots_in_a_row_however_often_the_models_are_built() -> None:
    shop = Shop("A", availability={"confirmations": 3}).count(A=0).publish()
    seen = []
    for units in (5, 0, 5, 5, 4):
        shop.count(A=units).build().publish()
        seen.append(shop.state()[3])
    once, twice = (f"not_confirmed: in {number} of 3 snapshots" for number in (1, 2))
    assert seen == [once, None, once, twice, None]
    assert shop.state()[:3] == ("low_stock", True, 4)


@pytest.mark.trouble
def test_what_cannot_be_trusted_neither_confirms_nor_begins_anew() -> None:
    shop = Shop("A").count(A=0).publish().count(A=5)
    shop.put("raw.snapshots", {"snapshot_id": "bad", "taken_at": at(20), "finished_at": at(20), "trusted": False})
    waiting = "not_confirmed: in 1 of 2 snapshots"
    assert shop.build().state()[3] == waiting
    shop.put("raw.snapshot_untrusted_skus", {"snapshot_id": "n30", "product_id": "p-a", "sku": "A", "reason": "double"})
    assert shop.count(A=5).state()[3] == "sku_untrusted: double"
    assert shop.count({"unallocated_pending": 1}, A=5).state()[3] == "unallocated_orders_not_read"
    assert shop.count(A=5).state() == ("in_stock", True, 5, None)


def test_a_rise_waits_for_the_second_look_and_for_what_it_sees() -> None:
    shop = Shop("A", "B", availability={"restock_threshold": 2}).count(A=0, B=0).publish()
    shop.trouble = "HTTP 503"
    shop.rise(A=5, B=3)
    assert shop.state("A") == ("out_of_stock", False, 0, "second_look_failed: HTTP 503")
    shop.trouble, shop.sold = None, {"A": 1, "B": 2}
    shop.count(A=5, B=3)
    assert shop.rows("mart.second_looks", "product_id", "lost", "trouble") == [("p-a", 1, None), ("p-b", 2, None)]
    assert shop.state("A") == ("in_stock", True, 5, None)
    assert shop.state("B") == ("out_of_stock", False, 0, "second_look_saw_less")
    shop.now(at(55)).build()  # another job, later: the look has grown old, and nobody looks again
    shop.connection.execute("update raw.second_looks set trouble = null")
    assert shop.state("B")[3] == "second_look_saw_less"


def test_a_kit_rises_when_its_limiting_components_are_seen_again() -> None:
    shop = Shop("P").kit("K", part("P", 2)).count(P=0).publish()
    shop.sold = {"P": 1}
    shop.rise(P=9)
    assert shop.rows("mart.second_look_wanted", "product_id") == ["p-k", "p-p"]
    assert shop.state("P")[:2] == ("in_stock", True)
    assert shop.state("K") == ("out_of_stock", False, 0, "second_look_saw_less")
    shop.publish().sold = {}
    assert shop.count(P=9).state("K") == ("low_stock", True, 4, None)
    shop.publish().vanish("P").trouble = "HTTP 503"
    assert shop.count().state("K") == ("low_stock", True, 4, "rows_vanished: second look failed: HTTP 503")


@pytest.mark.trouble
def test_a_second_look_proves_nothing_for_another_snapshot_or_a_later_hour() -> None:
    shop = Shop("A").count(A=0).publish()
    shop.count(A=5)
    look = {"product_id": "p-a", "sku": "A", "snapshot_id": "n15", "looked_at": at(15)}
    shop.put("raw.second_looks", look).snapshot("n30", at(30), [{"sku": "A", "on_hand": 5}])
    factory.build(shop.connection, shop.merchant, STOCK)  # a job without a second look
    assert shop.state() == ("out_of_stock", False, 0, "second_look_due")
    shop.clear("raw.second_looks").put("raw.second_looks", look | {"snapshot_id": "n30", "looked_at": at(24)})
    factory.build(shop.connection, shop.merchant, STOCK)
    assert shop.state()[3] == "second_look_failed: it is too old"


@pytest.mark.trouble
def test_a_second_look_long_after_the_orders_were_read_proves_nothing() -> None:
    """A long nightly run looks at the stock hours after the orders; meanwhile they may have taken all of it."""
    shop = Shop("A").count(A=0).publish().count(A=5)
    look = {"product_id": "p-a", "sku": "A", "snapshot_id": "n30", "looked_at": at(65)}
    shop.now(at(66)).put("raw.second_looks", look).snapshot("n30", at(30), [{"sku": "A", "on_hand": 5}])
    factory.build(shop.connection, shop.merchant, STOCK)
    assert shop.state()[3] == "second_look_failed: the orders were read long before it"
    shop.put("raw.watermarks", {"entity": "sale_headers", "watermark": at(40), "completed_at": at(40)})
    factory.build(shop.connection, shop.merchant, STOCK)  # another run has read them since
    assert shop.state()[3] == "second_look_saw_less"


def test_an_order_that_another_run_saw_allocated_after_the_snapshot_lets_nothing_rise() -> None:
    """It takes no units as unallocated any more, and the snapshot does not show its allocation yet."""
    shop = Shop("A", availability={"confirmations": 1})
    head = {"OrderStatus": "AUTH_NO_ALLOC", "Status": "ORDERED"}
    shop.sale("s1", head, Status="ORDERED", Order=order(line("A", 5), status="AUTH_NO_ALLOC")).count(A=5).publish()
    shop.connection.execute("update raw.sale_headers set OrderStatus = 'AUTHORISED', Updated = '2026-11-24 10:07'")
    shop.sold = {"A": 5}
    assert shop.now(at(8)).build().state() == ("out_of_stock", False, 0, "second_look_saw_less")
    shop.snapshot("n15", at(15), [{"sku": "A", "on_hand": 5, "Allocated": 5}]).build()
    assert shop.state() == ("out_of_stock", False, 0, None)


def test_a_product_that_is_newer_than_the_snapshot_is_first_seen_in_the_next() -> None:
    shop = Shop("A").count(A=5).publish()
    shop.product("NEW", LastModifiedOn=at(5)).product("LATE", LastModifiedOn=at(6)).now(at(9)).build()
    assert shop.rows("mart.catalogue", "item") == ["A"]
    assert shop.publish().count(A=5, NEW=7).rows("mart.catalogue", "item", "available") == [
        ("A", True), ("LATE", False), ("NEW", True),
    ]  # fmt: skip
    assert shop.rows("mart.availability_events") == []
    shop.publish().rise(A=5, NEW=7, LATE=3)  # it was on show with none, so it comes into stock like any other
    assert shop.rows("mart.availability_events", "sku", "to_state") == [("LATE", "low_stock")]


def test_an_unallocated_order_whose_detail_is_missing_refuses_rises() -> None:
    shop = Shop("A").count(A=0).publish()
    shop.put("raw.sale_headers", {"SaleID": "s1", "OrderStatus": "AUTH_NO_ALLOC", "Status": "ORDERED"})
    assert shop.count(A=5).state() == ("out_of_stock", False, 0, "unallocated_orders_not_read")


def test_an_untrusted_snapshot_changes_nothing() -> None:
    shop = Shop("A").count(A=5).publish()
    shop.put("raw.snapshots", {"snapshot_id": "bad", "taken_at": at(15), "finished_at": at(15), "trusted": False})
    shop.put("raw.availability", {"snapshot_id": "bad", "ID": "P-A", "SKU": "A", "Location": "Main", "OnHand": 0})
    assert shop.build().one("mart.availability", "state", "snapshot_id") == ("in_stock", "n0")


def test_a_sku_that_cannot_be_trusted_keeps_its_state_and_the_others_go_on() -> None:
    shop = Shop("A", "B", "NEW").count(A=9, B=9).publish()
    for sku in ("A", "NEW"):
        row = {"snapshot_id": "n15", "product_id": f"P-{sku}".lower(), "sku": sku, "reason": "rows differ"}
        shop.put("raw.snapshot_untrusted_skus", row)
    shop.count(A=0, B=0)
    assert shop.state("A") == ("in_stock", True, 9, "sku_untrusted: rows differ")
    assert shop.state("B")[0] == "out_of_stock"


def test_what_was_never_counted_in_trust_is_not_listed_yet() -> None:
    shop = Shop("A")
    shop.put("raw.snapshot_untrusted_skus", {"snapshot_id": "n0", "product_id": "p-a", "sku": "A", "reason": "double"})
    shop.count(A=5).build(*STOCK)
    assert shop.rows("mart.catalogue", "item") == []
    assert shop.one("mart.excluded where flow = 'catalogue'", "rule", "detail") == ("no_trusted_stock_yet", "A")
    assert shop.count(A=5).rows("mart.catalogue", "item", "available") == [("A", True)]


def test_rows_that_vanished_are_looked_for_before_the_item_falls() -> None:
    shop = Shop("A", "B", "C").count(A=9, B=9, C=9).publish().vanish("A", "B", "C")
    shop.trouble = "HTTP 503"
    shop.count(B=3, C=8)  # B becomes low; C has lost a row and no state
    assert shop.state("A") == ("in_stock", True, 9, "rows_vanished: second look failed: HTTP 503")
    assert shop.state("B") == ("in_stock", True, 9, "rows_vanished: second look failed: HTTP 503")
    assert shop.state("C") == ("in_stock", True, 8, None)
    shop.publish()
    shop.trouble, shop.sold = None, {"B": -2}  # the second look sees two more
    shop.count(B=3, C=8)
    assert shop.state("A") == ("out_of_stock", False, 0, None)
    assert shop.state("B") == ("in_stock", True, 9, "rows_vanished: the second look still sees them")


@pytest.mark.trouble
def test_units_that_a_changed_policy_on_locations_brings_are_held_however_few() -> None:
    shop = Shop("A", "B").count(A=0, B=9).publish()
    stock = [{"sku": "A", "on_hand": 5, "Location": "Shop"}, {"sku": "B", "on_hand": 9}]
    shop.snapshot("n15", at(15), stock).build()
    shop.merchant = merchant(availability={"sellable_locations": ["Main", "Shop"]})
    shop.snapshot("n30", at(30), stock).build().snapshot("n45", at(45), stock).build()
    hold = "H20261124T104500"
    assert shop.state("A")[3].startswith(f"held {hold}: it would come back into stock because the policy")
    shop.put("operations.releases", {"hold_id": hold, "released_at": at(50), "reason": "new shop", "who": "me"})
    assert shop.snapshot("n60", at(60), stock).build().state("A") == ("in_stock", True, 5, None)


@pytest.mark.trouble
def test_a_hold_outlasts_what_cannot_be_trusted_and_a_release_too() -> None:
    shop = breaker("A", "B", share=0.1).count(A=0, B=0).publish().rise(A=5, B=5)
    shop.count({"unallocated_pending": 1}, A=5, B=5)
    hold = "H20261124T103000"
    assert shop.rows("mart.held_flips where ended_at is null", "hold_id", "item") == [(hold, "A"), (hold, "B")]
    shop.put("operations.releases", {"hold_id": hold, "released_at": at(50), "reason": "counted", "who": "me"})
    shop.trouble = "HTTP 503"
    assert shop.count(A=5, B=5).state("A")[3] == "second_look_failed: HTTP 503"
    shop.trouble = None
    assert shop.count(A=5, B=5).rows("mart.catalogue", "item", "available") == [("A", True), ("B", True)]


def test_low_stock_rises_only_above_its_hysteresis() -> None:
    shop = Shop("A")
    seen = [
        shop.count(A=units).publish().one("mart.availability", "c_low_stock", "state") for units in (9, 4, 5, 7, 8, 0)
    ]
    assert seen == [
        (9, "in_stock"), (4, "low_stock"), (4, "low_stock"), (4, "low_stock"), (8, "in_stock"), (999999, "out_of_stock"),
    ]  # fmt: skip


def breaker(*skus: str, share: float = 0.5) -> Shop:
    return Shop(*skus, availability={"min_flips": 1, "max_flip_share": share})


def test_many_rises_at_once_are_held_and_the_rest_is_published() -> None:
    shop = breaker("A", "B", "C", "D", share=0.1).count(A=0, B=0, C=5, D=9).publish().rise(A=5, B=5, C=6, D=0)
    assert shop.rows("mart.catalogue", "item", "available", "c_stock") == [
        ("A", False, 0), ("B", False, 0), ("C", True, 6), ("D", False, 0),
    ]  # fmt: skip
    hold = "H20261124T103000"
    assert shop.rows("mart.held_flips", "hold_id", "item", "was", "wanted") == [
        (hold, "A", "false", "true"), (hold, "B", "false", "true"),
    ]  # fmt: skip
    assert shop.state("A") == ("out_of_stock", False, 0, f"held {hold}: 2 items would come back into stock at once")

    shop.publish().count(A=5, B=0)  # still held; B is gone again and leaves the hold
    assert shop.rows("mart.held_flips where ended_at is null", "item") == ["A"]
    shop.put("operations.releases", {"hold_id": hold, "released_at": at(50), "reason": "counted", "who": "me"})
    assert shop.count(A=5).state("A") == ("in_stock", True, 5, None)
    shop.publish().count(A=5)
    assert shop.rows("mart.held_flips where ended_at is null") == []
    assert [event["to_state"] for event in shop.rows("mart.availability_events where sku = 'A'")] == ["in_stock"]


@pytest.mark.trouble
def test_a_hold_compares_with_the_version_that_emarsys_collected() -> None:
    """Rises published in small numbers but not fetched yet add up: Emarsys would see them all at once."""
    shop = breaker("A", "B", share=0.1).count(A=0, B=0).publish().publish("catalogue_collected")
    assert shop.rise(A=6, B=0).state("A")[0] == "in_stock"
    shop.publish().rise(A=6, B=6)
    assert shop.rows("mart.catalogue", "item", "available") == [("A", True), ("B", False)]
    assert shop.state("B")[3].endswith("2 items would come back into stock at once")


@pytest.mark.trouble
def test_a_hold_that_nobody_looks_at_does_not_hold_what_comes_days_later() -> None:
    shop = breaker("A", "B", "C", share=0.1).count(A=0, B=0, C=0).publish().rise(A=5, B=5, C=0)
    assert shop.publish().rise(A=5, B=5, C=5).state("C")[3].endswith("3 items would come back into stock at once")
    shop.publish().count(A=5, B=5, C=0).publish()
    shop.connection.execute("update mart.held_flips set held_at = held_at - interval 1 day")
    assert shop.rise(A=5, B=5, C=5).rows("mart.catalogue", "item", "available") == [
        ("A", False), ("B", False), ("C", True),
    ]  # fmt: skip


def test_the_first_load_is_never_held() -> None:
    assert breaker("A", "B", "C").count(A=5, B=5, C=5).rows("mart.held_flips") == []


@pytest.mark.trouble
def test_a_released_hold_that_is_made_again_needs_its_own_release() -> None:
    shop = breaker("A", "B", share=0.1).count(A=0, B=0).publish().rise(A=5, B=5)
    shop.put("operations.releases", {"hold_id": "H20261124T103000", "released_at": at(31), "reason": "ok", "who": "me"})
    shop.build()
    assert shop.rows("mart.held_flips", "item", "released_at is not null") == [("A", True), ("B", True)]
    assert shop.build().rows("mart.catalogue", "available") == [True, True]


def test_prices_that_jump_or_vanish() -> None:
    shop = Shop("A", "B", "C").product("D", PriceTier1=0).count(A=1, B=1, C=1, D=1).publish()
    for sku, price in {"A": 6, "B": 0, "C": 12}.items():
        shop.connection.execute("update raw.products set PriceTier1 = ? where SKU = ?", [price, sku])
    shop.build()
    assert shop.rows("mart.prices", "item", "price", "known_price", "round(change, 2)", "no_price") == [
        ("A", 6, 10, -0.4, False), ("B", 10, 10, None, True), ("C", 12, 10, 0.2, False), ("D", None, None, None, True),
    ]  # fmt: skip
    assert shop.rows("mart.catalogue", "item", "price", "available", "held_reason") == [
        ("A", 10, True, "price held P20261124T100000: price would change by -40 %"),
        ("B", 10, True, "no_price"),
        ("C", 10, True, "price held P20261124T100000: 2 prices would change at once"),
        ("D", None, False, "no_price"),
    ]
    shop.put(
        "operations.releases", {"hold_id": "P20261124T100000", "released_at": at(5), "reason": "sale", "who": "me"}
    )
    assert shop.build().rows("mart.catalogue", "price") == [6, 10, 12, None]


def test_one_ordinary_price_change_goes_at_once() -> None:
    shop = Shop("A", "B").count(A=1, B=1).publish()
    shop.connection.execute("update raw.products set PriceTier1 = 9.5 where SKU = 'A'")
    assert shop.build().rows("mart.catalogue", "item", "price") == [("A", 9.5), ("B", 10)]


def test_items_stay_for_ever_and_a_renamed_one_starts_anew() -> None:
    shop = Shop("A", "B", "GONE").product("VOUCHER", Type="Service").product("PART", Sellable=False)
    shop.count(A=5, B=5, GONE=5).publish()
    shop.connection.execute("update raw.products set SKU = 'A2' where SKU = 'A'")
    shop.connection.execute("update raw.products set Status = 'Deprecated' where SKU = 'B'")
    shop.connection.execute("delete from raw.products where SKU = 'GONE'")
    shop.snapshot("n15", at(15), [{"sku": "A2", "ID": "P-A", "on_hand": 5}]).build(*STOCK)
    assert shop.rows("mart.catalogue", "item", "available", "c_stock_state", "held_reason") == [
        ("A", False, "discontinued", "renamed"),
        ("A2", True, "in_stock", None),
        ("B", False, "discontinued", None),
        ("GONE", False, "discontinued", "gone_from_cin7"),
        ("VOUCHER", False, "not_tracked", None),
    ]
    assert shop.rows("mart.excluded where flow = 'catalogue'", "rule", "detail") == [("not_sold", "PART")]
    assert shop.rows("mart.availability_events", "sku", "to_state") == [("B", "discontinued")]


@pytest.mark.trouble
def test_an_item_that_comes_back_into_sale_rises_like_any_other() -> None:
    """Re-activated; used by another product; renamed back; marked as sold again; given a price."""
    shop = Shop("A", "B", "C", "D", "E").count(A=5, B=5, C=5, D=5, E=5).publish()
    change = shop.connection.execute
    change("update raw.products set Status = 'Deprecated' where SKU = 'A'")
    change("delete from raw.products where SKU = 'B'")
    change("update raw.products set SKU = 'C2' where SKU = 'C'")
    change("update raw.products set Sellable = false where SKU = 'D'")
    stock = [{"sku": sku, "on_hand": 5, "ID": f"P-{sku[0]}"} for sku in ("A", "B", "C2", "D", "E", "F")]
    shop.product("F", PriceTier1=0).snapshot("n15", at(15), stock).build().publish()
    assert shop.rows("mart.catalogue where available", "item") == ["C2", "E"]
    change("update raw.products set Status = 'Active', Sellable = true, PriceTier1 = 10")
    change("update raw.products set SKU = 'C' where SKU = 'C2'")
    shop.product("B", ID="P-OTHER")
    stock = [
        {"sku": sku, "on_hand": 5, "ID": f"P-{name}"}
        for sku, name in zip("ABCDEF", ("A", "OTHER", *"CDEF"), strict=True)
    ]
    shop.trouble = "HTTP 503"  # what has lain in stock all the time has its snapshots, and still is read once more
    for minute in (30, 45):
        shop.snapshot(f"n{minute}", at(minute), stock).build()
        assert shop.rows("mart.catalogue where available", "item") == ["E"]
    assert set(shop.rows("mart.availability where sku <> 'E'", "reason")) == {"second_look_failed: HTTP 503"}
    shop.trouble = None
    shop.snapshot("n60", at(60), stock).build()
    assert shop.rows("mart.catalogue where available", "item") == ["A", "B", "C", "D", "E", "F"]


@pytest.mark.trouble
def test_a_release_of_a_price_is_for_that_price() -> None:
    shop = Shop("A", "B").count(A=1, B=1).publish()
    change = shop.connection.execute
    change("update raw.products set PriceTier1 = 5 where SKU = 'A'")
    shop.build().put(
        "operations.releases", {"hold_id": "P20261124T100000", "released_at": at(1), "reason": "sale", "who": "me"}
    )
    change("update raw.products set PriceTier1 = 1 where SKU = 'A'")
    assert shop.now(at(5)).build().rows("mart.catalogue", "item", "price") == [("A", 10), ("B", 10)]
    change("update raw.products set PriceTier1 = 5 where SKU = 'A'")
    shop.now(at(6)).build()
    assert len(shop.rows("mart.held_flips where ended_at is null and released_at is null")) == 1


def test_the_row_of_an_item() -> None:
    shop = World(catalogue={"link_template": "https://shop.example.com/p?sku={sku}"})
    shop.product("A/1 b", Category="Home > Tea|Cups", Brand="Acme", Description="<b>Fine</b>", PriceTier1="4.5")
    row = shop.snapshot("n0", at(0), [{"sku": "A/1 b", "on_hand": 7}]).build().one("mart.catalogue")
    digest = row.pop("payload_hash")
    assert row == {
        "product_id": "p-a/1 b", "item": "A/1 b", "title": "The A/1 b", "available": True, "image": "https://shop.example.com/no-image.png",
        "link": "https://shop.example.com/p?sku=A%2F1%20b", "category": "Home > Tea/Cups", "price": 4.5, "msrp": None,
        "brand": "Acme", "description": "Fine", "group_id": None, "c_stock": 7, "c_low_stock": 7,
        "c_stock_state": "in_stock", "held_reason": None,
    }  # fmt: skip
    shop.connection.execute("update raw.products set Name = 'Cup'")
    assert shop.build().one("mart.catalogue", "payload_hash") != digest


def test_published_is_what_was_collected_else_what_was_published() -> None:
    world = World().put("delivery.catalogue_items", {"item": "A", "available": True})
    assert world.build("mart.published").rows("mart.published", "item", "available") == [("A", True)]
    world.put("delivery.catalogue_collected", {"item": "A", "available": False})
    assert world.build("mart.published").rows("mart.published", "item", "available") == [("A", False)]
