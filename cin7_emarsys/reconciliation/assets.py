"""The reconciliation room in Dagster: the read-back, the comparisons, and the checks on them.

What belongs here: keys, descriptions, metadata. What does not: the comparisons (``warehouse/models/reconciliation``).
"""

# Dagster reads the annotations of its functions, so they must not be postponed.
from pathlib import Path
from typing import Any, get_args

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    Config,
    MaterializeResult,
    ResourceParam,
    TableColumn,
    TableSchema,
    asset,
)
from pydantic import Field

from cin7_emarsys import freshness
from cin7_emarsys.reconciliation.read_back import COLUMNS, Scope, read_contacts
from cin7_emarsys.settings_resource import SettingsResource
from cin7_emarsys.warehouse import gates
from cin7_emarsys.warehouse.assets import checks_of, schema_assets
from cin7_emarsys.warehouse.connections import Warehouse


class ReadBackConfig(Config):
    """How much is read back."""

    scope: str = Field(
        default="due",
        description="all: every contact that was ever accepted; due: those accepted since they were last read, those that "
        "were missing or different, and a part of the others; sent: only those accepted since they were last read.",
    )


@asset(
    key=["reconciliation", "contacts_read"],
    deps=[AssetKey(["emarsys", "contacts"]), AssetKey(["emarsys", "contact_database"])],
    group_name="reconciliation",
    description="What Emarsys answers when asked for the contacts it accepted, and for those it has from elsewhere.",
    owners=["team:operations"],
    kinds={"emarsys", "duckdb"},
    metadata={
        "dagster/column_schema": TableSchema(
            [TableColumn(name, kind, description=meaning) for name, (kind, meaning) in COLUMNS.items()]
        )
    },
    freshness_policy=freshness.nightly(),
)
def contacts_read(
    context: AssetExecutionContext,
    config: ReadBackConfig,
    settings: SettingsResource,
    warehouse: ResourceParam[Warehouse],
) -> MaterializeResult[Any]:
    """Reads contacts back."""
    scopes: tuple[Scope, ...] = get_args(Scope)
    scope = next(scope for scope in scopes if scope == config.scope)
    read = read_contacts(settings.load(), warehouse, scope=scope)
    with warehouse.read() as connection:
        rows = connection.execute("select count(*) from reconciliation.contacts_read").fetchone()
    if read.ended:
        context.log.warning(f"the reading ended early, {read.not_read} contacts are not read: {read.ended}")
    return MaterializeResult(
        metadata={
            "dagster/row_count": rows[0] if rows else 0,
            "asked": read.asked,
            "found": read.found,
            "not_read": read.not_read,
            "rows_nobody_asked_for": read.strangers,
            "contacts_of_others": read.why_not if read.others is None else read.others,
            "calls": read.calls,
            "ended_early": read.ended,
        }
    )


assets: list[AssetsDefinition] = [contacts_read, schema_assets("reconciliation"), schema_assets("operations")]
checks = [checks_of("reconciliation_checks", gates.read(Path(__file__).parent / "checks"))]
