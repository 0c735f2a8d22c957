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
    """One open copy, which does not change. ``published_at`` (UTC) is when the run that made it had ended."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, published_at: datetime) -> None:
        self.connection, self.published_at = connection, published_at
        self._kept: dict[tuple[object, ...], list[dict[str, Any]]] = {}
        self._has_items = False

    def ask(self, query: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of ``queries/<query>.sql``. Raises `NothingPublished` when a table it reads has not been built yet."""
        file = QUERIES / f"{query}.sql"
        try:
            if not self._has_items and "temp.items" in file.read_text():
                items = (QUERIES / "items.sql").read_text()
                self.connection.execute(f"create or replace temp table items as {items}")
                self._has_items = True
            return fetch(self.connection, file, **parameters)
        except (duckdb.CatalogException, duckdb.BinderException):
            raise NothingPublished(
                "This has not been worked out yet: run cin7-emarsys sync nightly once to its end."
            ) from None

    def once(self, query: str, **parameters: object) -> list[dict[str, Any]]:
        """The same, asked once for each copy: for what costs more than a page should, with few different parameters."""
        asked = query, *sorted(parameters.items())
        if asked not in self._kept:
            self._kept[asked] = self.ask(query, **parameters)
        return self._kept[asked]


class Published:
    """The copy at ``file``, opened anew when a run has replaced it; one reader at a time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._turn = threading.Lock()
        self._open: tuple[tuple[int, int], Facts] | None = None

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
            yield self._facts((found.st_ino, found.st_mtime_ns), found.st_mtime)

    def _facts(self, copy: tuple[int, int], changed: float) -> Facts:
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
        facts = Facts(connection, datetime.fromtimestamp(changed, UTC).replace(tzinfo=None))
        self._open = copy, facts
        return facts

    def close(self) -> None:
        if self._open:
            self._open[1].connection.close()
            self._open = None
