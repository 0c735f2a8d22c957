"""The value half of `benchmarks.models`: lifetime value of a million people from ten million order lines.

``value_ratio``: from sales as read to `mart.customer_value`, with all the tables it is worked out from, committed ÷ the
query of `values.sql`, which has none of that and must find the same figures. ``value_growth`` and ``value_peak_mb``: the
same models at three sizes, each in a process of its own. ``value_steps`` says where the time of the largest goes.
``changed_share``: the same after 100 changed sales ÷ the whole.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time

from benchmarks.report import Figures
from cin7_emarsys.merchant import Merchant
from cin7_emarsys.warehouse import factory
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys_tests.conftest import PROJECT

GOALS = {"value_ratio": "≤ 1.3", "value_peak_mb": "< 1,536", "changed_share": "small"}
_SIZES = (100_000, 1_000_000, 10_000_000)
_LINES = 4
"""Lines of a sale; each person has 2.5 sales."""
_CHANGED = 100
_BASELINE = (PROJECT / "benchmarks" / "values.sql").read_text()
_ROWS = """
insert into raw.me by name select 'Test' as Company, 'AUD' as Currency, 'Australia/Sydney' as TimeZone;
insert into raw.watermarks by name
    select 'baseline' as entity, timestamp '2026-11-01' as watermark, timestamp '2026-11-24 10:00' as completed_at;
insert into raw.products by name
    select 'p-' || n as ID, 'SKU-' || n as SKU, 'Product ' || n as Name, 'Stock' as Type, 'Active' as Status,
        true as Sellable, 10 as PriceTier1, 'Category ' || n % 40 as Category
    from range(20000) as numbers (n);
insert into raw.customers by name
    select 'c-' || n as ID, 'Customer ' || n as Name, 'Active' as Status, 'Retail' as PriceTier,
        [{{'ID': 'x', 'Name': 'Person ' || n, 'Email': 'person' || n || '@example.com', 'Phone': null, 'MobilePhone': null,
           'Default': true, 'MarketingConsent': 1, 'IncludeInEmail': true}}] as Contacts
    from range({people}) as numbers (n);
"""
# In fifty sales: two voided, one in dollars, five with a discount on the whole, ten with prices that contain tax, five
# with a credit note, five without an e-mail; one line in seven has a discount.
_SALES = """
insert into raw.sale_headers by name
    select 's-' || n as SaleID, 'SO-' || n as OrderNumber, case when n % 50 < 2 then 'VOIDED' else 'COMPLETED' end as Status,
        'c-' || n % {people} as CustomerID, timestamp '2026-11-23' as Updated, 'AUTHORISED' as OrderStatus,
        false as _in_first_scan
    from range({start}, {end}) as numbers (n);
insert into raw.sales by name
    select 's-' || n as ID, 'Customer ' || n % {people} as Customer, 'c-' || n % {people} as CustomerID,
        case when n % 10 <> 3 then 'person' || n % {people} || '@example.com' end as Email,
        'AUD' as BaseCurrency, case n % 50 when 7 then 'USD' else 'AUD' end as CustomerCurrency,
        case n % 50 when 7 then 1.5 else 1 end as CurrencyRate,
        case when n % 5 = 1 then 'Inclusive' else 'Exclusive' end as TaxCalculation,
        case when n % 50 < 2 then 'VOIDED' else 'COMPLETED' end as Status,
        date '2026-01-01' + cast(n % 300 as integer) as SaleOrderDate,
        timestamp '2026-11-23' as _header_updated,
        [{{
            'TaskID': 'i-' || n, 'InvoiceNumber': 'INV-' || n, 'Status': 'PAID', 'InvoiceDate': date '2026-11-01',
            'CurrencyConversionRate': case n % 50 when 7 then 1.6 else 1 end,
            'Lines': [
                {{'ProductID': 'p-' || (n * 7 + k * 13) % 20000, 'SKU': 'SKU-' || (n * 7 + k * 13) % 20000,
                  'Name': 'Product ' || (n * 7 + k * 13) % 20000, 'Quantity': 1 + (n + k) % 3,
                  'Price': ((n * 31 + k * 17) % 9999 + 100) / 100,
                  'Discount': case when (n + k) % 7 = 0 then 12.5 else 0 end, 'Tax': 1, 'Total': 0}} for k in range({lines})
            ],
            'AdditionalCharges': case when n % 10 = 5 then [{{
                'Description': 'Order discount', 'Quantity': 1, 'Price': -2.5, 'Discount': 0, 'Tax': 0, 'Total': -2.5
            }}] else [] end,
            'Payments': [], 'TotalBeforeTax': 0, 'Tax': 0, 'Total': 0
        }}] as Invoices,
        case when n % 10 = 9 then [{{
            'TaskID': 'n-' || n, 'CreditNoteInvoiceNumber': 'INV-' || n, 'CreditNoteNumber': 'CR-' || n,
            'Status': 'AUTHORISED',
            'CreditNoteDate': date '2026-11-20', 'CreditNoteConversionRate': 0,
            'Lines': [{{'ProductID': 'p-' || (n * 7) % 20000, 'SKU': 'SKU-' || (n * 7) % 20000, 'Name': null, 'Quantity': 1,
                       'Price': 3.25, 'Discount': 0, 'Tax': 0, 'Total': 3.25}}],
            'AdditionalCharges': [], 'Refunds': [], 'TotalBeforeTax': 3.25, 'Tax': 0, 'Total': 3.25
        }}] else [] end as CreditNotes
    from range({start}, {end}) as numbers (n);
"""
_CHANGE = """
create temp table changed as select 's-' || n * 50 + 9 as id from range({changed}) as numbers (n);
update raw.sale_headers set Updated = timestamp '2026-11-24' where SaleID in (from changed);
update raw.sales set _header_updated = timestamp '2026-11-24', CreditNotes = [] where ID in (from changed);
"""
_CHUNK = 250_000


def _models() -> list[str]:
    """What lifetime value is worked out from, itself included."""
    known = factory.models()
    found, todo = set[str](), {"mart.customer_value"}
    while todo:
        name = todo.pop()
        found.add(name)
        todo |= (known[name].depends & known.keys()) - found
    return [name for name in known if name in found]


def _timed(warehouse: Warehouse, merchant: Merchant | None) -> tuple[float, dict[str, float]]:
    """Ours with the seconds of each model, or (without a merchant) the baseline: built and committed."""
    began = time.perf_counter()
    steps = {}
    with warehouse.write() as connection:
        if merchant:
            steps = {built.name: round(built.seconds, 2) for built in factory.build(connection, merchant, _models())}
        else:
            connection.execute(_BASELINE)
    return time.perf_counter() - began, steps


def alone(lines: int) -> None:
    """One size, in a process of its own: prints its figures."""
    merchant = Merchant.model_validate({"availability": {"sellable_locations": ["Main"]}})
    sales = lines // _LINES
    people = sales * 2 // 5
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(database=f"{folder}/warehouse.duckdb")
        with warehouse.write() as connection:
            connection.execute((factory.FOLDER / "sources.sql").read_text())
            connection.execute(_ROWS.format(people=people))
        for start in range(0, sales, _CHUNK):
            with warehouse.write() as connection:
                connection.execute(
                    _SALES.format(people=people, lines=_LINES, start=start, end=min(start + _CHUNK, sales))
                )
        whole, steps = _timed(warehouse, merchant)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        again, _ = _timed(warehouse, merchant)
        plain = [_timed(warehouse, None)[0] for _ in range(2)]
        with warehouse.read() as connection:
            difference = connection.execute(
                "select person_id, ours.ltv, baseline.ltv from (select person_id, ltv from mart.customer_value) as ours "
                "full join baseline using (person_id) where coalesce(ours.ltv, 0) <> coalesce(baseline.ltv, 0) limit 5"
            ).fetchall()
        if difference:
            raise SystemExit(f"the two do not find the same values: {difference}")
        with warehouse.write() as connection:
            connection.execute(_CHANGE.format(changed=_CHANGED))
        changed, _ = _timed(warehouse, merchant)
    print(json.dumps({"seconds": min(whole, again), "ratio": min(whole, again) / min(plain), "plain": min(plain),
                      "peak_mb": peak, "share": changed / min(whole, again), "steps": steps}))  # fmt: skip


def measure() -> Figures:
    found = {}
    for lines in _SIZES:
        command = [sys.executable, "-W", "ignore", "-c", f"from benchmarks import values; values.alone({lines})"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr.strip() or f"{lines} lines: exit code {done.returncode}")
        found[lines] = json.loads(done.stdout.splitlines()[-1])
    largest = found[_SIZES[-1]]
    return {
        "value_ratio": largest["ratio"],
        "value_growth": [{"rows": lines, "seconds": round(figures["seconds"], 2)} for lines, figures in found.items()],
        "value_peak_mb": round(max(figures["peak_mb"] for figures in found.values())),
        "value_steps": largest["steps"],
        "changed_share": largest["share"],
    }
