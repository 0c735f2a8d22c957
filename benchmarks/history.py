"""Two years of real retail lines through the sandbox and the whole line, against one plain query on the file.

``mismatches``: customers whose orders, gross or refunds in the mart, whose lifetime value as a contact at Emarsys, or whose
sum of sales lines there differ from what `history.sql` says, to the penny; what has no customer counts as one. ``net`` is
that of all orders less all refunds. ``exceptions`` are what a person must look at afterwards, class by class;
``exceptions_wrong`` the classes of which there are more or fewer than `history_exceptions.sql` says, orphans and drift among
them. ``calls`` are those to both vendors, ``seconds`` the sync's.

The file is the first argument; by default it lies beside the project (see the readme there for where it comes from).
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.report import Figures, speak
from cin7_emarsys_tests.conftest import PROJECT, running_sandbox
from cin7_emarsys_tests.end_to_end.conftest import Place, make_place

FILE = PROJECT.parent / "shared" / "data" / "online_retail_ii.parquet"
ONCE = "sheet = '2010-2011' or invoice_date < '2010-12-01'"
"""Both sheets, what stands in both of them once."""
GOALS = {"mismatches": "0", "exceptions_wrong": "none"}
_CENT = Decimal("0.01")

Customer = tuple[int, Decimal, Decimal]
"""Orders, gross, refunds."""


@contextmanager
def replayed(file: Path, which: str, folder: Path) -> Iterator[tuple[Place, Path]]:
    """A place after its first nightly sync with a sandbox that replays a part of the file; and that part as a file."""
    part = folder / "history.parquet"
    duckdb.sql(f"copy (from '{file}' where {which}) to '{part}' (format parquet)")
    with running_sandbox(history=part) as environment:
        place = make_place(folder / "project", environment)
        place.sync("nightly")
        yield place, part


def _asked(part: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute(f"create view history as from '{part}'")
        return connection.execute((Path(__file__).parent / query).read_text()).fetchall()


def said(part: Path) -> dict[str | None, Customer]:
    """What the file says of each customer by e-mail, and under None of all that has no customer."""
    rows = _asked(part, "history.sql")
    return {email: (orders, Decimal(gross), Decimal(refunded)) for email, orders, gross, refunded in rows}


def exceptions_said(part: Path) -> dict[str, int]:
    """How many exceptions of each class there must be by what the file says; a class without any is left out."""
    return dict(_asked(part, "history_exceptions.sql"))


def exceptions_found(place: Place) -> dict[str, int]:
    """Those that are open after the sync, likewise."""
    rows = place.rows(
        "select class, sum(count + ignored)::bigint from operations.exceptions where state <> 'resolved' group by class"
    )
    return dict(rows)


def in_the_mart(place: Place) -> dict[str | None, Customer]:
    """The same from the mart."""
    of_nobody = "from mart.{} where person_id is null"
    rows = place.rows(
        "select email, order_count, gross, refunded from mart.customer_value where email is not null union all "
        f"select null, (select count(*) filter (is_purchase) {of_nobody.format('purchases')}), "
        f"(select coalesce(sum(gross), 0) {of_nobody.format('purchases')}), "
        f"(select coalesce(sum(refunded), 0) {of_nobody.format('refunds')})"
    )
    return {email: (orders, gross, refunded) for email, orders, gross, refunded in rows}


def contacts_at_emarsys(place: Place) -> dict[str, Decimal]:
    """Lifetime value of each contact, as the judge tells it."""
    found = place.ask("EMARSYS", "/_sandbox/contacts?limit=1000000")["contacts"]
    return {contact["email"]: Decimal(contact["fields"]["cin7_ltv"]) for contact in found}


def sales_at_emarsys(place: Place) -> dict[str, Decimal]:
    """Sum of the sales lines of each contact, likewise; without those whose lines come to nothing."""
    sums: dict[str, Decimal] = {}
    for line in place.ask("EMARSYS", "/_sandbox/sales?limit=10000000")["lines"]:
        sums[line["email"]] = sums.get(line["email"], Decimal(0)) + Decimal(str(line["price"]))
    return {email: total for email, total in sums.items() if total}


def expected_values(customers: Mapping[str | None, Customer], *, to_the_cent: bool) -> dict[str, Decimal]:
    values = {email: gross - refunded for email, (_, gross, refunded) in customers.items() if email}
    return {email: value.quantize(_CENT, ROUND_HALF_UP) if to_the_cent else value for email, value in values.items()}


def different(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> set[Any]:
    """Keys that only one of them has, or that mean something else there."""
    return {key for key in one.keys() | other.keys() if key not in one or key not in other or one[key] != other[key]}


def _mismatches(place: Place, customers: Mapping[str | None, Customer]) -> set[str | None]:
    exact = expected_values(customers, to_the_cent=False)
    return (
        different(customers, in_the_mart(place))
        | different(expected_values(customers, to_the_cent=True), contacts_at_emarsys(place))
        | different({email: value for email, value in exact.items() if value}, sales_at_emarsys(place))
    )


def measure() -> Figures:
    given = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    file = Path(given[0]) if given else FILE
    if not file.exists():
        raise SystemExit(f"the retail history is not at {file}; name the file: python -m benchmarks.history FILE")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, replayed(file, ONCE, Path(folder)) as (place, part):
        seconds = time.perf_counter() - began
        calls = sum(place.ask(vendor, "/_sandbox/requests?limit=1")["total"] for vendor in ("CIN7", "EMARSYS"))
        customers = said(part)
        wrong = _mismatches(place, customers)
        expected, exceptions = exceptions_said(part), exceptions_found(place)
    return {
        "orders": sum(orders for orders, _, _ in customers.values()),
        "net": float(sum(gross - refunded for _, gross, refunded in customers.values())),
        "customers": len(customers.keys() - {None}),
        "repeat_customers": sum(orders > 1 for email, (orders, _, _) in customers.items() if email),
        "refunds": float(sum(refunded for _, _, refunded in customers.values())),
        "mismatches": len(wrong),
        "exceptions": exceptions,
        "exceptions_wrong": {
            name: {"said": expected.get(name, 0), "found": exceptions.get(name, 0)}
            for name in sorted(different(expected, exceptions))
        },
        "calls": calls,
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    speak(measure, GOALS)
