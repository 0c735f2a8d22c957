"""The models of the warehouse: ours against one hand-written query, growth with size, peak memory.

`ats_ratio`: from 200,000 rows of availability as read to `mart.ats`, with its terms, its history and all that it needs
(places, orders, holds, buffers, kits), committed ÷ the query of `ats.sql`, which has none of that and must find the same
figures. Both run in turns on the same file; the median of their ratios counts. Between two runs one product in a hundred
changes, as between two snapshots.
`query_ratio`: of these only the SELECT of `mart.ats`, from the rows as read, into a table ÷ that query.
`growth` and `peak_mb`: the same models at three sizes, each in a process of its own.
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
_RUNS = 7
_BASELINE = (Path(__file__).parent / "ats.sql").read_text()
_POLICY = {
    "sellable_locations": ["Main", "3PL"],
    "blocked_bins": ["DAMAGED"],
    "min_shelf_life_days": 14,
    "buffers": [{"units": 1}],
    "holds": [{"name": "trade", "category": "Gifts", "units": 2, "for_price_tier": "Wholesale", "from": "2026-11-01"}],
}
# Four rows of availability for each product: a shelf, unpicked allocations, the other location, and one not for sale.
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
        case k when 1 then 0 else (n * 7 + k * 3) % 23 end as OnHand, case k when 1 then n % 5 else 0 end as Allocated
    from range((select products from sizes)) as numbers (n), range(4) as places (k);
insert into raw.sale_headers by name
    select 'S-' || n as SaleID, 'SO-' || n as OrderNumber, 'ORDERED' as Status, timestamp '2026-11-23' as Updated,
        case n % 2 when 0 then 'AUTH_NO_ALLOC' else 'AUTHORISED' end as OrderStatus
    from range((select products // 20 from sizes)) as numbers (n);
insert into raw.sales by name
    select 'S-' || n as ID, 'Main' as Location, 'ORDERED' as Status, date '2026-11-20' as SaleOrderDate,
        timestamp '2026-11-23' as _header_updated, case n % 3 when 0 then 'Wholesale' else 'Retail' end as PriceTier,
        {{'SaleOrderNumber': 'SO-' || n, 'Status': case n % 2 when 0 then 'AUTH_NO_ALLOC' else 'AUTHORISED' end,
          'Lines': [{{'ProductID': 'P-' || (n * 13) % p, 'SKU': null, 'Name': null, 'Quantity': 2, 'Price': 10,
                     'Discount': 0, 'Tax': 0, 'Total': 20, 'DropShip': false, 'Backorder': false, 'BackorderQuantity': 0}},
                    {{'ProductID': 'P-' || (n * 20) % p, 'SKU': null, 'Name': null, 'Quantity': 1, 'Price': 10,
                     'Discount': 0, 'Tax': 0, 'Total': 10, 'DropShip': false, 'Backorder': false,
                     'BackorderQuantity': 0}}]}} as "Order"
    from range((select products // 20 from sizes)) as numbers (n), (select products as p from sizes);
"""
_NEXT = """
update raw.snapshots set snapshot_id = 'n{run}', taken_at = taken_at + interval 15 minutes,
    finished_at = finished_at + interval 15 minutes;
update raw.availability set snapshot_id = 'n{run}',
    OnHand = OnHand + case when Bin is not null and hash(ID) % 100 = {run} then 1 else 0 end;
"""


_OF_STOCK = ("staging.stock_places", "staging.snapshot")


def _names() -> tuple[list[str], list[str]]:
    """What is built beforehand, because it does not depend on availability, and what is measured."""
    before = [name for name in factory.models() if name.startswith("staging.") and name not in _OF_STOCK]
    return before, [*_OF_STOCK, *(name for name in factory.needed_for("mart.ats") if name.startswith("mart."))]


def _ours(warehouse: Warehouse, merchant: Merchant) -> float:
    began = time.perf_counter()
    with warehouse.write() as connection:
        factory.build(connection, merchant, _names()[1])
    return time.perf_counter() - began


def _baseline(warehouse: Warehouse) -> float:
    began = time.perf_counter()
    with warehouse.write() as connection:
        connection.execute(_BASELINE)
    return time.perf_counter() - began


def _query_ratio(warehouse: Warehouse) -> float:
    with warehouse.write() as connection:
        seconds = []
        for statement in (f"create or replace temp table ours as {factory.models()['mart.ats'].sql}", _BASELINE):
            began = time.perf_counter()
            connection.execute(statement)
            seconds.append(time.perf_counter() - began)
    return seconds[0] / seconds[1]


def _same(connection: DuckDBPyConnection) -> None:
    ours = "select product_id, ats from mart.ats where valid_to is null"
    difference = connection.execute(
        f"(({ours}) except from baseline) union all (from baseline except ({ours})) limit 5"
    ).fetchall()
    if difference:
        raise SystemExit(f"the two do not find the same figures: {difference}")


def _alone(rows: int) -> None:
    """One size, in a process of its own: prints seconds, ratios (where asked for) and peak memory."""
    merchant = Merchant.model_validate({"availability": _POLICY})
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(database=f"{folder}/warehouse.duckdb")
        with warehouse.write() as connection:
            connection.execute((factory.FOLDER / "sources.sql").read_text())
            connection.execute(_FILL.format(products=rows // 4))
        with warehouse.write() as connection:
            factory.build(connection, merchant, _names()[0])
        seconds, ratios, queries = [], [], []
        for run in range(_RUNS if rows == _RATIO_AT else 3):
            with warehouse.write() as connection:
                connection.execute(_NEXT.format(run=run))
            seconds.append(_ours(warehouse, merchant))
            if rows == _RATIO_AT:
                ratios.append(seconds[-1] / _baseline(warehouse))
                queries.append(_query_ratio(warehouse))
                with warehouse.read() as connection:
                    _same(connection)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    later = statistics.median(seconds[1:])  # the first run writes the whole history
    figures = {"seconds": later, "peak_mb": peak}
    if ratios:
        figures |= {"ratio": statistics.median(ratios[1:]), "query_ratio": statistics.median(queries[1:])}
    print(json.dumps(figures))


def measure() -> Figures:
    found = {}
    for rows in _SIZES:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.models", "--alone", str(rows)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr.strip() or f"{rows} rows: exit code {done.returncode}")
        found[rows] = json.loads(done.stdout.splitlines()[-1])
    return {
        "ats_ratio": found[_RATIO_AT]["ratio"],
        "query_ratio": found[_RATIO_AT]["query_ratio"],
        "growth": [{"rows": rows, "seconds": round(figures["seconds"], 3)} for rows, figures in found.items()],
        "peak_mb": round(max(figures["peak_mb"] for figures in found.values())),
        **values.measure(),
    }


if __name__ == "__main__":
    if "--alone" in sys.argv:
        _alone(int(sys.argv[-1]))
    else:
        speak(measure, GOALS | values.GOALS)
