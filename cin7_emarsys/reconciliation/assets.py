"""The reconciliation room in Dagster: the read-back, the comparisons, and the checks on them.

What belongs here: keys, descriptions, metadata. What does not: the comparisons (``warehouse/models/reconciliation``).
"""

# Dagster reads the annotations of its functions, so they must not be postponed.
from datetime import timedelta
from pathlib import Path
from typing import Any

from dagster import AssetKey, AssetsDefinition, FreshnessPolicy, MaterializeResult, TableColumn, TableSchema, asset

from cin7_emarsys.reconciliation.read_back import read_contacts
from cin7_emarsys.settings import SettingsResource
from cin7_emarsys.warehouse import gates
from cin7_emarsys.warehouse.assets import checks_of, schema_assets
from cin7_emarsys.warehouse.resource import Warehouse

_COLUMNS = TableSchema(
    [
        TableColumn("email", "VARCHAR", "Address of the contact."),
        TableColumn("ours", "BOOLEAN", "Emarsys accepted it from us."),
        TableColumn("found", "BOOLEAN", "Emarsys has it."),
        TableColumn("read_at", "TIMESTAMP", "When Emarsys was asked (UTC)."),
    ]
)


@asset(
    key=["reconciliation", "contacts_read"],
    deps=[AssetKey(["delivery", "delivered"]), AssetKey(["emarsys", "contact_database"])],
    group_name="reconciliation",
    description="What Emarsys answers when asked for the contacts it accepted, and for those it has from elsewhere.",
    owners=["team:operations"],
    kinds={"emarsys", "duckdb"},
    metadata={"dagster/column_schema": _COLUMNS},
    freshness_policy=FreshnessPolicy.time_window(fail_window=timedelta(hours=30)),
)
def contacts_read(settings: SettingsResource, warehouse: Warehouse) -> MaterializeResult[Any]:
    """Reads contacts back."""
    read = read_contacts(settings.load(), warehouse)
    others = (
        "the customer id field is not indexed, so this account cannot be asked" if read.others is None else read.others
    )
    return MaterializeResult(
        metadata={
            "dagster/row_count": read.asked + (read.others or 0),
            "asked": read.asked,
            "found": read.found,
            "contacts_of_others": others,
            "calls": read.calls,
        }
    )


assets: list[AssetsDefinition] = [contacts_read, schema_assets("reconciliation")]
checks = [checks_of("reconciliation_checks", gates.read(Path(__file__).parent / "checks"))]
