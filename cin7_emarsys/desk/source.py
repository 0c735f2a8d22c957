"""The published copy of the warehouse as the desk reads it.

What belongs here: opening the newest copy, asking a query. What does not: what a page makes of the answer.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from cin7_emarsys.operations.explain import fetch

QUERIES = Path(__file__).parent / "queries"


class NothingPublished(Exception):
    """There is no copy to read (yet), or it lacks what a page needs; the text says what to do."""


class Facts:
    """One open copy. ``published_at`` (UTC) is when the run that made it had ended."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, published_at: datetime) -> None:
        self.connection, self.published_at = connection, published_at

    def ask(self, query: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of ``queries/<query>.sql``. Raises `NothingPublished` when a table it reads has not been built yet."""
        try:
            return fetch(self.connection, QUERIES / f"{query}.sql", **parameters)
        except duckdb.CatalogException:
            raise NothingPublished(
                "This has not been worked out yet: run cin7-emarsys sync nightly once to its end."
            ) from None


class Published:
    """The copy at ``file``, opened anew when a run has replaced it; one reader at a time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._turn = threading.Lock()
        self._open: tuple[tuple[int, int], duckdb.DuckDBPyConnection] | None = None

    @contextmanager
    def read(self) -> Iterator[Facts]:
        """Raises `NothingPublished`."""
        with self._turn:
            try:
                found = self._file.stat()
            except FileNotFoundError:
                raise NothingPublished(
                    "Nothing has been published yet: run cin7-emarsys sync nightly; its end publishes the first copy."
                ) from None
            connection = self._connection((found.st_ino, found.st_mtime_ns))
            yield Facts(connection, datetime.fromtimestamp(found.st_mtime, UTC).replace(tzinfo=None))

    def _connection(self, copy: tuple[int, int]) -> duckdb.DuckDBPyConnection:
        if self._open and self._open[0] == copy:
            return self._open[1]
        self.close()  # first: a file that is still open would be found again instead of the new one of its name
        try:
            connection = duckdb.connect(str(self._file), read_only=True)
        except duckdb.Error:
            raise NothingPublished(
                "The published copy cannot be read: the next run replaces it (cin7-emarsys sync stock)."
            ) from None
        connection.execute("set TimeZone = 'UTC'")
        self._open = copy, connection
        return connection

    def close(self) -> None:
        if self._open:
            self._open[1].close()
            self._open = None
