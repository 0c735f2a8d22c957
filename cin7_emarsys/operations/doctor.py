"""Doctor: is everything there that a sync needs? Each line says good, bad or watch, and what to do.

What belongs here: looking, with one cheap call to each vendor. What does not: mending anything.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import duckdb

from cin7_emarsys.cin7.client import Cin7
from cin7_emarsys.emarsys import setup
from cin7_emarsys.emarsys.engagement_cloud import connect
from cin7_emarsys.merchant import SettingsError
from cin7_emarsys.operations import runs
from cin7_emarsys.operations.sync import instance
from cin7_emarsys.settings import Settings, load_settings
from cin7_emarsys.transport import TransportError
from cin7_emarsys.warehouse import gates

_MIN_FREE_GB = 2
_MAX_CLOCK_SECONDS = 60


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
        *_locks(settings),
        *_dagster(),
    ]


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
    if abs(off) <= _MAX_CLOCK_SECONDS:
        return Line(f"clock against {vendor}", "good", f"{off:+.0f} s")
    return Line(
        f"clock against {vendor}", "watch", f"{off:+.0f} s", "set this machine's clock (times are corrected meanwhile)"
    )


def _cin7(settings: Settings) -> Iterator[Line]:
    try:
        with Cin7(settings) as cin7:
            me = cin7.me()
            yield Line("Cin7 Core", "good", f"{me.get('Company')}, {me.get('Currency')}, {me.get('TimeZone')}")
            yield _clock("Cin7", cin7.now())
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


def _dagster() -> Iterator[Line]:
    try:
        with instance() as opened:
            healed = runs.heal_dead_runs(opened)
            statuses = opened.get_daemon_statuses()
            running = [kind for kind, status in statuses.items() if status.healthy]
    except runs.CannotRun as error:
        yield Line("Dagster", "bad", str(error))
        return
    if healed:
        yield Line("Dagster runs", "good", f"{len(healed)} runs of processes that are gone were closed")
    if running:
        yield Line("Dagster daemon", "good", f"{len(running)} daemons answer")
    else:
        yield Line(
            "Dagster daemon", "watch", "not running, so no schedule and no alert", "make dev, or run dagster-daemon"
        )
