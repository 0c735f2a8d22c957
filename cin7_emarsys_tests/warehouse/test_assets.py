"""The warehouse room in Dagster: documented, owned, committed before it is told, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, AssetSelection, materialize

from cin7_emarsys.settings import Settings
from cin7_emarsys.settings_resource import SettingsResource
from cin7_emarsys.warehouse import factory
from cin7_emarsys.warehouse.assets import assets, checks
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys_tests.warehouse.world import T0, World, invoice, line, merchant

# Dagster asks pydantic for an attribute it has deprecated, for a resource without fields.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")


class Rules(SettingsResource):
    def load(self) -> Settings:
        return Settings(None, merchant())  # type: ignore[arg-type]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    world = World().product("A").snapshot("n1", T0, [{"sku": "A", "on_hand": 5}])
    world.put("raw.products", {"ID": "P-B", "SKU": "B", "Type": "Stock", "Sellable": True})
    world.sale("s1", Invoices=[invoice("i1", line("A", 1))])
    path = tmp_path / "warehouse.duckdb"
    world.connection.execute(f"attach '{path}' as file; copy from database memory to file; detach file")
    return Warehouse(database=str(path), lock_wait_seconds=5)


def run(warehouse: Warehouse, selection: AssetSelection | None = None, *, good: bool = True) -> Any:
    resources = {"warehouse": warehouse, "settings": Rules()}
    return materialize([*assets, *checks], resources=resources, selection=selection, raise_on_error=good)


def test_a_run_builds_and_checks_everything(warehouse: Warehouse) -> None:
    result = run(warehouse)
    ours = {name for name, model in factory.models().items() if model.schema in ("staging", "mart")}
    assert {".".join(event.asset_key.path) for event in result.get_asset_materialization_events()} == ours
    failed = {check.check_name: check for check in result.get_asset_check_evaluations() if not check.passed}
    assert set(failed) == {"no_price", "locations_exist"}
    metadata = failed["no_price"].metadata
    assert metadata["rows"].value == 1
    assert metadata["sample"].value.records[0].data == {"item": "B", "last_published_price": ""}
    assert "Enter the price in Cin7" in str(metadata["next_step"].value)
    figures = {".".join(told.asset_key.path): told.materialization.metadata
               for told in result.get_asset_materialization_events()}  # fmt: skip
    told = {name: figures["mart.documents"][name].value for name in factory.models()["mart.documents"].figures}
    assert told == {"invoiced": 10.0, "credited": 0.0, "faulty": 0, "newest": "2026-11-21"}


def test_a_cadence_builds_its_part_and_only_that(warehouse: Warehouse) -> None:
    keys = {"staging/snapshot", "staging/stock_places", "staging/tenant", "mart/ats"}
    stock = AssetSelection.assets(*(key.split("/") for key in sorted(keys)))
    result = run(warehouse, stock)
    built = [event.asset_key.to_user_string() for event in result.get_asset_materialization_events()]
    assert set(built) == keys
    told = {event.asset_key: event.materialization.metadata for event in result.get_asset_materialization_events()}
    assert told[AssetKey(["staging", "stock_places"])]["dagster/row_count"].value == 1
    assert "dagster/row_count" not in told[AssetKey(["staging", "snapshot"])]  # a view: nothing was written


def test_nothing_is_told_that_was_rolled_back(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.execute("alter table raw.sales alter Fulfilments type varchar")
    result = run(warehouse, good=False)
    assert not result.success
    assert result.get_asset_materialization_events() == []
    (failure,) = result.get_step_failure_events()
    assert "staging/fulfilments.sql: " in str(failure.step_failure_data.error)


GROUPS = ("tidied", "stock_counted", "stock_promised", "customers_and_orders", "for_emarsys")


def test_every_asset_is_documented_and_owned() -> None:
    for definition in assets:
        for spec in definition.specs:
            assert spec.description, spec.key
            assert spec.owners, spec.key
            assert spec.group_name in GROUPS, spec.key
            assert {"duckdb", "sql"} <= spec.kinds, spec.key
            assert spec.freshness_policy, spec.key
            columns = spec.metadata["dagster/column_schema"].columns
            assert all(column.description for column in columns), spec.key
