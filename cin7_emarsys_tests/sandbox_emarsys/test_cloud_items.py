"""The Engagement Cloud edition: product items."""

from typing import Any

import httpx
import pytest

from .conftest import Emarsys

NOON, LATER = "2026-11-23T12:00:00.000Z", "2026-11-23T12:00:00.001Z"


def form(**values: Any) -> dict[str, Any]:
    return {name: {"default": value} for name, value in values.items()}


def item(sku: str = "A", time: str = NOON, **changes: Any) -> dict[str, Any]:
    base = {"title": "Loaf", "link": "https://s.example.com/a", "image": "https://s.example.com/a.jpg"}
    values = {**base, "category": "Food > Bread", "available": True, "price": 4.5, **changes}
    customs = form(**values.pop("customs", {}))
    return {"itemId": sku, "eventTime": time, **form(**values), **({"customs": customs} if customs else {})}


def put(cloud: Emarsys, *items: dict[str, Any]) -> httpx.Response:
    return cloud.cloud("PUT", "productItems", {"items": list(items)})


def stored(cloud: Emarsys) -> dict[str, dict[str, str]]:
    return {row["item"]: row for row in cloud.judge("catalogue")["items"]}


def test_items_are_added_and_changed_and_none_goes_away(cloud: Emarsys) -> None:
    answer = put(cloud, item("A", customs={"stock": 12, "seasonal": False, "note": "x"}), item("B"))
    assert (answer.status_code, answer.json()) == (202, {"success": "Product Catalog processed successfully."})
    assert put(cloud, {"itemId": "B", "eventTime": NOON, **form(price=5, available=False)}).status_code == 202
    assert stored(cloud)["A"] == {
        "item": "A",
        "title": "Loaf",
        "link": "https://s.example.com/a",
        "image": "https://s.example.com/a.jpg",
        "category": "Food > Bread",
        "available": "true",
        "price": "4.5",
        "c_stock": "12",
        "c_seasonal": "false",
        "c_note": "x",
    }
    assert [stored(cloud)["B"][name] for name in ("title", "price", "available")] == ["Loaf", "5", "false"]
    assert cloud.judge("catalogue")["version"] == 2


def test_an_older_change_of_an_item_is_ignored(cloud: Emarsys) -> None:
    put(cloud, item(time=LATER, price=2))
    assert put(cloud, item(time=NOON, price=1)).status_code == 202
    assert stored(cloud)["A"]["price"] == "2"
    put(cloud, item(time=LATER, price=3))
    assert stored(cloud)["A"]["price"] == "3"
    cloud.control("switches", {"stale_items": "applied"})
    put(cloud, item(time=NOON, price=1))
    assert stored(cloud)["A"]["price"] == "1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"itemId": ""},
        {"item": "B"},
        {"eventTime": "2026-11-23T12:00:00Z"},
        {"eventTime": "2026-13-23T12:00:00.000Z"},
        {"title": "Loaf"},
        {"title": {"locales": {}}},
        {"title": {"default": 1}},
        {"title": {"default": "x", "locales": {"fr": "y"}}},
        {"title": {"default": "x", "locales": {"fr_FR": 1}}},
        {"title": {"default": ""}},
        {"available": {"default": "true"}},
        {"price": {"default": "4.50"}},
        {"price": {"default": -1}},
        {"price": {"default": True}},
        {"image": {"default": "a.webp"}},
        {"customs": {"stock": 1}},
        {"customs": {"bad name": {"default": 1}}},
        {"customs": {"stock": {"default": None}}},
    ],
)
def test_one_wrong_item_refuses_the_call(cloud: Emarsys, wrong: dict[str, Any]) -> None:
    answer = put(cloud, item("A"), {**item("B"), **wrong})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["status"], error["innererror"]["path"][:2]) == (400, ["items", 1])
    assert error["details"][0]["message"] == error["message"]
    assert cloud.judge("catalogue")["total"] == 0


def test_a_new_item_is_complete_and_comes_once_in_a_call(cloud: Emarsys) -> None:
    assert put(cloud, {"itemId": "A", "eventTime": NOON, **form(price=1)}).status_code == 400
    assert put(cloud, item("A"), item("A")).status_code == 400
    assert put(cloud).status_code == 400
    assert put(cloud, item("A"), {**item("B"), "title": {"default": "B", "locales": {"fr_FR": "C"}}}).status_code == 202


def test_the_limits_of_a_call(cloud: Emarsys) -> None:
    assert put(cloud, *(item(str(number)) for number in range(501))).status_code == 400
    assert put(cloud, item(description="x" * 1_000_000)).status_code == 413
    assert put(cloud, *(item(str(number)) for number in range(500))).status_code == 202


def test_a_change_to_available_sends_the_mails_of_a_catalogue_change(cloud: Emarsys) -> None:
    cloud.cloud("POST", "contact/v1/contacts", {"primaryEmail": "ana@example.com"})
    put(cloud, item("A", available=False), item("B"))
    put(cloud, item("C"), item("A", available=True))
    assert [(mail["kind"], mail["sku"]) for mail in cloud.judge("mails")["mails"]] == [("back_in_stock", "A")]


def test_the_account_may_have_a_prefix_before_the_path(cloud: Emarsys) -> None:
    cloud.control("switches", {"service_prefixes": {"productItems": "catalog/v1"}})
    assert put(cloud, item()).status_code == 404
    assert cloud.cloud("PUT", "catalog/v1/productItems/", {"items": [item()]}).status_code == 202


def test_a_202_may_leave_an_item_out(cloud: Emarsys) -> None:
    place = {"name": "partial-reject", "path": "/productItems", "row": 1, "times": 1}
    cloud.faults.set([{**place, "mode": "silent"}, place])
    assert put(cloud, item("A"), item("B")).status_code == 202
    assert list(stored(cloud)) == ["A"]
    assert put(cloud, item("A"), item("B")).json()["error"]["innererror"]["path"] == ["items", 1]
    assert put(cloud, item("A"), item("B")).status_code == 202
    assert list(stored(cloud)) == ["A", "B"]


def test_a_change_whose_answer_was_lost_still_counts(cloud: Emarsys) -> None:
    cloud.faults.set([{"name": "applied-then-503", "path": "/productItems", "times": 1}])
    assert put(cloud, item()).status_code == 503
    assert list(stored(cloud)) == ["A"]
