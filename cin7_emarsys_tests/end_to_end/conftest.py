"""A project in a folder of its own, driven by its commands and jobs, against a sandbox in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import duckdb
import pytest
from dagster import DagsterInstance
from typer.testing import CliRunner

from cin7_emarsys.cli import app
from cin7_emarsys.operations import sync as syncing
from cin7_emarsys_tests.conftest import PROJECT, running_sandbox


@dataclass
class Place:
    """One project folder with the sandbox it talks to."""

    folder: Path
    environment: dict[str, str]
    logged: str = ""

    def _own(self) -> dict[str, str]:
        """The environment of this place: nothing of what the tests run under."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("CIN7_", "EMARSYS_", "FEED_"))}
        for name in ("WAREHOUSE", "LEDGER", "MERCHANT_TOML", "DAGSTER_HOME"):
            own.pop(name, None)
        return {**own, **self.environment}

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """A command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "cin7_emarsys.cli", *arguments],
            cwd=self.folder,
            env={**self._own(), **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This process stands in the folder, and has its environment."""
        with pytest.MonkeyPatch.context() as patch:
            own = self._own()
            for name in set(os.environ) - set(own):
                patch.delenv(name)
            for name, value in own.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            yield

    def run(self, *arguments: str, code: int | None = 0) -> str:
        """Output of a command, run in this process; its exit code must be ``code`` (None: any)."""
        with self.entered():
            done = CliRunner().invoke(app, arguments)
        assert code in (None, done.exit_code), f"{arguments} ended with {done.exit_code}:\n{done.output}"
        return done.stdout

    def sync(self, job: str, *, full: bool = False, dry_run: bool = False, code: int | None = 0) -> dict[str, Any]:
        """What `sync JOB --json` prints, of a job run in this process (``code`` as in `run`, None: any).

        Its history is kept in memory: writing it to disk costs as much as the job, and `scheduled` tests that.
        """
        with self.entered(), DagsterInstance.ephemeral() as history:
            outcome = syncing.sync(job, full=full, dry_run=dry_run, on=history)
        assert code is None or outcome.ok == (code == 0), (outcome.errors, outcome.failed_checks)
        return vars(outcome) | {"checks": [vars(check) for check in outcome.checks]}

    def scheduled(self, job: str) -> None:
        """A job as the daemon runs it: on the project's instance, with all its logs; these are kept in `logged`."""
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "dagster",
                "job",
                "execute",
                "-m",
                "cin7_emarsys.definitions",
                "-j",
                job,
            ],
            cwd=self.folder,
            env={**self._own(), "DAGSTER_HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        self.logged = done.stdout + done.stderr
        assert done.returncode == 0, self.logged

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


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place after an undisturbed nightly sync, for all tests of a file."""
    with running_sandbox() as environment:
        made = make_place(tmp_path_factory.mktemp("loaded") / "project", environment)
        made.scheduled("nightly")
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
