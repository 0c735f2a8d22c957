"""The models of the warehouse: ours against one hand-written query, growth with size, peak memory.

`ats_ratio`: from 200,000 rows of availability as read to `mart.ats`, with its terms, its history and all that it needs
(places, orders, holds, buffers), without kits, committed ÷ the query of `ats.sql`, which writes one figure a product
and must find the same. Both read the same tidied orders and products, and run in turns on the same file with one thread;
seconds of the processor count, so that others on the machine do not, and the median of their ratios. Between two runs one
product in a hundred changes, as between two snapshots.
`query_ratio`: of these only the SELECT of `mart.ats`, from the rows as read, into a table ÷ that query.
`kits_factor`: the same work with kits, one product in fifty from two others ÷ without.
`growth` and `peak_mb`: the same models at three sizes, with all threads, each in a process of its own; seconds of the clock.
The figures that begin with `value` or `changed`: see `values.py`.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from duckdb import DuckDBPyConnection

from benchmarks import values
from benchmarks.report import Figures, speak
from cin7_emarsys.merchant import Merchant
from cin7_emarsys.warehouse import factory
from cin7_emarsys.warehouse.connections import Warehouse

GOALS = {"ats_ratio": "≤ 1.3", "peak_mb": "< 1,024"}
_SIZES = (20_000, 200_000, 2_000_000)
_RATIO_AT = 200_000
_RUNS = 11
_BASELINE = (Path(__file__).parent / "ats.sql").read_text()
_POLICY = {
    "sellable_locations": ["Main", "3PL"],
    "blocked_bins": ["Damaged"],
    "min_shelf_life_days": 14,
    "buffers": [{"units": 1}, {"category": "Gifts", "percent": 10}, {"sku": "SKU-7", "units": 5}],
    "holds": [
        {"name": "trade", "category": "Gifts", "units": 2, "for_price_tier": "Wholesale", "from": "2026-11-01"},
        {"name": "shop", "sku": "SKU-40", "units": 4, "for_source_channel": "Shop", "from": "2026-11-01"},
    ],
}
# Four rows of availability for each product: a shelf, unpicked allocations, the other location, and one not for sale, where
# units may be missing. Of the orders without allocation one in ten is picked in part, and some were voided since.
_FILL = """
create temp table sizes as select {products} as products;
insert into raw.me by name select 'Test' as Company, 'AUD' as Currency, 'Australia/Sydney' as TimeZone;
insert into raw.watermarks by name
    select 'baseline' as entity, timestamp '2026-11-01' as watermark, timestamp '2026-11-24 10:00' as completed_at;
insert into raw.locations by name
    select 'L' || name as ID, name as Name,
        [{{'ID': 'B', 'Name': 'INBOUND', 'IsDeprecated': false, 'IsStaging': true}}] as Bins
    from (values ('Main'), ('3PL'), ('Quarantine')) as places (name);
insert into raw.products by name
    select 'P-' || n as ID, 'SKU-' || n as SKU, 'Product ' || n as Name, 'Stock' as Type, 'Active' as Status,
        true as Sellable, 10 as PriceTier1, case n % 20 when 0 then 'Gifts' else 'Things' end as Category
    from range((select products from sizes)) as numbers (n);
insert into raw.snapshots by name
    select 'n0' as snapshot_id, timestamp '2026-11-24 10:00' as taken_at, timestamp '2026-11-24 10:00' as finished_at,
        true as trusted, 0 as unallocated_pending;
insert into raw.availability by name
    select 'n0' as snapshot_id, 'P-' || n as ID, 'SKU-' || n as SKU,
        case k when 2 then '3PL' when 3 then case n % 3 when 0 then 'Quarantine' else 'Main' end else 'Main' end as Location,
        case k when 0 then 'A-' || n % 200 when 3 then ['X', 'DAMAGED', 'INBOUND'][n % 3 + 1] end as Bin,
        case when k = 0 and n % 7 = 0 then date '2026-11-30' end as ExpiryDate,
        case when k = 1 then 0 when k = 3 and n % 500 < 3 then -4 else (n * 7 + k * 3) % 23 end as OnHand,
        case k when 1 then n % 5 else 0 end as Allocated
    from range((select products from sizes)) as numbers (n), range(4) as places (k);
insert into raw.sale_headers by name
    select 'S-' || n as SaleID, 'SO-' || n as OrderNumber, case n % 50 when 4 then 'VOIDED' else 'ORDERED' end as Status,
        timestamp '2026-11-23' + case n % 50 when 4 then interval 1 hour else interval 0 hour end as Updated,
        case n % 2 when 0 then 'AUTH_NO_ALLOC' else 'AUTHORISED' end as OrderStatus
    from range((select products // 20 from sizes)) as numbers (n);
insert into raw.sales by name
    select 'S-' || n as ID, 'Main' as Location, 'ORDERED' as Status, date '2026-11-20' as SaleOrderDate,
        timestamp '2026-11-23' as _header_updated, case n % 3 when 0 then 'Wholesale' else 'Retail' end as PriceTier,
        case n % 4 when 0 then 'shop' end as SourceChannel,
        case n % 10 when 0 then [{{'Pick': {{'Status': 'AUTHORISED', 'Lines': [
            {{'ProductID': 'P-' || (n * 13) % p, 'Quantity': 1}}
        ]}}}}] end as Fulfilments,
        {{'SaleOrderNumber': 'SO-' || n, 'Status': case n % 2 when 0 then 'AUTH_NO_ALLOC' else 'AUTHORISED' end,
          'Lines': [{{'ProductID': 'P-' || (n * 13) % p, 'SKU': null, 'Name': null, 'Quantity': 2, 'Price': 10,
                     'Discount': 0, 'Tax': 0, 'Total': 20, 'DropShip': false, 'Backorder': false, 'BackorderQuantity': 0}},
                    {{'ProductID': 'P-' || (n * 20) % p, 'SKU': null, 'Name': null, 'Quantity': 1, 'Price': 10,
                     'Discount': 0, 'Tax': 0, 'Total': 10, 'DropShip': false, 'Backorder': false,
                     'BackorderQuantity': 0}}]}} as "Order"
    from range((select products // 20 from sizes)) as numbers (n), (select products as p from sizes);
"""
_KITS = """
update raw.products set AutoAssembly = true, BillOfMaterialsProducts = [
    {'ComponentProductID': 'P-' || (ID[3:]::integer + 1), 'Quantity': 2},
    {'ComponentProductID': 'P-' || (ID[3:]::integer + 2), 'Quantity': 1}
] where ID[3:]::integer % 50 = 3
"""
_NEXT = """
update raw.snapshots set snapshot_id = 'n{run}', taken_at = taken_at + interval 15 minutes,
    finished_at = finished_at + interval 15 minutes;
update raw.availability set snapshot_id = 'n{run}',
    OnHand = OnHand + case when Bin is not null and hash(ID) % 100 = {run} then 1 else 0 end;
"""


# The tenant has the moment of the snapshot: without it nothing of the history would end.
_OF_STOCK = ("staging.tenant", "staging.stock_places", "staging.snapshot")


def _names() -> tuple[list[str], list[str]]:
    """What is built beforehand, because it does not depend on availability, and what is measured."""
    before = [name for name in factory.models() if name.startswith("staging.") and name not in _OF_STOCK]
    return before, [*_OF_STOCK, *(name for name in factory.needed_for("mart.ats") if name.startswith("mart."))]


def _ours(warehouse: Warehouse, merchant: Merchant) -> None:
    with warehouse.write() as connection:
        factory.build(connection, merchant, _names()[1])


def _baseline(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.execute(_BASELINE)


def _work(do: Callable[[], object]) -> float:
    """Seconds of the processor."""
    began = time.process_time()
    do()
    return time.process_time() - began


def _query_ratio(warehouse: Warehouse) -> float:
    ours = f"create or replace temp table ours as {factory.models()['mart.ats'].sql}"
    with warehouse.write() as connection:
        return _work(lambda: connection.execute(ours)) / _work(lambda: connection.execute(_BASELINE))


def _same(connection: DuckDBPyConnection) -> None:
    ours = "select product_id, ats from mart.ats where valid_to is null"
    difference = connection.execute(
        f"(({ours}) except from baseline) union all (from baseline except ({ours})) limit 5"
    ).fetchall()
    if difference:
        raise SystemExit(f"the two do not find the same figures: {difference}")


@contextmanager
def _filled(rows: int, merchant: Merchant, also: str = "", **config: object) -> Iterator[Warehouse]:
    """A warehouse with this many rows of availability, and what does not depend on them built."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(database=f"{folder}/warehouse.duckdb", connection_config=config)
        with warehouse.write() as connection:
            connection.execute((factory.FOLDER / "sources.sql").read_text())
            connection.execute(_FILL.format(products=rows // 4) + also)
        with warehouse.write() as connection:
            factory.build(connection, merchant, _names()[0])
        yield warehouse


def _next(warehouse: Warehouse, run: int) -> None:
    with warehouse.write() as connection:
        connection.execute(_NEXT.format(run=run))


def _ratios(merchant: Merchant) -> dict[str, float]:
    ours, baseline, queries, kits = [], [], [], []
    with (
        _filled(_RATIO_AT, merchant, threads=1) as warehouse,
        _filled(_RATIO_AT, merchant, also=_KITS, threads=1) as assembling,
    ):
        for run in range(_RUNS):
            _next(warehouse, run)
            _next(assembling, run)
            ours.append(_work(lambda: _ours(warehouse, merchant)))
            baseline.append(_work(lambda: _baseline(warehouse)))
            kits.append(_work(lambda: _ours(assembling, merchant)))
            queries.append(_query_ratio(warehouse))
            with warehouse.read() as connection:
                _same(connection)
    return {
        "ats_ratio": _middle(ours, baseline),
        "query_ratio": statistics.median(queries[1:]),
        "kits_factor": _middle(kits, ours),
    }


def _middle(above: list[float], below: list[float]) -> float:
    """The first run writes the whole history, and does not count."""
    return statistics.median(one / other for one, other in zip(above[1:], below[1:], strict=True))


def _size(rows: int, merchant: Merchant) -> dict[str, float]:
    seconds = []
    with _filled(rows, merchant) as warehouse:
        for run in range(3):
            _next(warehouse, run)
            began = time.perf_counter()
            _ours(warehouse, merchant)
            seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": statistics.median(seconds[1:]), "peak_mb": peak}


def _alone(part: str) -> dict[str, float]:
    """The ratios, or one size: in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.models", "--alone", part]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.strip() or f"{part}: exit code {done.returncode}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure() -> Figures:
    sizes = {rows: _alone(str(rows)) for rows in _SIZES}
    return {
        **_alone("ratios"),
        "growth": [{"rows": rows, "seconds": round(figures["seconds"], 3)} for rows, figures in sizes.items()],
        "peak_mb": round(max(figures["peak_mb"] for figures in sizes.values())),
        **values.measure(),
    }


if __name__ == "__main__":
    if "--alone" in sys.argv:
        asked, policy = sys.argv[-1], Merchant.model_validate({"availability": _POLICY})
        print(json.dumps(_ratios(policy) if asked == "ratios" else _size(int(asked), policy)))
    else:
        speak(measure, GOALS | values.GOALS)
