"""Locks between processes: one run of a job, one delivery of a flow at a time.

What belongs here: taking a lock, waiting for it visibly, naming its holder. A lock ends with its process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cin7_emarsys import progress


@contextmanager
def held(folder: Path, name: str) -> Iterator[None]:
    """Holds the lock ``<folder>/<name>.lock`` while the block runs; waits for as long as another process has it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("a+") as lock:
        began, told = time.monotonic(), 0.0
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - began
                if told == 0.0 or waited - told > 5:
                    told = max(waited, 0.001)
                    lock.seek(0)
                    holder = lock.read().strip() or "another process"
                    progress.report(f"seconds waiting: {name} is held by process {holder}", round(waited), None)
                time.sleep(0.25)
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield
