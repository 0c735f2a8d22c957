"""The reconciliation room in Dagster: the read-back, the comparisons, and the checks on them.

What belongs here: keys, descriptions, metadata. What does not: the comparisons (``warehouse/models/reconciliation``).
"""

# Dagster reads the annotations of its functions, so they must not be postponed.
from datetime import timedelta
from pathlib import Path
from typing import Any

from dagster import (
    AssetKey,
    AssetsDefinition,
    Config,
    FreshnessPolicy,
    MaterializeResult,
    TableColumn,
    TableSchema,
    asset,
)
from pydantic import Field

from cin7_emarsys.reconciliation.read_back import COLUMNS, read_contacts
from cin7_emarsys.settings_resource import SettingsResource
from cin7_emarsys.warehouse import gates
from cin7_emarsys.warehouse.assets import checks_of, schema_assets
from cin7_emarsys.warehouse.resource import Warehouse


class ReadBackConfig(Config):
    """How much is read back."""

    everything: bool = Field(
        default=True,
        description="Ask for every contact that was ever accepted; else only for those accepted since they were last read.",
    )


@asset(
    key=["reconciliation", "contacts_read"],
    deps=[AssetKey(["delivery", "delivered"]), AssetKey(["emarsys", "contact_database"])],
    group_name="reconciliation",
    description="What Emarsys answers when asked for the contacts it accepted, and for those it has from elsewhere.",
    owners=["team:operations"],
    kinds={"emarsys", "duckdb"},
    metadata={
        "dagster/column_schema": TableSchema(
            [TableColumn(name, kind, description=meaning) for name, (kind, meaning) in COLUMNS.items()]
        )
    },
    freshness_policy=FreshnessPolicy.time_window(fail_window=timedelta(hours=30)),
)
def contacts_read(config: ReadBackConfig, settings: SettingsResource, warehouse: Warehouse) -> MaterializeResult[Any]:
    """Reads contacts back."""
    read = read_contacts(settings.load(), warehouse, everything=config.everything)
    with warehouse.read() as connection:
        rows = connection.execute("select count(*) from reconciliation.contacts_read").fetchone()
    return MaterializeResult(
        metadata={
            "dagster/row_count": rows[0] if rows else 0,
            "asked": read.asked,
            "found": read.found,
            "contacts_of_others": read.why_not if read.others is None else read.others,
            "calls": read.calls,
        }
    )


assets: list[AssetsDefinition] = [contacts_read, schema_assets("reconciliation")]
checks = [checks_of("reconciliation_checks", gates.read(Path(__file__).parent / "checks"))]
