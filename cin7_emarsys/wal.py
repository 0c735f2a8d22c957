"""SQLite's write-ahead log, so that readers and a writer do not wait for each other.

What belongs here: switching a file to it while others open the same file. What does not: what is in the file.
"""

from __future__ import annotations

import random
import sqlite3
import time


def write_ahead(connection: sqlite3.Connection, patience: float = 60) -> None:
    """Switches the file to WAL. SQLite does not wait here when another connection just does the same, so this waits.

    Raises `sqlite3.OperationalError` when the file stays locked longer than ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(random.uniform(0.001, 0.01))  # noqa: S311 - jitter, not a secret
        else:
            return
