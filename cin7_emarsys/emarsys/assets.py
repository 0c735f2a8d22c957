"""The Emarsys room in Dagster: one asset for each flow, what lies beyond it at Emarsys, and the ledger's projection.

What belongs here: keys, descriptions, metadata, checks. What does not: how a flow delivers (``delivery.py``).
"""

# Dagster reads the annotations of its functions, so they must not be postponed.
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    Config,
    MaterializeResult,
    MetadataValue,
    ResourceParam,
    TableColumn,
    TableSchema,
    asset,
    multi_asset,
)
from pydantic import Field

from cin7_emarsys import freshness, guards
from cin7_emarsys.emarsys.contacts import deliver_contacts
from cin7_emarsys.emarsys.delivery import Delivery, Report, keep_examples
from cin7_emarsys.emarsys.events import deliver_events
from cin7_emarsys.emarsys.ledger import Ledger
from cin7_emarsys.emarsys.product_items import deliver_catalogue
from cin7_emarsys.emarsys.projection import projected
from cin7_emarsys.emarsys.sales import deliver_sales
from cin7_emarsys.emarsys.setup import prepare
from cin7_emarsys.settings_resource import SettingsResource
from cin7_emarsys.warehouse import gates
from cin7_emarsys.warehouse.assets import checks_of
from cin7_emarsys.warehouse.connections import Warehouse

GROUP = "emarsys"


class ExportConfig(Config):
    """How one export runs."""

    dry_run: bool = Field(default=False, description="Work out what would be sent, and send nothing.")


_FLOWS: dict[str, tuple[Callable[[Delivery], Report], list[str], str, str, str]] = {
    "contacts": (
        deliver_contacts,
        ["mart/contacts"],
        "contact_database",
        "Contacts at Emarsys, with what each customer is worth: only those that changed are sent, by e-mail.",
        "Emarsys' contact database, as far as this project fills it.",
    ),
    "catalogue": (
        deliver_catalogue,
        ["mart/catalogue"],
        "product_catalogue",
        "The product data file that Emarsys fetches: every item with price, image and what may be promised now.",
        "Emarsys' product catalogue: replaced as a whole by each file it fetches.",
    ),
    "sales": (
        deliver_sales,
        ["mart/sales_lines", "emarsys/contacts"],
        "sales_data",
        "Lines of invoices and refunds for Emarsys' sales data. They add up there, so each goes exactly once.",
        "Emarsys' sales data, from which it learns who buys what.",
    ),
    "events": (
        deliver_events,
        ["mart/order_events", "emarsys/contacts", "emarsys/sales"],
        "external_events",
        "What just happened to an order (shipped, backordered, refunded, first purchase …), once each: mails depend on it.",
        "External events at Emarsys, which start programmes and mails.",
    ),
}


def _metadata(report: Report) -> dict[str, Any]:
    figures = ("desired", "unchanged", "sent", "accepted", "rejected", "retryable", "unknown", "waiting", "frozen")
    metadata: dict[str, Any] = {name: getattr(report, name) for name in figures}
    metadata |= {"dead_letters": report.dead_letters, "calls": report.calls, "seconds": report.seconds}
    metadata |= {"dagster/row_count": report.desired, "dry_run": report.dry_run}
    if report.withheld:
        metadata["withheld"] = MetadataValue.json(report.withheld)
    if report.shortened or report.strangers or report.folded:
        metadata |= {"texts_shortened": report.shortened, "errors_for_unknown_keys": report.strangers}
        metadata |= {"duplicate_keys_folded": report.folded}
    if report.refused:
        metadata["refused"] = "; ".join(f"{gate.title}. {gate.next_step}" for gate in report.refused)
    return metadata


def _held(report: Report, *, armed: bool) -> list[str]:
    """What guards have held back, in words."""
    counts = {**report.withheld, **report.guarded, **{gate.name: gate.rows for gate in report.refused}}
    if not armed and report.dry_run:
        counts["not_armed"] = report.withheld.get("dry_run", 0)
    return [guards.sentence(name, counts[name]) for name in guards.GUARDS if counts.get(name)]


def _guards(report: Report, *, armed: bool) -> dict[str, Any]:
    held = _held(report, armed=armed)
    return {"guards": MetadataValue.json(held)} if held else {}


def _flow(name: str) -> AssetsDefinition:
    deliver, upstream, _, description, _ = _FLOWS[name]

    @asset(
        key=["emarsys", name],
        deps=[AssetKey(key.split("/")) for key in upstream],
        group_name=GROUP,
        description=description,
        owners=["team:operations" if name == "catalogue" else "team:marketing"],
        kinds={"emarsys"},
        freshness_policy=freshness.daytime(),
    )
    def export(
        context: AssetExecutionContext,
        config: ExportConfig,
        settings: SettingsResource,
        warehouse: ResourceParam[Warehouse],
    ) -> MaterializeResult[Any]:
        loaded = settings.load()
        ledger = Ledger(loaded.ledger_url)
        try:
            overrides = guards.of_run(context.run.tags, name)
            delivery = Delivery(
                name, loaded, warehouse, ledger, context.run.run_id, dry_run=config.dry_run, overrides=overrides
            )
            if not delivery.report.dry_run:
                delivery.keep_overrides()
            if (
                name in ("contacts", "events")
                and not delivery.report.dry_run
                and loaded.merchant.emarsys.create_missing
            ):
                made = prepare(loaded)
                if made:
                    context.log.info(f"{made} fields and events were missing at Emarsys and have been made")
            report = deliver(delivery)
        finally:
            ledger.close()
        for gate in report.refused:
            context.log.warning(f"{name}: nothing is sent. {gate.title}. {gate.next_step}")
        for held in _held(report, armed=loaded.merchant.armed):
            context.log.warning(f"{name}: {held}")
        if report.dry_run:
            keep_examples(loaded, report, context.run.run_id)
            context.log.info(f"{name}: dry run, {report.withheld.get('dry_run', 0)} records would be sent")
        return MaterializeResult(metadata=_metadata(report) | _guards(report, armed=loaded.merchant.armed))

    return export


_LEDGER_TABLES = {
    "batches": "Every batch sent to Emarsys, with times and status.",
    "records": "Every record sent to Emarsys, with its fate: accepted, rejected, retryable or unknown.",
    "delivered": "What Emarsys acknowledged last, record by record.",
    "catalogue_items": "The product file as last published, item by item.",
    "dead_letters": "Records that were refused, or tried too often: open until they succeed or a person decides.",
    "in_flight": "Batches that are on their way, or whose process died before their outcome was written down.",
    "publications": "Every version of the product file, and when Emarsys collected it.",
}


@multi_asset(
    name="delivery",
    specs=[
        AssetSpec(
            ["delivery", table],
            deps=[AssetKey(["emarsys", flow]) for flow in _FLOWS],
            group_name=GROUP,
            description=description,
            owners=["team:data"],
            kinds={"duckdb", "sqlite"},
            freshness_policy=freshness.nightly(),
        )
        for table, description in _LEDGER_TABLES.items()
    ],
)
def delivery_tables(
    settings: SettingsResource, warehouse: ResourceParam[Warehouse]
) -> Iterator[MaterializeResult[Any]]:
    """The ledger as tables of the warehouse."""
    ledger = Ledger(settings.load().ledger_url)
    results: list[MaterializeResult[Any]] = []
    try:
        with projected(ledger, warehouse) as connection:
            for table in _LEDGER_TABLES:
                count = connection.execute(f"select count(*) from delivery.{table}").fetchone()
                described = connection.execute(f"describe delivery.{table}").fetchall()
                schema = TableSchema([TableColumn(name, kind) for name, kind, *_ in described])
                results.append(
                    MaterializeResult(
                        asset_key=["delivery", table],
                        metadata={"dagster/row_count": count[0] if count else 0, "dagster/column_schema": schema},
                    )
                )
    finally:
        ledger.close()
    yield from results


_BEYOND = [
    AssetSpec(
        ["emarsys", beyond],
        deps=[AssetKey(["emarsys", flow])],
        group_name=GROUP,
        description=description,
        owners=["team:marketing"],
        kinds={"emarsys"},
    )
    for flow, (_, _, beyond, _, description) in _FLOWS.items()
]

assets: list[AssetsDefinition | AssetSpec] = [*(_flow(name) for name in _FLOWS), delivery_tables, *_BEYOND]
checks = [checks_of("emarsys_checks", gates.read(Path(__file__).parent / "checks"))]
