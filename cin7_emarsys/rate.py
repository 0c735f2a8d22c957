"""The shared rate window: all processes that use one vendor key take turns in one sliding window.

What belongs here: permits, lanes, the common cool-down, and how far the vendor's clock is from ours – what all clients of
one key share. What does not: HTTP (``transport.py``).

A permit is reserved before the call and stamped anew when the answer is there, because latency otherwise lets more
calls arrive at the vendor within its window than were granted within ours; a call under way keeps its slot for some
windows, so that one of a killed process comes free. A lower lane waits while a higher lane has a lease.
"""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cin7_emarsys.wal import write_ahead

_SCHEMA = """
create table if not exists slots (id integer primary key, boot text not null, free_at real not null);
create index if not exists slots_free_at on slots (free_at);
create table if not exists leases (
    lane integer not null, holder text not null, boot text not null, at real not null, primary key (lane, holder)
);
create table if not exists cool_down (one integer primary key check (one = 1), boot text not null, until real not null);
create table if not exists clock (one integer primary key check (one = 1), ahead real not null);
"""
_LEASE_SECONDS = 60.0
# What we did to a vendor is forgotten after one window; two, for his may begin later than ours. Who asks for more
# (milliseconds for seconds, a day for maintenance) is asked again then, instead of stopping everybody on one header.
_COOL_WINDOWS = 2


def _boot() -> str:
    """Identity of this boot: the monotonic clock starts anew with each."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(round(time.time() - time.monotonic(), -2))


class RateWindow:
    """``calls`` calls in any ``window_seconds``, over all processes that share ``folder`` and ``key``.

    ``lanes`` go from the most urgent to the least. The file's name carries a hash of the key, never the key.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        calls: int,
        window_seconds: float,
        lanes: Sequence[str],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._file = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.sqlite"
        self._calls = calls
        self.window_seconds = window_seconds
        # What the vendor's clock and ours may differ by within one window.
        self._span = window_seconds + min(0.25, window_seconds / 20)
        # How long a call without an answer keeps its slot.
        self._under_way = 3 * self._span
        self._lanes = {lane: rank for rank, lane in enumerate(lanes)}
        self._sleep = sleep
        self._boot = _boot()
        self._local = threading.local()
        # Threads of one process take turns here: SQLite makes them sleep for milliseconds instead.
        self._turn = threading.Lock()
        self._holder = f"{os.getpid()}-{random.getrandbits(32):08x}"

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._file, timeout=60, isolation_level=None)
            write_ahead(connection)
            connection.execute("pragma synchronous = normal")  # a power cut may lose permits, which end with the boot
            connection.executescript(_SCHEMA)
            self._local.connection = connection
        return connection

    @contextmanager
    def permit(self, lane: str) -> Iterator[None]:
        """Waits for a slot, holds it while the block runs, and counts the call from the moment the block ends."""
        connection = self._connection()
        permit = self._reserve(connection, self._lanes[lane])
        try:
            yield
        finally:
            with self._turn:
                connection.execute(
                    "insert or replace into slots values (?, ?, ?)", (permit, self._boot, time.monotonic() + self._span)
                )

    def _reserve(self, connection: sqlite3.Connection, rank: int) -> int:
        while True:
            with self._turn:
                permit, wait = self._try(connection, rank)
            if permit is not None:
                return permit
            # Short naps, so that a higher lane's call goes first when a slot comes free.
            self._sleep(min(wait, 0.25))

    def _try(self, connection: sqlite3.Connection, rank: int) -> tuple[int | None, float]:
        """A slot, or the seconds after which to try again."""
        now = time.monotonic()
        connection.execute("begin immediate")
        try:
            # Waiting for a slot keeps the lease alive: it may take as long as the lease lasts.
            connection.execute(
                "update leases set at = ?, boot = ? where lane = ? and holder = ?",
                (now, self._boot, rank, self._holder),
            )
            wait = self._wait(connection, rank, now)
            permit = None
            if wait <= 0:
                cursor = connection.execute(
                    "insert into slots (boot, free_at) values (?, ?)", (self._boot, now + self._under_way)
                )
                permit = int(cursor.lastrowid or 0)
            connection.execute("commit")
        except BaseException:
            connection.execute("rollback")
            raise
        return permit, wait

    def _wait(self, connection: sqlite3.Connection, rank: int, now: float) -> float:
        """Seconds until this lane may try again; 0 when there is a slot."""
        # Slots taken before this boot, or for longer than possible, count as taken now.
        connection.execute(
            "update slots set free_at = ?, boot = ? where boot <> ? or free_at > ?",
            (now + self._span, self._boot, self._boot, now + self._under_way),
        )
        connection.execute("delete from slots where free_at <= ?", (now,))
        cool = connection.execute("select boot, until from cool_down").fetchone()
        if cool and cool[0] == self._boot and now < cool[1]:
            return float(cool[1] - now)
        higher = connection.execute(
            "select count(*) from leases where lane < ? and boot = ? and at > ?",
            (rank, self._boot, now - self._lease()),
        ).fetchone()
        if higher[0]:
            return 0.05 + random.random() * 0.1  # noqa: S311 - jitter
        used, free_at = connection.execute("select count(*), min(free_at) from slots").fetchone()
        return 0.0 if used < self._calls else max(float(free_at) - now, 0.001)

    def _lease(self) -> float:
        return min(_LEASE_SECONDS, self.window_seconds)

    @contextmanager
    def lease(self, lane: str) -> Iterator[None]:
        """While the block runs, lower lanes wait. A lease without a call for a minute lapses by itself."""
        rank = self._lanes[lane]
        connection = self._connection()
        connection.execute(
            "insert or replace into leases values (?, ?, ?, ?)", (rank, self._holder, self._boot, time.monotonic())
        )
        try:
            yield
        finally:
            connection.execute("delete from leases where lane = ? and holder = ?", (rank, self._holder))

    def cool_down(self, seconds: float) -> None:
        """Nobody calls for so long, two windows at most: the vendor has said that we were too fast."""
        until = time.monotonic() + min(seconds, _COOL_WINDOWS * self.window_seconds)
        self._connection().execute(
            "insert into cool_down values (1, ?, ?) on conflict (one) do update set "
            "until = case when boot = excluded.boot then max(until, excluded.until) else excluded.until end, "
            "boot = excluded.boot",
            (self._boot, until),
        )

    def clock(self) -> float | None:
        """Seconds by which the vendor's clock was last told to be ahead of ours; None when it never told."""
        row = self._connection().execute("select ahead from clock").fetchone()
        return None if row is None else float(row[0])

    def keep_clock(self, ahead: float) -> None:
        """Keeps what the vendor's clock is ahead of ours (seconds) for the clients to come."""
        self._connection().execute("insert or replace into clock values (1, ?)", (ahead,))

    def used(self) -> int:
        """Calls that count in the window at this moment."""
        row = (
            self._connection()
            .execute("select count(*) from slots where boot = ? and free_at > ?", (self._boot, time.monotonic()))
            .fetchone()
        )
        return int(row[0])
