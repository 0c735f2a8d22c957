"""SQLite's switch to WAL while somebody else has the file."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from cin7_emarsys.wal import write_ahead


def test_the_switch_waits_for_who_has_the_file(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)) as first:
        first.execute("create table t (a)")
        first.execute("begin exclusive")
        modes: list[str] = []

        def switch() -> None:
            with closing(sqlite3.connect(tmp_path / "a.sqlite", timeout=0)) as second:
                write_ahead(second)
                modes.extend(second.execute("pragma journal_mode").fetchone())

        thread = threading.Thread(target=switch)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive(), "it waits"
        first.execute("commit")
        thread.join(10)
        assert modes == ["wal"]


def test_the_switch_gives_up_with_the_error_of_sqlite(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)) as first:
        first.execute("create table t (a)")
        first.execute("begin exclusive")
        with (
            closing(sqlite3.connect(tmp_path / "a.sqlite", timeout=0)) as second,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            write_ahead(second, patience=0)
