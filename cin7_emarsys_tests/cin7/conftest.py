"""A reader of the sandbox: client, warehouse and landing folder of one test, and the sandbox's controls."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from cin7_emarsys.cin7 import availability, extract, sales
from cin7_emarsys.cin7.client import Cin7
from cin7_emarsys.settings import load_settings
from cin7_emarsys.warehouse.resource import Warehouse
from cin7_emarsys_tests.conftest import start_sandbox, stop_sandbox


@dataclass
class Reader:
    """Reads one sandbox into one warehouse."""

    cin7: Cin7
    warehouse: Warehouse
    landing: Path
    origin: str

    def list(self, table: str, *, full: bool = False) -> extract.Read:
        return extract.read_list(self.cin7, self.warehouse, self.landing, table, full=full)

    def account(self) -> extract.Read:
        return extract.read_account(self.cin7, self.warehouse, self.landing)

    def headers(self, *, full: bool = False) -> sales.Scan:
        return sales.scan_headers(self.cin7, self.warehouse, self.landing, full=full)

    def details(self, *, only_unallocated: bool = False) -> sales.Details:
        return sales.read_details(self.cin7, self.warehouse, self.landing, only_unallocated=only_unallocated)

    def snapshot(self, max_row_drop: float = 0.3) -> availability.Snapshot:
        return availability.take_snapshot(self.cin7, self.warehouse, self.landing, max_row_drop=max_row_drop)

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self.warehouse.read() as connection:
            return connection.execute(sql, parameters).fetchall()

    def business(self, table: str) -> list[tuple[Any, ...]]:
        """The vendor's columns of a table, without the bookkeeping."""
        columns = self.query(
            "select column_name from information_schema.columns where table_schema = 'raw' and table_name = ? "
            "and column_name not like '\\_%' escape '\\' and column_name <> 'snapshot_id' order by ordinal_position",
            table,
        )
        listed = ", ".join(f'"{name}"' for (name,) in columns)
        return self.query(f"select {listed} from raw.{table} order by all")

    def watermark(self, entity: str) -> Any:
        found = self.query("select watermark from raw.watermarks where entity = ?", entity)
        return found[0][0] if found else None

    # The sandbox's controls

    def faults(self, *specs: dict[str, object]) -> None:
        httpx.put(f"{self.origin}/_sandbox/faults", json=list(specs)).raise_for_status()

    def do(self, action: str, /, **parameters: object) -> dict[str, Any]:
        answer = httpx.post(f"{self.origin}/_sandbox/merchant", json={"do": action, **parameters})
        assert answer.is_success, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def advance(self, **duration: float) -> None:
        seconds = duration.get("minutes", 0) * 60 + duration.get("hours", 0) * 3600
        httpx.post(f"{self.origin}/_sandbox/clock", json={"advance": seconds}).raise_for_status()

    def switches(self, **values: object) -> None:
        httpx.post(f"{self.origin}/_sandbox/switches", json=values).raise_for_status()

    def asked(self) -> list[dict[str, Any]]:
        """Every request the vendor has received, oldest first."""
        answer = httpx.get(f"{self.origin}/_sandbox/requests", params={"limit": 100_000}).json()
        rows: list[dict[str, Any]] = answer["requests"]
        return rows


Enter = Callable[[dict[str, str]], Path]


def _origin(environment: dict[str, str]) -> str:
    address = httpx.URL(environment["CIN7_BASE_URL"])
    return f"{address.scheme}://{address.netloc.decode()}"


@pytest.fixture
def read(in_project: Enter) -> Iterator[Callable[[dict[str, str]], Reader]]:
    """A reader of a given sandbox, with a warehouse of its own."""
    open_clients: list[Cin7] = []

    def enter(environment: dict[str, str]) -> Reader:
        in_project(environment)
        settings = load_settings()
        shutil.rmtree(settings.paths.state, ignore_errors=True)
        cin7 = Cin7(settings)
        open_clients.append(cin7)
        warehouse = Warehouse(database=str(settings.paths.warehouse))
        return Reader(cin7, warehouse, settings.paths.landing, _origin(environment))

    yield enter
    for cin7 in open_clients:
        cin7.transport.close()


@pytest.fixture(scope="session")
def busy_vendor() -> Iterator[dict[str, str]]:
    """One sandbox in which tests make the merchant work; each starts from whatever the others have left."""
    process, environment = start_sandbox(seed=2)
    yield environment
    stop_sandbox(process)


@pytest.fixture(scope="session")
def big_vendor() -> Iterator[dict[str, str]]:
    """One sandbox whose lists have several pages; nothing is changed there."""
    process, environment = start_sandbox(scale="store")
    yield environment
    stop_sandbox(process)


def _without_faults(opened: Reader) -> Iterator[Reader]:
    opened.faults()
    yield opened
    opened.faults()


@pytest.fixture
def reader(sandbox: dict[str, str], read: Callable[[dict[str, str]], Reader]) -> Iterator[Reader]:
    """Reads a small sandbox in which nothing changes; faults end with the test."""
    yield from _without_faults(read(sandbox))


@pytest.fixture
def merchant(busy_vendor: dict[str, str], read: Callable[[dict[str, str]], Reader]) -> Iterator[Reader]:
    """Reads a small sandbox whose merchant may be made to work."""
    yield from _without_faults(read(busy_vendor))


@pytest.fixture
def big(big_vendor: dict[str, str], read: Callable[[dict[str, str]], Reader]) -> Iterator[Reader]:
    """Reads a sandbox whose lists have several pages."""
    yield from _without_faults(read(big_vendor))
