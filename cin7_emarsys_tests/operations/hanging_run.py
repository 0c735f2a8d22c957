"""A process with a run that never ends; it waits to be killed. `python -m … FOLDER_OF_INSTANCE`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from dagster import DagsterInstance, Definitions, asset, define_asset_job, in_process_executor

from cin7_emarsys.operations.runs import RunSettings
from cin7_emarsys.operations.sensors import run_failures


@asset(pool="one_at_a_time", required_resource_keys={"settings"})
def hanging() -> None:
    sys.stdout.write("hangs\n")
    sys.stdout.flush()
    time.sleep(600)


def instance(folder: Path) -> DagsterInstance:
    return DagsterInstance.local_temp(str(folder), {"telemetry": {"enabled": False}})


definitions = Definitions(
    assets=[hanging],
    jobs=[define_asset_job("stock", selection=[hanging])],
    sensors=[run_failures],
    resources={"settings": RunSettings()},
    executor=in_process_executor,
)


def main(folder: Path) -> None:
    definitions.resolve_job_def("stock").execute_in_process(instance=instance(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
