"""Reconciliation of 1,000,000 contacts and 200,000 SKUs against the plain anti-joins and field comparison; the desk against
its query.

The tables are filled by SQL, in the form in which a build leaves them. Both sides must name the same rows.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from benchmarks import desk
from benchmarks.report import Figures, speak
from cin7_emarsys.merchant import Merchant, load_merchant
from cin7_emarsys.warehouse import factory, policy
from cin7_emarsys.warehouse.connections import SCHEMAS

GOALS = {"ratio": "<= 1.5", "desk_ratio": "shown", "desk_median_ms": "< 300", "report_mb": "< 5"}
CONTACTS, SKUS = 1_000_000, 200_000
_TURNS = 5
_PROJECT = Path(__file__).parent.parent
_PLAIN = (Path(__file__).parent / "reconcile.sql").read_text()
_MODELS = (
    "reconciliation.orphan_skus", "reconciliation.orphan_customers", "reconciliation.orphans", "reconciliation.sales_sums",
    "reconciliation.drift",
)  # fmt: skip
# The same rows, as the models name them.
_OURS = """
select 'sku' as what, missing_at as side, key, null as field from reconciliation.orphans where what = 'sku'
union all
select 'customer', missing_at, email, null from reconciliation.orphans where what = 'customer'
union all
select 'drift', null, email, field from reconciliation.drift where what = 'contact'
"""


def fill(connection: DuckDBPyConnection, merchant: Merchant, contacts: int = CONTACTS, skus: int = SKUS) -> None:
    """A merchant of that size: of every 1,000 contacts one is missing, one deleted, one left over, five differ in a field;
    of every 1,000 SKUs one is missing and one left over."""
    connection.execute("set TimeZone = 'UTC'")
    for schema in SCHEMAS:
        connection.execute(f"create schema if not exists {schema}")
    connection.execute((factory.FOLDER / "sources.sql").read_text())
    policy.write(connection, merchant)
    with factory.sources(connection):
        pass
    connection.execute("insert into staging.tenant (as_of, today) values ('2026-11-24 12:00', '2026-11-24')")
    attributes = ", ".join(
        f"'{row.attribute}', {_value(row.attribute, row.type)}" for row in merchant.contacts.field_map
    )
    payload = ", ".join(f"'{row.string_id}', {_value(row.attribute, row.type)}" for row in merchant.contacts.field_map)
    people = f"select i, 'p' || i || '@example.com' as email, 'c-' || i as id from range({contacts}) as numbers(i)"
    connection.execute(
        "insert into staging.customers by name select id as customer_id, 'Name ' || i as name, email, false as is_generic, "
        f"true as is_active, timestamp '2026-11-01' as updated_at from ({people}) where i % 1000 <> 2"
    )
    connection.execute(
        "insert into staging.contacts by name select id as customer_id, 1 as contact_no, email, true as is_valid "
        f"from ({people}) where i % 1000 <> 2"
    )
    connection.execute(
        "insert into mart.persons by name select email as person_id, email, id as customer_id "
        f"from ({people}) where i % 1000 <> 2"
    )
    connection.execute(
        "insert into mart.contacts by name select email, id as customer_id, email as person_id, "
        f"json_object({attributes}) as attributes, email as payload_hash, ['ltv'] as derived, "
        "'unknown' as consent, false as left_behind "
        f"from ({people}) where i % 1000 <> 2"
    )
    connection.execute(
        "insert into delivery.delivered by name select 'contacts' as flow, email as key, "
        f"json_object({payload}) as payload, timestamp '2026-11-20' as accepted_at, "
        f"md5(email || '{merchant.contacts.fingerprint}') as payload_hash from ({people}) where i % 1000 <> 0"
    )
    connection.execute(
        "insert into delivery.records by name select row_number() over () as record_id, 'contacts' as flow, key, "
        "null as payload, 'accepted' as outcome, accepted_at as \"at\" from delivery.delivered"
    )
    other = payload.replace("'cin7_ltv', ", "'cin7_ltv', if(i % 200 = 7, '1.00', ", 1).replace(
        _value("ltv", "numeric"), f"{_value('ltv', 'numeric')})", 1
    )
    connection.execute(
        "insert into reconciliation.contacts_read by name select email, true as ours, i % 1000 <> 1 as found, "
        "if(i % 1000 = 1, '2008', null) as code, "
        f"if(i % 1000 = 1, json_object(), json_object({other})) as fields, timestamp '2026-11-24' as read_at, "
        f"{len(merchant.contacts.field_map)} as filled "
        f"from ({people}) where i % 1000 <> 0"
    )
    items = f"select i, 'SKU-' || i as sku, 'p-' || i as id from range({skus}) as numbers(i)"
    connection.execute(
        "insert into staging.products by name select id as product_id, sku, true as is_active, true as is_sellable, "
        f"timestamp '2026-11-01' as updated_at from ({items}) where i % 1000 <> 1"
    )
    connection.execute(
        "insert into delivery.catalogue_items by name select sku as item, id as product_id, true as available, "
        f"'hash' as payload_hash from ({items}) where i % 1000 <> 0"
    )
    connection.execute("insert into delivery.publications values (1, '2026-11-24', null)")


def _value(attribute: str, kind: str) -> str:
    """An attribute of contact i, as text."""
    if kind == "numeric":
        return f"printf('%d.%02d', (i * {len(attribute)}) % 900, i % 100)"
    if kind == "date":
        return "strftime(date '2024-01-01' + cast(i % 900 as integer), '%Y-%m-%d')"
    return f"'{attribute} ' || i % 5000"


def _spent(run: Callable[[], object]) -> float:
    """Seconds of processor time: both sides read the same tables in memory, and a busy machine would blur the ratio."""
    began = time.process_time()
    run()
    return time.process_time() - began


def reconciliation(connection: DuckDBPyConnection, merchant: Merchant) -> Figures:
    """Seconds of the models and of the plain query, and their ratio. Raises when they do not name the same rows."""

    def ours() -> None:
        factory.build(connection, merchant, _MODELS)

    def plain() -> None:
        connection.execute(f"create or replace table plain as {_PLAIN}")

    ours()
    plain()
    different = connection.execute(
        f"select count(*) from ((from plain except all ({_OURS})) union all (({_OURS}) except all from plain))"
    ).fetchone()
    rows = connection.execute("select count(*) from plain").fetchone()
    if different != (0,):
        raise SystemExit(f"the models and the plain query differ in {different} rows")
    turns = [(_spent(ours), _spent(plain)) for _ in range(_TURNS)]
    return {
        "ratio": statistics.median(one / other for one, other in turns),
        "rows": rows[0] if rows else 0,
        "ours_s": statistics.median(one for one, _ in turns),
        "plain_s": statistics.median(other for _, other in turns),
    }


def measure() -> Figures:
    small = "--small" in sys.argv
    merchant = load_merchant(_PROJECT / "merchant.toml")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "warehouse.duckdb"
        with duckdb.connect(str(file)) as connection:
            fill(connection, merchant, *((CONTACTS // 20, SKUS // 20) if small else (CONTACTS, SKUS)))
            figures = reconciliation(connection, merchant)
            desk.fill(connection)
        return {**figures, **desk.measure(file, merchant)}


if __name__ == "__main__":
    speak(measure, GOALS)
