"""The desk's pages over HTTP against their queries alone, on the merchant of the `reconcile` benchmark.

Both are asked again and again on one copy, as readers do between two runs: what the desk works out once for each copy is
shown as ``first_ms``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import httpx
from duckdb import DuckDBPyConnection

from benchmarks.report import Figures
from cin7_emarsys.desk import month, pages
from cin7_emarsys.desk.lookup import look_up
from cin7_emarsys.desk.report import write
from cin7_emarsys.desk.source import Facts, Published
from cin7_emarsys.emarsys.projection import ensure_delivery_tables
from cin7_emarsys.merchant import Merchant
from cin7_emarsys_tests.desk.conftest import serving

_NOW = datetime(2026, 11, 24, 12, 5)
_TIMES = 7
# What the pages read beyond what reconciliation does: stock of every item on two shelves, an invoice for every contact.
_MORE = """
update staging.tenant set time_zone = 'UTC', currency = 'AUD', history_complete = true, history_pending = 0;
update staging.products set title = 'Title of ' || sku, is_kit = hash(sku) % 50 = 0;
insert into mart.availability by name select product_id, sku, hash(sku) % 5 <> 0 as available,
    if(available, 'in_stock', 'out_of_stock') as state, if(available, 7, 0) as c_stock, 7 as ats,
    if(hash(sku) % 97 = 0, 'not_confirmed', null) as reason from staging.products;
insert into mart.ats by name select product_id, sku, 9 as on_hand, 0 as shortfall, 0 as kit_build, 2 as requested_allocated,
    2 as charged_allocated, 0 as requested_open_unallocated, 0 as charged_open_unallocated,
    0 as charged_non_sellable_location, 0 as charged_blocked_bin, 0 as charged_expired,
    0 as charged_reserved, 0 as charged_buffer, 0 as oversold, 7 as ats,
    unnest([timestamp '2026-11-23', timestamp '2026-11-24']) as valid_from,
    unnest([timestamp '2026-11-24', null]) as valid_to from staging.products;
insert into mart.catalogue by name select product_id, sku as item, available, 10 as price, c_stock from mart.availability;
insert into staging.stock_places by name
    select unnest(['Main', 'Shop']) as location, unnest(['main', 'shop']) as location_key;
insert into raw.availability by name select 's' as snapshot_id, product_id as ID, sku as SKU,
    unnest(['Main', 'Shop']) as Location, unnest([5, 4]) as OnHand, 1 as Allocated from staging.products;
insert into mart.availability_events by name select product_id, sku, timestamp '2026-11-24 06:00' as changed_at,
    false as from_available, true as to_available from mart.availability where available and hash(sku) % 40 = 1;
insert into mart.confirmations by name select product_id, sku, true as asks, timestamp '2026-11-24 11:00' as seen_at
    from mart.availability where not available and hash(sku) % 3 = 0;
insert into raw.snapshots by name select 's' as snapshot_id, timestamp '2026-11-24 12:00' as taken_at, true as trusted;
insert into raw.watermarks by name select unnest(['sale_headers', 'customers']) as entity,
    timestamp '2026-11-24 12:00' as completed_at;
insert into mart.customer_value by name select person_id, email, 'repeat' as customer_type, 3 as order_count, 30 as ltv,
    30 as gross, 0 as refunded, 0 as open_orders, 'AUD' as currency from mart.persons;
insert into mart.evidence by name select product_id, sku, title, 'Stock' as type, true as is_active, true as is_sellable,
    'in_stock' as state, true as available, 7 as c_stock, timestamp '2026-11-24' as valid_from from staging.products;
insert into staging.sales by name select 's' || email as sale_id, 'SO-' || email as order_number, 'COMPLETED' as status
    from mart.contacts;
insert into reconciliation.document_books by name select 'invoice' as document_kind, email as document_id,
    'INV-' || email as number, 'SO-' || email as order_number,
    date '2024-01-01' + cast(hash(email) % 1000 as integer) as dated_on, 10 as books, 0 as charges, 0 as left_out,
    0 as unexplained, 10 as counted, 0 as excluded, 0 as tax, 10 as told, 10 as accepted, 0 as parked, 0 as refused,
    0 as open from mart.contacts;
create or replace table delivery.records as
    select *, 1::bigint as batch_id, null::varchar as reason from delivery.records;
create or replace table delivery.publications as select 1::bigint as version, timestamp '2026-11-24 11:00' as published_at,
    timestamp '2026-11-24 11:30' as collected_at, 9::bigint as rows
"""


def fill(connection: DuckDBPyConnection) -> None:
    """What the desk needs beside the tables of the reconciliation."""
    for statement in _MORE.split(";\n"):
        connection.execute(statement)
    ensure_delivery_tables(connection)


def _asked(merchant: Merchant) -> Mapping[str, Callable[[Facts], object]]:
    """Pages and the queries behind each."""
    return {
        "/": lambda facts: pages.overview(facts, merchant, _NOW),
        "/availability": lambda facts: pages.show(facts, pages.AVAILABILITY),
        "/availability?filter=mis_mailed&page=50": lambda facts: pages.show(
            facts, pages.AVAILABILITY, filter="mis_mailed", page=50
        ),
        "/availability?search=sku-19": lambda facts: pages.show(facts, pages.AVAILABILITY, search="sku-19"),
        "/back-in-stock": lambda facts: pages.show(facts, pages.BACK_IN_STOCK),
        "/orphans": lambda facts: pages.show(facts, pages.ORPHANS),
        "/exceptions": lambda facts: pages.show(facts, pages.EXCEPTIONS),
        "/flows": pages.flows,
        "/month-close?month=2024-03": lambda facts: month.close(facts, "2024-03"),
        "/look-up?q=SKU-199": lambda facts: look_up(facts, "SKU-199"),
        "/look-up?q=p77%40example.com": lambda facts: look_up(facts, "p77@example.com"),
    }


def measure(file: Path, merchant: Merchant) -> Figures:
    """Milliseconds of each page at the median, the slowest first answer, and the median ratio to the queries alone."""
    published = Published(file)
    took: dict[str, float] = {}
    firsts, ratios = [], []
    with serving(published, merchant) as address, httpx.Client(base_url=address, timeout=120) as client:
        for path, gather in _asked(merchant).items():

            def page(path: str = path) -> None:
                client.get(path).raise_for_status()

            def alone(gather: Callable[[Facts], object] = gather) -> None:
                with published.read() as facts:
                    gather(facts)

            firsts.append(_seconds(page))
            took[path] = statistics.median(_seconds(page) for _ in range(_TIMES))
            ratios.append(took[path] / statistics.median(_seconds(alone) for _ in range(_TIMES)))
    written = write(published, merchant, file.with_name("report"))
    return {
        "desk_ratio": round(statistics.median(ratios), 2),
        "desk_median_ms": round(statistics.median(took.values()) * 1000),
        "desk_slowest_ms": round(max(took.values()) * 1000),
        "desk_first_ms": round(max(firsts) * 1000),
        "report_mb": round(written.bytes / 1e6, 2),
    }


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
