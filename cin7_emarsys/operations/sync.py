"""Running a Dagster job from the command line, in this process, on the instance the UI shows.

What belongs here: starting the run, and gathering what its assets and checks reported. What does not: the work itself
(assets), the lock and the healing of dead runs (``runs.py``), and printing (``cli.py``).
"""

from __future__ import annotations

import getpass
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dagster import AssetCheckSeverity, DagsterEvent, DagsterEventType, DagsterInstance
from duckdb import DuckDBPyConnection

from cin7_emarsys import guards
from cin7_emarsys.emarsys.ledger import Ledger
from cin7_emarsys.operations import runs
from cin7_emarsys.operations.refusals import CannotRun
from cin7_emarsys.settings import Settings
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys.warehouse.factory import EMAIL

_PYTHON_PATH = re.compile(r"^(\w+\.)+(?=\w+:)")


@dataclass(frozen=True)
class CheckOutcome:
    """One asset check as evaluated: ``sentence`` says what is wrong, ``next_step`` what to do."""

    asset: str
    name: str
    passed: bool
    severity: str
    sentence: str
    next_step: str
    rows: int


@dataclass
class SyncOutcome:
    """What one run did: figures by asset key, checks, and (when it failed) the steps with their errors."""

    job: str
    run_id: str
    ok: bool = False
    assets: dict[str, dict[str, Any]] = field(default_factory=dict)
    checks: list[CheckOutcome] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def failed_checks(self) -> list[CheckOutcome]:
        return [check for check in self.checks if not check.passed]


@contextmanager
def instance() -> Iterator[DagsterInstance]:
    """The project's Dagster instance: ``DAGSTER_HOME`` if set, else the folder with ``dagster.yaml`` one stands in."""
    if os.environ.get("DAGSTER_HOME"):
        opened = DagsterInstance.get()
    else:
        if not Path("dagster.yaml").exists():
            raise CannotRun("there is no dagster.yaml here; run this in the project's folder, or set DAGSTER_HOME")
        Path("var/dagster").mkdir(parents=True, exist_ok=True)
        opened = DagsterInstance.from_config(".")
    with opened:
        yield opened


def sync(
    job: str,
    *,
    full: bool = False,
    dry_run: bool = False,
    overrides: Mapping[str, str] | None = None,
    on: DagsterInstance | None = None,
) -> SyncOutcome:
    """Runs one job to its end in this process. The run shows in the UI like any other.

    ``full`` reads everything anew; ``dry_run`` works out what would be sent and sends nothing; ``overrides`` are guards that
    do not hold for this run, with the reason. ``on`` is an instance that the caller has opened, and closes; the project's
    own otherwise. Raises `CannotRun`, also for a guard that cannot be overridden.
    """
    from cin7_emarsys.definitions import defs
    from cin7_emarsys.operations.jobs import flows_of, run_config

    plain = {guard: EMAIL.sub("(address)", reason) for guard, reason in (overrides or {}).items()}  # tags are shown
    try:
        for guard in plain:
            guards.check(guard, flows_of(job))
    except guards.NotOverridable as error:
        raise CannotRun(str(error)) from None

    definition = defs.resolve_job_def(job)
    with nullcontext(on) if on else instance() as opened:
        runs.heal_dead_runs(opened)
        result = definition.execute_in_process(
            instance=opened,
            run_config=run_config(job, full=full, dry_run=dry_run, quiet=True),
            tags=guards.tag(plain),
            raise_on_error=False,
        )
    outcome = SyncOutcome(job, result.run_id, result.success)
    for event in result.all_events:
        _gather(outcome, event)
    return outcome


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Figures and texts; tables and schemas are for the UI."""
    values = {name: getattr(value, "value", value) for name, value in metadata.items()}
    return {name: value for name, value in values.items() if isinstance(value, bool | int | float | str | dict | list)}


def _gather(outcome: SyncOutcome, event: DagsterEvent) -> None:
    if event.event_type == DagsterEventType.ASSET_MATERIALIZATION and event.asset_key:
        materialization = event.step_materialization_data.materialization
        outcome.assets[event.asset_key.to_user_string()] = _plain(materialization.metadata)
    elif event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
        check = event.asset_check_evaluation_data
        metadata = _plain(check.metadata)
        outcome.checks.append(
            CheckOutcome(
                asset=check.asset_key.to_user_string(),
                name=check.check_name,
                passed=check.passed,
                severity="ERROR" if check.severity == AssetCheckSeverity.ERROR else "WARN",
                sentence=check.description or "",
                next_step=str(metadata.get("next_step", "")),
                rows=int(metadata.get("rows", 0)),
            )
        )
    elif event.event_type == DagsterEventType.STEP_FAILURE:
        error = event.step_failure_data.error
        while error and error.cause:  # the innermost one says what is wrong; the outer ones say where in Dagster
            error = error.cause
        step = (event.step_key or "run").replace("__", "/")  # as its asset is called
        outcome.errors[step] = _PYTHON_PATH.sub("", error.message.strip()) if error else "failed"
    elif event.event_type == DagsterEventType.PIPELINE_FAILURE and not outcome.errors:
        outcome.errors["run"] = event.message or "failed"


def release(settings: Settings, name: str, reason: str) -> str:
    """Frees a hold of the circuit breaker, or takes the fewer rows of an untrusted snapshot for the new normal.

    The next run believes what is still true. Returns what was released. Who, when and why are kept, also in the ledger's
    audit. Raises `CannotRun` when there is nothing of that name to release.
    """
    with Warehouse(database=str(settings.paths.warehouse)).write() as connection:
        freed = _release_hold(connection, name, reason) or _release_snapshot(connection, name, reason)
    if freed is None:
        raise CannotRun(
            f"there is no open hold and no snapshot {name} with a row drop; `cin7-emarsys explain SKU` names the hold of an "
            "item, the check on the newest snapshot names the snapshot"
        )
    ledger = Ledger(settings.ledger_url)
    ledger.write_audit(getpass.getuser(), "sync --release", reason, name, datetime.now(UTC).replace(tzinfo=None))
    ledger.close()
    return freed


def _release_hold(connection: DuckDBPyConnection, hold: str, reason: str) -> str | None:
    held = connection.execute(
        "select count(*) from mart.held_flips where hold_id = ? and released_at is null and ended_at is null", [hold]
    ).fetchone()
    if not held or not held[0]:
        return None
    connection.execute(
        "create table if not exists operations.releases "
        "(hold_id varchar, released_at timestamp, reason varchar, who varchar)"
    )
    connection.execute(  # the moment by Cin7's clock, as all times of a hold
        "insert into operations.releases select ?, as_of, ?, ? from staging.tenant", [hold, reason, getpass.getuser()]
    )
    return f"{held[0]} items"


def _release_snapshot(connection: DuckDBPyConnection, snapshot_id: str, reason: str) -> str | None:
    released = connection.execute(
        "update raw.snapshots set released_reason = ? where snapshot_id = ? and not trusted and reason like 'row drop%' "
        "returning rows",
        [reason, snapshot_id],
    ).fetchone()
    return None if released is None else f"{released[0]} rows are the new normal"


def would_send(settings: Settings, run_id: str) -> list[dict[str, Any]]:
    """The first records that a dry run found to send, with old and new values; empty when it was none."""
    file = settings.paths.outbox / f"dry-run-{run_id}.ndjson"
    if not file.exists():
        return []
    with file.open() as lines:
        return [json.loads(line) for line in lines]
