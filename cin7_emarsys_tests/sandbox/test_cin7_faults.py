"""Faults of the wire and of lists, and planted bad records, as a client meets them."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from cin7_emarsys.sandbox.faults import TRANSPORT
from cin7_emarsys_tests.sandbox.conftest import NewVendor, Vendor


def once(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "service": "cin7", "path": "/product?", "nth": 1, **more}


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("throttle-429", 429, "application/json"),
        ("throttle-503", 503, "application/json"),
        ("throttle-text", 400, "application/json"),
        ("server-error", 500, "text/html; charset=utf-8"),
        ("html-200", 200, "text/html; charset=utf-8"),
        ("error-200", 200, "application/json"),
        ("auth-expired", 403, "application/json"),
        ("applied-then-503", 503, "text/html; charset=utf-8"),
    ],
)
def test_answers_in_place_of_the_right_one(vendor: Vendor, name: str, status: int, kind: str) -> None:
    vendor.faults(once(name))
    response = vendor.raw("product", Limit=5)
    assert (response.status_code, response.headers["content-type"]) == (status, kind)
    assert "date" in response.headers
    if name.startswith("throttle"):
        assert "60 calls per 60 seconds" in response.json()[0]["Exception"]
        assert response.headers.get("retry-after") == ("1 Seconds" if status == 429 else None)
    if name == "error-200":
        assert response.json()[0]["ErrorCode"] == 500
    assert len(vendor.get("product", Limit=5)["Products"]) == 5


def test_truncated_body_has_a_matching_length(vendor: Vendor) -> None:
    vendor.faults(once("truncated"))
    response = vendor.raw("product", Limit=5)
    assert response.status_code == 200
    assert len(response.content) == int(response.headers["content-length"])
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
        response.json()


@pytest.mark.parametrize("name", ["reset-before", "reset-after"])
def test_resets_leave_no_answer_and_the_log_knows(vendor: Vendor, name: str) -> None:
    vendor.faults(once(name))
    with pytest.raises(httpx.TransportError):
        vendor.raw("product", Limit=5)
    total = vendor.http.get(f"{vendor.root}/_sandbox/requests", params={"limit": 0}).json()["total"]
    log = vendor.http.get(f"{vendor.root}/_sandbox/requests", params={"limit": 1, "offset": total - 1}).json()
    assert log["requests"][0]["status"] == 0
    assert vendor.raw("product", Limit=5).status_code == 200


def test_slow_and_skewed(vendor: Vendor) -> None:
    vendor.faults(once("slow", seconds=0.3), once("clock-skew"))
    right = parsedate_to_datetime(vendor.raw("me").headers["date"])
    started = time.monotonic()
    response = vendor.raw("product", Limit=1)
    assert time.monotonic() - started >= 0.3
    assert 355 < (parsedate_to_datetime(response.headers["date"]) - right).total_seconds() < 366
    assert response.status_code == 200


def test_controls_are_never_faulty(vendor: Vendor) -> None:
    vendor.faults(*({"name": name} for name in TRANSPORT))
    assert vendor.http.get(f"{vendor.root}/_sandbox/faults").json()[0]["fired"] == 0
    assert vendor.ledger()
    problem = vendor.http.put(f"{vendor.root}/_sandbox/faults", json=[{"name": "gremlin"}])
    assert problem.status_code == 400
    assert "throttle-429" in problem.json()["error"]


def stock(vendor: Vendor, limit: int) -> tuple[list[tuple[Any, ...]], int]:
    """(keys in the order read, last Total) of one reading of the availability."""
    keys: list[tuple[Any, ...]] = []
    for page in range(1, 100):
        answer = vendor.get("ref/productavailability", Page=page, Limit=limit)
        rows = answer["ProductAvailabilityList"]
        if not rows:
            break
        keys += [(r["ID"], r["Location"], r["Bin"], r["Batch"], r["ExpiryDate"]) for r in rows]
    return keys, answer["Total"]


@pytest.mark.parametrize("limit", [100, 1000])
def test_incomplete_snapshot(vendor: Vendor, limit: int) -> None:
    whole, total = stock(vendor, limit)
    assert len(set(whole)) == total
    vendor.faults({"name": "incomplete-snapshot", "nth": 1}, {"name": "incomplete-snapshot", "mode": "total-drop"})
    missing, claimed = stock(vendor, limit)
    assert len(set(missing)) < claimed == total
    dropped, claimed = stock(vendor, limit)
    assert len(set(dropped)) == claimed < total
    vendor.faults()
    assert stock(vendor, limit)[0] == whole


@pytest.mark.parametrize("limit", [100, 1000])
def test_shifted_page(vendor: Vendor, limit: int) -> None:
    whole, total = stock(vendor, limit)
    vendor.faults({"name": "shifted-page", "path": "productavailability", "nth": 1})
    keys, claimed = stock(vendor, limit)
    assert len(keys) == claimed == total
    assert len(set(keys)) == total - 1
    assert stock(vendor, limit)[0] == whole


def test_duplicate_row_with_other_figures(vendor: Vendor) -> None:
    vendor.faults({"name": "duplicate-row", "path": "page=2", "nth": 1})
    first = vendor.get("ref/productavailability", Page=1, Limit=50)["ProductAvailabilityList"]
    second = vendor.get("ref/productavailability", Page=2, Limit=50)["ProductAvailabilityList"]
    assert len(second) == 51
    assert {**second[0], "OnHand": 0, "Available": 0} == {**first[-1], "OnHand": 0, "Available": 0}
    assert second[0]["OnHand"] == first[-1]["OnHand"] + 7


def test_schema_change(vendor: Vendor) -> None:
    vendor.faults(
        {"name": "schema-change", "path": "/product?", "nth": 1}, {"name": "schema-change", "field": "Status"}
    )
    rows = vendor.get("product", Limit=5)["Products"]
    assert all("VendorAddition" in row for row in rows)
    assert isinstance(rows[1]["PriceTier1"], str)
    assert isinstance(rows[0]["PriceTier1"], (int, float))
    assert vendor.get("customer", Limit=5)["CustomerList"][1]["Status"] == 12345


@pytest.mark.parametrize(
    "what", ["missing-key", "missing-id", "wrong-type", "unknown-enum", "impossible-date", "absurd-number"]
)
def test_corrupt_records_until_healed(vendor: Vendor, what: str) -> None:
    places = {
        "product": ("product", "Products", {"Sku": "GLOVE-L"}, "GLOVE-L"),
        "customer": ("customer", "CustomerList", {"ContactFilter": "vip@example.com"}, "vip@example.com"),
        "sale": ("saleList", "SaleList", {"Search": "ODD-SIMPLE"}, None),
        "availability": ("ref/productavailability", "ProductAvailabilityList", {"Sku": "GLOVE-L"}, "GLOVE-L"),
    }
    for entity, (path, key, query, record) in places.items():
        before = vendor.get(path, **query)[key]
        record = record or before[0]["SaleID"]
        vendor.act("corrupt", entity=entity, what=what, key=record)
        after = vendor.get(path, **query)[key]
        stamps = {"LastModifiedOn": "", "Updated": ""}
        assert {**after[0], **stamps} != {**before[0], **stamps} or what == "impossible-date"
        if what == "impossible-date":
            assert "2026-02-31T25:61:00Z" in after[0].values()
        vendor.act("heal", entity=entity)
        healed = vendor.get(path, **query)[key]
        assert {**healed[0], **stamps} == {**before[0], **stamps}


def test_figures_that_contradict_each_other_until_healed(vendor: Vendor) -> None:
    sale_id = vendor.get("saleList", Search="ODD-SIMPLE")["SaleList"][0]["SaleID"]

    def shown() -> tuple[Any, Any]:
        stock = vendor.get("ref/productavailability", Sku="GLOVE-L")["ProductAvailabilityList"]
        return stock[0]["Available"], vendor.get("sale", ID=sale_id)["Invoices"][0]["Total"]

    available, total = shown()
    vendor.act("corrupt", entity="availability", what="contradiction", key="GLOVE-L")
    vendor.act("corrupt", entity="sale", what="contradiction", key=sale_id)
    assert shown() == (available + 7, total + 7)
    vendor.act("heal")
    assert shown() == (available, total)


def test_named_faults_of_the_command_line_stop(new_vendor: NewVendor) -> None:
    vendor = new_vendor(faults=["html-200", "throttle-429"])
    statuses = [vendor.raw("product", Limit=1).headers["content-type"][:9] for _ in range(6)]
    assert statuses == ["text/html"] * 2 + ["applicati"] * 4
    assert sum(spec["fired"] for spec in vendor.http.get(f"{vendor.root}/_sandbox/faults").json()) == 4
