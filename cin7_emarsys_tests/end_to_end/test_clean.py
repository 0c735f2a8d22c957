"""Nothing false: a merchant without a fault ends each day without an orphan, a difference or an exception."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cin7_emarsys_tests.conftest import running_sandbox
from cin7_emarsys_tests.end_to_end.conftest import Place, make_place

_BUSINESS = """
copy (
    select cast(530000 + number as varchar) as invoice_no, 'ITEM-' || (number * 7 + line) % 20 as stock_code,
        'Item ' || (number * 7 + line) % 20 as description, 1 + number % 3 as quantity,
        timestamp '2010-12-01 09:00:00' + to_minutes(number * 600) as invoice_date,
        cast(2.5 + (number * 7 + line) % 20 as decimal(18, 4)) as unit_price,
        cast(12000 + number % 15 as varchar) as customer_id, 'United Kingdom' as country, '2010-2011' as sheet,
        line as line_no
    from range(40) as numbers(number), range(3) as lines(line)
) to '{file}' (format parquet)
"""


def _live_a_day(place: Place) -> None:
    place.ask("CIN7", "/_sandbox/clock", {"advance": 86_400})

    def do(name: str, **more: object) -> dict[str, Any]:
        answer: dict[str, Any] = place.ask("CIN7", "/_sandbox/merchant", {"do": name, **more})
        return answer

    sold = [do("order", email=f"c{12000 + number}@example.com", quantity=2, shipping=9.95) for number in range(3)]
    for order in sold:
        for deed in ("ship", "invoice", "pay"):
            do(deed, sale_id=order["sale_id"])
    do("refund", sale_id=sold[0]["sale_id"], quantity=1)
    do("new_customer", consent=2)
    do("new_product", quantity=12)
    do("receive", sku="ITEM-3", quantity=5)
    do("title", sku="ITEM-4")


def _false(place: Place) -> dict[str, list[tuple[object, ...]]]:
    return {
        "exceptions": place.rows("select class, cause, title from operations.exceptions where state <> 'resolved'"),
        "orphans": place.rows("select what, missing_at, cause, key from reconciliation.orphans where not expected"),
        "drift": place.rows("select what, key, field, cause from reconciliation.drift where not expected"),
        "balance": place.rows("select flow, day from reconciliation.balance where open < 0 or unaccounted <> 0"),
    }


DAYS = 30


@pytest.mark.soak
def test_a_clean_month_ends_with_nothing_to_look_at(tmp_path: Path) -> None:
    file = tmp_path / "business.parquet"
    duckdb.sql(_BUSINESS.format(file=file))
    nothing: dict[str, list[tuple[object, ...]]] = {"exceptions": [], "orphans": [], "drift": [], "balance": []}
    with running_sandbox(history=file) as environment:
        place = make_place(tmp_path / "project", environment)
        place.sync("nightly")
        assert _false(place) == nothing
        for _ in range(DAYS):
            _live_a_day(place)
            for job in ("stock", "orders"):  # what came back into stock is confirmed by a second snapshot, at night
                place.sync(job)
                assert _false(place)["exceptions"] == [], job
            place.sync("nightly")
            assert _false(place) == nothing
        days_kept = place.rows("select flow, count(*) from reconciliation.balance group by flow")
        assert {kept for _, kept in days_kept} == {DAYS + 1}
        newest = "day = (select max(day) from reconciliation.balance)"
        sent = dict(place.rows(f"select flow, sent from reconciliation.balance where {newest}"))
        assert all(sent.values()), sent
