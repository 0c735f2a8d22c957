"""One trial of the fault table: both vendors, a merchant after a day of business, a failure, and what is true afterwards.

What belongs here: the vendors on this machine, a state folder for each trial, the rounds of reading and delivering, what a
person resolves by the judge's truth, and the comparison with a run that nothing disturbed. What does not: which failures
there are, and the table (``faults.py``).
"""

from __future__ import annotations

import asyncio
import csv
import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Receive, Scope, Send

from cin7_emarsys.cin7 import availability, extract, sales, second_look
from cin7_emarsys.cin7.client import Cin7
from cin7_emarsys.crash import Crashed
from cin7_emarsys.emarsys import catalogue, repair
from cin7_emarsys.emarsys.contacts import deliver_contacts
from cin7_emarsys.emarsys.delivery import Delivery, Report
from cin7_emarsys.emarsys.events import deliver_events
from cin7_emarsys.emarsys.ledger import Ledger
from cin7_emarsys.emarsys.sales import deliver_sales
from cin7_emarsys.emarsys.setup import prepare
from cin7_emarsys.sandbox import cin7 as cin7_service
from cin7_emarsys.sandbox import emarsys as emarsys_service
from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.control import control_routes
from cin7_emarsys.sandbox.faults import Faults
from cin7_emarsys.sandbox.merchant.actions import Actions
from cin7_emarsys.sandbox.merchant.world import Merchant
from cin7_emarsys.sandbox.server import Protocol
from cin7_emarsys.settings import Settings, load_settings
from cin7_emarsys.transport import TransportError
from cin7_emarsys.warehouse import factory
from cin7_emarsys.warehouse.connections import Warehouse

POLICY = Path(__file__).parent.parent / "merchant.toml"
FLOWS: dict[str, Callable[[Delivery], Report]] = {
    "contacts": deliver_contacts,
    "catalogue": catalogue.publish,
    "sales": deliver_sales,
    "events": deliver_events,
}
NEEDS = {"sales": {"contacts"}, "events": {"contacts", "sales"}}
"""As the jobs have it: a flow does not start when one before it has failed."""
FAILURES = (TransportError, OSError, SQLAlchemyError, Crashed)
_BEFORE_LOOK = set(factory.needed_for("mart.second_look_wanted")) | {
    name for name in factory.models() if name.startswith("staging.")
}
_AFTER_LOOK = set(factory.models()) - _BEFORE_LOOK
_ROUNDS = 20
_IDLE = 4
_WRITES = ("/contact/?", "/sales-data/", "/trigger")
_PLACE = ("WAREHOUSE", "LEDGER", "MERCHANT_TOML", "CRASH_AT", "ALERT_URLS")

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])

Bag = Counter[tuple[Any, ...]]


@dataclass(frozen=True)
class Judged:
    """What Emarsys holds: contacts by e-mail, every sales line and event that counted, the product file by item."""

    contacts: Mapping[str, str]
    sales: Bag
    events: Bag
    items: Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """One row of the table, in records; ``late_s`` in simulated seconds between the first write and the last."""

    case: str
    lost: int
    doubled: int
    wrong: int
    parked_but_applied: int
    parked_not_applied: int
    late_s: float
    parked_batches: int = 0
    dead_letters: int = 0
    rounds: int = 0


class _Swapped:
    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Vendors:
    """Both services, behind two servers of this process. The merchant stays; the account at Emarsys is fresh each time."""

    def __init__(self, scale: str = "small") -> None:
        self.merchant = Merchant(Clock(), seed=1, scale=scale)
        self._apps = (_Swapped(), _Swapped())
        self._servers = [_serve(app) for app in self._apps]
        self.urls = [f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}" for server in self._servers]
        self._http = httpx.Client(base_url=self.urls[1], trust_env=False, timeout=60)
        self.fresh()

    def close(self) -> None:
        self._http.close()
        for server in self._servers:
            server.should_exit = True

    def fresh(self) -> None:
        """No fault, simulated time as it is, and nothing at Emarsys."""
        self.clock, self.faults = Clock(), Faults()
        self.merchant.clock = self.clock
        act = Actions(self.merchant).act
        routes = control_routes(self.clock, self.faults, act)
        self._apps[0].app = cin7_service.create_app(
            self.merchant, clock=self.clock, faults=self.faults, calls_per_window=None, window_seconds=0.2,
            control_routes=routes,
        )  # fmt: skip
        self._apps[1].app = emarsys_service.create_app(
            clock=self.clock,
            faults=self.faults,
            seed=1,
            calls_per_window=None,
            window_seconds=0.2,
            control_routes=routes,
        )

    def environment(self) -> dict[str, str]:
        cin7_url, emarsys_url = self.urls
        pace = {f"{vendor}_{name}": value for vendor in ("CIN7", "EMARSYS") for name, value in _PACE.items()}
        return {
            "CIN7_BASE_URL": f"{cin7_url}/ExternalApi/v2",
            **cin7_service.CREDENTIALS,
            "EMARSYS_BASE_URL": f"{emarsys_url}/api",
            "EMARSYS_TOKEN_URL": f"{emarsys_url}/oauth2/token",
            "EMARSYS_HAPI_URL": f"{emarsys_url}/hapi",
            **emarsys_service.CREDENTIALS,
            **pace,
        }

    def control(self, name: str, body: object) -> Any:
        answer = self._http.post(f"/_sandbox/{name}", json=body)
        answer.raise_for_status()
        return answer.json()

    def judge(self, name: str) -> list[dict[str, Any]]:
        content = self._http.get(f"/_sandbox/{name}", params={"limit": 10_000_000}).json()
        return next(value for value in content.values() if isinstance(value, list))

    def late(self) -> float:
        """Simulated seconds from the first write to the last."""
        times = [
            datetime.fromisoformat(row["at"])
            for row in self.judge("requests")
            if any(path in row["path"] for path in _WRITES)
        ]
        return (max(times) - min(times)).total_seconds() if times else 0.0


_PACE = {"CALLS_PER_MINUTE": "30000", "WINDOW_SECONDS": "0.2"}


def _serve(app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, lifespan="off", ws="none", http=Protocol, log_level="critical",
        date_header=False, server_header=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return server


@contextmanager
def entered(state: Path, vendors: Vendors, **more: str) -> Iterator[None]:
    """The environment of one place, and as it was afterwards."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("CIN7_", "EMARSYS_", "FEED_")) or name in _PLACE:
            del os.environ[name]
    os.environ |= vendors.environment()
    os.environ |= {"WAREHOUSE": str(state / "warehouse.duckdb"), "MERCHANT_TOML": str(POLICY), **more}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


# What runs: reading, building, one flow.


def read_and_build(settings: Settings, *, full: bool = True) -> None:
    """What the nightly job does before it exports; without ``full`` lists are read as far as they changed."""
    warehouse, landing, merchant = _warehouse(settings), settings.paths.landing, settings.merchant
    with Cin7(settings) as cin7:
        extract.read_account(cin7, warehouse, landing)
        for table in extract.LISTS:
            extract.read_list(cin7, warehouse, landing, table, full=full)
        sales.scan_headers(cin7, warehouse, landing, full=False)
        sales.read_details(cin7, warehouse, landing, only_unallocated=True)
        availability.take_snapshot(cin7, warehouse, landing, max_row_drop=merchant.availability.max_row_drop)
        sales.read_details(cin7, warehouse, landing)
        with warehouse.write() as connection:
            factory.build(connection, merchant, _BEFORE_LOOK)
        second_look.take(cin7, warehouse, landing, max_calls=merchant.availability.second_look_calls)
        with warehouse.write() as connection:
            factory.build(connection, merchant, _AFTER_LOOK)


def deliver(settings: Settings, flow: str) -> Report:
    ledger = Ledger(settings.ledger_url)
    try:
        return FLOWS[flow](Delivery(flow, settings, _warehouse(settings), ledger, "trial", dry_run=False))
    finally:
        ledger.close()


def _warehouse(settings: Settings) -> Warehouse:
    return Warehouse(database=str(settings.paths.warehouse), connection_config={"threads": 2})


def run(step: str) -> None:
    """`read`, or a flow by name, with the settings of the environment."""
    settings = load_settings()
    if step == "read":
        read_and_build(settings)
    else:
        deliver(settings, step)


def _run_in(environment: dict[str, str], step: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    run(step)


def fail(step: str, point: str, mode: str) -> bool:
    """Runs a step that is to fail at a point. Returns whether it did; `kill` needs a process of its own."""
    os.environ["CRASH_AT"] = f"{point}:{mode}"
    try:
        if mode == "kill":
            process = _processes.Process(target=_run_in, args=(dict(os.environ), step))
            process.start()
            process.join(120)
            return process.exitcode == -signal.SIGKILL
        try:
            run(step)
        except (Crashed, OSError):
            return True
        return False
    finally:
        del os.environ["CRASH_AT"]
        load_settings()  # disarms this process


# One trial.


class Trial:
    """A place in a state folder of its own. Call inside `entered`.

    ``twice`` is what a person let go again although Emarsys has it: the ledger knows one of the two.
    """

    def __init__(self, vendors: Vendors) -> None:
        self.vendors = vendors
        self.settings = load_settings()
        self.ledger = Ledger(self.settings.ledger_url)
        self.rounds = 0
        self.twice: Bag = Counter()

    def close(self) -> None:
        self.ledger.close()

    def opened(self) -> None:
        """The account as `setup` leaves it, in which a third of the contacts has agreed to marketing."""
        prepare(self.settings)
        with _warehouse(self.settings).read() as connection:
            rows = connection.execute("select email from mart.contacts order by email").fetchall()
        for (email,) in rows[::3]:
            self.vendors.control("contacts", {"email": email, "fields": {"optin": "1"}})

    def read(self, rounds: int) -> None:
        """Reads until that succeeds, and then so many times more, so that what waits for a second look gets it."""
        left = rounds
        for _ in range(_ROUNDS):
            try:
                read_and_build(self.settings)
                left -= 1
            except FAILURES:
                pass
            self.vendors.clock.advance(60)
            if left == 0:
                return
        raise RuntimeError("the reading does not succeed")

    def flows_before(self, flow: str) -> None:
        for name in FLOWS:
            if name == flow:
                return
            deliver(self.settings, name)

    def quiet(self) -> None:
        """Rounds of all flows, ever further apart, until nothing fails, nothing is sent and nothing becomes due any more
        (what waits for a person waits for ever)."""
        pause, idle = 60.0, 0
        for _ in range(_ROUNDS):
            self.rounds += 1
            failed: set[str] = set()
            sent = waiting = 0
            for flow in FLOWS:
                if failed & NEEDS.get(flow, set()):
                    continue
                try:
                    report = deliver(self.settings, flow)
                    sent, waiting = sent + report.sent, waiting + report.waiting
                except FAILURES:
                    failed.add(flow)
            idle = 0 if failed or sent else idle + 1
            if idle and (not waiting or idle > _IDLE):
                return
            self.vendors.clock.advance(pause)
            pause = min(pause * 2, 3600)
        raise RuntimeError("it does not become quiet")

    def resolve(self) -> tuple[int, int, int, int]:
        """A person looks at Emarsys and says of each parked record what is there; dead letters go once more.

        Returns parked but applied, parked and not applied, batches with parked records, dead letters.
        """
        parked = repair.parked(self.ledger, limit=10_000_000)["records"]
        truth = self._there()
        applied = 0
        for record in parked:
            erased = "erased" in record["payload"]  # nobody can look for it any more, and it never goes again
            what = (erased,) if erased else named(record["flow"], record["payload"])
            there = erased or truth[what] > 0
            truth[what] -= there
            applied += there
            how: repair.Resolution = "accepted" if there else "not-applied"
            repair.resolve(self.ledger, how, "looked at Emarsys", record=record["record_id"])
        dead = 0
        with suppress(repair.NothingThere):
            dead = repair.settle_letters(self.ledger, "retried", "the fault is over")
        batches = len({record["batch_id"] for record in parked})
        return applied, len(parked) - applied, batches, dead

    def _there(self) -> Bag:
        """What Emarsys has and the ledger does not count as accepted."""
        judged = judge(self.vendors, self.settings)
        there: Bag = Counter({("sales", *line): times for line, times in judged.sales.items()})
        there.update({("events", *event[:2]): times for event, times in judged.events.items()})
        with _warehouse(self.settings).read() as connection:
            accepted = connection.execute(
                "select flow, payload from delivery.records "
                "where outcome = 'accepted' and flow in ('sales', 'events') and erased_at is null"
            ).fetchall()
        for flow, payload in accepted:
            there[named(flow, json.loads(payload))] -= 1
        there.subtract(self.twice)
        return there


def named(flow: str, payload: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a record of the ledger is at Emarsys."""
    if flow == "sales":
        return ("sales", *_line(payload))
    return ("events", payload["trigger_id"], payload["external_id"])


def _line(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (row["item"], float(row["price"]), row["order"], row["timestamp"], row["email"], float(row["quantity"]))


def judge(vendors: Vendors, settings: Settings) -> Judged:
    """What the judge says; of the product file, what lies where Emarsys fetches it."""
    contacts = {row["email"]: json.dumps(row["fields"], sort_keys=True) for row in vendors.judge("contacts")}
    lines: Bag = Counter(_line(row) for row in vendors.judge("sales"))
    events: Bag = Counter(
        (row["trigger_id"], row["email"], row["event"]) for row in vendors.judge("events") if not row["deduplicated"]
    )
    file = settings.paths.feed / settings.merchant.catalogue.filename
    items = {}
    if file.exists():
        with file.open(newline="") as text:
            items = {row["item"]: json.dumps(row) for row in csv.DictReader(text)}
    return Judged(contacts, lines, events, items)


def compare(
    case: str, right: Judged, found: Judged, parked: tuple[int, int, int, int], late: float, rounds: int
) -> Row:
    """Lost: of the right run and not there. Doubled: there more often. Wrong: there and in no right run, or different."""
    lost = doubled = wrong = 0
    for expected, got in ((right.sales, found.sales), (right.events, found.events)):
        lost += sum((expected - got).values())
        doubled += sum(times for what, times in (got - expected).items() if what in expected)
        wrong += sum(times for what, times in (got - expected).items() if what not in expected)
    for held, holds in ((right.contacts, found.contacts), (right.items, found.items)):
        lost += len(held.keys() - holds.keys())
        wrong += len(holds.keys() - held.keys())
        wrong += sum(holds[key] != value for key, value in held.items() if key in holds)
    applied, absent, batches, dead = parked
    return Row(case, lost, doubled, wrong, applied, absent, round(late, 1), batches, dead, rounds)


class Stage:
    """States to start from (folders `before` and `after` a day of business), and the right outcome of delivering each."""

    def __init__(self, folder: Path, vendors: Vendors) -> None:
        self.folder, self.vendors = folder, vendors
        self._trials = 0
        self._right: dict[str, Judged] = {}

    def business(self) -> None:
        """Makes both states with the merchant: a first reading, a day of business (three times), and another reading."""
        before, after = self.folder / "before", self.folder / "after"
        with entered(before, self.vendors):
            read_and_build(load_settings())
        self.vendors.control("merchant", {"do": "day", "repeat": 3})
        shutil.copytree(before, after)
        with entered(after, self.vendors):
            read_and_build(load_settings())

    def right(self, start: str) -> Judged:
        """What Emarsys holds when nothing goes wrong; what happened since is read in the trial when it starts before."""
        if start not in self._right:
            self._right[start] = self.trial(start, lambda trial: trial.read(3) if start == "before" else None)[0]
        return self._right[start]

    def trial(
        self, start: str, disturbed: Callable[[Trial], None], switches: Mapping[str, object] | None = None
    ) -> tuple[Judged, tuple[int, int, int, int], float, int]:
        """A fresh account and a copy of a state; then what ``disturbed`` does, rounds until quiet, what a person resolves,
        rounds until quiet again. The faults are over when the person comes."""
        self._trials += 1
        state = self.folder / f"trial-{self._trials}"
        shutil.copytree(self.folder / start, state)
        vendors = self.vendors
        vendors.fresh()
        if switches:
            vendors.control("switches", switches)
        with entered(state, vendors):
            trial = Trial(vendors)
            try:
                trial.opened()
                disturbed(trial)
                trial.quiet()
                vendors.faults.set([])
                parked = trial.resolve()
                trial.quiet()
                return judge(vendors, trial.settings), parked, vendors.late(), trial.rounds
            finally:
                trial.close()
                shutil.rmtree(state)
