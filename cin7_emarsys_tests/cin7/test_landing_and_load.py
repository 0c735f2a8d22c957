"""From received rows to tables: landed whole or not at all, merged by key, refused records kept with the reason."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from duckdb import DuckDBPyConnection
from hypothesis import given
from hypothesis import strategies as st

from cin7_emarsys.cin7 import load
from cin7_emarsys.cin7.landing import Extract, sweep
from cin7_emarsys.cin7.load import Loaded
from cin7_emarsys.cin7.models import AvailabilityRow
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys_tests.conftest import law

T0 = datetime(2026, 9, 1, 8)


class Room:
    """A landing folder and a warehouse, and extracts that come in an hour apart."""

    def __init__(self, folder: Path) -> None:
        self.landing = folder / "landing"
        self.warehouse = Warehouse(database=str(folder / "warehouse.duckdb"))
        self.at = T0

    def land(self, table: str, rows: list[Any], **facts: object) -> Path:
        self.at += timedelta(hours=1)
        extract = Extract(self.landing, table, load.TABLES[table][0], self.at)
        half = len(rows) // 2
        for page in (rows[:half], rows[half:]):
            extract.add(page)
        return extract.finish(drift=extract.drift, **{"conflicts": sorted(extract.conflicts), **facts})

    def load(self, table: str, rows: list[Any], *, complete: bool = False) -> Loaded:
        folder = self.land(table, rows)
        with self.warehouse.write() as connection:
            load.ensure_tables(connection)
            return load.merge(connection, table, folder, complete=complete)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.read() as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def _product(number: int, **more: object) -> dict[str, Any]:
    return {"ID": f"ID-{number}", "SKU": f"SKU-{number}", "PriceTier1": 10.5, **more}


def test_a_load_counts_what_it_did(room: Room) -> None:
    assert room.load("products", [_product(n) for n in range(5)]) == Loaded(inserted=5)
    assert room.load("products", [_product(n) for n in range(5)]) == Loaded(unchanged=5)
    changed = [_product(0, PriceTier1=11), _product(1), _product(9), {"ID": "ID-2"}]
    assert room.load("products", changed) == Loaded(inserted=1, updated=1, unchanged=1, rejected=1)
    assert room.query(
        "select ID, SKU, PriceTier1::varchar from raw.products where ID <= 'id-2' and ID <> 'id-1' order by 1"
    ) == [
        ("id-0", "SKU-0", "11.0000"),
        ("id-2", "SKU-2", "10.5000"),
    ]


def test_counts_add_up() -> None:
    assert Loaded(1, 2, 3, 4, 5) + Loaded(10, 20, 30, 40, 50) == Loaded(11, 22, 33, 44, 55)


def test_an_unchanged_record_keeps_its_extract(room: Room) -> None:
    room.load("products", [_product(1)])
    before = room.query("select _extract_id, _loaded_at, _raw from raw.products")
    room.load("products", [_product(1)])
    assert room.query("select _extract_id, _loaded_at, _raw from raw.products") == before
    assert json.loads(before[0][2]) == _product(1)


def test_an_empty_extract_changes_nothing(room: Room) -> None:
    room.load("products", [_product(1)])
    assert room.load("products", []) == Loaded()
    extract = Extract(room.landing, "products", load.TABLES["products"][0], T0)
    folder = extract.finish()  # no page at all
    with room.warehouse.write() as connection:
        assert load.merge(connection, "products", folder) == Loaded()
    assert room.query("select count(*) from raw.products") == [(1,)]


# Records that cannot be used


def test_a_record_refused_before_anything_was_loaded_is_forgotten_once_it_is_loaded(room: Room) -> None:
    room.load("products", [{"ID": "ID-1"}])
    assert room.query("select key from raw.rejected") == [("id-1",)]
    twice = [_product(1), _product(1, PriceTier1=11), _product(2), _product(2), {"ID": "ID-3"}]
    assert room.load("products", twice) == Loaded(inserted=1, rejected=2)  # doubles do not slip into an empty table
    assert room.query("select key from raw.rejected order by 1") == [("id-1",), ("id-3",)]
    room.load("customers", [{"ID": "C-1", "Contacts": "none"}])
    assert room.load("customers", [{"ID": "C-1", "VendorAddition": 1}, {"ID": "C-2"}]) == Loaded(inserted=2)
    assert room.query("select count(*) from raw.rejected where entity = 'customers'") == [(0,)]
    assert room.query("select field, seen from raw.schema_drift") == [("VendorAddition", 1)]


def test_a_refused_record_is_kept_with_the_reason_until_it_is_well_formed(room: Room) -> None:
    bad = {"ID": "ID-1", "SKU": "SKU-1", "PriceTier1": 1e308}
    assert room.load("products", [bad, _product(2)]).rejected == 1
    kept = "select entity, key, payload->>'SKU', reason, first_seen, last_seen from raw.rejected"
    first = room.at
    assert room.query(kept) == [("products", "id-1", "SKU-1", "PriceTier1 is an absurd number", first, first)]
    room.load("products", [{**bad, "PriceTier1": "five"}])
    assert room.query(kept) == [("products", "id-1", "SKU-1", "PriceTier1 should be a number", first, room.at)]
    room.load("products", [_product(1)])
    assert room.query(kept) == []
    assert room.query("select count(*) from raw.products") == [(2,)]


def test_a_refused_record_that_is_gone_is_forgotten_by_a_complete_read(room: Room) -> None:
    room.load("products", [{"ID": "ID-1"}, _product(2)])
    room.load("products", [_product(2)])
    assert room.query("select key from raw.rejected") == [("id-1",)]
    room.load("products", [_product(2)], complete=True)
    assert room.query("select key from raw.rejected") == []


@pytest.mark.parametrize("row", [None, 7, "text", [], {}, {"SKU": "without id"}, {"ID": None, "SKU": "x"}])
def test_a_row_of_any_shape_is_no_crash(room: Room, row: object) -> None:
    assert room.load("products", [row, _product(2)]) == Loaded(inserted=1, rejected=1)
    assert len(room.query("select reason from raw.rejected where reason <> ''")) == 1


@pytest.mark.parametrize("text", ["nul \x00 inside", "\u2028 line", 'quo"te\\'])
def test_no_text_stops_a_load(room: Room, text: str) -> None:
    loaded = room.load("products", [_product(1, Name=text), _product(2, **{text: 1}), _product(3)])
    assert loaded.inserted + loaded.rejected == 3
    assert room.query("select SKU from raw.products where ID = 'id-3'") == [("SKU-3",)]


def test_several_keys_make_one(room: Room) -> None:
    moment = "2026-09-01T00:00:00Z"
    good = {"SaleID": "S-1", "CreditNoteNumber": "CR-1", "Updated": moment}
    assert room.load("credit_note_headers", [{**good, "Updated": None}]).rejected == 1
    assert room.query("select key from raw.rejected") == [("s-1|CR-1",)]
    room.load("credit_note_headers", [good, {**good, "CreditNoteNumber": "CR-2"}])
    assert room.query("select key from raw.rejected") == []
    assert room.query("select count(*) from raw.credit_note_headers") == [(2,)]


def test_a_record_that_comes_twice_and_differs_keeps_what_was_known(room: Room) -> None:
    room.load("products", [_product(1), _product(2)])
    twice = [_product(1, PriceTier1=17.5), _product(1, PriceTier1=12), _product(2)]
    assert room.load("products", twice, complete=True) == Loaded(unchanged=1, rejected=1)
    assert room.query("select key, reason from raw.rejected") == [("id-1", "came twice and differs")]
    assert room.query("select PriceTier1::double, _missing_since from raw.products where ID = 'id-1'") == [(10.5, None)]
    room.load("products", [_product(1), _product(1)])  # twice the same is no conflict
    assert room.query("select key from raw.rejected") == []


# What a complete read lacks


def test_missing_since(room: Room) -> None:
    room.load("products", [_product(1), _product(2)])
    assert room.load("products", [_product(1)]).missing == 0
    assert room.load("products", [_product(1)], complete=True).missing == 1
    since = room.at
    assert room.load("products", [_product(1)], complete=True).missing == 0
    assert room.query("select ID, _missing_since from raw.products order by ID") == [("id-1", None), ("id-2", since)]
    assert room.load("products", [_product(1), _product(2)]).updated == 1
    assert room.query("select count(_missing_since) from raw.products") == [(0,)]


def test_what_came_in_while_a_complete_read_was_under_way_is_not_missing(room: Room) -> None:
    room.load("products", [_product(1), _product(2)])
    whole = room.land("products", [_product(1)])
    room.load("products", [_product(3)])  # a shorter read of another job, begun later and loaded first
    with room.warehouse.write() as connection:
        assert load.merge(connection, "products", whole, complete=True).missing == 1
    assert room.query("select ID from raw.products where _missing_since is null order by 1") == [("id-1",), ("id-3",)]


def test_a_refused_record_is_not_missing(room: Room) -> None:
    room.load("products", [_product(1), _product(2)])
    loaded = room.load("products", [_product(1), {"ID": "ID-2"}], complete=True)
    assert (loaded.rejected, loaded.missing) == (1, 0)
    assert room.query("select count(_missing_since) from raw.products") == [(0,)]


def test_a_list_without_history_is_as_the_complete_read_has_it(room: Room) -> None:
    main, gone = {"ID": "L-1", "Name": "Main"}, {"ID": "L-2", "Name": "A-01", "ParentName": "Main", "IsStaging": True}
    room.load("locations", [main, gone, {"ID": "L-3", "Name": "Shop"}], complete=True)
    assert room.load("locations", [main, {"ID": "L-3"}], complete=True) == Loaded(unchanged=1, rejected=1, missing=1)
    assert room.query("select Name from raw.locations order by 1") == [("Main",), ("Shop",)]


def test_a_renamed_account_is_still_one(room: Room) -> None:
    account = {"Company": "Before", "Currency": "AUD", "LockDate": "2026-06-30T00:00:00"}
    room.load("me", [account], complete=True)
    room.load("me", [{**account, "Company": "After", "Currency": ""}], complete=True)
    assert room.query("select Company, Currency from raw.me") == [("Before", "AUD")]
    room.load("me", [{**account, "Company": "After", "LockDate": "2026-07-31T00:00:00"}], complete=True)
    assert room.query("select Company, LockDate::varchar from raw.me") == [("After", "2026-07-31")]


def test_batches_that_differ_in_letter_case_are_two(room: Room) -> None:
    extract = Extract(room.landing, "availability", AvailabilityRow, T0)
    row = {"SKU": "A", "Location": "Main", "OnHand": 1, "Allocated": 0}
    extract.add([{**row, "ID": "P-1", "Batch": "b1"}, {**row, "ID": "p-1", "Batch": "B1"}])
    assert (len(extract.keys), extract.conflicts) == (2, set())


@pytest.mark.parametrize("name", ["o'brien", "[prod]", "a*b"])
def test_a_folder_of_any_name_can_be_loaded_from(name: str, tmp_path: Path) -> None:
    room = Room(tmp_path / name)
    assert room.load("products", [_product(1), {"ID": "ID-2"}]) == Loaded(inserted=1, rejected=1)
    assert room.query("select key from raw.rejected") == [("id-2",)]


# Whole or not at all


def test_an_extract_without_its_manifest_is_never_loaded(room: Room) -> None:
    folder = room.land("products", [_product(1)])
    (folder / "manifest.json").unlink()
    with pytest.raises(FileNotFoundError), room.warehouse.write() as connection:
        load.ensure_tables(connection)
        load.merge(connection, "products", folder)
    assert room.query("select * from information_schema.tables where table_name = 'products'") == []


def test_sweeping_takes_what_a_crash_left_and_nothing_else(room: Room) -> None:
    whole, broken, young = (room.land("products", [_product(1)]) for _ in range(3))
    for folder in (broken, young):
        (folder / "manifest.json").unlink()
    for folder in (whole, broken):
        os.utime(folder, (0, 0))
    assert sweep(room.landing, "products") == 1
    assert [folder.exists() for folder in (whole, broken, young)] == [True, False, True]


def test_sweeping_does_not_stumble_over_what_another_job_removes(room: Room) -> None:
    folder = room.land("products", [_product(1)])
    folder.with_name("removed").symlink_to(folder.with_name("nowhere"))  # listed, and gone when it is looked at
    assert sweep(room.landing, "products") == 0


def test_beginning_anew_drops_what_was_added(room: Room) -> None:
    extract = Extract(room.landing, "products", load.TABLES["products"][0], T0)
    extract.add([_product(1), {"ID": "ID-3"}, _product(1, New="field")])
    extract.begin()
    assert (extract.pages, extract.records, extract.rejected) == (0, 0, 0)
    assert (extract.drift, extract.keys, extract.conflicts) == ({}, {}, set())
    extract.add([_product(2)])
    folder = extract.finish()
    with room.warehouse.write() as connection:
        load.ensure_tables(connection)
        assert load.merge(connection, "products", folder) == Loaded(inserted=1)


def test_a_rollback_leaves_rows_and_watermark(room: Room) -> None:
    def mark(connection: DuckDBPyConnection, at: datetime) -> None:
        load.set_watermark(connection, "products", at, "x", "full", at, 1)

    room.load("products", [_product(1)])
    with room.warehouse.write() as connection:
        mark(connection, T0)
    folder = room.land("products", [_product(1, PriceTier1=99), _product(2), {"ID": "ID-3"}])
    with pytest.raises(KeyboardInterrupt), room.warehouse.write() as connection:
        load.merge(connection, "products", folder, complete=True)
        mark(connection, room.at)
        raise KeyboardInterrupt
    assert room.query("select ID, PriceTier1::double from raw.products") == [("id-1", 10.5)]
    assert room.query("select count(*) from raw.rejected") == [(0,)]
    with room.warehouse.write() as connection:
        assert load.watermark(connection, "products") == T0
        assert load.watermark(connection, "customers") is None
        load.merge(connection, "products", folder)  # and it may be loaded later
        mark(connection, room.at)
    assert room.query("select count(*) from raw.products") == [(2,)]


# Columns


def test_strange_fields_are_counted_and_documented_ones_are_not(room: Room) -> None:
    rows = [_product(n, VendorAddition={"Since": "2026"}, Weight=1) for n in range(3)]
    room.load("products", rows)
    first = room.at
    room.load("products", rows[:2])
    drift = "select entity, field, seen, first_seen, last_seen from raw.schema_drift"
    assert room.query(drift) == [("products", "VendorAddition", 2, first, room.at)]
    plain = [_product(n) for n in range(3)]
    room.load("products", plain)
    assert len(room.query(drift)) == 1, "others may have it still"
    room.load("products", plain, complete=True)
    assert room.query(drift) == []


def test_nested_records_arrive_typed(room: Room) -> None:
    room.load("customers", [{"ID": "C-1", "Contacts": [{"Email": "a@example.com", "MarketingConsent": 2}]}])
    assert room.query("select Contacts[1].Email, Contacts[1].MarketingConsent, Addresses from raw.customers") == [
        ("a@example.com", 2, None)
    ]


@law(8)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"SKU": st.text(max_size=8)},
            optional={
                "Name": st.text(max_size=8),
                "PriceTier1": st.one_of(
                    st.floats(), st.integers(), st.decimals(-(10**12), 10**12, allow_nan=False).map(str)
                ),
                "LastModifiedOn": st.one_of(st.text(max_size=8), st.datetimes().map(datetime.isoformat)),
                "Attachments": st.one_of(
                    st.none(), st.text(max_size=3), st.lists(st.dictionaries(st.text(), st.none()))
                ),
                "AdditionalAttribute1": st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=3)),
            },
        ),
        max_size=8,
    )
)
def test_whatever_comes_is_loaded_or_refused(room: Room, rows: list[dict[str, Any]]) -> None:
    received = [{**row, "ID": f"ID-{number}"} for number, row in enumerate(json.loads(json.dumps(rows)))]
    with room.warehouse.write() as connection:
        load.ensure_tables(connection)
        connection.execute("delete from raw.products")
        connection.execute("delete from raw.rejected")
    loaded = room.load("products", received, complete=True)
    assert loaded.inserted + loaded.rejected == len(received)
    assert room.query("select count(*) from raw.products") == [(loaded.inserted,)]
    assert room.query("select count(*) from raw.rejected") == [(loaded.rejected,)]
