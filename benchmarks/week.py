"""A simulated week at a merchant of ``store`` scale under random faults: what Emarsys holds afterwards, and what it took.

Four times a day there is business; then the jobs run, again every quarter of an hour until a round of them goes through. In
each of these rounds faults of both vendors are drawn by a seed, and now and then the process fails or is killed at a point.
In the evening a person resolves what is parked by what Emarsys holds. At the end Emarsys is compared with the mart, record
by record: contacts field by field, lines by their sums for each order and item, events one by one.

``--scale small``, ``--days 2`` and ``--seed 7`` change it. Delay: simulated minutes from the business until a round of the
flow left nothing undone but what was parked.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from benchmarks.faults import DELIVERING, PATHS, READ_FAULTS, READING, WRITE_FAULTS
from benchmarks.trial import FAILURES, FLOWS, NEEDS, Trial, Vendors, deliver, entered, fail, judge, read_and_build
from cin7_emarsys import crash
from cin7_emarsys.emarsys import repair
from cin7_emarsys.emarsys.payloads import clean
from cin7_emarsys.emarsys.tables import batches
from cin7_emarsys.sandbox.faults import default_specs
from cin7_emarsys.settings import load_settings
from cin7_emarsys.warehouse.connections import Warehouse

_HOURS = (8, 12, 16, 20)
_ROUNDS, _PAUSE = 6, 900.0
_DEEDS = (
    "order", "order", "order", "ship", "invoice", "refund", "credit_note", "void", "void_invoice", "undo", "edit", "touch",
    "receive", "price", "title", "consent", "new_customer", "edit_customer", "change_email",
)  # fmt: skip
# Nothing is seen of these in what Emarsys holds but the time that they take.
_SLOW = ("slow", "clock-skew")


@dataclass
class Flow:
    """Calls to Emarsys, those after which nothing was accepted, records parked over the week, and the longest delay."""

    calls: int = 0
    retries: int = 0
    parked: int = 0
    delay_minutes: float = 0.0


@dataclass
class Week:
    """What came out. ``late``: events past their deadline before they could go."""

    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    late: int = 0
    faults: int = 0
    failures: int = 0
    dead_letters: int = 0
    contacts: int = 0
    lines: int = 0
    events: int = 0
    seconds: float = 0.0
    flows: dict[str, Flow] = field(default_factory=lambda: {name: Flow() for name in FLOWS})
    differences: list[str] = field(default_factory=list)


class _Living:
    def __init__(self, vendors: Vendors, trial: Trial, dice: random.Random) -> None:
        self.vendors, self.trial, self.dice, self.week = vendors, trial, dice, Week()
        self.at = 0.0
        self.since: dict[str, float] = {}

    def passes(self, seconds: float) -> None:
        self.vendors.clock.advance(seconds)
        self.vendors.merchant.clock.advance(seconds)
        self.at += seconds

    def lives(self, days: int) -> None:
        for _ in range(days):
            begins = self.at
            for hour in _HOURS:
                self.passes(begins + hour * 3600 - self.at)
                self.business(whole_day=hour == _HOURS[0])
                for turn in range(_ROUNDS):
                    self.misfortune(calm=turn == _ROUNDS - 1)
                    if self.round(full=hour == _HOURS[-1]):
                        break
                    self.passes(_PAUSE)
            self.calm()
            self.decides()
            self.round(full=False)
            self.passes(begins + 24 * 3600 - self.at)

    def decides(self) -> None:
        """What a person does in the evening."""
        for record in repair.parked(self.trial.ledger, limit=10_000_000)["records"]:
            self.week.flows[record["flow"]].parked += 1
        self.week.dead_letters += self.trial.resolve()[3]

    def business(self, *, whole_day: bool) -> None:
        if whole_day:
            self.vendors.control("merchant", {"do": "day"})
        for name in self.dice.choices(_DEEDS, k=self.dice.randrange(6, 15)):
            with suppress(httpx.HTTPStatusError):  # there is no occasion for it
                self.vendors.control("merchant", {"do": name})
        for flow in FLOWS:
            self.since.setdefault(flow, self.at)

    def misfortune(self, *, calm: bool) -> None:
        """Draws the faults of one round, and a failure of the process."""
        self.calm()
        if calm:
            return
        specs: list[dict[str, Any]] = []
        for path in PATHS.values():
            if self.dice.random() < 0.4:
                name = self.dice.choice([*WRITE_FAULTS, "partial-reject"])
                nth, times = self.dice.randrange(1, 3), self.dice.choice((1, 1, 2, 9))
                spec = {"name": name, "service": "emarsys", "path": path, "nth": nth, "times": times}
                specs.append(spec | ({"seconds": 0.2} if name == "slow" else {}))
        if self.dice.random() < 0.4:
            name = self.dice.choice([name for name in READ_FAULTS if name not in _SLOW])
            specs += [spec for spec in default_specs([name]) if spec["service"] == "cin7"]
        self.vendors.faults.set(specs)
        if self.dice.random() < 0.3:
            self.dies()

    def dies(self) -> None:
        step = self.dice.choice(["read", *PATHS])
        point = self.dice.choice(READING if step == "read" else DELIVERING)
        try:
            self.week.failures += fail(step, point, self.dice.choice(crash.MODES))
        except FAILURES:
            self.week.failures += 1

    def calm(self) -> None:
        self.week.faults += sum(spec["fired"] for spec in self.vendors.faults.list())
        self.vendors.faults.set([])

    def round(self, *, full: bool) -> bool:
        """One run of the jobs. Returns whether nothing was left undone."""
        try:
            read_and_build(self.trial.settings, full=full)
        except FAILURES:
            return False
        failed: set[str] = set()
        for flow in FLOWS:
            if failed & NEEDS.get(flow, set()):
                failed.add(flow)
                continue
            try:
                report = deliver(self.trial.settings, flow)
            except FAILURES:
                failed.add(flow)
                continue
            again = report.retryable or report.waiting or report.refused or (flow == "contacts" and report.unknown)
            if again:
                failed.add(flow)
        for flow in FLOWS:
            if flow not in failed and flow in self.since:
                minutes = (self.at - self.since.pop(flow)) / 60
                self.week.flows[flow].delay_minutes = max(self.week.flows[flow].delay_minutes, round(minutes, 1))
        return not failed

    def ends(self) -> None:
        self.calm()
        self.trial.read(3)
        self.trial.quiet()
        self.decides()
        self.trial.read(3)  # what was decided too late to go is no longer wanted
        self.trial.quiet()


def live(scale: str, days: int, seed: int) -> Week:
    """One week, or so many days."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        vendors = Vendors(scale)
        try:
            with entered(Path(folder), vendors):
                read_and_build(load_settings())
                trial = Trial(vendors)
                trial.opened()
                trial.quiet()
                calls, sent = len(vendors.judge("requests")), _last_batch(trial)
                living = _Living(vendors, trial, random.Random(seed))
                living.lives(days)
                living.ends()
                week = living.week
                _compare(week, trial)
                _count(week, trial, calls, sent)
                trial.close()
        finally:
            vendors.close()
    week.seconds = round(time.perf_counter() - began, 1)
    return week


def _last_batch(trial: Trial) -> int:
    with trial.ledger.engine.connect() as connection:
        return int(connection.execute(select(func.coalesce(func.max(batches.c.batch_id), 0))).scalar_one())


def _count(week: Week, trial: Trial, calls: int, sent: int) -> None:
    """What it took, since then."""
    asked = [row["path"] for row in trial.vendors.judge("requests")[calls:]]
    took = select(batches.c.flow, func.count()).where(batches.c.batch_id > sent, batches.c.accepted > 0)
    with trial.ledger.engine.connect() as connection:
        good = {row[0]: row[1] for row in connection.execute(took.group_by(batches.c.flow))}
    for flow, path in PATHS.items():
        figures = week.flows[flow]
        figures.calls = sum(path in row for row in asked)
        figures.retries = figures.calls - good.get(flow, 0)


def _compare(week: Week, trial: Trial) -> None:
    """Emarsys against the mart."""
    held = judge(trial.vendors, trial.settings)
    fields = {row["email"]: row["fields"] for row in trial.vendors.judge("contacts")}
    with Warehouse(database=str(trial.settings.paths.warehouse)).read() as connection:
        contacts = connection.execute("select email, attributes, derived from mart.contacts").fetchall()
        lines = connection.execute(
            "select item, price, \"order\", '', email, quantity from mart.sales_lines"
        ).fetchall()
        events = connection.execute(
            "select trigger_id, kind, email, excluded, data is null from mart.order_events"
        ).fetchall()
    week.contacts, week.lines, week.events = len(contacts), len(lines), sum(held.events.values())
    names = {row.attribute: row.string_id for row in trial.settings.merchant.contacts.field_map if row.type != "choice"}
    for email, attributes, derived in contacts:
        if email not in fields:
            _differ(week, "lost", f"contact {email}")
            continue
        for attribute, value in json.loads(attributes).items():
            found = fields[email].get(names.get(attribute, attribute))
            cleared = value is None and attribute in derived and found is not None
            if cleared or (value is not None and attribute in names and found != clean(value)):
                _differ(week, "wrong", f"{email}: {attribute} {value} is {found}")
    wanted, there = _sums(Counter(tuple(line) for line in lines)), _sums(held.sales)
    for key in wanted.keys() | there.keys():
        if wanted.get(key) != there.get(key):
            nothing = (Decimal(0), Decimal(0))
            more = abs(there.get(key, nothing)[0]) > abs(wanted.get(key, nothing)[0])
            _differ(week, "doubled" if more else "lost", f"sales {key}: {wanted.get(key)} is {there.get(key)}")
    told = Counter(trigger for trigger, _, _ in held.events.elements())
    for trigger, kind, email, excluded, old in events:
        due = excluded is None and not old and (kind != "marketing" or fields.get(email, {}).get("optin") == "1")
        week.late += excluded == "too_late" and not told[trigger]
        if told[trigger] > 1:
            _differ(week, "doubled", f"event {trigger}")
        elif due and not told[trigger]:
            _differ(week, "lost", f"event {trigger}")
    for trigger in told.keys() - {trigger for trigger, *_ in events}:
        _differ(week, "wrong", f"event {trigger}")


def _differ(week: Week, how: str, what: str) -> None:
    setattr(week, how, getattr(week, how) + 1)
    if len(week.differences) < 20:
        week.differences.append(f"{how}: {what}")


def _sums(lines: Counter[tuple[Any, ...]]) -> dict[tuple[str, str, str], tuple[Decimal, Decimal]]:
    """Price and quantity by order, item and address."""
    found: dict[tuple[str, str, str], tuple[Decimal, Decimal]] = {}
    for (item, price, order, _, email, quantity), times in lines.items():
        before = found.get((order, item, email), (Decimal(0), Decimal(0)))
        amount, units = (Decimal(str(value)) * times for value in (price, quantity))
        found[order, item, email] = (before[0] + amount, before[1] + units)
    return {key: sums for key, sums in found.items() if any(sums)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", default="store")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    week = live(asked.scale, asked.days, asked.seed)
    if asked.json:
        print(json.dumps(asdict(week)))
        return
    print(f"{'':12}{'calls':>8}{'retries':>9}{'parked':>8}{'delay, minutes':>16}")
    for name, flow in week.flows.items():
        print(f"{name:12}{flow.calls:>8}{flow.retries:>9}{flow.parked:>8}{flow.delay_minutes:>16.0f}")
    print(
        f"\n{week.faults} faults and {week.failures} failures of the process in {asked.days} days; {week.dead_letters} "
        f"dead letters let go again.\n{week.contacts} contacts, {week.lines} lines, {week.events} events: lost {week.lost}, "
        f"doubled {week.doubled}, wrong {week.wrong}; {week.late} events too late. {week.seconds:.0f} s"
    )
    print("\n".join(week.differences))


if __name__ == "__main__":
    main()
