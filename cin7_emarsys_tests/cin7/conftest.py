"""A reader of the sandbox: client, warehouse and landing folder of one test, and the sandbox's controls."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from cin7_emarsys.cin7 import availability, extract, sales
from cin7_emarsys.cin7.client import Cin7
from cin7_emarsys.settings import load_settings
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys_tests.conftest import PROJECT, start_sandbox, stop_sandbox


@dataclass
class Reader:
    """Reads one sandbox into one warehouse."""

    cin7: Cin7
    warehouse: Warehouse
    landing: Path
    origin: str

    def read_list(self, table: str, *, full: bool = False) -> extract.Read:
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
        ours = "name like '\\_%' escape '\\' or name = 'snapshot_id'"
        return self.query(f"select columns(name -> not ({ours})) from raw.{table} order by all")

    def watermark(self, entity: str) -> Any:
        found = self.query("select watermark from raw.watermarks where entity = ?", entity)
        return found[0][0] if found else None

    # The sandbox's controls

    def faults(self, *specs: dict[str, object]) -> None:
        _control.put(f"{self.origin}/_sandbox/faults", json=list(specs)).raise_for_status()

    def do(self, action: str, /, **parameters: object) -> dict[str, Any]:
        answer = _control.post(f"{self.origin}/_sandbox/merchant", json={"do": action, **parameters})
        assert answer.is_success, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def advance(self, **duration: float) -> None:
        seconds = duration.get("minutes", 0) * 60 + duration.get("hours", 0) * 3600
        _control.post(f"{self.origin}/_sandbox/clock", json={"advance": seconds}).raise_for_status()

    def fired(self) -> list[int]:
        """How often each fault in force has fired."""
        return [spec["fired"] for spec in _control.get(f"{self.origin}/_sandbox/faults").json()]

    @contextmanager
    def while_slow(self, path: str, read: Callable[[], object]) -> Iterator[None]:
        """The block runs while another job's ``read`` waits for an answer of ``path``, which comes long after."""
        self.faults({"name": "slow", "service": "cin7", "path": path, "nth": 1, "times": 1, "seconds": 3})
        with ThreadPoolExecutor(1) as beside:
            begun = beside.submit(read)
            while self.fired() != [1]:
                time.sleep(0.02)
            yield
            assert not begun.done()
            begun.result()

    def switches(self, **values: object) -> None:
        _control.post(f"{self.origin}/_sandbox/switches", json=values).raise_for_status()

    def asked(self) -> list[dict[str, Any]]:
        """Every request the vendor has received, oldest first."""
        answer = _control.get(f"{self.origin}/_sandbox/requests", params={"limit": 100_000}).json()
        rows: list[dict[str, Any]] = answer["requests"]
        return rows


_control = httpx.Client(verify=False, timeout=30)
Enter = Callable[[dict[str, str]], Path]
# Waits are counted in windows, so a short one makes a throttle and a repetition short.
_SHORT = {"CIN7_WINDOW_SECONDS": "0.2"}


def _origin(environment: dict[str, str]) -> str:
    address = httpx.URL(environment["CIN7_BASE_URL"])
    return f"{address.scheme}://{address.netloc.decode()}"


@pytest.fixture(scope="session", autouse=True)
def _control_closed() -> Iterator[None]:
    yield
    _control.close()


@pytest.fixture
def read(in_project: Enter) -> Iterator[Callable[[dict[str, str]], Reader]]:
    """A reader of a given sandbox, with a warehouse of its own."""
    readers: list[Reader] = []

    def enter(environment: dict[str, str]) -> Reader:
        state = in_project({**environment, **_SHORT})
        shutil.rmtree(state, ignore_errors=True)
        readers.append(_reader(environment))
        return readers[-1]

    yield enter
    for opened in readers:
        opened.cin7.transport.close()


def _reader(environment: dict[str, str]) -> Reader:
    settings = load_settings()
    warehouse = Warehouse(database=str(settings.paths.warehouse))
    return Reader(Cin7(settings), warehouse, settings.paths.landing, _origin(environment))


@pytest.fixture(scope="module")
def _shop(busy_vendor: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        own = {"WAREHOUSE": str(folder / "warehouse.duckdb"), "MERCHANT_TOML": str(PROJECT / "merchant.toml")}
        for name, value in {**busy_vendor, **_SHORT, **own}.items():
            patch.setenv(name, value)
        opened = _reader(busy_vendor)
    yield opened
    opened.cin7.transport.close()


@pytest.fixture
def shop(_shop: Reader) -> Iterator[Reader]:
    """Reads a sandbox whose merchant may be made to work, into one warehouse for all tests of a file."""
    yield from _without_faults(_shop)


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
