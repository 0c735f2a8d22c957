"""Reading lists from the sandbox: no call too many, nothing lost between pages, every fault survived or plainly told."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from cin7_emarsys.cin7.client import AVAILABILITY, CREDIT_NOTES, SALES, BadPage
from cin7_emarsys.cin7.extract import LISTS, OVERLAP, read_pages
from cin7_emarsys.cin7.landing import Extract
from cin7_emarsys.cin7.models import Product
from cin7_emarsys.transport import AuthFailed, NotJson, Transient, TransportError
from cin7_emarsys_tests.cin7.conftest import Reader
from cin7_emarsys_tests.conftest import trouble

_ALL = {**LISTS, "sale_headers": SALES, "credit_note_headers": CREDIT_NOTES, "availability": AVAILABILITY}


def _rows(reader: Reader, table: str) -> int:
    return int(reader.query(f"select count(*) from raw.{table}")[0][0])


def _minimum(reader: Reader, table: str) -> int:
    return max(1, math.ceil(_rows(reader, table) / _ALL[table].limit))


# Calls


def test_full_reads_make_the_fewest_calls_there_can_be(big: Reader) -> None:
    before = len(big.asked())
    calls = {table: big.read_list(table).calls for table in LISTS if table != "customers"}
    calls["availability"] = big.snapshot().calls
    assert calls["products"] > 1
    assert calls["availability"] > 1
    for table, made in calls.items():
        assert made == _minimum(big, table), table
    assert len(big.asked()) - before == sum(calls.values()) == big.cin7.calls


def test_a_first_scan_makes_the_fewest_calls_there_can_be(reader: Reader) -> None:
    scan = reader.headers()
    assert scan.calls == _minimum(reader, "sale_headers") + _minimum(reader, "credit_note_headers")


def test_incremental_reads_make_the_fewest_calls_there_can_be(merchant: Reader) -> None:
    merchant.advance(hours=1)  # what other tests have done lies behind
    for table in ("products", "product_families", "customers"):
        merchant.read_list(table)
    merchant.headers()
    merchant.advance(hours=1)
    merchant.cin7.me()  # after a jump of the clock the time is asked for twice, which is not what is counted here
    changed = merchant.do("price", sku=merchant.query("select min(SKU) from raw.products")[0][0])
    person = merchant.do("new_customer", email="new.person@example.com")
    order = merchant.do("order")
    for table in ("products", "customers"):
        done = merchant.read_list(table)
        assert (done.mode, done.calls) == ("incremental", 1)
    assert merchant.query("select count(*) from raw.products where SKU = ?", changed["sku"]) == [(1,)]
    assert merchant.query("select count(*) from raw.customers where ID = ?", person["customer_id"]) == [(1,)]
    scan = merchant.headers()
    assert scan.calls == 2
    assert scan.loaded.inserted == 1
    assert merchant.query("select count(*) from raw.sale_headers where SaleID = ?", order["sale_id"]) == [(1,)]


def test_the_watermark_is_the_vendors_clock_when_the_read_began(merchant: Reader) -> None:
    merchant.advance(hours=24 * 400)  # far from our own clock
    made = merchant.do("new_product")
    first = merchant.read_list("products")  # by a client that was never told the time
    stamp = merchant.query("select LastModifiedOn from raw.products where ID = ?", made["product_id"])[0][0]
    assert abs(first.watermark - stamp) < timedelta(seconds=60)
    assert merchant.watermark("products") == first.watermark
    merchant.advance(hours=3)  # by a client that was told a time that has passed
    second = merchant.read_list("products")
    assert abs(second.watermark - stamp - timedelta(hours=3)) < timedelta(seconds=60)
    later = merchant.do("new_product")
    merchant.read_list("products")
    asked = [row["path"] for row in merchant.asked() if "ModifiedSince" in row["path"]][-1]
    assert f"{second.watermark - OVERLAP:%Y-%m-%dT%H}" in asked.replace("%3A", ":")
    assert merchant.query("select count(*) from raw.products where ID = ?", later["product_id"]) == [(1,)]


def test_a_full_read_marks_nothing_missing_that_is_there(reader: Reader) -> None:
    first = reader.read_list("products", full=True)
    again = reader.read_list("products", full=True)
    assert (again.mode, again.loaded.unchanged, again.loaded.missing) == ("full", first.loaded.inserted, 0)


def test_an_account_is_one_row(reader: Reader) -> None:
    done = reader.account()
    assert (done.calls, done.loaded.inserted) == (1, 1)
    assert reader.query("select Currency from raw.me") == [("AUD",)]


# Pages


@pytest.fixture
def short_pages(reader: Reader) -> Iterator[None]:
    """The vendor delivers no more than 100 customers in a page, whatever it is asked for."""
    reader.switches(customer_cap_100=True)
    yield
    reader.switches(customer_cap_100=False)


@pytest.mark.usefixtures("short_pages")
def test_a_page_cut_short_by_the_vendor_is_not_the_last(reader: Reader) -> None:
    capped = reader.read_list("customers")
    assert capped.calls == math.ceil(_rows(reader, "customers") / 100) > 1
    reader.switches(customer_cap_100=False)
    whole = reader.read_list("customers", full=True)
    assert (whole.calls, whole.loaded.unchanged) == (1, capped.loaded.inserted)


def test_null_for_an_empty_page_is_an_empty_page(reader: Reader) -> None:
    reader.read_list("products")
    try:
        reader.switches(null_when_empty=True)
        pages = list(reader.cin7.pages(LISTS["products"], ModifiedSince="2090-01-01T00:00:00"))
    finally:
        reader.switches(null_when_empty=False)
    assert [(page.rows, page.total) for page in pages] == [([], 0)]


def test_an_ignored_filter_is_detected(reader: Reader) -> None:
    # `product` knows no UpdatedSince, and Cin7 says nothing about parameters it does not know.
    extract = Extract(reader.landing, "products", Product, reader.cin7.now())
    with pytest.raises(BadPage, match="the filter was ignored"):
        read_pages(reader.cin7, extract, LISTS["products"], {"UpdatedSince": "2090-01-01T00:00:00"})
    assert reader.cin7.calls == 1


# Faults


_SURVIVED = ("throttle-429", "throttle-503", "throttle-text", "html-200", "error-200", "truncated", "server-error")
_FEW = ("throttle-text", "shifted-page")
_LISTED = ("incomplete-snapshot", "shifted-page", "duplicate-row")
_TABLES = ("products", "product_families", "customers", "sale_headers", "credit_note_headers", "availability")


def _read_everything(reader: Reader) -> None:
    for table in ("products", "product_families", "customers"):
        reader.read_list(table)
    reader.headers()
    assert reader.snapshot().trusted


Tables = dict[str, list[tuple[object, ...]]]
_calm: dict[str, Tables] = {}


def _without_faults(vendor: dict[str, str], read: Callable[[dict[str, str]], Reader]) -> Tables:
    """All tables as a run without faults leaves them; made once for each sandbox."""
    if vendor["CIN7_BASE_URL"] not in _calm:
        reader = read(vendor)
        reader.faults()
        _read_everything(reader)
        _calm[vendor["CIN7_BASE_URL"]] = {table: reader.business(table) for table in _TABLES}
    return _calm[vendor["CIN7_BASE_URL"]]


@pytest.mark.parametrize("fault", [*_FEW, *trouble(*(fault for fault in (*_SURVIVED, *_LISTED) if fault not in _FEW))])
def test_a_fault_now_and_then_changes_nothing(
    fault: str, sandbox: dict[str, str], read: Callable[[dict[str, str]], Reader]
) -> None:
    expected = _without_faults(sandbox, read)
    reader = read(sandbox)
    paths: tuple[str, ...] = (
        "/product?",
        "/productfamily?",
        "/customer?",
        "/salelist?",
        "/salecreditnotelist?",
        "/ref/productavail",
    )
    if fault.startswith("throttle"):  # each costs the window
        paths = ("/product?", "/salelist?")
    if fault == "duplicate-row":  # of stock, a row that differs makes its SKU doubtful: see test_availability.py
        paths = paths[:-1]
    reader.faults(*({"name": fault, "service": "cin7", "path": path, "nth": 1, "times": 1} for path in paths))
    try:
        _read_everything(reader)
        fired = reader.fired()
    finally:
        reader.faults()
    assert fired == [1] * len(paths)
    for table in _TABLES:
        assert reader.business(table) == expected[table], table
    assert reader.query("select * from raw.rejected") == []


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize("fault", ["shifted-page", "duplicate-row", "incomplete-snapshot", "truncated"])
def test_a_fault_between_two_pages(fault: str, reader: Reader) -> None:
    reader.read_list("customers")
    expected = reader.business("customers")
    nth = 2 if fault in ("duplicate-row", "truncated") else 1
    reader.faults({"name": fault, "service": "cin7", "path": "/customer?", "nth": nth})
    done = reader.read_list("customers", full=True)
    assert reader.fired() == [1]
    assert (done.loaded.unchanged, done.loaded.rejected, done.loaded.missing) == (len(expected), 0, 0)
    assert reader.business("customers") == expected


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("html-200", NotJson),
        ("incomplete-snapshot", BadPage),
        *trouble(
            ("error-200", Transient), ("truncated", NotJson), ("server-error", Transient), ("shifted-page", BadPage)
        ),
    ],
)
def test_a_fault_that_stays_is_told_and_changes_nothing(fault: str, kind: type[TransportError], reader: Reader) -> None:
    reader.read_list("products")
    reader.read_list("customers")
    before = {table: (reader.business(table), reader.watermark(table)) for table in ("products", "customers")}
    reader.faults({"name": fault, "service": "cin7"})
    for table in ("products", "customers"):
        with pytest.raises(kind) as caught:
            reader.read_list(table, full=True)
        assert LISTS[table].path in str(caught.value)
    with pytest.raises(kind):
        reader.headers()
    assert {table: (reader.business(table), reader.watermark(table)) for table in before} == before
    assert reader.watermark("sale_headers") is None
    assert _rows(reader, "sale_headers") == _rows(reader, "sale_queue") == 0
    left = [file for file in reader.landing.glob("*/*/manifest.json") if file.parent.parent.name == "sale_headers"]
    assert left == []


def test_a_row_that_always_comes_twice_and_differs_is_refused_alone(reader: Reader) -> None:
    reader.read_list("products")
    before = reader.business("products")
    reader.faults({"name": "duplicate-row", "service": "cin7", "path": "/product?"})
    done = reader.read_list("products", full=True)
    assert (done.loaded.rejected, done.loaded.missing) == (1, 0)
    assert reader.business("products") == before
    assert reader.query("select reason from raw.rejected") == [("came twice and differs",)]
    reader.faults()
    reader.read_list("products", full=True)
    assert reader.query("select reason from raw.rejected") == []


def test_a_changed_schema_is_counted_and_a_wrong_type_refused_alone(reader: Reader) -> None:
    reader.faults({"name": "schema-change", "service": "cin7", "path": "/product?", "nth": 1})
    done = reader.read_list("products")
    assert done.loaded.rejected == 1
    assert reader.query("select field, seen from raw.schema_drift where entity = 'products'") == [
        ("VendorAddition", done.loaded.inserted)
    ]
    refused = reader.query("select key, reason from raw.rejected")
    assert len(refused) == 1
    assert "PriceTier1" in refused[0][1]
    reader.read_list("products", full=True)
    assert reader.query("select * from raw.rejected") == []
    assert _rows(reader, "products") == done.loaded.inserted + 1


def test_a_corrupt_record_waits_until_it_is_healed(merchant: Reader) -> None:
    merchant.read_list("products")
    sku, price = merchant.query("select SKU, PriceTier1 from raw.products where PriceTier1 > 0 order by SKU limit 1")[0]
    merchant.do("corrupt", entity="product", key=sku, what="absurd-number")
    assert merchant.read_list("products").loaded.rejected == 1
    assert merchant.query("select payload->>'SKU', reason from raw.rejected") == [
        (sku, "PriceTier1 is an absurd number")
    ]
    assert merchant.query("select PriceTier1 from raw.products where SKU = ?", sku) == [(price,)]
    merchant.do("heal")
    assert merchant.read_list("products").loaded.rejected == 0
    assert merchant.query("select * from raw.rejected") == []


def test_wrong_credentials_are_one_clear_error_and_one_call(
    sandbox: dict[str, str], read: Callable[[dict[str, str]], Reader]
) -> None:
    wrong = "a-wrong-key-of-this-test"
    reader = read({**sandbox, "CIN7_APPLICATION_KEY": wrong})
    with pytest.raises(AuthFailed, match="doctor") as caught:
        reader.read_list("products")
    assert wrong not in str(caught.value)
    assert reader.cin7.calls == 1
    assert reader.watermark("products") is None
    with pytest.raises(AuthFailed):
        reader.headers()
    assert reader.cin7.calls == 2


def test_a_clock_that_jumps_during_a_read_skips_nothing(merchant: Reader) -> None:
    """As a computer sees it that was asleep between two pages."""
    merchant.read_list("customers")
    person = next(merchant.cin7.pages(LISTS["customers"])).rows[0]["ID"]
    merchant.switches(customer_cap_100=True)
    try:
        with merchant.while_slow("&page=2&", lambda: merchant.read_list("customers", full=True)):
            merchant.do("edit_customer", customer=person, tags="changed behind page 1")
            merchant.advance(hours=1)
    finally:
        merchant.switches(customer_cap_100=False)
    merchant.read_list("customers")
    assert merchant.query("select Tags from raw.customers where ID = ?", person.lower()) == [("changed behind page 1",)]


def test_a_clock_that_is_off_for_one_answer_skips_nothing(merchant: Reader) -> None:
    merchant.read_list("products")
    for seconds in (3600, -3600):
        merchant.faults({"name": "clock-skew", "service": "cin7", "seconds": seconds, "nth": 1})
        merchant.read_list("products")
        made = merchant.do("new_product")
        merchant.read_list("products")
        assert merchant.query("select count(*) from raw.products where ID = ?", made["product_id"]) == [(1,)]
