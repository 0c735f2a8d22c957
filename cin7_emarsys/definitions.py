"""The whole graph, wired. Nothing is computed here; importing it opens no file of data and no connection."""

from __future__ import annotations

from dagster import Definitions, in_process_executor

from cin7_emarsys import disk
from cin7_emarsys.cin7 import assets as cin7
from cin7_emarsys.desk import assets as desk
from cin7_emarsys.emarsys import assets as emarsys
from cin7_emarsys.operations import jobs, sensors
from cin7_emarsys.operations.runs import RunSettings
from cin7_emarsys.reconciliation import assets as reconciliation
from cin7_emarsys.settings import paths
from cin7_emarsys.warehouse import assets as warehouse
from cin7_emarsys.warehouse.resource import WarehouseResource

disk.only_ours()  # the code server of Dagster enters here

defs = Definitions(
    assets=[*cin7.assets, *warehouse.assets, *emarsys.assets, *reconciliation.assets, *desk.assets],
    asset_checks=[*cin7.checks, *warehouse.checks, *emarsys.checks, *reconciliation.checks],
    jobs=[*jobs.jobs, jobs.prune],
    schedules=jobs.schedules,
    sensors=sensors.sensors,
    resources={"settings": RunSettings(), "warehouse": WarehouseResource(database=str(paths().warehouse))},
    executor=in_process_executor,
)
