"""The graph as a stranger finds it: every asset described, owned and watched; a change of it is a diff somebody reads."""

from __future__ import annotations

import os
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

from dagster import AssetKey, AssetSpec
from syrupy.assertion import SnapshotAssertion

from cin7_emarsys.definitions import defs
from cin7_emarsys.operations.jobs import DESCRIPTIONS, run_config
from cin7_emarsys_tests.conftest import PROJECT

ENDS = {
    "cin7/account",
    *(f"emarsys/{end}" for end in ("contact_database", "product_catalogue", "sales_data", "external_events")),
}


def _specs() -> dict[str, AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_the_graph(snapshot: SnapshotAssertion) -> None:
    repository = defs.get_repository_def()
    repository.load_all_definitions()
    graph = repository.asset_graph
    assert {
        "assets": {
            key.to_user_string(): sorted(parent.to_user_string() for parent in graph.get(key).parent_keys)
            for key in sorted(graph.get_all_asset_keys())
        },
        "checks": sorted(f"{key.asset_key.to_user_string()}: {key.name}" for key in graph.asset_check_keys),
        "jobs": {
            name: sorted(key.to_user_string() for key in defs.resolve_job_def(name).asset_layer.executable_asset_keys)
            for name in DESCRIPTIONS
        },
        "schedules": sorted(schedule.name for schedule in repository.schedule_defs),
        "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
    } == snapshot


def test_every_asset_is_described_owned_grouped_and_watched() -> None:
    for key, spec in _specs().items():
        assert spec.description and len(spec.description) > 15, key
        assert spec.owners, key
        assert spec.group_name and spec.group_name != "default", key
        assert spec.kinds, key
        if key not in ENDS:
            assert spec.freshness_policy, key


def test_groups_follow_each_other_without_a_circle() -> None:
    """Closed groups are what a stranger sees first: stock must lead from vendor to vendor, and never back."""
    specs = _specs()
    groups: dict[str, set[str]] = {spec.group_name or "": set() for spec in specs.values()}
    for spec in specs.values():
        for dep in spec.deps:
            before = specs[dep.asset_key.to_user_string()].group_name
            if before != spec.group_name:
                groups[spec.group_name or ""].add(before or "")
    order = list(TopologicalSorter(groups).static_order())
    line = [
        "cin7",
        "tidied",
        "stock_counted",
        "second_look",
        "stock_promised",
        "for_emarsys",
        "emarsys",
        "reconciliation",
    ]
    assert [group for group in order if group in line] == line and order[-1] == "operations"


def test_every_table_says_what_its_columns_mean() -> None:
    for key, spec in _specs().items():
        if key.startswith(("staging/", "mart/", "reconciliation/")):
            columns = spec.metadata["dagster/column_schema"].columns
            assert columns and all(column.description for column in columns), key


def test_the_line_leads_from_vendor_to_vendor() -> None:
    graph = defs.get_repository_def().asset_graph
    above = {AssetKey(["emarsys", "product_catalogue"])}
    while True:
        more = above | {parent for key in above for parent in graph.get(key).parent_keys}
        if more == above:
            break
        above = more
    assert AssetKey(["cin7", "account"]) in above


def test_run_configuration_fits_every_job() -> None:
    from dagster import validate_run_config

    for job in DESCRIPTIONS:
        for full in (False, True):
            for dry_run in (False, True):
                config = run_config(job, full=full, dry_run=dry_run, quiet=True)
                assert validate_run_config(defs.resolve_job_def(job), config) is not None


def printed(program: str) -> str:
    """What a program prints in a process of its own."""
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def test_importing_the_definitions_opens_nothing_and_loads_no_heavy_room() -> None:
    program = (
        "import sys, cin7_emarsys.definitions\n"
        "print([m for m in ('pandas', 'numpy', 'apprise', 'uvicorn', 'cin7_emarsys.sandbox.server') if m in sys.modules])"
    )
    assert printed(program) == "[]"


def test_a_command_that_runs_nothing_loads_no_dagster() -> None:
    program = (
        "import sys\n"
        "import cin7_emarsys.cli, cin7_emarsys.cli.delivered, cin7_emarsys.desk.pages\n"
        "from cin7_emarsys.operations import aliases, exceptions, explain, person, plan, preview\n"
        "from cin7_emarsys.emarsys import replay\n"
        "print('dagster' in sys.modules)"
    )
    assert printed(program) == "False"


def test_what_would_be_erased_is_found_without_the_ledger() -> None:
    program = (
        "import sys, cin7_emarsys.cli, cin7_emarsys.operations.person\n"
        "print([name for name in ('sqlalchemy', 'httpx') if name in sys.modules])"
    )
    assert printed(program) == "[]"


def test_the_policy_says_when_an_asset_is_not_up_to_date(tmp_path: Path) -> None:
    policy = (PROJECT / "merchant.toml").read_text()
    for name, was, now in (("stock_minutes", 60, 90), ("orders_minutes", 60, 120), ("nightly_hours", 30, 50)):
        policy = policy.replace(f"{name} = {was}", f"{name} = {now}")
    file = tmp_path / "merchant.toml"
    file.write_text(policy)
    program = (
        "from cin7_emarsys.definitions import defs\n"
        "specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}\n"
        "for key in ('raw/availability', 'raw/sale_headers', 'mart/ats', 'emarsys/contacts', 'operations/report'):\n"
        "    print(specs[key].freshness_policy.fail_window.to_timedelta().total_seconds() / 60)"
    )
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True, text=True, check=True, env=os.environ | {"MERCHANT_TOML": str(file)},
    )  # fmt: skip
    assert [float(minutes) for minutes in found.stdout.split()] == [90, 120, 240, 240, 3000]
