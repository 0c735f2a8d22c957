"""The warehouse room in Dagster: one multi-asset for each schema, and the checks on what they wrote.

Belongs here: keys, owners, descriptions, metadata, check results. Does not belong here: SQL, or anything computed.
"""

# Dagster reads the annotations of its functions, so they must not be postponed.
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckKey,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    MaterializeResult,
    MetadataValue,
    ResourceParam,
    TableColumn,
    TableRecord,
    TableSchema,
    multi_asset,
    multi_asset_check,
)

from cin7_emarsys import freshness, guards
from cin7_emarsys.settings_resource import SettingsResource
from cin7_emarsys.warehouse import exceptions, factory, gates
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys.warehouse.factory import Model, build, models

_MARKETING = {
    "catalogue", "contacts", "order_events", "sales_lines", "sales_documents", "order_facts", "excluded", "persons",
    "customer_value", "customer_value_lines", "customer_value_changes", "aliases",
}  # fmt: skip
# The groups of the graph, in words in which a stranger follows stock from vendor to vendor; what is in neither list is
# worked out before the second look (stock), or is about people and their orders.
_PROMISED = {"second_looks", "stock_states", "availability", "availability_events", "evidence"}
_FOR_EMARSYS = {"contacts", "catalogue", "sales_documents", "sales_lines", "order_events", "excluded"}
_READ_NIGHTLY = {"staging.locations", "staging.bins", "staging.families"}

_BESIDE = ("reconciliation", "operations")

# Read by models, but books that many steps keep, not data that flows.
_BOOKS = {
    "raw.sale_queue", "raw.watermarks", "delivery.catalogue_collected", "delivery.catalogue_history",
    "reconciliation.catalogue_export", "operations.exception_items", "operations.exception_classes",
    "operations.exception_decisions",
}  # fmt: skip


# What decides who is looked at twice comes before the second look, the rest of the mart after it.
_BEFORE_LOOK = factory.needed_for("mart.second_look_wanted")


def key_of(name: str) -> AssetKey:
    """`schema.table` as an asset key."""
    return AssetKey(name.split("."))


def _owner(model: Model) -> str:
    if model.schema == "staging":
        return "team:data"
    if model.schema in _BESIDE:
        return "team:operations"
    return "team:marketing" if model.name.split(".")[1] in _MARKETING else "team:operations"


def _group(model: Model) -> str:
    name = model.name.split(".")[1]
    if model.schema != "mart":
        return "tidied" if model.schema == "staging" else model.schema
    if name in _PROMISED:
        return "stock_promised"
    if name in _FOR_EMARSYS:
        return "for_emarsys"
    return "stock_counted" if model.name in _BEFORE_LOOK else "customers_and_orders"


def _spec(model: Model) -> AssetSpec:
    schema = TableSchema(
        columns=[
            TableColumn(name, kind, description=model.columns.get(name, "Span in which the row held (UTC)."))
            for name, kind in model.table_columns.items()
        ]
    )
    return AssetSpec(
        key_of(model.name),
        deps=[key_of(read) for read in sorted(model.depends - _BOOKS) if not read.startswith("policy.")],
        description=f"{model.meaning}\n\n{model.grain[0].upper()}{model.grain[1:]}.",
        group_name=_group(model),
        owners=[_owner(model)],
        kinds={"duckdb", "sql"},
        metadata={
            "dagster/column_schema": schema,
            "file": model.file,
            "docs": MetadataValue.path("docs/data-dictionary.md"),
        },
        freshness_policy=freshness.nightly()
        if model.name in _READ_NIGHTLY or model.schema in _BESIDE
        else freshness.daytime(),
    )


def _shown(value: Any) -> Any:
    """A figure as metadata: numbers stay numbers, so that the UI plots them; dates are text."""
    if isinstance(value, Decimal):
        return float(value)
    return value if isinstance(value, int | float) else "none" if value is None else str(value)


def _of(schema: str) -> list[Model]:
    return [model for model in models().values() if model.schema == schema]


def together(name: str, chosen: Sequence[Model]) -> AssetsDefinition:
    """One multi-asset with these models, built in one transaction."""

    @multi_asset(name=name, specs=[_spec(model) for model in chosen], can_subset=True)
    def build_models(
        context: AssetExecutionContext, warehouse: ResourceParam[Warehouse], settings: SettingsResource
    ) -> Iterator[MaterializeResult[Any]]:
        merchant = settings.load().merchant
        wanted = {".".join(key.path) for key in context.selected_asset_keys}
        with warehouse.write() as connection:
            built = build(connection, merchant, wanted)
        # Only now, after the commit: a roll-back would leave materialisations of what was never written.
        for table in built:
            yield MaterializeResult(
                asset_key=key_of(table.name),
                metadata={
                    **({} if table.rows is None else {"dagster/row_count": table.rows}),
                    "seconds": round(table.seconds, 3),
                    **{name: _shown(value) for name, value in table.figures.items()},
                },
            )

    return build_models


def _result(
    condition: gates.Condition, asset: str, gate: gates.Gate, standing: exceptions.Standing | None, *, overridden: bool
) -> AssetCheckResult:
    metadata: dict[str, Any] = {"rows": gate.rows}
    if standing:
        metadata["standing"] = standing.told()
    if gate.rows:
        metadata["next_step"] = gate.next_step
    if gate.sample:
        columns = [TableColumn(name, "string") for name in gate.sample[0]]
        metadata["sample"] = MetadataValue.table(
            records=[
                TableRecord({name: "" if value is None else str(value) for name, value in row.items()})
                for row in gate.sample
            ],
            schema=TableSchema(columns=columns),
        )
    return AssetCheckResult(
        passed=not gate.rows,
        asset_key=key_of(asset),
        check_name=condition.name,
        # overridden for this run: it is told, and does not stop what follows
        severity=AssetCheckSeverity.WARN if condition.severity == "warn" or overridden else AssetCheckSeverity.ERROR,
        description=gate.title if gate.rows else "Nothing found.",
        metadata=metadata,
    )


def checks_of(name: str, conditions: Iterable[gates.Condition]) -> AssetChecksDefinition:
    """Asset checks that ask conditions and keep what they find as exceptions; they show the total, up to 20 rows, and
    what to do. `name` is the op's."""
    asked = {
        AssetCheckKey(key_of(asset), condition.name): (asset, condition)
        for condition in conditions
        for asset in condition.assets
    }

    @multi_asset_check(
        name=name,
        specs=[
            AssetCheckSpec(
                key.name,
                asset=key.asset_key,
                description=f"{condition.means}\n\nWhat to do: {condition.next_step.split('{')[0].strip()}",
                metadata={"owner": condition.owner, "docs": MetadataValue.path("docs/checks.md")},
                blocking=condition.blocking,
            )
            for key, (_, condition) in asked.items()
        ],
        can_subset=True,
    )
    def check(
        context: AssetCheckExecutionContext, warehouse: ResourceParam[Warehouse], settings: SettingsResource
    ) -> Iterator[AssetCheckResult]:
        merchant = settings.load().merchant
        chosen = [asked[key] for key in asked if key in context.selected_asset_check_keys]
        with warehouse.write() as connection:
            once = {condition.name: condition for _, condition in chosen}
            found = exceptions.record(connection, once.values(), merchant)
        overrides = {name for flow in gates.FLOWS for name in guards.of_run(context.run.tags, flow)}
        for asset, condition in chosen:
            yield _result(condition, asset, *found[condition.name], overridden=condition.name in overrides)

    return check


def schema_assets(schema: str) -> AssetsDefinition:
    """One multi-asset with all models of a schema."""
    return together(f"warehouse_{schema}", _of(schema))


assets: list[AssetsDefinition] = [
    schema_assets("staging"),
    together("warehouse_stock", [model for model in _of("mart") if model.name in _BEFORE_LOOK]),
    together("warehouse_mart", [model for model in _of("mart") if model.name not in _BEFORE_LOOK]),
]
checks: list[AssetChecksDefinition] = [
    checks_of("warehouse_gates", [condition for condition in gates.conditions() if condition.blocking]),
    checks_of("warehouse_checks", [condition for condition in gates.conditions() if not condition.blocking]),
    *(checks_of(f"{schema}_unique_keys", [gates.unique_keys(_of(schema))]) for schema in ("staging", "mart")),
]
