"""The ledger in Postgres, as more than one machine uses it: a private server that lives for these tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.exc import OperationalError

from cin7_emarsys.emarsys.answers import ACCEPTED
from cin7_emarsys.emarsys.ledger import Intended, Ledger, recount
from cin7_emarsys.emarsys.projection import project
from cin7_emarsys.emarsys.tables import batches
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys_tests.emarsys.conftest import Account, Project, figures, sales_line

AT = datetime(2026, 11, 24, 10, 0)
ANA = "ana@example.com"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The folder of the server's socket."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install .[lake])")
    initdb, postgres = shutil.which("initdb"), shutil.which("postgres")
    if not initdb or not postgres:
        pytest.skip("initdb and postgres are not on the path")
    folder = tempfile.mkdtemp(prefix="cin7-emarsys-")
    user = "nobody" if os.geteuid() == 0 else None  # Postgres refuses to run as root
    if user:
        shutil.chown(folder, user)
    data = f"{folder}/data"
    made = [initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL, user=user, cwd="/")
    command = [postgres, "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, user=user, cwd="/")
    try:
        yield folder
    finally:
        process.send_signal(signal.SIGINT)  # without waiting for whoever is connected
        process.wait()
        shutil.rmtree(folder)


@pytest.fixture
def database(server: str, request: pytest.FixtureRequest) -> str:
    """The address of an empty database of the test's own."""
    name = request.node.name.removeprefix("test_")[:60]
    engine = create_engine(f"postgresql+psycopg://postgres@/postgres?host={server}", isolation_level="AUTOCOMMIT")
    for _ in range(600):  # it takes a moment until the server answers
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"create database {name}")
            break
        except OperationalError:
            time.sleep(0.05)
    engine.dispose()
    return f"postgresql+psycopg://postgres@/{name}?host={server}"


@pytest.fixture
def machines(database: str) -> Iterator[tuple[Ledger, Ledger]]:
    """The same ledger as two machines have it open."""
    both = Ledger(database), Ledger(database)
    yield both
    for ledger in both:
        ledger.close()


def _intend(ledger: Ledger, flow: str) -> int:
    return ledger.intend(flow, "POST", "run", [Intended("k", '{"a": 1}', "hash")], b"request", AT)


def test_sales_go_once(
    account: Account,
    in_project: Callable[[dict[str, str]], Path],
    empty_warehouse: Path,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = in_project(account.environment)
    state.mkdir(parents=True)
    shutil.copyfile(empty_warehouse, state / "warehouse.duckdb")
    monkeypatch.setenv("LEDGER", database)
    work = Project(state, account, monkeypatch.setenv)
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10))
    assert figures(work.run("sales")) == {"sent": 1, "accepted": 1}
    assert figures(work.run("sales")) == {"unchanged": 1}
    work.ledger.close()


def test_each_change_has_its_own_place_in_the_order(machines: tuple[Ledger, Ledger], tmp_path: Path) -> None:
    """Two commit at the same moment; with one number for both, the later one would never reach the warehouse."""
    one, other = machines
    first, second = _intend(one, "contacts"), _intend(other, "sales")
    one.close_batch(first, {"k": ACCEPTED}, AT)
    warehouse = Warehouse(database=str(tmp_path / "warehouse.duckdb"))
    closing = threading.Thread(target=lambda: other.close_batch(second, {"k": ACCEPTED}, AT))
    with one.write() as connection:
        recount(connection, [first])
        closing.start()
        closing.join(0.3)
    closing.join()
    with one.engine.connect() as connection:
        order = connection.execute(select(batches.c.changed_seq)).scalars().all()
    assert sorted(order) == [2, 3]
    project(one, warehouse)
    with warehouse.read() as reading:
        assert reading.execute("select flow, accepted_at from delivery.delivered order by flow").fetchall() == [
            ("contacts", AT),
            ("sales", AT),
        ]


def test_a_flow_is_delivered_by_one_machine_at_a_time(machines: tuple[Ledger, Ledger]) -> None:
    one, other = machines
    got = threading.Event()

    def deliver() -> None:
        with other.alone("sales"):
            got.set()

    waiting = threading.Thread(target=deliver)
    with one.alone("sales"), one.alone("events"):
        waiting.start()
        assert not got.wait(0.3)
    waiting.join()
    assert got.is_set()
