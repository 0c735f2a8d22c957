"""A changed policy, tried: the same models on both sides, and nothing written."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cin7_emarsys import views
from cin7_emarsys.cli import app
from cin7_emarsys.operations.preview import preview
from cin7_emarsys.operations.refusals import NotKnown
from cin7_emarsys_tests.warehouse.test_availability import STOCK
from cin7_emarsys_tests.warehouse.world import World, merchant


@pytest.fixture(scope="module")
def world() -> World:
    """A lies in the shop only, B in the main warehouse; both have been published."""
    made = World(availability={"min_flips": 0, "max_flip_share": 0})
    made.product("A").product("B").put("raw.locations", {"ID": "L1", "Name": "Main"}, {"ID": "L2", "Name": "Shop"})
    made.snapshot(
        "n1", "2026-11-24 10:00:00", [{"sku": "A", "on_hand": 6, "Location": "Shop"}, {"sku": "B", "on_hand": 3}]
    )
    made.build(*STOCK)
    columns = "item, product_id, available, price, c_stock, c_low_stock, c_stock_state"
    made.connection.execute(f"insert into delivery.catalogue_items by name select {columns} from mart.catalogue")
    made.snapshot(
        "n2", "2026-11-24 10:15:00", [{"sku": "A", "on_hand": 6, "Location": "Shop"}, {"sku": "B", "on_hand": 3}]
    )
    made.build(*STOCK)
    return made


def tried(world: World, **sections: Any) -> dict[str, Any]:
    sections["availability"] = {"min_flips": 0, "max_flip_share": 0, **sections.get("availability", {})}
    try:
        return preview(world.connection, world.merchant, merchant(**sections))
    finally:
        world.connection.execute("use memory")
        for side in ("side_running", "side_changed"):
            world.connection.execute(f"detach database if exists {side}")


def test_another_location_shows_what_comes_back_and_what_would_be_held(world: World) -> None:
    before = world.rows("mart.availability"), world.rows("policy.sellable_locations")
    found = tried(world, availability={"sellable_locations": ["Main", "Shop"]})
    (item,) = found["items"]
    assert (item["sku"], item["ats_was"], item["ats_would"], item["flip"]) == ("A", 0, 6, "rise")
    assert [(term["term"], int(term["was"]), int(term["would"])) for term in item["terms"]] == [
        ("non_sellable_location", 6, 0)
    ]
    assert [(hold["kind"], hold["items"]) for hold in found["holds"]] == [("rise", 1)]
    assert found["settings"] == [
        {"name": "availability.sellable_locations", "was": ["Main"], "would": ["Main", "Shop"]}
    ]
    assert (world.rows("mart.availability"), world.rows("policy.sellable_locations")) == before
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(views.policy.previewed({"file": "new.toml", **found}))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1 come back into stock" in text
    assert "Returns that would be held until they are released: 1" in text


def test_a_buffer_and_a_price_tier(world: World) -> None:
    found = tried(world, availability={"buffers": [{"units": 3}]}, prices={"tier": 2})
    flips = {item["sku"]: (item["flip"], item["ats_would"], item["price_would"]) for item in found["items"]}
    assert flips["B"][:2] == ("fall", 0)
    assert found["totals"]["falls"] == 1


def test_a_location_that_cin7_does_not_know_is_named(world: World) -> None:
    found = tried(world, availability={"sellable_locations": ["Main", "Shp"]})
    assert [place["location"] for place in found["unknown_locations"]] == ["Shp"]
    assert found["items"] == []


def test_a_rule_about_something_else_changes_no_item(world: World) -> None:
    found = tried(world, schedules={"stock": "*/5 * * * *"})
    assert [setting["name"] for setting in found["settings"]] == ["schedules.stock"]
    assert found["items"] == []


def test_without_a_snapshot_there_is_nothing_to_try_it_on() -> None:
    with pytest.raises(NotKnown, match="sync stock"):
        tried(World())


def test_every_fault_of_the_file_is_named(in_project: Any, sandbox: dict[str, str], tmp_path: Path) -> None:
    in_project(sandbox)
    file = tmp_path / "new.toml"
    file.write_text("armed = 3\n[availability]\nsellable_locations = []\nmin_flip = 2\n")
    shown = CliRunner().invoke(app, ["policy", "preview", str(file)])
    text = " ".join(shown.output.split())
    assert shown.exit_code == 2
    for field in ("armed", "availability.sellable_locations", "availability.min_flip"):
        assert field in text
