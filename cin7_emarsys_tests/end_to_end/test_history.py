"""Real retail history through the whole line: orders, customers and money equal what a plain query on the file says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from benchmarks import history
from cin7_emarsys_tests.end_to_end.conftest import Place

pytestmark = pytest.mark.skipif(not history.FILE.exists(), reason=f"the real retail data is not at {history.FILE}")

_SLICES = {
    # with all there is: sales, cancellations, write-offs, non-goods, twins
    "a quiet day": "sheet = '2010-2011' and invoice_date >= '2011-02-18' and invoice_date < '2011-02-19'",
    "a day before Christmas": "sheet = '2010-2011' and invoice_date >= '2011-12-05' and invoice_date < '2011-12-06'",
    "two years": history.ONCE,
}


@pytest.fixture(
    scope="module",
    params=[
        "a quiet day",
        pytest.param("a day before Christmas", marks=pytest.mark.trouble),
        pytest.param("two years", marks=pytest.mark.soak),
    ],
)
def replayed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Path]]:
    with history.replayed(history.FILE, _SLICES[request.param], tmp_path_factory.mktemp("history")) as found:
        yield found


def test_the_mart_equals_a_plain_query_to_the_penny(replayed: tuple[Place, Path]) -> None:
    place, part = replayed
    customers = history.said(part)
    assert len(customers) > 40 and any(refunded for _, _, refunded in customers.values())
    assert customers[None][0] > 3  # orders without a customer
    assert history.in_the_mart(place) == customers


def test_emarsys_equals_a_plain_query_to_the_penny(replayed: tuple[Place, Path]) -> None:
    place, part = replayed
    customers = history.said(part)
    assert history.contacts_at_emarsys(place) == history.expected_values(customers, to_the_cent=True)
    exact = history.expected_values(customers, to_the_cent=False)
    assert history.sales_at_emarsys(place) == {email: value for email, value in exact.items() if value}


_NOT_GOODS = (
    "POST", "DOT", "M", "C2", "D", "S", "BANK CHARGES", "ADJUST", "AMAZONFEE", "CRUK", "TEST001", "B", "ADJUST2",
    "TEST002", "C3", "GIFT",
)  # fmt: skip


def test_exceptions_are_those_a_plain_query_counts_and_no_other(replayed: tuple[Place, Path]) -> None:
    """Customers who got back more than they paid, documents of nobody, goods without a price or below zero on the shelf."""
    place, part = replayed
    below_zero = sum(gross < refunded for email, (_, gross, refunded) in history.said(part).items() if email)
    (nobodys,) = duckdb.sql(
        f"select count(distinct invoice_no) from '{part}' where customer_id is null and (invoice_no like 'C%' "
        "or (regexp_matches(invoice_no, '^[0-9]+$') and quantity > 0))"
    ).fetchall()[0]
    goods = duckdb.sql(
        f"""
        select upper(trim(stock_code)) as sku,
            coalesce(max(unit_price) filter (unit_price > 0 and quantity > 0 and is_sale), 0) = 0 as without_price,
            100 + coalesce(sum(quantity) filter (quantity <= 0 and is_sale), 0) as left_over
        from (select *, regexp_matches(invoice_no, '^[0-9]+$') as is_sale from '{part}')
        where upper(trim(stock_code)) not in {_NOT_GOODS}
        group by sku
        """
    ).fetchall()
    expected = {
        "value_below_zero": below_zero,
        "orders_without_person": nobodys,
        "no_price": sum(without_price for _, without_price, _ in goods),
        "negative_availability": sum(left_over < 0 for *_, left_over in goods),
    }
    assert all(expected.values())
    found = dict(place.rows("select class, sum(count)::bigint from operations.exceptions group by class"))
    assert found == expected
    assert place.rows("select * from reconciliation.orphans where not expected") == []
    assert place.rows("select * from reconciliation.drift where not expected") == []
