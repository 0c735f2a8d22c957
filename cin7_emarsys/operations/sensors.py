"""Sensors: they look at what this machine knows (no vendor is called) and tell people when a state changes.

What belongs here: which states are watched. What does not: remembering what each channel was told (``telling.py``), the
words and the channels (``alerts.py``), and how Dagster is asked (``dagster_internals.py``).

A tick that reached no channel fails, and the tick watch reports it to the others.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dagster import (
    AssetCheckKey,
    AssetKey,
    DagsterRunStatus,
    DefaultSensorStatus,
    RepositoryDefinition,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from cin7_emarsys.merchant import SettingsError
from cin7_emarsys.operations import dagster_internals, runs, telling
from cin7_emarsys.operations.telling import State, Watched
from cin7_emarsys.settings import configured, load_local, load_policy, paths
from cin7_emarsys.warehouse.exceptions import Standing
from cin7_emarsys.warehouse.factory import EMAIL

_ALERTING = ("state_alerts", "run_failures", "tick_watch")
_PING_SECONDS = 10
_FRESH: Mapping[str, State] = {"FAIL": "CRITICAL", "WARN": "good", "PASS": "good"}


def _tell(context: SensorEvaluationContext, watched: Iterable[Watched]) -> SkipReason:
    """Posts what has changed to each channel. Raises `Undelivered`, and `SettingsError` when channels are not known."""
    if not configured() and not paths().sandbox_env.exists():
        return SkipReason("nothing is set up here (no .env, no CIN7_ or EMARSYS_ variable), so nobody is told")
    settings = load_local()
    people = settings.merchant.owners
    named = (replace(each, who=people.get(each.who, each.who)) for each in watched)
    posted = telling.tell(settings, context.sensor_name, named, context.log)
    return SkipReason(f"{posted} told" if posted else "nothing changed")


def _repository(context: SensorEvaluationContext) -> RepositoryDefinition:
    assert context.repository_def is not None, "a sensor is evaluated in its repository"
    return context.repository_def


def _owners(repository: RepositoryDefinition) -> Mapping[AssetKey, str]:
    return {
        spec.key: ", ".join(owner.removeprefix("team:") for owner in spec.owners) or "operations"
        for definition in set(repository.assets_defs_by_key.values())
        for spec in definition.specs
    }


def _checks(context: SensorEvaluationContext, owners: Mapping[AssetKey, str]) -> Iterator[Watched]:
    repository = _repository(context)
    beside = {key for definition in set(repository.assets_defs_by_key.values()) for key in definition.check_keys}
    keys: list[AssetCheckKey] = sorted({*repository.asset_checks_defs_by_key, *beside}, key=str)
    for check in dagster_internals.check_states(context.instance, keys):
        found = check.evaluation
        metadata: Mapping[str, Any] = {} if found is None else found.metadata
        rows = getattr(metadata.get("rows"), "value", None)
        kept = getattr(metadata.get("standing"), "value", None)
        standing = Standing.heard(kept) if isinstance(kept, dict) else None
        asset = check.key.asset_key
        name = f"{asset.to_user_string()}, {check.key.name}"
        sentence = (found.description if found else None) or "the check failed"
        state = _state(check, standing)
        if check.state == "failed":
            name += f": {sentence}" if state != "good" else ": what is left is ignored, or below its threshold"
        yield Watched(
            key=f"check:{asset.to_user_string()}:{check.key.name}",
            state=state,
            at=check.at - timedelta(hours=standing.hours if standing else 0),
            what=name,
            who=(standing.owner if standing else "") or owners.get(asset, "operations"),
            next_step=str(getattr(metadata.get("next_step"), "value", "")),
            path=f"assets/{asset.to_user_string()}?view=checks",
            count=standing.count if standing and standing.count else rows if isinstance(rows, int) else None,
            means=standing.means if standing else "",
            examples=tuple(standing.examples) if standing else (),
        )


def _state(check: dagster_internals.CheckState, standing: Standing | None) -> State | None:
    """By the thresholds of its class, the oldest item being older by now than when it was asked; else by its severity."""
    if check.state == "pending":
        return None
    if check.state == "passed":
        return "good"
    if standing is None:
        return "CRITICAL" if check.is_error else "WARNING"
    return standing.level((datetime.now(UTC) - check.at).total_seconds() / 3600) or "good"


def _freshness(context: SensorEvaluationContext, owners: Mapping[AssetKey, str]) -> Iterator[Watched]:
    for asset in dagster_internals.freshness_states(context.instance, sorted(owners)):
        name = asset.key.to_user_string()
        yield Watched(
            key=f"freshness:{name}",
            state=_FRESH.get(asset.state),
            at=asset.at,
            what=f"{name} is not up to date" if asset.state == "FAIL" else f"{name}, up to date",
            who=owners.get(asset.key, "operations"),
            next_step="See why its job has not run or has failed (cin7-emarsys doctor); run it: cin7-emarsys sync.",
            path=f"assets/{name}",
        )


def _runs(context: SensorEvaluationContext) -> Iterator[Watched]:
    """Newest finished run of each job. A retry that fails is no news where the first attempt was told."""
    finished = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE]
    for job in sorted(_repository(context).job_names):
        records = context.instance.get_run_records(RunsFilter(job_name=job, statuses=finished), limit=1)
        for record in records:
            run = record.dagster_run
            failed = run.status == DagsterRunStatus.FAILURE
            yield Watched(
                key=f"job:{job}",
                state="CRITICAL" if failed else "good",
                at=datetime.fromtimestamp(record.end_time or record.create_timestamp.timestamp(), UTC),
                what=f"job {'of the asset page' if job == '__ASSET_JOB' else job}" + (" failed" if failed else ""),
                who="operations",
                next_step="Open the run: the step that failed says what and what to do. What was committed is kept.",
                path=f"runs/{run.run_id}",
            )


def _ticks(context: SensorEvaluationContext) -> Iterator[Watched]:
    repository = _repository(context)
    ours = {schedule.name for schedule in repository.schedule_defs} | {each.name for each in repository.sensor_defs}
    for tick in dagster_internals.latest_ticks(context.instance):
        if tick.name in ours:
            reason = EMAIL.sub("(address)", tick.error.splitlines()[0][:200]) if tick.error else ""
            yield Watched(
                key=f"{tick.kind}:{tick.name}",
                state="CRITICAL" if tick.failed else "good",
                at=tick.at,
                what=f"{tick.kind} {tick.name}" + (f" fails: {reason}" if tick.failed else ""),
                who="operations",
                next_step=f"Open the {tick.kind} in Dagster: its newest tick shows the error.",
                path="automation",
            )


@sensor(
    name="state_alerts",
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Tells when a check or the freshness of an asset turns bad, and when it recovers: once each.",
)
def state_alerts(context: SensorEvaluationContext) -> SkipReason:
    """Checks and freshness."""
    owners = _owners(_repository(context))
    return _tell(context, [*_checks(context, owners), *_freshness(context, owners)])


@sensor(
    name="run_failures",
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Tells when a job fails, and when it succeeds again. Closes runs whose process is gone, which would keep "
    "their job from running again.",
)
def run_failures(context: SensorEvaluationContext) -> SkipReason:
    """Runs."""
    runs.heal_dead_runs(context.instance)
    return _tell(context, _runs(context))


@sensor(
    name="tick_watch",
    minimum_interval_seconds=60,
    default_status=DefaultSensorStatus.RUNNING,
    description="Tells when a schedule or a sensor itself fails, the other alert sensors among them.",
)
def tick_watch(context: SensorEvaluationContext) -> SkipReason:
    """Schedules and sensors."""
    return _tell(context, _ticks(context))


@sensor(
    name="heartbeat",
    minimum_interval_seconds=60,
    default_status=DefaultSensorStatus.RUNNING,
    description="Writes the heartbeat file and calls the outside watcher (alerts.heartbeat_url), which notices the silence "
    "when the daemon dies. While alerts cannot be delivered it keeps silent too: nobody else could tell.",
)
def heartbeat(context: SensorEvaluationContext) -> SkipReason:
    """Raises when the watcher does not answer."""
    failing = sorted(tick.name for tick in dagster_internals.latest_ticks(context.instance) if tick.failed)
    file = paths().heartbeat
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    beside.write_text(json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), "failing": failing}) + "\n")
    beside.replace(file)
    mute = [name for name in failing if name in _ALERTING]
    if mute:
        return SkipReason(f"the outside watcher is not called, because {', '.join(mute)} cannot tell anybody")
    try:
        url = load_policy().alerts.heartbeat_url
    except SettingsError:
        return SkipReason("beat; merchant.toml cannot be read, so the outside watcher is not called")
    if not url:
        return SkipReason("beat")
    with urllib.request.urlopen(url, timeout=_PING_SECONDS):  # noqa: S310 - checked by the settings
        return SkipReason("beat; the outside watcher was called")


sensors: list[SensorDefinition] = [state_alerts, run_failures, tick_watch, heartbeat]
