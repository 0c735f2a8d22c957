"""Opening the warehouse: one writer at a time, all or nothing, a copy for readers."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from cin7_emarsys.warehouse.connections import SCHEMAS, Warehouse, WarehouseLocked

HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(database=str(tmp_path / "state" / "warehouse.duckdb"), lock_wait_seconds=0.2)


def count(warehouse: Warehouse) -> int:
    with warehouse.read() as connection:
        row = connection.execute("select count(*) from raw.t").fetchone()
    assert row
    return int(row[0])


def test_reading_makes_an_empty_database_with_every_schema(warehouse: Warehouse) -> None:
    with warehouse.read() as connection:
        names = {row[0] for row in connection.execute("select schema_name from duckdb_schemas()").fetchall()}
        assert connection.execute("select current_setting('TimeZone')").fetchone() == ("UTC",)
        with pytest.raises(duckdb.InvalidInputException):
            connection.execute("create table raw.t (x integer)")
    assert set(SCHEMAS) <= names


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_all_or_nothing(warehouse: Warehouse, failure: type[BaseException]) -> None:
    with warehouse.write() as connection:
        connection.execute("create table raw.t as select 1 as x")
    with pytest.raises(failure), warehouse.write() as connection:
        connection.execute("insert into raw.t values (2)")
        raise failure
    assert count(warehouse) == 1


def test_a_locked_warehouse_names_who_holds_it(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.execute("create table raw.t as select 1 as x")
    command = [sys.executable, "-c", HOLD, warehouse.database]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdin
        other.stdout.readline()
        for opened in (warehouse.write, warehouse.read):
            with pytest.raises(WarehouseLocked, match=f"process {other.pid} holds it") as caught, opened():
                pass
            assert caught.value.pid == other.pid
        other.stdin.close()
    assert count(warehouse) == 1


def test_threads_of_one_process_wait_for_each_other(warehouse: Warehouse) -> None:
    patient = Warehouse(database=warehouse.database, lock_wait_seconds=30)
    with patient.write() as connection:
        connection.execute("create table raw.t (x integer)")

    def add() -> None:
        for _ in range(5):
            with patient.write() as connection:
                connection.execute("insert into raw.t select coalesce(max(x), 0) + 1 from raw.t")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with patient.read() as connection:
        assert connection.execute("select count(*), max(x) from raw.t").fetchone() == (20, 20)


def test_a_copy_for_readers_takes_the_place_of_the_old_one(warehouse: Warehouse, tmp_path: Path) -> None:
    target = tmp_path / "published" / "warehouse.duckdb"
    for round_ in (1, 2):
        with warehouse.write() as connection:
            connection.execute(f"create or replace table raw.t as select {round_} as x")
        warehouse.publish_copy(target)
        with duckdb.connect(str(target), read_only=True) as copy:
            assert copy.execute("from raw.t").fetchone() == (round_,)
    assert [file.name for file in target.parent.iterdir()] == [target.name]


def test_the_log_of_a_killed_writer_is_in_the_copy(warehouse: Warehouse, tmp_path: Path) -> None:
    kill = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('pragma disable_checkpoint_on_shutdown');"
    )
    kill += "c.execute('create schema raw'); c.execute('create table raw.t as select 7 as x'); os._exit(9)"
    Path(warehouse.database).parent.mkdir()
    subprocess.run([sys.executable, "-c", kill, warehouse.database], check=False)
    assert Path(f"{warehouse.database}.wal").exists()
    warehouse.publish_copy(tmp_path / "copy.duckdb")
    with duckdb.connect(str(tmp_path / "copy.duckdb"), read_only=True) as copy:
        assert copy.execute("from raw.t").fetchone() == (7,)
