"""Commands as a person meets them before anything is set up."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cin7_emarsys.cli import app, main
from cin7_emarsys.settings import load_policy
from cin7_emarsys.warehouse import exceptions
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys_tests.conftest import PROJECT
from cin7_emarsys_tests.desk.conftest import save
from cin7_emarsys_tests.project.test_settings import GOOD
from cin7_emarsys_tests.warehouse.world import World

Enter = Callable[[dict[str, str]], Path]


@pytest.mark.parametrize(
    "command",
    [
        "sandbox",
        "demo",
        "setup",
        "serve",
        "doctor",
        "sync",
        "explain",
        "policy",
        "customer",
        "ledger",
        "desk",
        "report",
        "plan",
    ],
)
def test_help_teaches(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output) > 200


def test_without_settings_a_command_cannot_run_and_says_what_is_missing(in_project: Enter) -> None:
    in_project({})
    shown = CliRunner().invoke(app, ["sync", "nightly"])
    assert shown.exit_code == 2
    assert "CIN7_APPLICATION_KEY is missing" in shown.output
    assert "cin7-emarsys sandbox" in shown.output
    assert "No parked records of sales" in CliRunner().invoke(app, ["unknowns", "list", "--flow", "sales"]).output


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("erase nobody --reason x", "'nobody' is no e-mail address"),
        ("erase nobody --dry-run", "'nobody' is no e-mail address"),
        ("erase a@example.com", "needs a --reason"),
        ("replay --record 1", "needs a --reason"),
        ("ledger --at 14:00 --outcome rejected", "mean nothing"),
    ],
)
def test_words_that_make_no_sense_are_told_before_anything_is_done(in_project: Enter, command: str, told: str) -> None:
    state = in_project(GOOD)
    with Warehouse(database=str(state / "warehouse.duckdb")).write():
        pass
    shown = CliRunner().invoke(app, command.split())
    assert (shown.exit_code, told in " ".join(shown.output.split())) == (2, True), shown.output
    assert not [*state.glob("erased.*"), *state.glob("ledger.*")]


@pytest.mark.parametrize(
    "command",
    [
        "exceptions assign no_price Ana --reason x",
        "exceptions ignore no_price --until 2026-12-31 --reason x",
        "customer alias remove a@example.com --reason x",
        "alerts test",
    ],
)
def test_what_stays_on_this_machine_needs_no_credentials(in_project: Enter, command: str) -> None:
    state = in_project({})
    with Warehouse(database=str(state / "warehouse.duckdb")).write() as connection:
        exceptions.prepare(connection, load_policy())
    shown = CliRunner().invoke(app, command.split())
    assert "missing" not in shown.output
    assert shown.exit_code in (0, 1)


def test_doctor_names_what_is_wrong_and_does_not_stop_there(in_project: Enter) -> None:
    in_project({})
    shown = CliRunner().invoke(app, ["doctor"])
    assert shown.exit_code == 1
    assert "EMARSYS_CLIENT_ID is missing" in " ".join(shown.output.split())


def test_before_the_first_sync_there_is_nothing_to_explain(in_project: Enter) -> None:
    in_project({})
    shown = CliRunner().invoke(app, ["explain", "ANY"])
    assert shown.exit_code == 2
    assert "sync nightly" in shown.output


def test_before_the_first_sync_there_is_no_report_and_no_month(in_project: Enter) -> None:
    in_project({})  # neither needs credentials
    for arguments in (["report"], ["report", "--month", "2026-11"]):
        shown = CliRunner().invoke(app, arguments)
        assert shown.exit_code == 2
        assert "sync nightly" in shown.output


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("unknowns list --flow sale", "'sales', 'events'"),
        ("dead-letters list --flow sale", "'sales', 'events'"),
        ("ledger --outcome bad", "'accepted', 'rejected'"),
        ("ledger --limit -1", "greater than or equal to 1"),
        ("exceptions show no_price --limit -1", "greater than or equal to 1"),
        ("ledger --since yesterday", "14:03"),
        ("explain ANY --at tomorrow", "14:03"),
        ("exceptions ignore no_price --until tomorrow --reason x", "14:03"),
        ("desk --port 99999", "65535"),
        ("exceptions assign no_price Ana --reason _", "--reason"),
        ("exceptions assign no_price _ --reason x", "is blank"),
        ("unknowns resolve accepted --flow sales --reason _", "--reason"),
        ("customer alias remove a@example.com --reason _", "--reason"),
        ("sandbox --faults nope", "known faults: throttle-429"),
        ("policy preview .", "is a directory"),
        ("policy preview nope.toml", "does not exist"),
        ("desk --port {used}", "name another"),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(in_project: Enter, command: str, said: str) -> None:
    in_project({})
    with socket.create_server(("127.0.0.1", 0)) as used:
        words = command.format(used=used.getsockname()[1]).split()
        shown = CliRunner().invoke(app, [" " if word == "_" else word for word in words])
    assert shown.exit_code == 2
    assert said in " ".join(shown.output.replace("│", "").split())


def test_a_release_needs_a_reason(in_project: Enter, sandbox: dict[str, str]) -> None:
    in_project(sandbox)
    shown = CliRunner().invoke(app, ["sync", "stock", "--release", "H1"])
    assert shown.exit_code == 2
    assert "--reason" in shown.output


def test_what_was_released_stands_beside_the_json(in_project: Enter, sandbox: dict[str, str]) -> None:
    state = in_project(sandbox)  # and no dagster.yaml, so nothing runs
    world = World().build()
    moment = "2026-11-24 10:00:00"
    world.put(
        "raw.snapshots",
        {
            "snapshot_id": "n1",
            "taken_at": moment,
            "finished_at": moment,
            "trusted": False,
            "reason": "row drop",
            "rows": 7,
        },
    )
    state.mkdir()
    save(world, state / "warehouse.duckdb")
    shown = CliRunner().invoke(app, ["sync", "stock", "--release", "n1", "--reason", "we moved", "--json"])
    assert "7 rows are the new normal" in shown.stderr
    assert shown.stdout == ""


def test_two_shells_on_a_fresh_clone_find_each_other(tmp_path: Path) -> None:
    """A sandbox started by hand leaves its address where the next command looks, and takes it away again."""
    shutil.copy(PROJECT / "merchant.toml", tmp_path)
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CIN7_", "EMARSYS_", "FEED_"))}
    for name in ("WAREHOUSE", "LEDGER", "MERCHANT_TOML", "DAGSTER_HOME"):
        clean.pop(name, None)
    program = [sys.executable, "-W", "ignore", "-m", "cin7_emarsys.cli"]
    command = [*program, "sandbox", "--limits", "fast", "--cin7-port", "0", "--emarsys-port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=clean, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        while not (tmp_path / "var" / "sandbox.env").exists():
            assert shell.poll() is None
            time.sleep(0.05)
        done = subprocess.run([*program, "plan"], cwd=tmp_path, env=clean, capture_output=True, text=True)
        shell.terminate()
        shell.communicate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Cin7" in done.stdout
    assert not (tmp_path / "var" / "sandbox.env").exists()


def test_a_warehouse_that_stays_locked_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("WAREHOUSE", str(file))
    monkeypatch.setenv("MERCHANT_TOML", str(PROJECT / "merchant.toml"))
    monkeypatch.setattr(sys, "argv", ["cin7-emarsys", "exceptions", "list"])
    patient = Warehouse.__init__.__defaults__
    assert patient is not None
    monkeypatch.setattr(Warehouse.__init__, "__defaults__", (0.1, *patient[1:]))
    with Warehouse(str(file)).write(), pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "is locked" in told and "Wait for that process to finish" in told and "Traceback" not in told
