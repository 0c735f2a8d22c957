"""The desk in Dagster: the report, at the end of the nightly job.

What belongs here: the asset. What does not: what the pages show (``pages.py``), and serving them (``app.py``).
"""

# Dagster reads the annotations of its functions, so they must not be postponed.
from typing import Any

from dagster import AssetKey, AssetsDefinition, MaterializeResult, MetadataValue, ResourceParam, asset

from cin7_emarsys import freshness
from cin7_emarsys.settings_resource import SettingsResource
from cin7_emarsys.warehouse.assets import key_of
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys.warehouse.factory import models


@asset(
    key=["operations", "report"],
    deps=[
        AssetKey(["delivery", "publications"]),
        *(key_of(name) for name, model in models().items() if model.schema == "reconciliation"),
    ],
    group_name="operations",
    description="The operators' pages as files, as the desk shows them: is it safe to send, availability, back in stock, "
    "orphans, balance and delivery. HTML to read, CSV to reckon with.",
    owners=["team:operations"],
    kinds={"html", "csv"},
    freshness_policy=freshness.nightly(),
)
def report(settings: SettingsResource, warehouse: ResourceParam[Warehouse]) -> MaterializeResult[Any]:
    """Writes the report from a fresh copy of the warehouse."""
    from cin7_emarsys.desk.report import write  # with its templates; the graph is imported far more often
    from cin7_emarsys.desk.source import Published

    loaded = settings.load()
    warehouse.publish_copy(loaded.paths.published)
    written = write(Published(loaded.paths.published), loaded.merchant, loaded.paths.report)
    return MaterializeResult(
        metadata={
            "page": MetadataValue.path(str(written.folder / "index.html")),
            "files": written.files,
            "bytes": written.bytes,
        }
    )


assets: list[AssetsDefinition] = [report]
