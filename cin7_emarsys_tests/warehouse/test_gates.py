"""Gates and checks: each finds its rows in a world made wrong on purpose, and none in a good one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cin7_emarsys.warehouse import exceptions, factory, gates
from cin7_emarsys_tests.warehouse.world import T0, World, credit_note, invoice, line, order, part


def good() -> World:
    world = World().product("A").put("raw.locations", {"ID": "L", "Name": "Main"})
    world.put(
        "raw.customers", {"ID": "C-1", "Name": "Ana", "Contacts": [{"Email": "ana@example.com", "Default": True}]}
    )
    world.snapshot("n1", T0, [{"sku": "A", "on_hand": 5}])
    return world.sale("s1", Invoices=[invoice("i1", line("A", 2), TotalBeforeTax=20)]).build()


def bad() -> World:
    """Nearly everything at once."""
    rules = {"sellable_locations": ["Main", "Mian"], "min_flips": 0, "max_flip_share": 0, "confirmations": 1}
    world = World(availability=rules)
    for sku in ("A", "B", "C", "D", "E"):
        world.product(sku)
    world.product("FREE", PriceTier1=0).kit("KIT", part("GONE"))
    world.put("raw.locations", {"ID": "L", "Name": "Main Store", "Bins": [{"ID": "B", "Name": "A-1"}]})
    shared = [{"ID": f"C-S{number}", "Contacts": [{"Email": "agent@x.com", "Default": True}]} for number in range(6)]
    world.put("raw.customers", {"ID": "C-M", "Contacts": [{"Email": "was@x.com", "Default": True}]}, *shared)
    world.snapshot("n1", T0, [{"sku": "A", "on_hand": 5}, {"sku": "E", "on_hand": 2}]).build()
    columns = "item, product_id, available, price, c_stock, c_low_stock, c_stock_state"
    world.connection.execute(f"insert into delivery.catalogue_items by name select {columns} from mart.catalogue")
    world.put("delivery.catalogue_items", *({"item": f"X{number}", "available": False} for number in range(9)))
    stock = [
        {"sku": "A", "Allocated": 3},
        {"sku": "B", "on_hand": 5, "Available": 7},
        {"sku": "C", "on_hand": 5},
        {"sku": "D", "on_hand": 5},
    ]
    world.put("raw.snapshot_untrusted_skus", {"snapshot_id": "n2", "product_id": "p-d", "sku": "D", "reason": "double"})
    world.snapshot("n2", "2026-11-24 10:15", stock)
    lines = [line("A", 9, BackorderQuantity=6)]
    world.sale("s0", {"Status": "BACKORDERED"}, Status="BACKORDERED", Order=order(*lines))
    world.sale("s1", {"InvoiceAmount": 5}, Invoices=[invoice("i1", line("A", 2), TotalBeforeTax=99, Total=99)])
    world.sale(
        "s3", CustomerCurrency="USD", CurrencyRate=None, Email="a@b.c, d@e.f", Invoices=[invoice("i3", line("A", 1))]
    )
    world.connection.execute("delete from raw.customers where ID = 'C-M'")
    world.put("raw.customers", {"ID": "C-M", "Contacts": [{"Email": "is@x.com", "Default": True}]})
    world.put("delivery.delivered", {"flow": "contacts", "key": "gone@x.com", "payload": {}, "accepted_at": T0})
    world.sale("sm", Email="was@x.com", CustomerID="C-M", Invoices=[invoice("im", line("A", 1))])
    for number in range(6):
        world.sale(
            f"ss{number}", Email=None, CustomerID=f"C-S{number}", Invoices=[invoice(f"is{number}", line("A", 1))]
        )
    world.sale("s4", Invoices=[invoice("i4", line("A", 1))], CreditNotes=[credit_note("c4", line("A", 2))])
    world.sale("s2", CustomerID=None, Email=None, Invoices=[invoice("i2", line("A", 2))])
    world.put("raw.credit_notes", {"SaleID": "n", "CreditNotes": [credit_note("c1", line("A", 99))]})
    for sale in ("n", "lost"):
        head = {"SaleID": sale, "CreditNoteNumber": "?", "CreditNoteStatus": "AUTHORISED", "CustomerID": "C-1"}
        world.put("raw.credit_note_headers", head)
    world.put(
        "raw.customers", {"ID": "C-1", "Name": "Ana", "Contacts": [{"Email": "ana@example.com", "Default": True}]}
    )
    world.put("raw.sale_queue", {"sale_id": "s9", "first_scan": True})
    world.build()
    late = {"taken_at": "2026-11-24 10:30", "finished_at": "2026-11-24 10:30"}
    world.put("raw.snapshots", {"snapshot_id": "n3", "trusted": False, "reason": "rows are missing"} | late)
    # What no data can bring about, only a fault of ours:
    world.connection.execute("update mart.ats set ats = ats + 1 where sku = 'B' and valid_to is null")
    world.connection.execute("update mart.sales_lines set price = price + 1, item = 'nothing'")
    world.connection.execute("insert into mart.catalogue (item) values ('A')")
    world.connection.execute("update mart.availability set reason = 'unallocated_orders_not_read' where sku = 'C'")
    return world


def test_a_good_world_offends_nobody() -> None:
    world = good()
    asked = {condition.name: gates.ask(world.connection, condition).rows for condition in gates.conditions()}
    assert {name for name, rows in asked.items() if rows} == set()
    assert [gates.offending(world.connection, flow) for flow in gates.FLOWS] == [[], [], [], []]


@pytest.fixture(scope="module")
def wrong() -> World:
    return bad()


@pytest.mark.parametrize("condition", gates.conditions(), ids=lambda condition: condition.name)
def test_each_condition_finds_its_rows(condition: gates.Condition, wrong: World) -> None:
    if condition.name == "trusted_snapshot":  # there is one in that world
        wrong = World().put("raw.snapshots", {"snapshot_id": "n", "taken_at": T0, "trusted": False, "reason": "short"})
    gate = gates.ask(wrong.connection, condition)
    assert gate.rows > 0
    assert gate.sample
    assert not any("@" in str(cell) for row in gate.sample for cell in row.values())
    assert "{" not in gate.title + gate.next_step


def sample(world: World, name: str) -> list[dict[str, Any]]:
    (condition,) = (condition for condition in gates.conditions() if condition.name == name)
    return gates.ask(world.connection, condition).sample


def test_checks_of_stock_name_what_is_behind_them(wrong: World) -> None:
    """The nearest known names of a location, the rows and orders of a SKU promised beyond its stock, the way to a fault."""
    assert sample(wrong, "locations_exist")[0]["nearest"].split(", ")[0] == "Main Store"
    short = sample(wrong, "negative_availability")[0]
    assert (short["sku"], short["missing"]) == ("A", 3)
    assert "main: 0 on hand, 3 allocated" in short["rows"]
    assert "SO-s0 (9)" in short["orders"]
    assert sample(wrong, "kit_faults") == [{"sku": "KIT", "fault": "missing", "path": "KIT → GONE"}]
    (held,) = sample(wrong, "allocated_is_ordered")
    assert (held["sku"], held["allocated"], held["in_open_orders"], held["orders"]) == ("A", 3, 9, "SO-s0")


def test_an_order_that_is_not_read_or_is_younger_than_the_stock_proves_nothing_about_allocations() -> None:
    allocated: list[dict[str, Any]] = [{"sku": "A", "on_hand": 5, "Allocated": 3}]
    unread = {"SaleID": "s2", "OrderNumber": "SO-s2", "OrderStatus": "AUTHORISED", "Updated": T0}
    world = good().snapshot("n2", "2026-11-24 10:15", allocated).put("raw.sale_headers", unread).build()
    exceptions.prepare(world.connection, world.merchant)
    assert sample(world, "allocated_is_ordered") == []
    world.connection.execute("delete from raw.sale_headers where SaleID = 's2'")
    world.sale("s2", {"Updated": "2026-11-24 11:00"}, Status="ORDERED", Order=order(line("A", 2))).build()
    assert sample(world, "allocated_is_ordered") == []
    world.snapshot("n3", "2026-11-24 12:00", allocated).build()
    (row,) = sample(world, "allocated_is_ordered")
    world.put("operations.exception_items", {"class": "allocated_is_ordered", "key": "A", "first_seen_at": T0})
    world.put("raw.sale_headers", unread | {"SaleID": "s3"}).build()
    assert sample(world, "allocated_is_ordered") == [row], "what was found before stays"


def test_flows_are_stopped_by_their_gates(wrong: World) -> None:
    stopped = {flow: {gate.name for gate in gates.offending(wrong.connection, flow)} for flow in gates.FLOWS}
    assert stopped == {
        "contacts": set(),
        "catalogue": {"catalogue_whole", "catalogue_not_shrunk"},
        "sales": {"history_complete", "sales_lines_add_up"},
        "events": {"history_complete"},
    }
    (gate,) = gates.offending(wrong.connection, "events")
    assert "lack their details: 1" in gate.title
    assert "about 1 minutes" in gate.next_step
    with pytest.raises(KeyError, match="no such flow"):
        gates.offending(wrong.connection, "letters")


def test_what_was_never_loaded_is_not_known_to_be_good() -> None:
    with duckdb.connect(":memory:") as empty:
        assert {gate.name for gate in gates.offending(empty, "events")} == {"history_complete"}
        assert "has not been loaded yet" in gates.offending(empty, "events")[0].next_step


def test_a_sample_has_20_rows_and_the_total_counts_all() -> None:
    world = World()
    for number in range(45):
        world.product(f"N{number:02}", PriceTier1=None)
    world.build()
    condition = next(condition for condition in gates.conditions() if condition.name == "no_price")
    gate = gates.ask(world.connection, condition)
    assert (gate.rows, len(gate.sample), gate.title[-2:]) == (45, 20, "45")


def test_keys_are_unique_in_a_history_too() -> None:
    world = good()
    keys = gates.unique_keys(list(factory.models().values()))
    assert gates.ask(world.connection, keys).rows == 0
    world.connection.execute("insert into mart.ats from mart.ats")
    world.connection.execute("insert into mart.contacts from mart.contacts")
    found = gates.ask(world.connection, keys)
    assert sorted(row["model"] for row in found.sample) == sorted(
        row["model"] for row in found.sample if row["rows"] == 2
    )
    assert {row["model"] for row in found.sample} == {"mart.ats", "mart.contacts"}
    assert all("@" not in str(row["key"]) for row in found.sample)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-- title: x\nselect 1", "lacks `-- assets:`"),
        ("-- title: x\n-- assets: a.b\n-- key: k\n-- owner: o\n-- means: m\n-- next_step: y\n-- guards: z\n", "takes"),
    ],
)
def test_a_header_that_is_not_whole_is_named(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "gates").mkdir()
    (tmp_path / "gates" / "x.sql").write_text(text)
    with pytest.raises(factory.ModelError, match=rf"^gates/x\.sql: .*{problem}"):
        gates.parse(tmp_path / "gates" / "x.sql")
