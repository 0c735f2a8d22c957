"""What the pages find: rows in, rows out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from cin7_emarsys.desk import pages
from cin7_emarsys.desk.lookup import look_up
from cin7_emarsys.desk.source import NothingPublished
from cin7_emarsys.operations.explain import REASONS
from cin7_emarsys_tests.desk.conftest import NOW, Shop


def items(shop: Shop, chosen: str, **asked: Any) -> dict[str, dict[str, Any]]:
    shown = pages.show(shop.facts, pages.AVAILABILITY, filter=chosen, **asked)
    assert shown.total == len(shown.rows)
    return {row["item"]: row for row in shown.rows}


def test_availability_says_what_each_side_has_and_why(shop: Shop) -> None:
    found = items(shop, "all")
    assert set(found) == {"TENT", "RAIN", "LAMP", "MUG", "JAR", "SET", "GIFT", "=1+1"}
    lamp, mug, tent = found["LAMP"], found["MUG"], found["TENT"]
    assert (lamp["on_hand"], lamp["cin7_available"], lamp["ours"]) == (5, 5, 0)
    assert lamp["why"] == "5 in blocked or staging bins"
    assert (mug["on_hand"], mug["cin7_available"], mug["ours"], mug["at_emarsys"]) == (9, 7, 7, 7)
    assert (tent["ours"], tent["published"], tent["at_emarsys"]) == (6, 6, 0)
    assert found["RAIN"]["ours"] == 0 and found["RAIN"]["why"] == REASONS["not_confirmed"]
    assert found["GIFT"]["ours"] is None and found["GIFT"]["why"] == "Cin7 keeps no stock of it"


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("mis_mailed", {"LAMP", "JAR", "RAIN"}),  # units on hand, and none that can be promised
        ("negative", {"JAR"}),
        ("kits", {"SET"}),
        ("differs", {"TENT"}),
        ("held", {"RAIN"}),
    ],
)
def test_each_filter_finds_as_many_as_it_promises(shop: Shop, chosen: str, expected: set[str]) -> None:
    assert set(items(shop, chosen)) == expected
    counts = pages.show(shop.facts, pages.AVAILABILITY).counts
    assert counts[chosen] == len(expected)


def test_search_looks_into_sku_and_title_in_any_case(shop: Shop) -> None:
    assert set(items(shop, "all", search=" mug ")) == {"MUG"}
    assert set(items(shop, "all", search="BOLD")) == {"=1+1"}
    assert not items(shop, "all", search="%' or 1=1 --")


def test_rows_come_in_pages(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_ROWS", 3)
    shown = [pages.show(shop.facts, pages.AVAILABILITY, page=page, limit=3) for page in (1, 2, 3)]
    assert [len(page.rows) for page in shown] == [3, 3, 2]
    assert {page.pages for page in shown} == {3}
    assert len({row["item"] for page in shown for row in page.rows}) == 8


def test_back_in_stock_tells_the_announced_from_the_held(shop: Shop) -> None:
    found = {row["item"]: row for row in pages.show(shop.facts, pages.BACK_IN_STOCK).rows}
    assert found["TENT"]["status"] == "published, not fetched yet"
    assert (found["RAIN"]["status"], found["RAIN"]["why"]) == ("not believed yet", REASONS["not_confirmed"])
    assert [row["item"] for row in pages.show(shop.facts, pages.BACK_IN_STOCK, filter="held").rows] == ["RAIN"]


def test_a_held_return_names_its_release(shop: Shop) -> None:
    shop.connection.execute("begin")
    hold = {"hold_id": "H7", "kind": "rise", "product_id": "p-rain", "item": "RAIN", "held_at": NOW, "reason": "many"}
    shop.put("mart.held_flips", hold)
    found = pages.show(shop.facts, pages.BACK_IN_STOCK, filter="held").rows[0]
    shop.connection.execute("rollback")
    assert (found["status"], found["step"]) == (
        "held for a person",
        "cin7-emarsys sync stock --release H7 --reason …",
    )


def test_orphans_show_no_address(shop: Shop) -> None:
    shown = pages.show(shop.facts, pages.ORPHANS)
    assert [(row["key"], row["cause"], row["owner"]) for row in shown.rows] == [("c-2", "no_email", "sales")]
    assert shown.counts["customers_there"] == 1


def test_exceptions_come_the_worst_first_with_owner_and_next_step(shop: Shop) -> None:
    shown = pages.show(shop.facts, pages.EXCEPTIONS)
    assert {row["class"] for row in shown.rows} == {
        "negative_availability",
        "unknown_outcomes",
        "orphan_customers_at_emarsys",
    }
    assert all(row["owner"] and row["next_step"] and row["meaning"] for row in shown.rows)
    severities = [["CRITICAL", "WARNING", "NOTE"].index(row["severity"]) for row in shown.rows]
    assert severities == sorted(severities)
    assert shown.counts["open"] == shown.total
    assert not pages.show(shop.facts, pages.EXCEPTIONS, filter="resolved").rows


def light(shop: Shop, now: datetime = NOW, **changed: Any) -> dict[str, Any]:
    policy = shop.merchant.model_copy(update=changed)
    return pages.overview(shop.facts, policy, now)


def test_the_light_takes_the_worst_finding(shop: Shop) -> None:
    found = light(shop)
    assert found["level"] == "watch"
    says = [finding["says"] for finding in found["findings"]]
    assert "Emarsys has not fetched the newest product file, which has waited for 10 minutes." in says
    assert "Sales lines or events parked, because nobody knows whether Emarsys has them: 1." in says
    assert light(shop, NOW + timedelta(hours=9))["level"] == "bad"
    dry = light(shop, armed=False)["findings"]
    assert any(finding["says"] == "Dry run: nothing is sent to Emarsys." for finding in dry)


def test_what_is_shown_as_available_and_is_not_is_bad(shop: Shop) -> None:
    shop.connection.execute("begin")
    shop.connection.execute("update mart.availability set available = false where sku = 'MUG'")
    found = light(shop)
    shop.connection.execute("rollback")
    assert found["level"] == "bad"
    assert found["findings"][0]["says"] == "Items shown as available at Emarsys, and not available: 1."


@pytest.mark.parametrize(
    ("happens", "level", "says"),
    [
        (
            "delete from mart.availability where sku = 'MUG'",  # gone from Cin7, and not published yet
            "bad",
            "Items shown as available at Emarsys, and not available: 1.",
        ),
        (
            "update operations.exception_classes set class = 'item_drift', level = 'CRITICAL' "
            "where class = 'negative_availability'; "
            "update operations.exception_items set class = 'item_drift' where class = 'negative_availability'",
            "bad",
            "SKUs promised beyond what is there: 1. Customers have bought what is not there.",
        ),
        ("", "watch", "SKUs promised beyond what is there: 1. Customers have bought what is not there."),
        (
            "update mart.contacts set payload_hash = 'of new figures' where email = 'ana@example.com'",
            "bad",
            "Customers that Emarsys has not accepted as they are now: 1 of 1.",
        ),
        (
            "update reconciliation.document_books set open = told, parked = 0, first_seen_at = '2026-11-24 01:00'",
            "watch",
            "Documents whose sales lines Emarsys should have, and has not: 2.",
        ),
        (
            "update mart.availability set taken_at = '2026-11-24 02:00'",  # read since then, and not worked out
            "bad",
            "The stock was read 10 hours ago.",
        ),
        ("update staging.tenant set as_of = '2026-11-24 02:00'", "bad", "Orders were read 10 hours ago."),
        (
            "update raw.watermarks set completed_at = '2026-11-01' where entity = 'customers'",
            "bad",
            "Customers were read 23 days ago.",
        ),
    ],
)
def test_what_is_untrue_stale_or_critical_shows_in_the_light(shop: Shop, happens: str, level: str, says: str) -> None:
    shop.connection.execute(f"begin; {happens}")
    found = {finding["says"]: finding["level"] for finding in light(shop)["findings"]}
    shop.connection.execute("rollback")
    assert found.get(says) == level, found


def test_the_light_counts_as_parked_what_the_command_lists(shop: Shop) -> None:
    """A contact of unknown outcome goes again by itself."""
    shop.connection.execute("begin")
    shop.send(9, "contacts", "2026-11-24 12:00:00", "unknown", "ana@example.com", {"cin7_ltv": "10"})
    says = [finding["says"] for finding in light(shop)["findings"]]
    shop.connection.execute("rollback")
    assert "Sales lines or events parked, because nobody knows whether Emarsys has them: 1." in says


def test_tiles_lead_where_their_figure_is_found(shop: Shop) -> None:
    for tile in light(shop)["tiles"]:
        listing = pages.LISTINGS[tile.page]
        assert pages.show(shop.facts, listing, filter=tile.filter).total == tile.count, tile


def test_balance_counts_every_row_once_and_days_without_any_are_there(shop: Shop) -> None:
    found = pages.flows(shop.facts)
    for row in found["balance"]:
        assert row["source"] == row["excluded"] + row["eligible"] and row["unaccounted"] == 0
    assert [day["day"].day for day in found["sent"]][-3:] == [22, 23, 24]
    assert found["sent"][-1] | {"day": 0} == {"day": 0, "accepted": 1, "rejected": 1, "retryable": 0, "unknown": 1}
    assert found["changes"][-1]["came_back"] == 1
    assert [version["version"] for version in found["publications"]] == [2, 1]


def test_days_are_those_of_the_merchant(shop: Shop) -> None:
    shop.connection.execute(
        "begin; update staging.tenant set time_zone = 'Australia/Sydney'; "
        "update delivery.batches set closed_at = '2026-11-23 14:00'; "
        "update mart.availability_events set changed_at = '2026-11-23 14:00'"
    )
    found = pages.flows(shop.facts)
    today = next(tile.count for tile in light(shop)["tiles"] if tile.text == "back in stock today")
    shop.connection.execute("rollback")
    sent, changes = found["sent"][-1], found["changes"][-1]
    assert (sent["day"].day, sent["accepted"], sent["unknown"]) == (24, 1, 1), "one in the morning, in Sydney"
    assert (changes["day"].day, changes["came_back"]) == (24, today)


def test_look_up_finds_an_item_in_any_case_with_its_time_line(shop: Shop) -> None:
    item = look_up(shop.facts, " tent")["item"]
    kinds = [entry["kind"] for entry in item["timeline"]]
    assert set(kinds) == {"snapshot", "decision", "payload", "answer"}
    assert [entry["at"] for entry in item["timeline"]] == sorted((e["at"] for e in item["timeline"]), reverse=True)


def test_look_up_finds_an_order_by_its_number_and_by_a_document_of_it(shop: Shop) -> None:
    for asked in ("so-s1", "INV-i1", "CR-c1"):
        order = look_up(shop.facts, asked)["order"]
        assert (order["order_number"], order["net"], len(order["documents"])) == ("SO-s1", 10, 2), asked
    says = [entry["says"] for entry in order["timeline"]]
    assert "sales: 2 × MUG: unknown (HTTP 200), batch 2" in says
    assert "events: order shipped: rejected (HTTP 200), batch 3" in says


def test_look_up_finds_a_person_by_address_and_by_customer_id(shop: Shop) -> None:
    for asked in ("Ana@Example.com", "c-1", "c-1:1"):
        person = look_up(shop.facts, asked)["person"]
        assert (person["email"], person["ltv"]) == ("ana@example.com", 10), asked
    assert look_up(shop.facts, "c-2")["orphans"][0]["name"] == "No Mail"
    assert {
        "contacts: accepted (HTTP 200), batch 1",
        "sales: 2 × MUG, order SO-s1: unknown (HTTP 200), batch 2",
        "events: order shipped, order SO-s1: rejected (HTTP 200), batch 3",
    } <= {entry["says"] for entry in person["timeline"]}


@pytest.mark.parametrize(
    "asked", ["nothing", "nobody@example.com", "<script>alert(1)</script>", "'; drop table x; --", "%"]
)
def test_look_up_of_nothing_finds_nothing(shop: Shop, asked: str) -> None:
    found = look_up(shop.facts, asked)
    assert not found["item"] and not found["order"] and not found["person"]


def test_what_has_not_been_built_says_so() -> None:
    empty = Shop()
    for asked in (
        lambda: pages.show(empty.facts, pages.AVAILABILITY),
        lambda: pages.overview(empty.facts, empty.merchant, NOW),
        lambda: look_up(empty.facts, "A"),
    ):
        with pytest.raises(NothingPublished, match="sync nightly"):
            asked()


def test_a_copy_of_an_earlier_version_says_what_to_do(shop: Shop) -> None:
    shop.connection.execute("begin; alter table mart.availability_events rename column to_available to was_called_so")
    with pytest.raises(NothingPublished, match="sync nightly"):
        pages.flows(shop.facts)
    shop.connection.execute("rollback")


def test_a_warehouse_that_is_built_and_empty_is_not_safe_to_send() -> None:
    empty = Shop()
    found = pages.overview(empty.build().facts, empty.merchant, NOW)
    assert found["level"] == "bad"
    assert not pages.show(empty.facts, pages.AVAILABILITY).rows
    assert pages.flows(empty.facts)["balance"]
