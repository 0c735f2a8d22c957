"""A month at the merchant, three times over the same events: what three ways of telling Emarsys about stock make it mail.

``on_hand`` publishes the units on hand, ``available`` Cin7's own Available, ``ours`` this project's line with merchant.toml
as shipped. All three read, publish and are fetched alike; the verdicts come from the sandbox's judge alone.

``--days 10`` lives through fewer days with every kind of event (7 at least), ``--policy NAME`` runs one way only, ``--why``
lists what was wrong and what was never said. The ways run side by side, as many as there are cores.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.judging import Mail, Verdict, judge
from benchmarks.line import FIGURES, OURS, Line, TransportError
from benchmarks.month import DAY, FULL_DAYS, HOUR, Month, Sandbox, make
from cin7_emarsys.settings import load_settings
from cin7_emarsys_tests.conftest import PROJECT, running_sandbox

POLICIES = (*FIGURES, OURS)
_TICK = 900.0
_READING = 15.0
"""Seconds from the scan of orders to the snapshot, at Cin7's pace."""
_FETCH = 300.0
"""Emarsys fetches hourly, five minutes past the hour."""
_NIGHTLY = HOUR + 900
_QUIET = 2
_CONTACTS = 150
_HEADER = (
    "{length} at the sandbox merchant ({events} events, {faults} disturbed readings), three times over.\n"
    "Stock is read every 15 minutes and Emarsys fetches hourly; a tick is left out only after {quiet} ticks in a row in\n"
    "which nothing happened and nothing changed. No Dagster, and the warehouse stays open between steps; the reads,\n"
    "models, guards, publishing and the feed are the product's own. Policy: merchant.toml as shipped, with the merchant's\n"
    "holds entered as it makes them. Held flips are released after an hour. Low stock of the other two: the plain number."
)


@dataclass
class Outcome:
    policy: str
    verdict: Verdict
    back: Verdict
    ticks: int
    failed: int
    held: int
    seconds: float


class Run:
    """One policy through the month."""

    def __init__(self, sandbox: Sandbox, month: Month, line: Line) -> None:
        self.sandbox, self.month, self.line = sandbox, month, line
        self.pending = list(month.events)
        self.happened = False
        self.stock_at = 0.0
        self.behind = 0.0
        """Moment of the snapshot behind the version published last."""
        self.fresh = False
        self.mails: list[Mail] = []
        self.shown: dict[str, list[tuple[float, bool]]] = {}
        self.ticks = self.failed = 0
        self.held: dict[str, float] = {}
        self.released: set[str] = set()

    def go(self) -> None:
        for body in self.month.opening:
            self.sandbox.do(body)
        for number in range(_CONTACTS):
            self.sandbox.ask("EMARSYS", "contacts", {"email": f"reader{number}@example.com"})
        self.sandbox.advance_to(self.month.begins)
        self.line.first_load()
        self.address = self.line.serve()
        self.fetch(0.0)
        quiet = 0
        for number in range(1, int(self.month.end / _TICK) + 1):
            at = number * _TICK
            self.until(at)
            nightly = at % DAY == _NIGHTLY
            due = [hold for hold, since in self.held.items() if at >= since + HOUR]
            for hold in due:
                self.line.release(hold)
                self.released.add(hold)
                del self.held[hold]
            if self.happened or nightly or due or at in self.month.faults or quiet < _QUIET:
                happened, self.happened = self.happened, False
                changed = self.tick(at, changed=happened, nightly=nightly)
                quiet = 0 if happened or changed else quiet + 1
            if at % HOUR == 0 and self.fresh:
                self.until(at + _FETCH)
                self.fetch(at + _FETCH)
        self.until(self.month.end)
        if self.sandbox.truth() != self.month.closing:
            raise RuntimeError("the same events led to another end; the runs cannot be compared")

    def until(self, at: float) -> None:
        """Lets happen what happens up to that moment."""
        while self.pending and self.pending[0].at <= at:
            event = self.pending.pop(0)
            self.sandbox.advance_to(self.month.moment(event.at))
            done = self.sandbox.do(event.body)
            self.happened = True
            if self.line.policy == OURS and event.body["do"] == "hold":
                today = self.month.moment(event.at).astimezone(ZoneInfo("Australia/Sydney")).date()
                body = event.body
                self.line.set_hold(done["hold"], body["sku"], body["quantity"], body["tier"], today)
            if self.line.policy == OURS and event.body["do"] == "release_hold":
                self.line.end_hold(event.body["hold"])
        self.sandbox.advance_to(self.month.moment(at))

    def tick(self, at: float, *, changed: bool, nightly: bool) -> bool:
        """Runs the jobs that are due; says whether a new version was published."""
        self.ticks += 1
        try:
            if nightly:
                self.line.lists()
            if self.line.policy == OURS and (changed or nightly):
                self.line.orders()
            self.sandbox.ask("CIN7", "faults", self.month.faults.get(at, []), "PUT")
            trusted, published = self.line.stock(lambda: self.until(at + _READING))
        except TransportError:
            self.failed += 1
            return False
        finally:
            self.sandbox.ask("CIN7", "faults", [], "PUT")
        if trusted:
            self.stock_at = at + _READING
        if published:
            self.behind, self.fresh = self.stock_at, True
        if self.line.policy == OURS:
            for hold in self.line.held() - self.held.keys() - self.released:
                self.held[hold] = at
        return published

    def fetch(self, at: float) -> None:
        before = self.sandbox.ask("EMARSYS", "mails?limit=1")["total"]
        answer = self.sandbox.ask("EMARSYS", "catalog/pull", {"url": self.address})
        if answer["status"] not in ("imported", "unchanged"):  # an hour may end with the file it began with
            raise RuntimeError(f"Emarsys did not take the product file: {answer}")
        self.fresh = False
        self.line.collected()
        for mail in self.sandbox.ask("EMARSYS", f"mails?limit=100000&offset={before}")["mails"]:
            if mail["kind"] in ("back_in_stock", "low_stock"):
                self.mails.append(Mail(mail["kind"], mail["sku"], at, self.behind))
        for item in self.sandbox.ask("EMARSYS", "catalogue?limit=100000")["items"]:
            course, on = self.shown.setdefault(item["item"], []), item["available"].lower() == "true"
            if not course or course[-1][1] != on:
                course.append((at, on))


def run(policy: str, month: Month) -> Outcome:
    began = time.perf_counter()
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        running_sandbox() as environment,
    ):
        os.environ.update(
            environment, WAREHOUSE=f"{folder}/warehouse.duckdb", MERCHANT_TOML=str(PROJECT / "merchant.toml")
        )
        line = Line(load_settings(), policy)
        through = Run(Sandbox(environment), month, line)
        through.go()
    back = [mail for mail in through.mails if mail.kind == "back_in_stock"]
    return Outcome(
        policy,
        judge(month.courses, through.shown, through.mails, month.end),
        judge(month.courses, through.shown, back, month.end),
        through.ticks,
        through.failed,
        len(through.released) + len(through.held),
        time.perf_counter() - began,
    )


def as_json(outcome: Outcome) -> dict[str, object]:
    verdict = outcome.verdict
    names = ("mails", "wrong", "overtaken", "needless", "restocks", "never", "hidden_share", "median_delay_s")
    return {"policy": outcome.policy, **{name: getattr(verdict, name) for name in names}}


def table(outcomes: list[Outcome]) -> Table:
    shown = Table(
        title="Back-in-stock and low-stock mails",
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        collapse_padding=True,
    )
    columns = (
        "pushes", "mails", "low\nstock", "wrong", "low\nstock", "over-\ntaken", "need-\nless", "re-\nstocks",
        "never\ntold", "median\ndelay", "hid-\nden",
    )  # fmt: skip
    for name in columns:
        shown.add_column(name, justify="left" if name == "pushes" else "right", no_wrap=True)
    for outcome in outcomes:
        every, back = outcome.verdict, outcome.back
        delay = every.median_delay_s
        bad = "red" if every.wrong else "green"
        shown.add_row(
            {"on_hand": "on hand", "available": "Cin7's Available"}.get(outcome.policy, outcome.policy),
            str(every.mails), str(every.mails - back.mails), f"[{bad}]{every.wrong}[/]", str(every.wrong - back.wrong),
            str(every.overtaken), str(every.needless), str(every.restocks),
            f"[{'red' if every.never else 'green'}]{every.never}[/]",
            "–" if delay is None else f"{delay / 60:.0f} min", f"{every.hidden_share:.2%}",
        )  # fmt: skip
    return shown


def main() -> None:
    days, policies = _asked(sys.argv[1:])
    as_lines = "--json" in sys.argv
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, stderr=as_lines)
    with running_sandbox() as environment:
        month = make(Sandbox(environment), days, seed=1)
    length = "A month" if days == FULL_DAYS else f"{days} days instead of a month of {FULL_DAYS} (--days {FULL_DAYS})"
    header = _HEADER.format(length=length, events=len(month.events), faults=len(month.faults), quiet=_QUIET)
    console.print(header)
    outcomes = []
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        running = {policy: pool.submit(run, policy, month) for policy in reversed(policies)}  # the longest first
        for policy in policies:
            last = running[policy].result()
            outcomes.append(last)
            console.print(
                f"  {last.policy}: {last.ticks} ticks, {last.failed} failed, {last.held} holds, {last.seconds:.0f} s",
                style="dim",
            )
            if "--why" in sys.argv:
                _why(console, month, last)
    console.print(table(outcomes))
    console.print(
        "wrong: nothing to sell at the snapshot behind it; overtaken: sold before the mail; needless: back in stock, but\n"
        "had not run out; restocks: sellable for two hours after nothing; hidden: sellable SKU-hours shown as away.",
        style="dim",
    )
    if as_lines:
        print(json.dumps({"rows": [as_json(outcome) for outcome in outcomes]}))


def _why(console: Console, month: Month, outcome: Outcome) -> None:
    for mail in sorted({*outcome.verdict.wrong_mails}, key=lambda mail: mail.at):
        console.print(
            f"    wrong: {mail.kind} {mail.sku} at {_clock(month, mail.at)}, stock of {_clock(month, mail.stock_at)}"
        )
    for span in outcome.verdict.never_announced:
        console.print(f"    never: {span.sku} from {_clock(month, span.start)} to {_clock(month, span.end)}")


def _clock(month: Month, at: float) -> str:
    return f"day {at // DAY:.0f} {month.moment(at):%H:%M:%S}"


def _asked(arguments: list[str]) -> tuple[int, tuple[str, ...]]:
    given = dict(pairwise(arguments))
    policies = tuple(name for name in POLICIES if name == given.get("--policy", name))
    return max(7, int(given.get("--days", FULL_DAYS))), policies


if __name__ == "__main__":
    main()
