"""A project of its own folder, driven by the real commands in real processes, against a sandbox of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import duckdb
import pytest

from cin7_emarsys_tests.conftest import PROJECT, running_sandbox


@dataclass
class Place:
    """One project folder with the sandbox it talks to."""

    folder: Path
    environment: dict[str, str]
    logged: str = ""

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("CIN7_", "EMARSYS_", "FEED_"))}
        for name in ("WAREHOUSE", "LEDGER", "MERCHANT_TOML", "DAGSTER_HOME"):
            own.pop(name, None)
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "cin7_emarsys.cli", *arguments],
            cwd=self.folder,
            env={**own, **self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, code: int | None = 0, **more: str) -> str:
        """Output of a command; its exit code must be ``code`` (None: any)."""
        with self.start(*arguments, **more) as process:
            output, errors = process.communicate(timeout=300)
        assert code is None or process.returncode == code, (
            f"{arguments} ended with {process.returncode}:\n{output}\n{errors}"
        )
        self.logged = errors
        return output

    def sync(self, job: str = "nightly", *options: str, code: int | None = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("sync", job, "--json", *options, code=code))
        return found

    def ask(self, vendor: str, path: str, body: object = None, method: str | None = None) -> Any:
        address = self.environment[f"{vendor}_BASE_URL"].split("/", 3)
        data = None if body is None else json.dumps(body).encode()
        request = Request("/".join(address[:3]) + path, data, {"Content-Type": "application/json"}, method=method)
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.folder / "var" / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def judged(self) -> dict[str, list[tuple[Any, ...]]]:
        """What Emarsys holds, in an order of its own, without times of arrival."""
        contacts = self.ask("EMARSYS", "/_sandbox/contacts?limit=1000000")["contacts"]
        sales = self.ask("EMARSYS", "/_sandbox/sales?limit=1000000")["lines"]
        events = self.ask("EMARSYS", "/_sandbox/events?limit=1000000")["events"]
        return {
            "contacts": sorted((c["email"], json.dumps(c["fields"], sort_keys=True)) for c in contacts),
            "sales": sorted(
                (s["order"], s["item"], s["price"], s["quantity"], s["email"], s["timestamp"]) for s in sales
            ),
            "events": sorted((e["event"], e["trigger_id"], e["email"]) for e in events),
        }


def make_place(folder: Path, environment: dict[str, str]) -> Place:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("dagster.yaml", "merchant.toml"):
        shutil.copy(PROJECT / name, folder / name)
    return Place(folder, environment)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with running_sandbox() as environment:
        yield make_place(tmp_path / "project", environment)


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place after an undisturbed nightly sync; nothing happens at its merchant."""
    with running_sandbox() as environment:
        made = make_place(tmp_path_factory.mktemp("loaded") / "project", environment)
        made.sync("nightly")
        yield made


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place after its first nightly sync, whose merchant may go about its business."""
    with running_sandbox() as environment:
        made = make_place(tmp_path_factory.mktemp("busy") / "project", environment)
        made.sync("nightly")
        yield made


RAW = ("products", "customers", "sale_headers", "sales", "credit_notes", "product_families", "locations")


def warehouse(place: Place) -> dict[str, list[tuple[Any, ...]]]:
    """What was read and worked out, without times and ids of extracts."""
    found = {table: place.rows(f'select "_hash" from raw.{table} order by all') for table in RAW}
    found["availability"] = place.rows(
        "select SKU, Location, Bin, Batch, OnHand, Allocated from raw.availability order by all"
    )
    found["value"] = place.rows("select * from mart.customer_value order by all")
    found["catalogue"] = place.rows("select item, available, c_stock, price from mart.catalogue order by all")
    return found
