"""Real retail history through the whole line: orders, customers and money equal what a plain query on the file says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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


def test_exceptions_are_those_a_plain_query_counts_and_no_other(replayed: tuple[Place, Path]) -> None:
    """Customers who got back more than they paid, documents of nobody, goods without a price or below zero on the shelf."""
    place, part = replayed
    expected = history.exceptions_said(part)
    assert expected.keys() == {"value_below_zero", "orders_without_person", "no_price", "negative_availability"}
    assert history.exceptions_found(place) == expected
    assert place.rows("select * from reconciliation.orphans where not expected") == []
    assert place.rows("select * from reconciliation.drift where not expected") == []
