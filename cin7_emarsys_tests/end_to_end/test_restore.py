"""Backup and restore as the handbook says: the restored place knows what was sent, and sends nothing twice."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cin7_emarsys_tests.conftest import PROJECT
from cin7_emarsys_tests.end_to_end.conftest import Place, make_place

FLOWS = ("contacts", "sales", "events")


def restored(loaded: Place, folder: Path, *files: str) -> Place:
    """The loaded place backed up by the commands of the handbook, and these files put into a new one."""
    source, place = folder / "source", make_place(folder / "place", loaded.environment)
    shutil.copytree(loaded.folder, source, ignore=shutil.ignore_patterns("landing", "dagster"))
    (source / "backup").mkdir()
    (source / ".env").write_text("")
    section = (PROJECT / "docs" / "engineers.md").read_text().partition("## Backup and restore")[2]
    commands = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert len(commands) == 1
    script = commands[0].replace(".venv/bin/python", sys.executable)
    subprocess.run(["bash", "-euc", script], cwd=source, check=True)
    (place.folder / "var").mkdir()
    for name in files:
        shutil.copy(source / "backup" / name, place.folder / "var" / name)
    return place


@pytest.mark.soak
def test_a_restored_place_sends_nothing_twice(loaded: Place, tmp_path: Path) -> None:
    place, before = restored(loaded, tmp_path, "warehouse.duckdb", "ledger.sqlite"), loaded.judged()
    outcome = place.sync("orders")
    assert {flow: outcome["assets"][f"emarsys/{flow}"]["sent"] for flow in FLOWS} == dict.fromkeys(FLOWS, 0)
    assert loaded.judged() == before


@pytest.mark.soak
def test_the_ledger_alone_is_enough_to_send_nothing_twice(loaded: Place, tmp_path: Path) -> None:
    place, before = restored(loaded, tmp_path, "ledger.sqlite"), loaded.judged()
    outcome = place.sync("nightly")
    assert {flow: outcome["assets"][f"emarsys/{flow}"]["sent"] for flow in FLOWS} == dict.fromkeys(FLOWS, 0)
    assert loaded.judged() == before
