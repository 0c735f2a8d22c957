"""The second look: the products that ask for it are read once more, within a budget, and nothing of it stops a run."""

from __future__ import annotations

from typing import Any

import pytest

from cin7_emarsys.cin7 import second_look
from cin7_emarsys.cin7.second_look import SecondLook
from cin7_emarsys_tests.cin7.conftest import Reader

_PATH = {"service": "cin7", "path": "/ref/productavailability?"}
_FIGURES = "lower(ID), Location, Bin, Batch, ExpiryDate, OnHand, Allocated"


def ask(reader: Reader, *skus: str) -> list[str]:
    """A snapshot after which these SKUs ask for a second look. Returns their product ids."""
    taken = reader.snapshot()
    with reader.warehouse.write() as connection:
        connection.execute(
            "create or replace table mart.second_look_wanted as "
            "select distinct lower(ID) as product_id, SKU as sku, $id as snapshot_id from raw.availability "
            "where list_contains($skus, SKU)",
            {"skus": list(skus), "id": taken.snapshot_id},
        )
    return [product_id for (product_id,) in reader.query("select product_id from mart.second_look_wanted order by all")]


def look(reader: Reader, max_calls: int = 5) -> SecondLook:
    return second_look.take(reader.cin7, reader.warehouse, reader.landing, max_calls=max_calls)


def stocked(reader: Reader, number: int) -> list[str]:
    reader.snapshot()
    return [
        sku
        for (sku,) in reader.query(
            "select SKU from raw.availability group by SKU having sum(OnHand) > 9 and count(*) > 1 order by 1 limit ?",
            number,
        )
    ]


def troubles(reader: Reader) -> list[tuple[Any, ...]]:
    return reader.query("select sku, trouble from raw.second_looks order by all")


@pytest.mark.parametrize(("max_calls", "calls", "whole"), [(3, 3, False), (2, 1, True)])
def test_products_are_read_one_by_one_or_all_at_once(max_calls: int, calls: int, whole: bool, reader: Reader) -> None:
    skus = stocked(reader, 3)
    ids = ask(reader, *skus)
    assert look(reader, max_calls) == SecondLook(3, 0, calls, whole)
    wanted = reader.query(
        f"select {_FIGURES} from raw.availability where list_contains(?, lower(ID)) order by all", ids
    )
    assert reader.query(f"select {_FIGURES} from raw.second_look_rows order by all") == wanted
    assert troubles(reader) == [(sku, None) for sku in skus]
    newest = "select snapshot_id from raw.snapshots order by taken_at desc, snapshot_id desc limit 1"
    assert reader.query("select distinct snapshot_id from raw.second_looks") == reader.query(newest)
    look(reader, max_calls)  # a second time in the place of the first
    assert reader.query(f"select {_FIGURES} from raw.second_look_rows order by all") == wanted


def test_nobody_asks_and_nothing_is_read(reader: Reader) -> None:
    ask(reader)
    assert look(reader) == SecondLook()


def test_it_sees_what_has_changed_since_the_snapshot(merchant: Reader) -> None:
    sku = "".join(merchant.do("receive", quantity=5)["sku"])
    ask(merchant, sku)
    merchant.do("receive", sku=sku, quantity=2)
    look(merchant)
    units = "select sum(OnHand) from {} where SKU = ?"
    before, now = (merchant.query(units.format(f"raw.{name}"), sku) for name in ("availability", "second_look_rows"))
    assert now[0][0] - before[0][0] == 2


@pytest.mark.parametrize(
    ("max_calls", "fault"),
    [
        (5, "html-200"),
        (1, "server-error"),
        pytest.param(5, "server-error", marks=pytest.mark.trouble),
    ],
)
def test_when_cin7_does_not_answer_the_reason_is_kept_and_the_run_goes_on(
    max_calls: int, fault: str, reader: Reader
) -> None:
    skus = stocked(reader, 2)
    ask(reader, *skus)
    reader.faults({"name": fault, **_PATH})
    assert look(reader, max_calls).failed == 2
    assert [sku for sku, trouble in troubles(reader) if trouble] == skus
    reader.faults()
    assert look(reader, max_calls).failed == 0
    assert troubles(reader) == [(sku, None) for sku in skus]


def test_rows_that_contradict_each_other_prove_nothing(reader: Reader) -> None:
    (sku,) = stocked(reader, 1)
    ask(reader, sku)
    reader.faults({"name": "duplicate-row", **_PATH})
    look(reader)
    assert troubles(reader)[0][1] is not None
    reader.faults({"name": "incomplete-snapshot", **_PATH})
    assert look(reader, 0).whole
    assert "Cin7 says there are" in troubles(reader)[0][1]


@pytest.mark.parametrize("what", ["wrong-type", "missing-id"])
def test_a_row_that_cannot_be_used_proves_nothing(what: str, merchant: Reader) -> None:
    sku = "".join(merchant.do("receive", quantity=5)["sku"])
    ask(merchant, sku)
    merchant.do("corrupt", entity="availability", key=sku, what=what)
    look(merchant)
    merchant.do("heal")
    assert troubles(merchant) == [(sku, "a row of it cannot be used")]


def test_an_ignored_filter_leads_to_reading_the_whole(reader: Reader) -> None:
    skus = stocked(reader, 2)
    ask(reader, *skus)
    reader.switches(availability_ignores_id=True)
    try:
        assert look(reader) == SecondLook(2, 0, 2, True)
    finally:
        reader.switches(availability_ignores_id=False)
    assert troubles(reader) == [(sku, None) for sku in skus]
