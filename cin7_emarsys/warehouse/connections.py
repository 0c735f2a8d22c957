"""Opening the warehouse: one writing process at a time, short transactions, a published copy for readers.

Belongs here: connections, the wait for the file lock, the schemas. Does not belong here: tables and their contents; Dagster,
which takes longer to import than most commands take (``resource.py``).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from cin7_emarsys import disk, locks, schema
from cin7_emarsys.settings import Paths

SCHEMAS = ("raw", "policy", "staging", "mart", "delivery", "reconciliation", "operations")

# Of a new file; one that is there keeps its own. Text is compressed in one pass: a third less work for a table. DuckDB reads
# it from 1.4 on.
_STORAGE = {"storage_compatibility_version": "v1.4.0"}

_held: dict[str, threading.Lock] = {}
_held_guard = threading.Lock()


class WarehouseLocked(Exception):
    """The database file stayed locked for the whole wait; `.pid` is the process that holds it, if DuckDB told."""

    def __init__(self, database: str, waited: float, pid: int | None) -> None:
        self.pid = pid
        holder = f"process {pid} holds it" if pid else "another connection holds it"
        super().__init__(
            f"The warehouse {database} is locked: {holder}, waited {waited:.0f} s. "
            "Wait for that process to finish, or end it if it hangs, and run again."
        )


@dataclass(frozen=True)
class Warehouse:
    """The DuckDB warehouse in the file ``database``. Open late, write once, close: hold no connection over a call.

    ``lock_wait_seconds``: how long to wait for another process to let go; ``connection_config``: DuckDB's settings.
    """

    database: str
    lock_wait_seconds: float = 120
    connection_config: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def write(self) -> Iterator[DuckDBPyConnection]:
        """One transaction: committed when the block ends, rolled back on any exception, always closed.

        Raises `WarehouseLocked` when another process or thread keeps the database longer than `lock_wait_seconds`,
        `SchemaUnknown`, and `Unwritable` when the disk is full or read-only.
        """
        with disk.told("the warehouse", self.database):
            yield from self._write()

    def _write(self) -> Iterator[DuckDBPyConnection]:
        Path(self.database).parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + self.lock_wait_seconds
        lock = self._thread_lock()
        if not lock.acquire(timeout=self.lock_wait_seconds):
            raise WarehouseLocked(self.database, self.lock_wait_seconds, os.getpid())
        try:
            connection = self._connect(read_only=False, deadline=deadline)
            try:
                connection.execute("begin")
                for name in SCHEMAS:
                    connection.execute(f"create schema if not exists {name}")
                schema.check_warehouse(connection)
                yield connection
                connection.execute("commit")
            except BaseException:
                with suppress(duckdb.Error):  # the transaction may be gone already; the first error is the one to show
                    connection.execute("rollback")
                raise
            finally:
                connection.close()
        finally:
            lock.release()

    @contextmanager
    def read(self) -> Iterator[DuckDBPyConnection]:
        """A short read-only connection (writers wait meanwhile); a missing database is created empty first."""
        if not Path(self.database).exists():
            with self.write():
                pass
        connection = self._connect(read_only=True, deadline=time.monotonic() + self.lock_wait_seconds)
        try:
            yield connection
        finally:
            connection.close()

    def publish_copy(self, target: Path) -> None:
        """Replace `target` by a copy of the database, atomically: readers see the old file or the new one, whole."""
        target.parent.mkdir(parents=True, exist_ok=True)
        source, log = Path(self.database), Path(f"{self.database}.wal")
        beside = target.with_name(f".{target.name}.new")  # that of a killed process is overwritten
        with locks.held(Paths(source).locks, "publish"):
            try:
                for _ in range(5):
                    with self.read():  # a shared lock: nobody writes while the file is copied
                        if not log.exists():
                            shutil.copyfile(source, beside)
                            with beside.open("rb+") as copied:
                                os.fsync(copied.fileno())
                            beside.replace(target)
                            return
                    with self.write():  # closing a writing connection folds the log of a killed writer into the file
                        pass
                raise WarehouseLocked(self.database, 0, None)
            finally:
                beside.unlink(missing_ok=True)

    def write_anew(self) -> None:
        """Puts a fresh copy of the database in its place: what was deleted from it is no longer in the file."""
        fresh = Path(f"{self.database}.new")
        lock = self._thread_lock()
        if not lock.acquire(timeout=self.lock_wait_seconds):
            raise WarehouseLocked(self.database, self.lock_wait_seconds, os.getpid())
        try:
            connection = self._connect(read_only=False, deadline=time.monotonic() + self.lock_wait_seconds)
            try:
                for left in (fresh, Path(f"{fresh}.wal")):  # by a process that was killed
                    left.unlink(missing_ok=True)
                connection.execute(f"attach {disk.literal(fresh)} as fresh")
                connection.execute(f'copy from database "{Path(self.database).stem}" to fresh')
                connection.execute("detach fresh")
                connection.execute("checkpoint")  # nothing may be left in a log beside the new file
                fresh.replace(self.database)  # while this process still holds the old one
            finally:
                fresh.unlink(missing_ok=True)
                connection.close()
        finally:
            lock.release()

    def _thread_lock(self) -> threading.Lock:
        """DuckDB lets two threads of one process write at once; their transactions would conflict instead of wait."""
        with _held_guard:
            return _held.setdefault(str(Path(self.database).resolve()), threading.Lock())

    def _connect(self, *, read_only: bool, deadline: float) -> DuckDBPyConnection:
        started = time.monotonic()
        while True:
            try:
                connection = duckdb.connect(
                    self.database, read_only=read_only, config={**self.connection_config, **_STORAGE}
                )
            except (duckdb.IOException, duckdb.ConnectionException) as error:
                text = str(error)
                other_process = ("lock" in text and "PID" in text) or "Could not set lock" in text
                # Within one process DuckDB refuses to open a file for reading while it is open for writing.
                other_thread = "different configuration" in text
                if not (other_process or other_thread):
                    raise
                if time.monotonic() >= deadline:
                    pid = re.search(r"PID (\d+)", text)
                    holder = int(pid[1]) if pid else os.getpid() if other_thread else None
                    raise WarehouseLocked(self.database, time.monotonic() - started, holder) from error
                time.sleep(random.uniform(0.005, 0.02))  # noqa: S311 - jitter, not a secret
                continue
            connection.execute("set TimeZone = 'UTC'")
            connection.execute("set enable_progress_bar = false")  # it would be drawn into a command's --json
            return connection
