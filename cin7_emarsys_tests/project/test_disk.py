"""A disk that is full or read-only: one sentence with what to do, and no half state. The ledger's own tests are with it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from cin7_emarsys.cin7.landing import Extract
from cin7_emarsys.cin7.models import Location
from cin7_emarsys.disk import Unwritable
from cin7_emarsys.warehouse.connections import Warehouse

ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only folder")


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """No file of this process can grow beyond so many bytes: writing fails as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    made = Warehouse(database=str(tmp_path / "warehouse.duckdb"))
    with made.write() as connection:
        connection.execute("create table raw.t as select 1 as x")
    return made


def rows(warehouse: Warehouse) -> int:
    with warehouse.read() as connection:
        row = connection.execute("select count(*) from raw.t").fetchone()
    return int(row[0]) if row else 0


def _grow(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.execute("insert into raw.t select (random() * 1e9)::integer from range(2000000)")


def test_a_warehouse_that_is_full_stays_as_it_was(warehouse: Warehouse) -> None:
    with (
        full_at(1_000_000),
        pytest.raises(Unwritable, match=r"the warehouse .* cannot be written: .*make room") as told,
    ):
        _grow(warehouse)
    assert "\n" not in str(told.value)
    assert rows(warehouse) == 1
    _grow(warehouse)
    assert rows(warehouse) == 2_000_001


def _page(landing: Path) -> Extract:
    extract = Extract(landing, "locations", Location, datetime(2026, 11, 24))
    extract.add([{"ID": f"id-{number}", "Name": "Main"} for number in range(1000)])
    return extract


def test_a_page_that_does_not_fit_is_no_page(tmp_path: Path) -> None:
    with full_at(10_000), pytest.raises(Unwritable, match=r"the landing folder .* cannot be written: .*make room"):
        _page(tmp_path / "landing")
    assert list(tmp_path.rglob("page-*")) == []
    assert len(list(_page(tmp_path / "landing").folder.glob("page-*"))) == 1


@ROOT
def test_a_read_only_folder_is_told(tmp_path: Path, warehouse: Warehouse) -> None:
    tmp_path.chmod(0o555)
    Path(warehouse.database).chmod(0o444)
    try:
        with pytest.raises(Unwritable, match="Permission denied"):
            _grow(warehouse)
        with pytest.raises(Unwritable, match="Permission denied"):
            _page(tmp_path / "landing")
        assert rows(warehouse) == 1
    finally:
        tmp_path.chmod(0o755)
