"""Exceptions: found, kept, resolved, found again; who answers for them and when they turn critical."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cin7_emarsys.merchant import Threshold
from cin7_emarsys.operations.exceptions import classes
from cin7_emarsys.warehouse import exceptions, gates
from cin7_emarsys.warehouse.exceptions import Standing
from cin7_emarsys_tests.conftest import law
from cin7_emarsys_tests.warehouse.world import Row, World

NO_PRICE = next(condition for condition in gates.conditions() if condition.name == "no_price")
ORPHAN = gates.Condition(
    name="lost", file="x/lost.sql", sql="from lost", title="Lost: {rows}", assets=("mart.ats",), next_step="Find them.",
    guards=(), severity="warn", blocking=False, key=("key",), owner="sales", means="They get no mail.",
    critical=Threshold(count=3), population="", due_hours=24,
)  # fmt: skip


@pytest.fixture(scope="module")
def built() -> World:
    return World().product("A").product("B").build()


@pytest.fixture
def world(built: World) -> World:
    """The same tables for each test, without exceptions, at 10:00."""
    built.clear("operations.exception_items", "operations.exception_classes", "operations.exception_decisions")
    built.connection.execute("create or replace table lost (key varchar, cause varchar, owner varchar)")
    return at(built, 10)


def at(world: World, hour: int) -> World:
    moment = f"2026-11-{24 + hour // 24} {hour % 24:02}:00:00"
    world.clear("raw.watermarks").put("raw.watermarks", {"entity": "x", "completed_at": moment})
    world.connection.execute("update staging.tenant set as_of = ?::timestamp", [moment])
    return world


def lost(world: World, *rows: tuple[str, str | None]) -> Standing:
    world.connection.execute("delete from lost")
    for key, cause in rows:
        world.connection.execute("insert into lost values (?, ?, 'finance')", [key, cause])
    _, standing = exceptions.record(world.connection, [ORPHAN], world.merchant)["lost"]
    assert standing
    return standing


def shown(world: World, cause: str = "") -> Row:
    row: Row = world.one(f"operations.exceptions where class = 'lost' and cause = '{cause}'")
    return row


def test_what_is_found_is_kept_until_it_is_gone_and_what_comes_back_keeps_its_age(world: World) -> None:
    lost(world, ("a", None), ("b", None))
    row = shown(world)
    assert (row["state"], row["count"], row["examples"], row["age_hours"]) == ("open", 2, ["a", "b"], 0)
    assert (row["meaning"], row["next_step"], row["title"]) == ("They get no mail.", "Find them.", "Lost: 2")
    lost(at(world, 13), ("a", None), ("c", None))
    row = shown(world)
    assert (row["count"], row["age_hours"], row["examples"]) == (2, 3, ["a", "c"])
    lost(at(world, 15))
    row = shown(world)
    assert (row["state"], row["count"], str(row["resolved_at"])) == ("resolved", 0, "2026-11-24 15:00:00")
    lost(at(world, 16), ("b", None))
    row = shown(world)
    assert (row["state"], row["age_hours"], row["reopened"], row["resolved_at"]) == ("open", 6, 1, None)
    assert not row["overdue"]
    assert shown(at(world, 35))["overdue"], "it was first seen a day and an hour ago"


def test_each_cause_has_a_row_with_its_owner(world: World) -> None:
    lost(world, ("a", "gone"), ("b", "gone"), ("c", "never"))
    rows = world.rows("operations.exceptions", "cause", "title", "owner", "severity")
    assert rows == [("gone", "Lost: 2", "finance", "CRITICAL"), ("never", "Lost: 1", "finance", "CRITICAL")]


def test_an_address_is_never_a_key(world: World) -> None:
    lost(world, ("Ana@example.com", None), ("ben@example.com", None))
    assert "@" not in str(world.rows("operations.exception_items")) + str(shown(world))
    assert shown(world)["count"] == 2


def test_what_could_not_be_asked_proves_nothing(world: World) -> None:
    lost(world, ("a", None))
    world.connection.execute("drop table lost")
    gate, standing = exceptions.record(world.connection, [ORPHAN], world.merchant)["lost"]
    assert standing is None and gate.rows
    assert shown(world)["count"] == 1


def test_what_is_ignored_alarms_nobody_until_its_day(world: World) -> None:
    assert lost(world, ("a", None), ("b", None), ("c", None)).level() == "CRITICAL"
    decision = {"class": "lost", "ignored_until": "2026-11-24 12:00:00", "reason": "known", "decided_at": "2026-11-24"}
    world.put("operations.exception_decisions", decision | {"key": "a"})
    assert lost(world, ("a", None), ("b", None), ("c", None)).level() == "WARNING"
    assert (shown(world)["count"], shown(world)["ignored"]) == (2, 1)
    world.put("operations.exception_decisions", decision | {"key": None})
    assert lost(world, ("a", None)).level() is None
    row = shown(world)
    assert (row["state"], row["reason"], str(row["ignored_until"])) == ("ignored", "known", "2026-11-24 12:00:00")
    assert lost(at(world, 13), ("a", None)).level() == "WARNING"


def test_the_policy_names_owners_and_thresholds() -> None:
    rule = {"owner": "buying", "due_hours": 1, "warning": {"count": 2}, "critical": {"share": 0.9}}
    world = World(owners={"buying": "Maria"}, exceptions={"no_price": rule})
    world.product("A", PriceTier1=0).product("B").build()
    _, standing = exceptions.record(world.connection, [NO_PRICE], world.merchant)["no_price"]
    assert standing
    assert (standing.owner, standing.count, standing.level()) == ("Maria", 1, None)
    row = world.one("operations.exceptions")
    assert (row["owner"], row["severity"], row["examples"]) == ("Maria", "NOTE", ["A"])


@law(5)
@given(st.lists(st.sets(st.sampled_from("abcd")), min_size=1, max_size=6))
def test_open_is_what_was_found_last(world: World, days: list[set[str]]) -> None:
    """Whatever came and went: open are those of the last day, and their age counts from their first."""
    world.clear("operations.exception_items")
    first: dict[str, int] = {}
    for day, found in enumerate(days):
        at(world, 10 + day)
        standing = lost(world, *((key, None) for key in sorted(found)))
        for key in found:
            first.setdefault(key, day)
        assert standing.count == len(found)
        assert standing.hours == max((day - first[key] for key in found), default=0)
    kept: list[Any] = world.rows("operations.exception_items", "key", "resolved_at is null")
    assert dict(kept) == {key: key in days[-1] for key in first}


@law(100)
@given(st.integers(0, 9), st.integers(1, 9), st.floats(0, 99), st.floats(0, 99))
def test_a_level_never_falls_with_time(count: int, population: int, hours: float, later: float) -> None:
    rank = {None: 0, "WARNING": 1, "CRITICAL": 2}
    standing = Standing(
        "x", count, population, hours, warning=Threshold(hours=10), critical=Threshold(count=5, hours=50)
    )
    assert rank[standing.level(later)] >= rank[standing.level()]
    assert Standing.heard(standing.told()) == standing


@pytest.mark.parametrize("name", ["snapshot_trusted", "trusted_snapshot"])
def test_stock_that_cannot_be_trusted_for_hours_is_as_old_as_its_first_snapshot(world: World, name: str) -> None:
    world.clear("raw.snapshots")
    for hour in (10, 14, 20):
        moment = f"2026-11-24 {hour}:00:00"
        row = {"snapshot_id": f"n{hour}", "taken_at": moment, "finished_at": moment, "trusted": False}
        at(world, hour).put("raw.snapshots", row | {"reason": "row drop of 40 %"})
        exceptions.record(world.connection, [classes()[name]], world.merchant)
    found = world.one("operations.exceptions")
    assert (found["count"], found["age_hours"], found["overdue"]) == (1, 10, True)
    if name == "snapshot_trusted":
        assert "sync stock --release n20 --reason" in found["next_step"]


def test_a_source_is_late_when_the_policy_says_so() -> None:
    late = classes()["source_lag"]
    for hours, expected in ((30, 1), (50, 0)):
        world = World(alerts={"nightly_hours": hours})
        world.put("raw.watermarks", {"entity": "products", "completed_at": "2026-11-24 10:00:00"})
        world.put("raw.watermarks", {"entity": "sale_headers", "completed_at": "2026-11-25 20:00:00"})
        gate, _ = exceptions.record(world.connection, [late], world.merchant)["source_lag"]
        assert gate.rows == expected, hours
