"""Retention: what has had its time goes, what a later decision needs stays, and it is shown before."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import DagsterInstance, job, op
from typer.testing import CliRunner

from cin7_emarsys.cin7.load import ensure_tables
from cin7_emarsys.cli import app
from cin7_emarsys.emarsys.answers import ACCEPTED, Verdict
from cin7_emarsys.emarsys.ledger import Intended, Ledger
from cin7_emarsys.emarsys.projection import ensure_delivery_tables, project
from cin7_emarsys.operations.prune import Aged, prune
from cin7_emarsys.settings import load_settings
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys_tests.conftest import PROJECT
from cin7_emarsys_tests.operations.conftest import NEEDED

NOW = datetime.now(UTC).replace(tzinfo=None)
OLD, NEW = NOW - timedelta(days=500), NOW - timedelta(hours=1)


@op
def nothing() -> None:
    pass


@job
def ended() -> None:
    nothing()


@dataclass
class Kept:
    """One place with something old and something new of every class."""

    state: Path
    instance: DagsterInstance
    warehouse: Warehouse

    def prune(self, *, apply: bool = False) -> dict[str, Aged]:
        return {aged.place: aged for aged in prune(load_settings(), self.instance, apply=apply)}

    def count(self, table: str) -> int:
        with self.warehouse.read() as connection:
            row = connection.execute(f"select count(*) from {table}").fetchone()
        return int(row[0]) if row else 0


def _aged(path: Path, at: datetime) -> None:
    os.utime(path, (at.replace(tzinfo=UTC).timestamp(),) * 2)


def _sent(ledger: Ledger, at: datetime, flow: str, key: str, verdict: Verdict) -> None:
    batch = ledger.intend(flow, "PUT", None, [Intended(key, "{}")], b"request", at)
    ledger.close_batch(batch, {key: verdict}, at, response=b"answer")


@pytest.fixture
def kept(tmp_path: Path, blank: Path, in_project: Callable[[dict[str, str]], Path]) -> Iterator[Kept]:
    state = in_project(dict.fromkeys(NEEDED, "x"))
    for name, at in (("old", OLD), ("other", OLD), ("new", NEW)):
        folder = state / "landing" / "sales" / name
        folder.mkdir(parents=True)
        (folder / "page-0001.ndjson").write_text("{}\n" * 100)
        _aged(folder, at)
    (state / "outbox").mkdir()
    for name, at in (("dry-run-1", OLD), ("dry-run-2", NEW)):
        (state / "outbox" / f"{name}.ndjson").write_text("{}\n")
        _aged(state / "outbox" / f"{name}.ndjson", at)
    for name, at in ((".published.duckdb.123.new", OLD), ("warehouse.duckdb.new", NEW)):
        (state / name).write_text("half a copy")
        _aged(state / name, at)
    ledger = Ledger(f"sqlite:///{state / 'ledger.sqlite'}")
    _sent(ledger, OLD, "contacts", "done", ACCEPTED)
    _sent(ledger, OLD, "sales", "parked", Verdict("unknown"))
    _sent(ledger, OLD, "contacts", "in doubt, and sent again since", Verdict("unknown"))
    _sent(ledger, OLD, "contacts", "dead", Verdict("rejected"))
    _sent(ledger, NEW, "contacts", "new", ACCEPTED)
    for at in (OLD, OLD, NEW):
        ledger.published(ledger.begin_publication(None, 1, "sha", "file", [("A", "{}")]), at)
    warehouse = Warehouse(database=str(state / "warehouse.duckdb"))
    project(ledger, warehouse)
    ledger.close()
    with warehouse.write() as connection:
        ensure_tables(connection)
        ensure_delivery_tables(connection)
        connection.execute("create table mart.ats (sku varchar, valid_from timestamp, valid_to timestamp)")
        connection.execute("insert into mart.ats values ('A', ?, ?), ('A', ?, null)", [OLD, OLD, OLD])
        connection.execute(
            "insert into raw.snapshots (snapshot_id, taken_at, trusted) "
            "select 's' || i, ?::timestamp + to_hours(i::integer), i = 3 from range(20) as numbers(i)",
            [OLD],
        )
        connection.execute(
            "insert into raw.snapshot_untrusted_skus values ('s1', 'p', 'A', 'x'), ('s19', 'p', 'A', 'x')"
        )
        connection.execute(
            "insert into raw.second_looks values ('p1', 'A', 's1', ?, null), ('p2', 'B', 's19', ?, null)", [OLD, OLD]
        )
        connection.execute("insert into raw.availability (snapshot_id) values ('s19')")
        for key in ("gone", "waits"):
            connection.execute("insert into raw.rejected (entity, key, last_seen) values ('sales', ?, ?)", [key, OLD])
        connection.execute(
            "insert into raw.rejected (entity, key, last_seen) values ('sale_headers', 'header', ?)", [OLD]
        )
        connection.execute("insert into raw.sale_queue (sale_id) values ('waits')")
    folder = tmp_path / "dagster"
    shutil.copytree(blank, folder)
    instance = DagsterInstance.local_temp(str(folder), {"telemetry": {"enabled": False}})
    runs = [ended.execute_in_process(instance=instance).run_id for _ in range(2)]
    with closing(sqlite3.connect(folder / "history" / "runs.db")) as history, history:
        history.execute("update runs set create_timestamp = ? where run_id = ?", [OLD.isoformat(" "), runs[0]])
    yield Kept(state, instance, warehouse)
    instance.dispose()


@pytest.mark.trouble
def test_it_is_shown_first_and_then_removed_once(kept: Kept, tmp_path: Path) -> None:
    before = sorted(str(file) for file in kept.state.rglob("*"))
    shown = kept.prune()
    assert {place: aged.rows for place, aged in shown.items()} == {
        "landing/": 2, "outbox/": 1, "ledger: requests and answers": 2, "mart.ats": 1, "raw.snapshot_untrusted_skus": 1,
        "half-made files": 1,
        "raw.snapshots": 9, "raw.second_looks": 1, "raw.rejected": 1, "ledger: versions of the product file": 2,
        "Dagster: runs and their logs": 1,
    }  # fmt: skip
    assert shown["landing/"].bytes == 600
    assert all(aged.oldest and abs(aged.oldest - OLD) < timedelta(days=1) for aged in shown.values())
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    told = CliRunner().invoke(app, ["prune"])
    assert told.exit_code == 0 and "landing_days = 30" in told.output and "say --apply" in told.output
    assert [file for file in before if not Path(file).exists()] == []
    assert kept.prune(apply=True) == shown
    assert kept.prune(apply=True) == {}
    told = CliRunner().invoke(app, ["prune", "--json"])
    assert json.loads(told.stdout) == {"applied": False, "aged": []}
    with kept.warehouse.read() as connection:
        noted = connection.execute("select command, details from operations.audit").fetchall()
    assert [(command, json.loads(details)["landing/"]) for command, details in noted] == [("prune --apply", 2)]


def test_what_is_needed_stays_when_the_job_removes_the_rest(kept: Kept) -> None:
    from cin7_emarsys.definitions import defs

    run = kept.instance.get_run_records()[1].dagster_run.run_id
    files = [file for file in (kept.state.parent / "dagster").rglob("*") if run in str(file)]
    assert files
    assert defs.resolve_job_def("prune").execute_in_process(instance=kept.instance).success
    assert kept.prune() == {}
    assert [folder.name for folder in (kept.state / "landing" / "sales").iterdir()] == ["new"]
    assert [file.name for file in (kept.state / "outbox").iterdir()] == ["dry-run-2.ndjson"]
    assert [file.name for file in load_settings().paths.leftovers()] == ["warehouse.duckdb.new"]
    with closing(sqlite3.connect(kept.state / "ledger.sqlite")) as ledger:
        bodies = ledger.execute("select key from bodies join records using (batch_id) order by key").fetchall()
        records = ledger.execute("select count(*) from records").fetchone()
        versions = ledger.execute("select version from publications").fetchall()
    assert [key for (key,) in bodies] == ["dead", "new", "parked"] and records == (5,) and versions == [(3,)]
    assert {table: kept.count(table) for table in ("mart.ats", "raw.snapshots", "raw.rejected", "raw.second_looks")} == {
        "mart.ats": 1, "raw.snapshots": 11, "raw.rejected": 2, "raw.second_looks": 1,
    }  # fmt: skip
    with kept.warehouse.read() as connection:
        assert connection.execute("select snapshot_id from raw.snapshots where trusted").fetchall() == [("s3",)]
        assert connection.execute("select key from raw.rejected order by 1").fetchall() == [("header",), ("waits",)]
    assert run not in {record.dagster_run.run_id for record in kept.instance.get_run_records()}
    assert not [file for file in (kept.state.parent / "dagster").rglob("*") if run in str(file)]
