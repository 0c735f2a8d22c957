"""The calls of Dagster that its makers do not call public, in one place and under a contract test.

What belongs here: asking the instance, answers in words of our own. What does not: what an answer means (``sensors.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from dagster import AssetCheckEvaluation, AssetCheckKey, AssetCheckSeverity, AssetKey, DagsterInstance
from dagster._core.scheduler.instigation import InstigatorStatus, TickStatus
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager

_LOOK_BACK = 5  # ticks; the newest may be under way


@dataclass(frozen=True)
class CheckState:
    """Newest word on a check. ``pending``: a run has announced it and not reported yet, so nothing is known."""

    key: AssetCheckKey
    state: Literal["passed", "failed", "pending"]
    at: datetime
    evaluation: AssetCheckEvaluation | None = None

    @property
    def is_error(self) -> bool:
        return self.evaluation is not None and self.evaluation.severity == AssetCheckSeverity.ERROR


@dataclass(frozen=True)
class FreshnessState:
    """Newest word on an asset's freshness; ``state`` is PASS, WARN, FAIL, UNKNOWN or NOT_APPLICABLE."""

    key: AssetKey
    state: str
    at: datetime


@dataclass(frozen=True)
class Tick:
    """Newest completed tick of a schedule or sensor that is switched on."""

    name: str
    kind: Literal["schedule", "sensor"]
    failed: bool
    at: datetime
    error: str


def check_states(instance: DagsterInstance, keys: Sequence[AssetCheckKey]) -> Iterator[CheckState]:
    """The newest record of each check; checks that never ran are left out."""
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    for key, record in records.items():
        found = record.evaluation  # of an announced check it is another class
        evaluation = found if isinstance(found, AssetCheckEvaluation) else None
        state: Literal["passed", "failed", "pending"]
        if evaluation is None or record.status == AssetCheckExecutionRecordStatus.PLANNED:
            state = "pending"
        else:
            state = "passed" if record.status == AssetCheckExecutionRecordStatus.SUCCEEDED else "failed"
        yield CheckState(key, state, _utc(record.create_timestamp), evaluation)


def freshness_states(instance: DagsterInstance, keys: Sequence[AssetKey]) -> Iterator[FreshnessState]:
    """The newest freshness state of each asset, as the daemon wrote it; assets it has not looked at are left out."""
    for key, record in instance.get_freshness_state_records(keys).items():
        yield FreshnessState(key, record.freshness_state.value, record.updated_at.astimezone(UTC))


def latest_ticks(instance: DagsterInstance) -> Iterator[Tick]:
    """The newest completed tick of everything that is switched on and has ticked."""
    for state in instance.all_instigator_state():
        if state.status == InstigatorStatus.STOPPED:
            continue
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=_LOOK_BACK)
        tick = next((tick for tick in ticks if tick.status != TickStatus.STARTED), None)
        if tick is None:
            continue
        yield Tick(
            tick.instigator_name,
            "schedule" if tick.instigator_type.value == "SCHEDULE" else "sensor",
            tick.status == TickStatus.FAILURE,
            _utc(tick.timestamp),
            _innermost(tick.error),
        )


def frozen_pools(instance: DagsterInstance) -> Iterator[tuple[str, str]]:
    """Pools with a slot that a run holds which is over: pool, run id. Nothing would ever give such a slot back."""
    storage = instance.event_log_storage
    for pool in sorted(storage.get_concurrency_keys()):
        for run_id in sorted(storage.get_concurrency_info(pool).active_run_ids):
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                yield pool, run_id


def runs_that_made_something_last(instance: DagsterInstance) -> set[str]:
    """Runs in which an asset was materialised last: without them nobody would know how old it is."""
    latest = (
        record.asset_entry.last_materialization_record
        for record in instance.get_asset_records(list(instance.get_asset_keys()))
    )
    return {record.run_id for record in latest if record}


def files_of_run(instance: DagsterInstance, run_id: str) -> list[Path]:
    """What a run has on disk: its events, its logs, its artifacts; those that are there."""
    places = [Path(instance.storage_directory()) / run_id]
    if isinstance(instance.event_log_storage, SqliteEventLogStorage):
        places.append(Path(instance.event_log_storage.path_for_shard(run_id)))
    if isinstance(instance.compute_log_manager, LocalComputeLogManager):
        places.append(Path(instance.compute_log_manager.get_captured_local_path([run_id, "x"], "out")).parent)
    return [place for place in places if place.exists()]


def _innermost(error: object) -> str:
    while getattr(error, "cause", None):  # the outer ones say where in Dagster, not what
        error = getattr(error, "cause", None)
    return str(getattr(error, "message", "")).strip()


def _utc(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
