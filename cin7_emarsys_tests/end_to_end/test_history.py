"""Real retail history through the whole line: orders, customers and money equal what a plain query on the file says."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from cin7_emarsys_tests.conftest import PROJECT, running_sandbox
from cin7_emarsys_tests.end_to_end.conftest import Place, make_place

FILE = PROJECT.parent / "shared" / "data" / "online_retail_ii.parquet"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"the real retail data is not at {FILE}")

_SLICES = {
    # before Christmas, with all there is: sales, cancellations, write-offs, non-goods, twins
    "three days": "sheet = '2010-2011' and invoice_date >= '2011-12-05' and invoice_date < '2011-12-08'",
    "two years": "sheet = '2010-2011' or invoice_date < '2010-12-01'",  # what stands in both sheets, once
}


@pytest.fixture(scope="module", params=["three days", pytest.param("two years", marks=pytest.mark.soak)])
def replayed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Path]]:
    folder = tmp_path_factory.mktemp("history")
    slice_file = folder / "slice.parquet"
    duckdb.sql(f"copy (from '{FILE}' where {_SLICES[request.param]}) to '{slice_file}' (format parquet)")
    with running_sandbox(history=slice_file) as environment:
        place = make_place(folder / "project", environment)
        place.sync("nightly")
        yield place, slice_file


def _said(file: Path) -> dict[str, tuple[int, Decimal, Decimal]]:
    """Per known customer: orders, gross, refunds – straight from the lines."""
    rows = duckdb.sql(
        f"""
        with invoices as (
            select invoice_no, any_value(customer_id) as customer_id,
                sum(quantity * unit_price) filter (quantity > 0) as gross,
                bool_or(quantity > 0) as is_sale
            from '{file}' where regexp_matches(invoice_no, '^[0-9]+$') group by invoice_no
        ),
        bought as (
            select customer_id, count(*) filter (gross > 0) as orders, sum(gross) as gross
            from invoices where customer_id is not null and is_sale group by customer_id
        ),
        returned as (
            select customer_id, sum(-quantity * unit_price) as refunded
            from '{file}' where invoice_no like 'C%' and customer_id is not null group by customer_id
        )
        select 'c' || coalesce(bought.customer_id, returned.customer_id) || '@example.com',
            coalesce(orders, 0), coalesce(gross, 0), coalesce(refunded, 0)
        from bought full join returned using (customer_id)
        """
    ).fetchall()
    return {email: (orders, Decimal(gross), Decimal(refunded)) for email, orders, gross, refunded in rows}


def test_the_mart_equals_a_plain_query_to_the_penny(replayed: tuple[Place, Path]) -> None:
    place, file = replayed
    said = _said(file)
    assert len(said) > 100 and any(refunded for _, _, refunded in said.values())
    mart = place.rows("select email, order_count, gross, refunded from mart.customer_value where email is not null")
    assert {email: (orders, gross, refunded) for email, orders, gross, refunded in mart} == said


def test_emarsys_equals_a_plain_query_to_the_penny(replayed: tuple[Place, Path]) -> None:
    place, file = replayed
    said = _said(file)
    contacts = {contact[0] for contact in place.judged()["contacts"]}
    assert contacts == set(said)
    sums: dict[str, Decimal] = {}
    for _, _, price, _, email, _ in place.judged()["sales"]:
        sums[email] = sums.get(email, Decimal(0)) + Decimal(str(price))
    assert {email: total for email, total in sums.items() if total} == {
        email: gross - refunded for email, (_, gross, refunded) in said.items() if gross - refunded
    }
