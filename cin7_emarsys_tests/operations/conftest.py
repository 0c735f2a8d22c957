"""A place where alerts go, and a Dagster instance with a few assets and checks of its own."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    DagsterInstance,
    Definitions,
    FreshnessPolicy,
    MaterializeResult,
    RepositoryDefinition,
    SensorDefinition,
    asset,
    build_sensor_context,
    define_asset_job,
    in_process_executor,
)
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType, TickData, TickStatus
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_shared.error import SerializableErrorInfo

from cin7_emarsys.operations.sensors import sensors

STATE: dict[str, Any] = {}
NEEDED = (
    "CIN7_ACCOUNT_ID", "CIN7_APPLICATION_KEY", "EMARSYS_CLIENT_ID", "EMARSYS_CLIENT_SECRET", "EMARSYS_MERCHANT_ID",
    "EMARSYS_SALES_TOKEN", "FEED_USER", "FEED_PASSWORD",
)  # fmt: skip


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the SQLite files of a new instance: copying them is quicker than making them for each test."""
    folder = tmp_path_factory.mktemp("dagster")
    made = DagsterInstance.local_temp(str(folder), {"telemetry": {"enabled": False}})
    made.get_runs(limit=1)
    made.all_instigator_state()
    made.get_asset_keys(limit=1)
    made.dispose()
    return folder


class Endpoint:
    """A web service on loopback that keeps what it is sent; it can be closed and opened again on the same port."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.port = 0
        self.open()

    def open(self) -> None:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.messages.append(json.loads(body))
                self._done()

            def do_GET(self) -> None:
                endpoint.calls.append(self.path)
                self._done()

            def _done(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.01), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """From now on connections are refused."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}"

    def take(self) -> list[str]:
        """The texts that came since the last time."""
        taken = [f"{message['title']}\n{message['message']}" for message in self.messages]
        self.messages.clear()
        return taken


@pytest.fixture
def endpoint() -> Iterator[Callable[[], Endpoint]]:
    made: list[Endpoint] = []

    def make() -> Endpoint:
        made.append(Endpoint())
        return made[-1]

    yield make
    for each in made:
        each.close()


@asset(
    key=["mart", "ats"],
    owners=["team:operations"],
    check_specs=[AssetCheckSpec("adds_up", asset=["mart", "ats"])],
    freshness_policy=FreshnessPolicy.time_window(fail_window=timedelta(hours=1)),
)
def ats() -> Any:
    if STATE.get("raises"):
        raise RuntimeError("no stock for ana.lee@example.com")
    if before := STATE.get("in_the_run"):
        before()
    yield MaterializeResult()
    rows = STATE.get("rows", 0)
    yield AssetCheckResult(
        check_name="adds_up",
        passed=not rows,
        severity=AssetCheckSeverity.ERROR,
        description=f"{rows} SKUs of ana.lee@example.com do not add up",
        metadata={"rows": rows, "next_step": "Look at these SKUs."},
    )


class Place:
    """An instance in a folder, real definitions with the real sensors, and a cursor for each sensor."""

    def __init__(self, folder: Path) -> None:
        STATE.clear()
        self.instance = DagsterInstance.local_temp(str(folder), {"telemetry": {"enabled": False}})
        self.definitions = Definitions(
            assets=[ats],
            jobs=[define_asset_job("stock", selection=[ats])],
            sensors=sensors,
            executor=in_process_executor,
        )
        self.repository: RepositoryDefinition = self.definitions.get_repository_def()
        self.cursors: dict[str, str | None] = {}

    def run(self, *, tags: Mapping[str, str] | None = None, **state: Any) -> None:
        """Runs the job once; `rows` offend its check, or it `raises`."""
        STATE.clear()
        STATE.update(state)
        job = self.definitions.resolve_job_def("stock")
        job.execute_in_process(instance=self.instance, raise_on_error=False, tags=dict(tags or {}))

    def freshness(self, state: FreshnessState, at: float = 1_764_000_000.0) -> None:
        """What the daemon writes when an asset's freshness has changed."""
        change = FreshnessStateChange(
            key=AssetKey(["mart", "ats"]),
            new_state=state,
            previous_state=FreshnessState.UNKNOWN,
            state_change_timestamp=at,
        )
        self.instance._report_runless_asset_event(change)

    def ticked(
        self, name: str, status: TickStatus, error: str = "", kind: InstigatorType = InstigatorType.SENSOR
    ) -> None:
        """What the daemon keeps of a tick."""
        if not any(each.instigator_name == name for each in self.instance.all_instigator_state()):
            code = InProcessCodeLocationOrigin(LoadableTargetOrigin(python_file="nowhere.py"), location_name="here")
            whole = RemoteInstigatorOrigin(RemoteRepositoryOrigin(code, "there"), name)
            self.instance.add_instigator_state(InstigatorState(whole, kind, InstigatorStatus.DECLARED_IN_CODE))
        state = next(each for each in self.instance.all_instigator_state() if each.instigator_name == name)
        data = TickData(
            instigator_origin_id=state.instigator_origin_id,
            instigator_name=name,
            instigator_type=kind,
            status=status,
            timestamp=time.time(),
            selector_id=state.selector_id,
            error=SerializableErrorInfo(error, [], "Error") if error else None,
        )
        self.instance.create_tick(data)

    def tick(self, name: str) -> str:
        """Evaluates one sensor as the daemon does: the cursor moves unless it raises. Returns what it says."""
        with build_sensor_context(
            instance=self.instance, cursor=self.cursors.get(name), repository_def=self.repository, sensor_name=name
        ) as context:
            definition: SensorDefinition = self.repository.get_sensor_def(name)
            evaluated = definition.evaluate_tick(context)
        self.cursors[name] = evaluated.cursor
        return evaluated.skip_message or ""


@pytest.fixture
def place(tmp_path: Path, blank: Path, in_project: Callable[[dict[str, str]], Path]) -> Iterator[Place]:
    in_project(dict.fromkeys(NEEDED, "x"))
    folder = tmp_path / "dagster"
    shutil.copytree(blank, folder)
    made = Place(folder)
    yield made
    made.instance.dispose()
