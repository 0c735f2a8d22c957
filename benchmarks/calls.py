"""Calls made to Cin7 ÷ the arithmetic minimum, and wall time ÷ the floor the rate limit sets.

The minimum: one call for each page of each list, by the totals the sandbox tells, and one for each sale whose status asks
for its detail and each stand-alone credit note. The floor: with 50 calls allowed in each window, N calls take
(N − 1) // 50 whole windows and then the latency of the calls of the last one, measured in the same run.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.report import Figures, speak
from cin7_emarsys.cin7 import availability, client, extract, sales
from cin7_emarsys.cin7.client import Cin7
from cin7_emarsys.settings import Settings, load_settings
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys_tests.conftest import PROJECT, start_sandbox, stop_sandbox

GOALS = {"full": "1.00", "incremental": "1.00", "floor_ratio": "≤ 1.05"}
_WINDOW = 10.0
_CALLS = 180


def _enter(environment: dict[str, str], folder: str) -> Settings:
    os.environ.update(environment, WAREHOUSE=f"{folder}/warehouse.duckdb", MERCHANT_TOML=str(PROJECT / "merchant.toml"))
    return load_settings()


def _sync(settings: Settings, warehouse: Warehouse, *, full: bool) -> int:
    landing = settings.paths.landing
    with Cin7(settings) as cin7:
        extract.read_account(cin7, warehouse, landing)
        for table in extract.LISTS:
            extract.read_list(cin7, warehouse, landing, table, full=full)
        sales.scan_headers(cin7, warehouse, landing, full=False)
        sales.read_details(cin7, warehouse, landing, only_unallocated=True)
        availability.take_snapshot(cin7, warehouse, landing, max_row_drop=0.2)
        sales.read_details(cin7, warehouse, landing)
        return cin7.calls


def ask_cin7(settings: Settings, path: str, **parameters: str | int) -> Any:
    """One plain call to Cin7, past our own client."""
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    account = settings.cin7
    headers = {
        "api-auth-accountid": account.account_id.get_secret_value(),
        "api-auth-applicationkey": account.application_key.get_secret_value(),
    }
    with urlopen(Request(f"{account.base_url}/{path}?{query}", headers=headers), timeout=60) as answer:
        return json.load(answer)


def _minimum(settings: Settings) -> tuple[int, int]:
    """Calls of a first full sync, and of a sync right after it."""
    lists = [*extract.LISTS.values(), client.SALES, client.CREDIT_NOTES, client.AVAILABILITY]
    pages = 1  # the account
    for endpoint in lists:
        total = ask_cin7(settings, endpoint.path, Page=1, Limit=1, **endpoint.parameters).get("Total") or 1
        pages += max(1, math.ceil(int(str(total)) / endpoint.limit))
    headers: list[dict[str, object]] = []
    notes: list[dict[str, object]] = []
    for endpoint, found in ((client.SALES, headers), (client.CREDIT_NOTES, notes)):
        number = 1
        while rows := ask_cin7(settings, endpoint.path, Page=number, Limit=1000)["SaleList"]:
            found += rows
            number += 1
    without = {"DRAFT", "ESTIMATING", "ESTIMATED", "ORDERING", "VOIDED"}
    details = sum(str(header["Status"]).upper() not in without for header in headers)
    listed = {str(header["SaleID"]).lower() for header in headers}
    alone = {str(note["SaleID"]).lower() for note in notes} - listed
    return pages + details + len(alone), 1 + len(lists)


def _floor_ratio(settings: Settings) -> float:
    with Cin7(settings) as cin7:
        cin7.me()
        latencies = []
        began = time.perf_counter()
        for _ in range(_CALLS - 1):
            asked = cin7.transport.request("GET", "me", lane="products", repeatable=True)
            latencies.append(asked.seconds)
        wall = time.perf_counter() - began
    whole, rest = divmod(_CALLS - 1, settings.cin7.calls_per_minute)
    return wall / (whole * _WINDOW + rest * (sum(latencies) / len(latencies)))


def measure() -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        process, environment = start_sandbox()
        try:
            settings = _enter(environment, folder)
            warehouse = Warehouse(database=str(Path(folder) / "warehouse.duckdb"))
            full, again = _minimum(settings)
            made_full = _sync(settings, warehouse, full=True)
            made_again = _sync(settings, warehouse, full=False)
        finally:
            stop_sandbox(process)
    with tempfile.TemporaryDirectory() as folder:
        process, environment = start_sandbox(limits="real", window_seconds=_WINDOW)
        try:
            floor_ratio = _floor_ratio(_enter(environment, folder))
        finally:
            stop_sandbox(process)
    return {"full": made_full / full, "incremental": made_again / again, "floor_ratio": floor_ratio}


if __name__ == "__main__":
    speak(measure, GOALS)
