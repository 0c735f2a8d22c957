"""Month close in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cin7_emarsys.views.text import grid, moment, money

_SHOWN = 40
# Column of the sums → its heading; what stands between the two ends is left out where nothing is in it.
_COLUMNS = {
    "invoices": "invoices", "credit_notes": "− credit\nnotes", "charges": "− charges", "left_out": "− left\nout",
    "unexplained": "− rounding,\nfaults", "mart": "= counts\nhere", "excluded": "− by\nrule", "tax": "+ tax",
    "told": "= for\nEmarsys", "accepted": "accepted", "parked": "parked", "refused": "refused", "open": "on its\nway",
}  # fmt: skip
_ALWAYS = ("invoices", "mart", "told", "accepted")


def closed(month: Mapping[str, Any]) -> RenderableType:
    """Day by day from Cin7's books to what Emarsys accepted, what came late, and every difference."""
    return Group(*_parts(month))


def _parts(month: Mapping[str, Any]) -> Iterable[RenderableType]:
    locked = month["lock_date"]
    state = (
        "locked in Cin7" if month["locked"] else f"locked in Cin7 up to {locked}" if locked else "not locked in Cin7"
    )
    yield Text(f"{month['month']} in {month['currency']}, without tax; {state}", style="bold")
    if not month["over"]:
        yield Text("The month is not over yet.", style="yellow")
    if not month["history_complete"]:
        yield Text("Orders are still to be read: figures will grow.", style="yellow")
    if month["undated"]:
        yield Text(f"{month['undated']} documents have no date and belong to no month.", style="yellow")
    if not month["totals"]["together"]["documents"]:
        yield Text("There are no documents of that month.")
        return
    every = [*month["days"], *month["late"]]
    shown = [name for name in _COLUMNS if name in _ALWAYS or any(money(day[name]) != "0.00" for day in every)]
    rows = [(f"{day['day']:%m-%d}", day["documents"], *_amounts(day, shown)) for day in month["days"]]
    rows += [("in time", month["totals"]["in_time"]["documents"], *_amounts(month["totals"]["in_time"], shown))]
    if month["late"]:
        rows += [(f"{day['day']:%m-%d} late", day["documents"], *_amounts(day, shown)) for day in month["late"]]
        rows += [("together", month["totals"]["together"]["documents"], *_amounts(month["totals"]["together"], shown))]
    headings = [_COLUMNS[name] for name in shown]
    yield grid(("day", "docs", *headings), rows, right=("docs", *headings))
    if month["differences"]:
        yield Text("\nEvery difference, the largest first", style="bold")
        yield grid(
            ("day", "document", "order", "between", "why", "amount"),
            (
                (
                    f"{row['day']:%m-%d}",
                    row["number"],
                    row["order_number"],
                    row["between"],
                    row["reason"] + _late(row),
                    money(row["amount"], signed=True),
                )
                for row in month["differences"][:_SHOWN]
            ),
            right=("amount",),
        )
        if month["differences_in_all"] > _SHOWN:
            yield Text(f"… of {month['differences_in_all']:,}; --json lists up to 500")
    if month["settled"]:
        yield Text("\nIt adds up, and Emarsys has accepted all of it.", style="green")
    elif month["adds_up"] and not month["history_complete"]:
        yield Text("\nWhat has been read adds up.", style="yellow")
    elif month["adds_up"]:
        yield Text("\nIt adds up; part of it is parked, refused or on its way.", style="yellow")
    else:
        yield Text("\nSome documents do not add up to their own totals: compare them in Cin7.", style="red")


def _amounts(row: Mapping[str, Any], names: Iterable[str]) -> Iterable[str]:
    return (money(row[name]) for name in names)


def _late(row: Mapping[str, Any]) -> str:
    if not row["late"]:
        return ""
    inside = ", into the locked span" if row["locked"] else ""
    return f" (came {moment(row['first_seen_at'])}{inside})"
