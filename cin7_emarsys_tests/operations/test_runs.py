"""One run of a job at a time, and clearing up after a process that was killed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus, build_sensor_context

from cin7_emarsys import progress
from cin7_emarsys.locks import held
from cin7_emarsys.operations import runs
from cin7_emarsys.operations.sensors import run_failures
from cin7_emarsys_tests.conftest import PROJECT
from cin7_emarsys_tests.operations import hanging_run
from cin7_emarsys_tests.operations.conftest import NEEDED

Hanging = tuple[subprocess.Popen[str], DagsterInstance, Path]


@pytest.fixture
def hanging(tmp_path: Path, blank: Path, in_project: Callable[[dict[str, str]], Path]) -> Iterator[Hanging]:
    """A process in the middle of a run of `stock`, the instance it runs on, and the folder of the locks."""
    state = in_project(dict.fromkeys(NEEDED, "x"))
    folder = tmp_path / "dagster"
    shutil.copytree(blank, folder)
    instance = hanging_run.instance(folder)
    instance.event_log_storage.set_concurrency_slots("one_at_a_time", 1)
    command = [sys.executable, "-m", hanging_run.__name__, str(folder)]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "hangs\n"
    yield process, instance, state / "locks"
    process.kill()
    process.wait()
    process.stdout.close()
    instance.dispose()


def test_a_killed_run_is_healed_here_and_left_alone_elsewhere(hanging: Hanging) -> None:
    process, instance, _ = hanging
    assert runs.heal_dead_runs(instance) == [], "it lives"
    (run,) = instance.get_runs()
    assert run.status == DagsterRunStatus.STARTED
    assert instance.event_log_storage.get_concurrency_info("one_at_a_time").active_slot_count == 1

    process.kill()
    process.wait()
    here = run.tags[runs.HOST_TAG]
    instance.add_run_tags(run.run_id, {runs.HOST_TAG: "elsewhere"})
    assert runs.heal_dead_runs(instance) == [], "of another machine nothing is known"
    instance.add_run_tags(run.run_id, {runs.HOST_TAG: here, runs.OF_TAG: "the run that this one repeats"})
    assert runs.heal_dead_runs(instance) == [], "it begins, with the tags of the one that died"
    instance.add_run_tags(run.run_id, {runs.OF_TAG: run.run_id})
    assert runs.heal_dead_runs(instance) == [run.run_id]
    (healed,) = instance.get_runs()
    assert healed.status == DagsterRunStatus.FAILURE
    assert instance.event_log_storage.get_concurrency_info("one_at_a_time").active_slot_count == 0
    assert runs.heal_dead_runs(instance) == []


def test_a_run_whose_process_died_is_closed_by_the_daemon_and_told(
    hanging: Hanging, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until then the queue lets no other run of that job begin."""
    process, instance, _ = hanging
    repository = hanging_run.definitions.get_repository_def()

    def tick() -> None:
        with build_sensor_context(
            instance=instance, repository_def=repository, sensor_name=run_failures.name
        ) as context:
            run_failures.evaluate_tick(context)

    tick()
    assert instance.get_runs()[0].status == DagsterRunStatus.STARTED, "it lives"
    process.kill()
    process.wait()
    tick()
    assert instance.get_runs()[0].status == DagsterRunStatus.FAILURE
    assert "CRITICAL job stock failed" in capsys.readouterr().err


def test_a_run_waits_for_the_one_before_and_says_for_whom(hanging: Hanging) -> None:
    process, instance, locks = hanging
    said: list[str] = []
    waits, entered = threading.Event(), threading.Event()

    def listener(what: str, done: int, total: int | None) -> None:
        said.append(what)
        waits.set()

    def second() -> None:
        with progress.listen(listener), held(locks, "job-stock"):
            entered.set()

    with held(locks, "job-orders"):  # another job is not concerned
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(20)
        assert str(process.pid) in said[0]
        assert not entered.is_set()

        # A pid that is used again: the process lives, but it is not the one that had the run.
        (run,) = instance.get_runs()
        instance.add_run_tags(run.run_id, {runs.STARTED_TAG: "1"})
        assert runs.heal_dead_runs(instance) == [run.run_id]

        process.kill()  # the lock ends with its process
        assert entered.wait(20)
        thread.join()
