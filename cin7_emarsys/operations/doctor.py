"""Doctor: is everything there that a sync needs? Each line says good, bad or watch, and what to do.

What belongs here: looking, with one cheap call to each vendor. What does not: mending anything.
"""

from __future__ import annotations

import base64
import fcntl
import logging
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import duckdb

from cin7_emarsys.cin7.client import Cin7
from cin7_emarsys.emarsys import setup
from cin7_emarsys.emarsys.engagement_cloud import connect
from cin7_emarsys.erased import Erased, SaltLost
from cin7_emarsys.merchant import SettingsError
from cin7_emarsys.operations import alerts, dagster_internals, exceptions, runs
from cin7_emarsys.operations.refusals import CannotRun
from cin7_emarsys.operations.sync import instance
from cin7_emarsys.settings import Settings, load_settings
from cin7_emarsys.transport import TransportError
from cin7_emarsys.warehouse import gates
from cin7_emarsys.warehouse.factory import EMAIL

_MIN_FREE_GB = 2
_MAX_CLOCK_SECONDS = 60
_FEED_PORT = 8703  # of `cin7-emarsys serve`, unless it is told otherwise
_FEED_SECONDS = 10


@dataclass(frozen=True)
class Line:
    """One thing looked at."""

    what: str
    state: Literal["good", "watch", "bad"]
    found: str
    next_step: str = ""


def examine() -> list[Line]:
    """Everything, in the order in which it should be mended."""
    try:
        settings = load_settings()
    except SettingsError as error:
        return [
            Line("settings", "bad", fault, "correct it in merchant.toml, .env or the environment")
            for fault in error.faults
        ]
    return [
        Line("settings", "good", "complete"),
        *_armed(settings),
        *_disk(settings),
        *_cin7(settings),
        *_emarsys(settings),
        *_warehouse(settings),
        *_published(settings),
        *feed_lines(settings),
        *alert_lines(settings),
        *_locks(settings),
        *erasure_lines(settings.paths.state),
        *_dagster(),
    ]


def alert_lines(settings: Settings) -> Iterator[Line]:
    """Whether anybody is told, and whether what the policy says of classes and channels means any."""
    unknown = sorted(set(settings.merchant.exceptions) - set(exceptions.classes()))
    if unknown:
        yield Line(
            "exceptions", "bad", f"merchant.toml names no class: {', '.join(unknown)}", "docs/checks.md lists them"
        )
    if not settings.alert_urls:
        yield Line("alerts", "watch", "they go to the console only", "set ALERT_URLS, then cin7-emarsys alerts test")
        return
    names = [channel.name for channel in alerts.channels(settings.alert_urls, logging.getLogger(__name__))]
    yield Line("alerts", "good", f"they go to {', '.join(names)}")
    for rule in settings.merchant.alerts.channels:
        if rule.name not in names:
            found = f"a rule for {rule.name}, and no address in ALERT_URLS has that name"
            yield Line("alerts", "bad", found, f"write {rule.name}=ADDRESS in ALERT_URLS, or take the rule out")


def _armed(settings: Settings) -> Iterator[Line]:
    if settings.merchant.armed:
        yield Line("armed", "good", "exports are sent")
    else:
        yield Line(
            "armed", "watch", "every export is a dry run", "set armed = true in merchant.toml when you are ready"
        )


def _disk(settings: Settings) -> Iterator[Line]:
    folder = settings.paths.state
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".doctor-{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        yield Line("state folder", "bad", f"{folder} cannot be written ({error.strerror})", "mend its permissions")
        return
    free = shutil.disk_usage(folder).free / 1e9
    state: Literal["good", "bad"] = "good" if free >= _MIN_FREE_GB else "bad"
    yield Line("disk", state, f"{free:.1f} GB free at {folder}", "" if state == "good" else "make room")


def _clock(vendor: str, told: datetime) -> Line:
    off = (told - datetime.now(UTC).replace(tzinfo=None)).total_seconds()
    what, found = f"clock against {vendor}", f"{round(off):+d} s"
    if abs(off) <= _MAX_CLOCK_SECONDS:
        return Line(what, "good", found)
    return Line(what, "watch", found, "set this machine's clock (times are corrected meanwhile)")


def _cin7(settings: Settings) -> Iterator[Line]:
    try:
        with Cin7(settings) as cin7:
            me = cin7.me()
            yield Line("Cin7 Core", "good", f"{me.get('Company')}, {me.get('Currency')}, {me.get('TimeZone')}")
            yield _clock("Cin7", cin7.stopwatch("products")())
    except TransportError as error:
        yield Line("Cin7 Core", "bad", str(error), "check CIN7_BASE_URL, CIN7_ACCOUNT_ID and CIN7_APPLICATION_KEY")


def _emarsys(settings: Settings) -> Iterator[Line]:
    try:
        with connect(settings) as emarsys:
            lacking = [finding for finding in setup.survey(emarsys, settings.merchant) if finding.state != "good"]
            yield Line("Emarsys", "good", "token and field list received")
            yield _clock("Emarsys", emarsys.now())
            if lacking:
                yield Line("Emarsys account", "watch", f"lacks {len(lacking)} fields or events", "cin7-emarsys setup")
            else:
                yield Line("Emarsys account", "good", "has all fields and events of the policy")
            for finding in setup.permissions(emarsys):
                if finding.state != "good":
                    yield Line(f"Emarsys: {finding.what}", "bad", finding.detail, finding.next_step)
    except TransportError as error:
        yield Line("Emarsys", "bad", str(error), "check EMARSYS_CLIENT_ID, EMARSYS_CLIENT_SECRET and EMARSYS_TOKEN_URL")


def _warehouse(settings: Settings) -> Iterator[Line]:
    file = settings.paths.warehouse
    if not file.exists():
        yield Line("warehouse", "watch", f"{file} does not exist yet", "cin7-emarsys sync nightly makes it")
        return
    try:
        with duckdb.connect(str(file), read_only=True) as connection:
            tables = connection.execute("select count(*) from duckdb_tables()").fetchone()
            unknown = gates.ask(connection, next(c for c in gates.conditions() if c.name == "locations_exist"))
        yield Line("warehouse", "good", f"{tables[0] if tables else 0} tables, {file.stat().st_size / 1e6:,.0f} MB")
        for row in unknown.sample:
            found = f"{row['location']!r} is unknown to Cin7; nearest: {row['nearest'] or 'none'}"
            yield Line("sellable locations", "bad", found, "correct availability.sellable_locations in merchant.toml")
    except duckdb.IOException as error:
        yield Line(
            "warehouse", "watch", str(error).splitlines()[0], "another process works on it; look again when it is done"
        )


def _locks(settings: Settings) -> Iterator[Line]:
    held = []
    for lock in sorted(settings.paths.locks.glob("*.lock")):
        with lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(lock.stem)
    yield Line("locks", "good", f"held: {', '.join(held)}" if held else "none held")


def erasure_lines(state: Path) -> Iterator[Line]:
    """Whether an erasure is unfinished, and whether the persons who were erased can be recognised."""
    try:
        since = Erased(state).unfinished()
    except SaltLost as error:
        yield Line("erasure", "bad", str(error), "docs/security.md says what belongs together")
        return
    if since:
        step = "say it again as it was said (`cin7-emarsys erase`); nothing of hers is sent meanwhile"
        yield Line("erasure", "bad", f"one of {since:%Y-%m-%d %H:%M} UTC was broken off, or is under way", step)


def feed_lines(settings: Settings) -> Iterator[Line]:
    """Whether the product file can be fetched as Emarsys does it."""
    rules = settings.merchant.catalogue
    if settings.merchant.emarsys.edition != "emarsys" or rules.publish_url:
        return
    address = rules.feed_url or f"http://127.0.0.1:{_FEED_PORT}/{rules.filename}"
    login = f"{settings.feed.user}:{settings.feed.password.get_secret_value()}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(login).decode()}"}
    request = urllib.request.Request(address, headers=headers, method="HEAD")  # noqa: S310 - checked by the settings
    try:
        with urllib.request.urlopen(request, timeout=_FEED_SECONDS) as answer:  # noqa: S310
            size = int(answer.headers.get("Content-Length") or 0)
        yield Line("product file", "good", f"{address} answers with {size / 1e6:,.1f} MB")
    except urllib.error.HTTPError as error:
        told = {401: "refuses FEED_USER and FEED_PASSWORD", 404: "has no product file yet"}
        found = told.get(error.code, f"answers with HTTP {error.code}")
        step = (
            "cin7-emarsys sync products publishes it"
            if error.code == 404
            else "start cin7-emarsys serve with this .env"
        )
        yield Line("product file", "watch" if error.code == 404 else "bad", f"{address} {found}", step)
    except OSError:
        step = "start cin7-emarsys serve; behind a proxy name its address in catalogue.feed_url"
        yield Line("product file", "watch", f"nothing answers at {address}", step)


def _published(settings: Settings) -> Iterator[Line]:
    file = settings.paths.published
    if not file.exists():
        yield Line("copy for readers", "watch", "not published yet", "the next sync makes it; desk and report read it")
        return
    minutes = (time.time() - file.stat().st_mtime) / 60
    yield Line("copy for readers", "good", f"{minutes:,.0f} minutes old, {file.stat().st_size / 1e6:,.0f} MB")


def _dagster() -> Iterator[Line]:
    try:
        with instance() as opened:
            healed = runs.heal_dead_runs(opened)
            frozen = list(dagster_internals.frozen_pools(opened))
            ticks = list(dagster_internals.latest_ticks(opened))
            statuses = opened.get_daemon_statuses()
            running = [kind for kind, status in statuses.items() if status.healthy]
    except CannotRun as error:
        found, _, step = str(error).partition("; ")
        yield Line("Dagster", "bad", found, step)
        return
    if healed:
        yield Line("Dagster runs", "good", f"{len(healed)} runs of processes that are gone were closed")
    for pool, run_id in frozen:
        step = f"Deployment > Concurrency > {pool} in the UI: free the slots of that run"
        yield Line("Dagster pools", "bad", f"{pool} is held by run {run_id[:8]}, which is over", step)
    if running:
        yield Line("Dagster daemon", "good", f"{len(running)} daemons answer")
    else:
        yield Line(
            "Dagster daemon", "watch", "not running, so no schedule and no alert", "make dev, or run dagster-daemon"
        )
    yield from tick_lines(ticks)


def tick_lines(ticks: Sequence[dagster_internals.Tick]) -> list[Line]:
    """The newest tick of each schedule and sensor that is on: those that fail, and how old the newest of the others is."""
    lines = []
    for tick in ticks:
        if tick.failed:
            told = EMAIL.sub("(address)", tick.error.splitlines()[0][:200]) if tick.error else "no reason told"
            step = f"open the {tick.kind} in the UI: its tick shows the error"
            lines.append(Line(f"{tick.kind} {tick.name}", "bad", told, step))
    for kind in ("schedule", "sensor"):
        good = [tick.at for tick in ticks if tick.kind == kind and not tick.failed]
        if good:
            minutes = (datetime.now(UTC) - max(good)).total_seconds() / 60
            lines.append(Line(f"{kind}s", "good", f"{len(good)} tick, the newest {minutes:,.0f} minutes ago"))
    if not any(tick.kind == "schedule" for tick in ticks):
        step = "switch them on in the UI"
        lines.append(Line("schedules", "watch", "none has ticked: jobs run only when they are started", step))
    return lines
