"""Delivery against the sandbox with its limit off: records a second, calls ÷ minimum, what the ledger costs, and memory.

5,000 and 50,000 contacts, 100,000 sales lines and 2,000 events, each run in a process of its own (imports are not counted).
The minimum of calls is records ÷ what one call takes. The ledger is measured against the same run whose ledger writes
nothing down and is not projected, in turns, the best of three each: wall time, because waiting for the disk is what a ledger
costs. Both read the plan and build the body that is kept, so neither is counted as the ledger's. ``sends_ratio`` is the same
up to the last outcome written down: without the projection, which comes after the sends, once. Memory is the peak of the
delivering process for 5,000, 50,000 and 500,000 contacts, and ``peak_ratio`` the last ÷ the first. ``--quick`` leaves the
last size out.
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from benchmarks.report import Figures, speak
from cin7_emarsys.cin7.load import ensure_tables
from cin7_emarsys.emarsys import ledger as ledgers
from cin7_emarsys.emarsys.contacts import deliver_contacts
from cin7_emarsys.emarsys.delivery import Delivery
from cin7_emarsys.emarsys.events import deliver_events
from cin7_emarsys.emarsys.projection import ensure_delivery_tables
from cin7_emarsys.emarsys.sales import deliver_sales
from cin7_emarsys.emarsys.setup import prepare
from cin7_emarsys.settings import load_settings
from cin7_emarsys.warehouse import factory
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys_tests.conftest import PROJECT, start_sandbox, stop_sandbox

GOALS = {"calls_ratio": "1.1", "ledger_ratio": "≤ 1.5", "sends_ratio": "≤ 1.5", "peak_ratio": "flat: ≤ 1.2"}
FLOWS = {"contacts": deliver_contacts, "sales": deliver_sales, "events": deliver_events}
SIZES = (5_000, 50_000, 500_000)
LINES, EVENTS, _PER_DOCUMENT = 100_000, 2_000, 4
_ONE_CALL = {"contacts": 1_000, "sales": 500 * _PER_DOCUMENT, "events": 1_000}

_CONTACTS = """
insert into mart.contacts by name
select
    printf('{name}%06d@example.com', n) as email, printf('C-%06d', n) as customer_id,
    json_object('first_name', 'Ana', 'last_name', printf('Number %d', n), 'ltv', printf('%d.50', n % 900),
        'order_count', (n % 9)::varchar, 'last_order_date', '2026-11-20', 'customer_type', 'repeat') as attributes,
    ['ltv', 'order_count', 'last_order_date'] as derived, 'unknown' as consent, md5(n::varchar) as payload_hash
from range({size}) as numbers(n)
"""
_LINES = f"""
insert into mart.sales_lines by name
select
    'invoice' as document_kind, printf('d%06d', n // {_PER_DOCUMENT}) as document_id, n % {_PER_DOCUMENT} as line_no,
    printf('SO-%06d', n // {_PER_DOCUMENT}) as "order", printf('SKU-%03d', n % 500) as item, 10 + n % 7 as price,
    1 as quantity, timestamp '2026-11-20' as "timestamp",
    printf('{{name}}%06d@example.com', (n // {_PER_DOCUMENT}) % {{size}}) as email
from range({LINES}) as numbers(n)
"""
_EVENTS = f"""
insert into mart.order_events by name
select
    printf('order_shipped:%06d', n) as trigger_id, 'order_shipped' as event, 'transactional' as kind,
    printf('{{name}}%06d@example.com', n % {{size}}) as email, now()::timestamp as fact_at,
    now()::timestamp + interval 20 hour as deadline_at,
    json_object('order', printf('SO-%06d', n), 'lines', json_array(json_object('sku', 'SKU-1', 'qty', 2))) as data
from range({EVENTS}) as numbers(n)
"""


class _Nothing(ledgers.Ledger):
    """A ledger in which nothing is written down."""

    def intend(self, *_: object, **__: object) -> int:
        return 0

    def connecting(self, *_: object) -> None:
        """Not written down."""

    def close_batch(self, *_: object, **__: object) -> set[str]:
        return set()


def _prepare(folder: str, size: int, name: str, more: bool) -> None:
    """A place whose mart wants these contacts, and with ``more`` lines and events of them."""
    settings = load_settings()
    with Warehouse(database=f"{folder}/warehouse.duckdb").write() as connection:
        ensure_tables(connection)
        ensure_delivery_tables(connection)
        factory.build(connection, settings.merchant)
        connection.execute("insert into raw.watermarks (entity, completed_at) values ('baseline', '2026-11-01')")
        connection.execute(
            "insert into raw.snapshots (snapshot_id, taken_at, trusted) values ('s', '2026-11-01', true)"
        )
        for statement in (_CONTACTS, _LINES, _EVENTS) if more else (_CONTACTS,):
            connection.execute(statement.format(name=name, size=size))
    prepare(settings)


def _deliver(folder: str, flow: str, how: str) -> dict[str, Any]:
    settings = load_settings()
    ledger = (_Nothing if how == "without" else ledgers.Ledger)(settings.ledger_url)
    warehouse = Warehouse(database=f"{folder}/warehouse.duckdb")
    began = time.perf_counter()
    report = FLOWS[flow](Delivery(flow, settings, warehouse, ledger, "benchmark", dry_run=False))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": seconds,
        "sending": report.seconds,
        "accepted": report.accepted,
        "calls": report.calls,
        "peak_mb": round(peak),
    }


class _Place:
    """One state folder; each step is a process of its own."""

    def __init__(self, environment: Mapping[str, str], size: int, name: str, *, more: bool = False) -> None:
        self.size = size
        self._folder = tempfile.TemporaryDirectory()
        here = {"WAREHOUSE": f"{self._folder.name}/warehouse.duckdb", "MERCHANT_TOML": str(PROJECT / "merchant.toml")}
        self._environment = {**os.environ, **environment, **here}
        self._step("prepare", str(size), name, "more" if more else "")

    def _step(self, *arguments: str) -> str:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.delivery", "--step", self._folder.name, *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout

    def deliver(self, flow: str, how: str = "with") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._step("deliver", flow, how))
        wanted = {"contacts": self.size, "sales": LINES, "events": EVENTS}[flow]
        if found["accepted"] != wanted:
            raise RuntimeError(f"{flow}: {found['accepted']} accepted of {wanted}")
        found["minimum"] = math.ceil(wanted / _ONE_CALL[flow])
        return found

    def close(self) -> None:
        self._folder.cleanup()


def measure() -> Figures:
    process, environment = start_sandbox()
    try:
        few = _Place(environment, SIZES[0], "few", more=True)
        runs = {flow: few.deliver(flow) for flow in FLOWS}
        few.close()
        found: dict[str, list[dict[str, Any]]] = {"with": [], "without": []}
        for turn in range(3):
            for how, those in found.items():
                many = _Place(environment, SIZES[1], f"{how}{turn}")
                those.append(many.deliver("contacts", how))
                many.close()
        best = {how: min(those, key=lambda run: run["seconds"]) for how, those in found.items()}
        sending = {how: min(run["sending"] for run in those) for how, those in found.items()}
        by_size = [runs["contacts"], best["with"]]
        if "--quick" not in sys.argv:
            most = _Place(environment, SIZES[2], "most")
            by_size.append(most.deliver("contacts"))
            most.close()
    finally:
        stop_sandbox(process)
    every = [*runs.values(), *by_size[1:]]
    peaks = [run["peak_mb"] for run in by_size]
    return {
        "contacts_per_s": SIZES[1] / best["with"]["seconds"],
        "calls_ratio": sum(run["calls"] for run in every) / sum(run["minimum"] for run in every),
        "ledger_ratio": best["with"]["seconds"] / best["without"]["seconds"],
        "sends_ratio": sending["with"] / sending["without"],
        "peak_mb": peaks,
        "peak_ratio": peaks[-1] / peaks[0],
        "lines_per_s": LINES / runs["sales"]["seconds"],
        "events_per_s": EVENTS / runs["events"]["seconds"],
        "contacts_per_s_by_size": [round(run["accepted"] / run["seconds"]) for run in by_size],
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        folder, what, *rest = sys.argv[2:]
        if what == "prepare":
            _prepare(folder, int(rest[0]), rest[1], rest[2] == "more")
        else:
            print(json.dumps(_deliver(folder, *rest)))
    else:
        speak(measure, GOALS)
