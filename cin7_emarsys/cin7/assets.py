"""The Cin7 room in Dagster: one asset for each thing read, and the checks on what was read.

What belongs here: keys, descriptions, metadata, check results. What does not: reading and loading.
"""

# Dagster reads the annotations of its functions, so they must not be postponed.
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    Config,
    FreshnessPolicy,
    MaterializeResult,
    ResourceParam,
    TableColumn,
    TableSchema,
    multi_asset,
)
from pydantic import Field

from cin7_emarsys import freshness
from cin7_emarsys.cin7 import availability, extract, load, sales, second_look
from cin7_emarsys.cin7.client import Cin7
from cin7_emarsys.cin7.load import Loaded
from cin7_emarsys.settings_resource import SettingsResource
from cin7_emarsys.warehouse import gates
from cin7_emarsys.warehouse.assets import checks_of
from cin7_emarsys.warehouse.connections import Warehouse

GROUP = "cin7"


class ReadConfig(Config):
    """How one list is read."""

    full: bool = Field(default=False, description="Read everything anew instead of what changed since the last read.")


def _spec(table: str, description: str, fresh: FreshnessPolicy, deps: list[str], group: str = GROUP) -> AssetSpec:
    return AssetSpec(
        ["raw", table],
        deps=[AssetKey(dep.split("/")) for dep in deps],
        group_name=group,
        description=description,
        owners=["team:data"],
        kinds={"cin7", "duckdb"},
        freshness_policy=fresh,
        metadata={"dagster/column_schema": _schema(table)} if table in load.TABLES else {},
    )


# What Cin7's columns mean where the name does not say it.
_MEANING = {
    "Updated": "Last change (UTC).",
    "LastModifiedOn": "Last change (UTC).",
    "_hash": "Hash of the record as received.",
    "_raw": "The record as received.",
    "_extract_id": "Extract it came with.",
    "_loaded_at": "When that extract began, by Cin7's clock (UTC).",
    "_missing_since": "Since when a complete read no longer lists it.",
    "_header_updated": "The header's last change for which this detail was read.",
    "_in_first_scan": "Listed in the first reading of headers, so it is history.",
    "_source": "Endpoint it came from.",
    "_erased": "Of a person that was erased: it counts, for nobody.",
    "MarketingConsent": "0 and 1 unknown, 2 opt in, 3 opt out.",
}


def _schema(table: str) -> TableSchema:
    return TableSchema(
        [
            TableColumn(
                name, kind if len(kind) < 60 else f"{kind[:57]}...", _MEANING.get(name, f"As Cin7 names it: {name}.")
            )
            for name, kind in load.columns_of(table).items()
        ]
    )


def _counts(warehouse: Warehouse, *tables: str) -> dict[str, int]:
    """Rows of these tables of `raw`."""
    with warehouse.read() as connection:
        counted = {table: connection.execute(f"select count(*) from raw.{table}").fetchone() for table in tables}
    return {table: row[0] if row else 0 for table, row in counted.items()}


def _figures(rows: int, loaded: Loaded, **more: Any) -> dict[str, Any]:
    return {
        "dagster/row_count": rows,
        "inserted": loaded.inserted,
        "updated": loaded.updated,
        "unchanged": loaded.unchanged,
        "rejected": loaded.rejected,
        **({"gone": loaded.missing} if loaded.missing else {}),
        **({"excluded: erased": loaded.erased} if loaded.erased else {}),
        **more,
    }


def _beside(counts: Mapping[str, int], **more: Any) -> Iterator[MaterializeResult[Any]]:
    """Tables that are filled together with another one: their row counts."""
    for table, rows in counts.items():
        yield MaterializeResult(asset_key=["raw", table], metadata={"dagster/row_count": rows, **more})


account = AssetSpec(
    ["cin7", "account"],
    group_name=GROUP,
    description="The Cin7 Core account: the system of record for stock, orders, products and customers.",
    owners=["team:operations"],
    kinds={"cin7"},
)

_REFERENCES = {
    "me": "The account: company, base currency, calendar.",
    "locations": "Locations and their bins.",
    "categories": "Categories of the products.",
    "brands": "Brands of the products.",
    "price_tiers": "The ten price tiers and their names.",
}


@multi_asset(
    name="raw__reference",
    specs=[_spec(table, text, freshness.nightly(), ["cin7/account"]) for table, text in _REFERENCES.items()],
    op_tags={"dagster/priority": "9"},
)
def reference(settings: SettingsResource, warehouse: ResourceParam[Warehouse]) -> Iterator[MaterializeResult[Any]]:
    """Account, locations, categories, brands, price tiers."""
    loaded = settings.load()
    done: dict[str, extract.Read] = {}
    with Cin7(loaded) as cin7:
        for table in _REFERENCES:
            if table == "me":
                done[table] = extract.read_account(cin7, warehouse, loaded.paths.landing)
            else:
                done[table] = extract.read_list(cin7, warehouse, loaded.paths.landing, table, full=True)
    for table, rows in _counts(warehouse, *done).items():
        metadata = _figures(rows, done[table].loaded, calls=done[table].calls)
        yield MaterializeResult(asset_key=["raw", table], metadata=metadata)


_LISTS = {
    "products": ("Products as Cin7 has them, deprecated ones and bills of material included.", freshness.daytime()),
    "product_families": ("Which variants belong together.", freshness.nightly()),
    "customers": ("Customers and their contacts, with e-mail and consent.", freshness.daytime()),
}


def _list(table: str) -> AssetsDefinition:
    description, fresh = _LISTS[table]

    @multi_asset(
        name=f"raw__{table}",
        specs=[_spec(table, description, fresh, ["cin7/account"])],
        op_tags={"dagster/priority": "8"},
    )
    def read(
        config: ReadConfig, settings: SettingsResource, warehouse: ResourceParam[Warehouse]
    ) -> MaterializeResult[Any]:
        loaded = settings.load()
        with Cin7(loaded) as cin7:
            done = extract.read_list(cin7, warehouse, loaded.paths.landing, table, full=config.full)
        more = {"calls": done.calls, "mode": done.mode, "watermark": done.watermark.isoformat()}
        return MaterializeResult(metadata=_figures(_counts(warehouse, table)[table], done.loaded, **more))

    return read


@multi_asset(
    name="raw__sale_headers",
    specs=[
        _spec(
            "sale_headers",
            "Headers of all sales: what changed, and which details have to be read.",
            freshness.orders(),
            ["cin7/account"],
        ),
        _spec(
            "credit_note_headers",
            "Headers of all credit notes, to find those of no listed sale.",
            freshness.orders(),
            ["cin7/account"],
        ),
    ],
    op_tags={"dagster/priority": "7"},
)
def sale_headers(
    config: ReadConfig, settings: SettingsResource, warehouse: ResourceParam[Warehouse]
) -> Iterator[MaterializeResult[Any]]:
    loaded = settings.load()
    with Cin7(loaded) as cin7:
        scan = sales.scan_headers(cin7, warehouse, loaded.paths.landing, full=config.full)
    more = {"calls": scan.calls, "watermark": scan.at.isoformat(), "details_queued": scan.queued}
    counts = _counts(warehouse, "sale_headers", "credit_note_headers")
    metadata = _figures(counts.pop("sale_headers"), scan.loaded, **more)
    yield MaterializeResult(asset_key=["raw", "sale_headers"], metadata=metadata)
    yield from _beside(counts)


@multi_asset(
    name="raw__unallocated_sales",
    specs=[
        _spec(
            "unallocated_sales",
            "Details of sales that are authorised without allocation, read first: Cin7's stock figures do not show them.",
            freshness.orders(),
            ["raw/sale_headers"],
        )
    ],
    op_tags={"dagster/priority": "6"},
)
def unallocated_sales(settings: SettingsResource, warehouse: ResourceParam[Warehouse]) -> MaterializeResult[Any]:
    loaded = settings.load()
    with Cin7(loaded) as cin7:
        done = sales.read_details(cin7, warehouse, loaded.paths.landing, only_unallocated=True)
    more = {"calls": done.calls, "left": done.left, "failed": done.failed}
    return MaterializeResult(metadata=_figures(_counts(warehouse, "sales")["sales"], done.loaded, **more))


@multi_asset(
    name="raw__availability",
    specs=[
        _spec(
            "availability",
            "A complete snapshot of stock, taken right after the sale headers, and whether it can be trusted.",
            freshness.stock(),
            ["raw/sale_headers", "raw/unallocated_sales"],
        ),
        _spec(
            "snapshots",
            "Every snapshot taken: when, how many rows, trusted or why not.",
            freshness.stock(),
            ["raw/sale_headers"],
        ),
        _spec(
            "snapshot_untrusted_skus",
            "SKUs whose rows in a snapshot cannot be trusted, and why.",
            freshness.stock(),
            ["raw/sale_headers"],
        ),
        _spec(
            "vanished",
            "Products of which stock rows were gone from one snapshot to the next; a fall of theirs is seen live first.",
            freshness.stock(),
            ["raw/sale_headers"],
        ),
    ],
    op_tags={"dagster/priority": "5"},
)
def availability_snapshot(
    context: AssetExecutionContext, settings: SettingsResource, warehouse: ResourceParam[Warehouse]
) -> Iterator[MaterializeResult[Any]]:
    loaded = settings.load()
    with Cin7(loaded) as cin7:
        taken = availability.take_snapshot(
            cin7, warehouse, loaded.paths.landing, max_row_drop=loaded.merchant.availability.max_row_drop
        )
    if not taken.trusted:
        context.log.warning(f"the snapshot is not trusted, nothing changes: {taken.reason}")
    yield MaterializeResult(
        asset_key=["raw", "availability"],
        metadata={
            "dagster/row_count": taken.rows,
            "snapshot_id": taken.snapshot_id,
            "trusted": taken.trusted,
            "reason": taken.reason or "",
            "reads": taken.passes,
            "untrusted_skus": taken.untrusted_skus,
            "rejected": taken.rejected,
            "calls": taken.calls,
        },
    )
    yield from _beside(_counts(warehouse, "snapshots", "snapshot_untrusted_skus", "vanished"))


@multi_asset(
    name="raw__second_look",
    specs=[
        _spec(
            "second_looks",
            "Products about to come back into stock that were read once more, live, and whether that worked.",
            freshness.stock(),
            ["mart/second_look_wanted"],
            "second_look",
        ),
        _spec(
            "second_look_rows",
            "Their stock rows as they were then.",
            freshness.stock(),
            ["mart/second_look_wanted"],
            "second_look",
        ),
    ],
    op_tags={"dagster/priority": "5"},
)
def second_look_rows(
    context: AssetExecutionContext, settings: SettingsResource, warehouse: ResourceParam[Warehouse]
) -> Iterator[MaterializeResult[Any]]:
    loaded = settings.load()
    with Cin7(loaded) as cin7:
        done = second_look.take(
            cin7, warehouse, loaded.paths.landing, max_calls=loaded.merchant.availability.second_look_calls
        )
    if done.failed:
        context.log.warning(f"{done.failed} of {done.asked} products could not be looked at and stay as they are")
    more = {"asked": done.asked, "failed": done.failed, "calls": done.calls, "whole": done.whole}
    yield from _beside(_counts(warehouse, "second_looks", "second_look_rows"), **more)


@multi_asset(
    name="raw__sales",
    specs=[
        _spec(
            "sales",
            "Sales with their lines, fulfilments, invoices and credit notes, read one by one from the queue.",
            freshness.daytime(),
            ["raw/sale_headers", "raw/unallocated_sales"],
        ),
        _spec(
            "credit_notes",
            "Credit notes that belong to no listed sale.",
            freshness.daytime(),
            ["raw/credit_note_headers"],
        ),
    ],
    op_tags={"dagster/priority": "1"},
)
def sale_details(settings: SettingsResource, warehouse: ResourceParam[Warehouse]) -> Iterator[MaterializeResult[Any]]:
    loaded = settings.load()
    with Cin7(loaded) as cin7:
        done = sales.read_details(cin7, warehouse, loaded.paths.landing)
    more = {"calls": done.calls, "left": done.left, "failed": done.failed}
    counts = _counts(warehouse, "sales", "credit_notes")
    metadata = _figures(counts.pop("sales"), done.loaded, **more)
    yield MaterializeResult(asset_key=["raw", "sales"], metadata=metadata)
    yield from _beside(counts)


assets: list[AssetsDefinition | AssetSpec] = [
    account,
    reference,
    *(_list(table) for table in _LISTS),
    sale_headers,
    unallocated_sales,
    availability_snapshot,
    second_look_rows,
    sale_details,
]
checks = [checks_of("cin7_checks", gates.read(Path(__file__).parent / "checks"))]
