"""Snapshots of stock and how far they can be trusted: as a whole, and each SKU."""

from __future__ import annotations

from typing import Any

import pytest

from cin7_emarsys.operations.sync import _release_snapshot
from cin7_emarsys.transport import TransportError
from cin7_emarsys_tests.cin7.conftest import Reader
from cin7_emarsys_tests.conftest import trouble

_PATH = {"service": "cin7", "path": "/ref/productavailability?"}


def _stock(reader: Reader) -> list[tuple[Any, ...]]:
    return reader.query("select * exclude (snapshot_id, _pass) from raw.availability order by all")


def _doubtful(reader: Reader, snapshot_id: str) -> list[tuple[Any, ...]]:
    return reader.query(
        "select sku, reason from raw.snapshot_untrusted_skus where snapshot_id = ? order by all", snapshot_id
    )


def test_a_snapshot_is_whole(reader: Reader) -> None:
    taken = reader.snapshot()
    assert (taken.trusted, taken.passes, taken.calls, taken.untrusted_skus, taken.rejected) == (True, 1, 1, 0, 0)
    assert taken.rows == taken.total == len(_stock(reader))
    assert reader.query("select distinct snapshot_id from raw.availability") == [(taken.snapshot_id,)]
    assert reader.query("select trusted, total, unique_keys, passes, unallocated_pending from raw.snapshots") == [
        (True, taken.total, taken.total, 1, 0)
    ]
    assert reader.watermark("availability") is not None


def test_pages_of_stock_stay_until_a_newer_snapshot_is_trusted(reader: Reader) -> None:
    def landed() -> set[str]:
        return {folder.name for folder in (reader.landing / "availability").iterdir()}

    first = reader.snapshot()
    assert landed() == {first.snapshot_id}
    reader.faults({"name": "incomplete-snapshot", **_PATH, "mode": "total-drop", "share": 0.5})
    refused = reader.snapshot()
    assert landed() == {first.snapshot_id, refused.snapshot_id}
    reader.faults({"name": "incomplete-snapshot", **_PATH, "nth": 1, "times": 1})
    newest = reader.snapshot()
    assert (newest.trusted, newest.passes) == (True, 2)
    assert landed() == {refused.snapshot_id, newest.snapshot_id}  # what was refused is evidence


def test_a_snapshot_knows_what_was_not_read_before_it(merchant: Reader) -> None:
    merchant.headers()
    merchant.details(only_unallocated=True)
    merchant.do("order", allocate=False)
    merchant.headers()
    merchant.snapshot()
    pending = "select unallocated_pending, headers_scanned_at from raw.snapshots order by taken_at desc limit 1"
    assert merchant.query(pending) == [(1, merchant.watermark("sale_headers"))]
    merchant.details(only_unallocated=True)
    merchant.snapshot()
    assert merchant.query(pending)[0][0] == 0


def test_a_snapshot_that_another_job_has_overtaken_changes_nothing(merchant: Reader) -> None:
    merchant.snapshot()
    with merchant.while_slow("/ref/productavailability?", merchant.snapshot):
        newest = merchant.snapshot()
        stock, watermark = _stock(merchant), merchant.watermark("availability")
    assert merchant.query("select distinct snapshot_id from raw.availability") == [(newest.snapshot_id,)]
    assert (_stock(merchant), merchant.watermark("availability")) == (stock, watermark)
    assert merchant.query("select reason from raw.snapshots where not trusted") == [
        ("a newer snapshot came in while this one was read",)
    ]
    assert merchant.snapshot().trusted


def test_an_unallocated_sale_without_a_status_waits_for_its_detail_too(merchant: Reader) -> None:
    merchant.headers()
    merchant.details(only_unallocated=True)
    made = merchant.do("order", allocate=False)["sale_id"]
    merchant.do("corrupt", entity="sale", key=made, what="missing-key")
    merchant.headers()
    merchant.do("heal")
    assert merchant.query("select Status from raw.sale_headers where SaleID = ?", made) == [(None,)]
    merchant.snapshot()
    assert merchant.query("select unallocated_pending from raw.snapshots") == [(1,)]


@pytest.mark.parametrize("fault", ["incomplete-snapshot", "shifted-page"])
def test_a_snapshot_that_is_not_whole_is_read_again(fault: str, reader: Reader) -> None:
    reader.faults({"name": fault, **_PATH, "nth": 1, "times": 2})
    taken = reader.snapshot()
    assert (taken.trusted, taken.passes) == (True, 3)
    assert taken.rows == taken.total == len(_stock(reader))
    assert reader.query("select distinct _pass from raw.availability") == [(3,)]
    assert _doubtful(reader, taken.snapshot_id) == []


@pytest.mark.parametrize("fault", ["incomplete-snapshot", "shifted-page"])
def test_a_snapshot_that_never_is_whole_changes_nothing(fault: str, reader: Reader) -> None:
    reader.snapshot()
    stock, watermark = _stock(reader), reader.watermark("availability")
    reader.faults({"name": fault, **_PATH})
    taken = reader.snapshot()
    assert (taken.trusted, taken.passes) == (False, 3)
    assert "Cin7 says there are" in (taken.reason or "")
    assert (_stock(reader), reader.watermark("availability")) == (stock, watermark)
    assert reader.query("select trusted, passes from raw.snapshots order by taken_at") == [(True, 1), (False, 3)]


@pytest.mark.parametrize("fault", ["truncated", "error-200", *trouble("html-200", "server-error")])
def test_a_page_that_cannot_be_read_changes_nothing(fault: str, reader: Reader) -> None:
    reader.snapshot()
    stock = _stock(reader)
    reader.faults({"name": fault, **_PATH})
    with pytest.raises(TransportError):
        reader.snapshot()
    assert _stock(reader) == stock
    assert reader.query("select count(*) from raw.snapshots") == [(1,)]
    assert len(list((reader.landing / "availability").iterdir())) == 1


def test_a_row_drop_is_not_trusted_until_it_stays(reader: Reader) -> None:
    known = reader.snapshot().rows
    stock = _stock(reader)
    reader.faults({"name": "incomplete-snapshot", **_PATH, "mode": "total-drop", "share": 0.5})
    for _ in range(2):
        taken = reader.snapshot()
        assert (taken.trusted, taken.passes) == (False, 1)
        assert (taken.reason or "").startswith("row drop")
        assert _stock(reader) == stock
    third = reader.snapshot()
    assert third.trusted
    assert len(_stock(reader)) == third.rows < known
    assert reader.snapshot().trusted  # it is the new normal


def test_a_row_drop_that_passes_is_forgotten(reader: Reader) -> None:
    drop = {"name": "incomplete-snapshot", **_PATH, "mode": "total-drop", "share": 0.5}
    reader.snapshot()
    for _ in range(2):
        reader.faults(drop)
        assert [reader.snapshot().trusted for _ in range(2)] == [False, False]
        reader.faults()
        assert reader.snapshot().trusted


def test_a_released_row_drop_is_the_new_normal_and_what_vanished_is_known(reader: Reader) -> None:
    reader.snapshot()
    reader.faults({"name": "incomplete-snapshot", **_PATH, "mode": "total-drop", "share": 0.5})
    refused = reader.snapshot()
    assert not refused.trusted
    assert (reader.landing / "availability" / refused.snapshot_id / "page-0001.ndjson").exists()  # the evidence
    with reader.warehouse.write() as connection:
        assert (
            _release_snapshot(connection, refused.snapshot_id, "stocktake") == f"{refused.rows} rows are the new normal"
        )
        assert _release_snapshot(connection, "no-such", "x") is None
    assert reader.snapshot().trusted
    vanished = {product_id for (product_id,) in reader.query("select product_id from raw.vanished")}
    left = {product_id for (product_id,) in reader.query("select distinct ID from raw.availability")}
    assert vanished - left
    reader.faults()
    assert reader.snapshot().trusted
    assert reader.query("select count(*) from raw.vanished") == [(0,)]


def test_a_small_drop_is_business(reader: Reader) -> None:
    reader.snapshot()
    reader.faults({"name": "incomplete-snapshot", **_PATH, "mode": "total-drop", "share": 0.1})
    assert reader.snapshot(max_row_drop=0.3).trusted


def test_a_row_that_comes_twice_and_differs_makes_its_sku_doubtful(reader: Reader) -> None:
    reader.faults({"name": "duplicate-row", **_PATH, "nth": 1})
    taken = reader.snapshot()
    assert (taken.trusted, taken.untrusted_skus) == (True, 1)
    assert [reason for _, reason in _doubtful(reader, taken.snapshot_id)] == [
        "the same row twice with different figures"
    ]
    assert len(_stock(reader)) == taken.total
    reader.faults()
    assert reader.snapshot().untrusted_skus == 0


def test_a_row_that_differs_between_two_reads_makes_its_sku_doubtful(reader: Reader) -> None:
    reader.faults(
        {"name": "incomplete-snapshot", **_PATH, "nth": 1}, {"name": "duplicate-row", **_PATH, "nth": 1, "times": 1}
    )
    taken = reader.snapshot()
    assert (taken.trusted, taken.passes, taken.untrusted_skus) == (True, 2, 1)
    assert "figures differ between two reads" in {reason for _, reason in _doubtful(reader, taken.snapshot_id)}


def _sku_of_one_row(reader: Reader) -> str:
    reader.snapshot()
    found = reader.query("select SKU from raw.availability group by 1 having count(*) = 1 and sum(OnHand) > 9 limit 1")
    return str(found[0][0])


def test_a_row_without_its_product_makes_its_sku_doubtful(merchant: Reader) -> None:
    merchant.read_list("products")
    sku = _sku_of_one_row(merchant)
    known = merchant.query("select lower(ID) from raw.products where SKU = ?", sku)
    merchant.do("corrupt", entity="availability", key=sku, what="missing-id")
    taken = merchant.snapshot()
    merchant.do("heal")
    assert taken.trusted
    assert set(_doubtful(merchant, taken.snapshot_id)) == {(sku, "a row of it cannot be used")}
    assert merchant.query("select product_id from raw.snapshot_untrusted_skus") == known


def test_a_row_that_stays_unusable_is_known_since_it_came_first(merchant: Reader) -> None:
    merchant.do("corrupt", entity="availability", key=_sku_of_one_row(merchant), what="missing-key")
    merchant.snapshot()
    first = merchant.query("select first_seen, last_seen from raw.rejected")[0][0]
    merchant.advance(hours=1)
    merchant.snapshot()
    merchant.do("heal")
    seen = merchant.query("select first_seen, last_seen from raw.rejected")
    assert [row[0] for row in seen] == [first]
    assert seen[0][1] > first


@pytest.mark.parametrize("what", ["wrong-type", "absurd-number", "impossible-date"])
def test_a_row_that_cannot_be_used_makes_its_sku_doubtful(what: str, merchant: Reader) -> None:
    sku = "".join(merchant.do("receive", quantity=5)["sku"])
    merchant.do("corrupt", entity="availability", key=sku, what=what)
    taken = merchant.snapshot()
    assert taken.trusted
    assert taken.rejected >= 1
    assert set(_doubtful(merchant, taken.snapshot_id)) == {(sku, "a row of it cannot be used")}
    assert merchant.query("select distinct payload->>'SKU' from raw.rejected") == [(sku,)]
    assert merchant.query("select count(*) from raw.availability where SKU = ?", sku) == [(0,)]
    merchant.do("heal")
    taken = merchant.snapshot()
    assert (taken.rejected, taken.untrusted_skus) == (0, 0)
    assert merchant.query("select * from raw.rejected") == []


def test_a_changed_schema_costs_one_sku(reader: Reader) -> None:
    reader.faults({"name": "schema-change", **_PATH, "nth": 1})
    taken = reader.snapshot()
    assert (taken.trusted, taken.rejected, taken.untrusted_skus) == (True, 1, 1)
    assert len(_stock(reader)) == (taken.total or 0) - 1
    assert reader.query("select field from raw.schema_drift where entity = 'availability'") == [("VendorAddition",)]
