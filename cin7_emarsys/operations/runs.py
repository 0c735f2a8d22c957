"""Runs and processes: one run of a job at a time however it was started, the copy for readers at its end, and the clearing
up after a process that died.

What belongs here: when the lock of a job is taken, the tags by which a run's process is known, the healing of dead runs.
What does not: what a job does (``jobs.py``).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, DagsterRunStatus, InitResourceContext, RunsFilter

from cin7_emarsys import locks
from cin7_emarsys.settings import Settings, load_settings
from cin7_emarsys.settings_resource import SettingsResource
from cin7_emarsys.warehouse.connections import Warehouse, WarehouseLocked

HOST_TAG, PID_TAG, STARTED_TAG = "cin7_emarsys/host", "cin7_emarsys/pid", "cin7_emarsys/process_started"
OF_TAG = "cin7_emarsys/process_of"  # the run they were written for: a retry inherits the tags of the one before


class RunSettings(SettingsResource):
    """The settings as a run has them: read once, and with the lock of its job held until it ends."""

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator[Any]:
        run = context.run
        if run and context.instance:  # whoever started it: so that it can be told from one whose process is gone
            context.instance.add_run_tags(run.run_id, _process_tags(run.run_id))
        settings = load_settings()
        job = run.job_name if run else "ad_hoc"
        with locks.held(settings.paths.locks, f"job-{job}"):
            self._loaded = settings
            yield self
            _publish(context, settings)

    _loaded: Settings | None = None

    def load(self) -> Settings:
        """Raises `SettingsError`."""
        return self._loaded or load_settings()


def _publish(context: InitResourceContext, settings: Settings) -> None:
    """What the run has left is what readers see next; when that cannot be, they go on with what they had."""
    if not settings.paths.warehouse.exists():
        return
    try:
        Warehouse(database=str(settings.paths.warehouse)).publish_copy(settings.paths.published)
    except (OSError, WarehouseLocked) as error:
        if context.log:
            context.log.warning(f"the copy for readers was not replaced: {error}")


def _process_tags(run_id: str) -> dict[str, str]:
    """Tags that say in which process a run lives."""
    pid = os.getpid()
    return {OF_TAG: run_id, HOST_TAG: socket.gethostname(), PID_TAG: str(pid), STARTED_TAG: _started(pid) or ""}


def _started(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None when it is gone. Tells a reused pid from the old one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        try:
            os.kill(pid, 0)
        except OSError:
            return None
        return ""


def heal_dead_runs(instance: DagsterInstance) -> list[str]:
    """Marks runs of this host as failed whose process is gone, and frees the slots they held. Returns their ids.

    Dagster itself notices that only after a day, and lets no other run of the job begin until then.
    """
    healed = []
    in_progress = RunsFilter(statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.STARTING])
    for run in instance.get_runs(in_progress):
        pid = run.tags.get(PID_TAG)
        if run.tags.get(OF_TAG) != run.run_id or run.tags.get(HOST_TAG) != socket.gethostname() or not pid:
            continue
        if _started(int(pid)) == run.tags.get(STARTED_TAG):
            continue
        instance.report_run_failed(run, "the process of this run is gone; what it had committed is kept")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        healed.append(run.run_id)
    return healed
