"""Month close: Cin7's invoices less credit notes, what counts here, and what Emarsys was told, day by day.

What belongs here: putting a month together from the documents. What does not: what a document is worth where
(``warehouse/models/reconciliation/document_books.sql``).
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from cin7_emarsys.desk.source import Facts

AMOUNTS = (
    "invoices", "credit_notes", "books", "charges", "left_out", "unexplained", "mart", "excluded", "tax", "told",
    "accepted", "parked", "refused", "open",
)  # fmt: skip
_LISTED = 500


class NoSuchMonth(Exception):
    """What was asked for is no month; the text says how one is written."""


def span(month: str) -> tuple[date, date]:
    """First and last day of `YYYY-MM`. Raises `NoSuchMonth`."""
    try:
        if not re.fullmatch(r"\d{4}-\d{2}", month, re.ASCII):
            raise ValueError
        first = date.fromisoformat(f"{month}-01")
        return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    except (ValueError, OverflowError):
        raise NoSuchMonth("a month is written as YYYY-MM, for example 2026-11") from None


def close(facts: Facts, month: str, *, limit: int = _LISTED) -> dict[str, Any]:
    """One month: `days` (documents that came in time), `late` (those first read after its end), `totals` of both, and up to
    ``limit`` `differences`, each with its reason. Amounts in ``currency``, without tax.

    ``locked``: Cin7's books are closed for the whole month, so its documents change no more. ``adds_up``: nothing is left
    without a reason. ``settled``: there are documents, all are read and add up; nothing is parked, refused or on its way.
    Raises `NoSuchMonth` and `NothingPublished`.
    """
    first, last = span(month)
    books = facts.once("month_books")[0]
    rows = facts.ask("month_days", first=first, last=last)
    differences = facts.ask("month_differences", first=first, last=last, limit=limit)
    in_time, late = ([row for row in rows if row["late"] is late] for late in (False, True))
    totals = {"in_time": _sum(in_time), "late": _sum(late), "together": _sum(rows)}
    whole = totals["together"]
    adds_up = (
        whole["books"] == whole["invoices"] - whole["credit_notes"]
        and whole["books"] == whole["mart"] + whole["charges"] + whole["left_out"] + whole["unexplained"]
        and whole["mart"] + whole["tax"] == whole["excluded"] + whole["told"]
        and whole["told"] == whole["accepted"] + whole["parked"] + whole["refused"] + whole["open"]
        and not any(row["unnamed"] for row in rows)
    )
    return {
        "month": month,
        "currency": books["currency"],
        "lock_date": books["lock_date"],
        "locked": books["lock_date"] is not None and books["lock_date"] >= last,
        "over": books["today"] is not None and books["today"] > last,
        "history_complete": bool(books["history_complete"]),
        "undated": books["undated"],
        "days": [_day(row) for row in in_time],
        "late": [_day(row) for row in late],
        "totals": totals,
        "differences": [{name: row[name] for name in row if name != "total"} for row in differences],
        "differences_in_all": differences[0]["total"] if differences else 0,
        "adds_up": adds_up,
        "settled": adds_up
        and bool(rows and books["history_complete"])
        and not (whole["parked"] or whole["refused"] or whole["open"]),
    }


def last_with_documents(facts: Facts) -> str:
    """The newest month that has documents, as `YYYY-MM`; this one when none has."""
    newest = facts.once("month_newest")[0]["month"]
    return str(newest or f"{facts.published_at:%Y-%m}")


def _day(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in row if name not in ("late", "unnamed")}


def _sum(rows: list[dict[str, Any]]) -> dict[str, Any]:
    amounts = {name: sum((row[name] for row in rows), Decimal(0)) for name in AMOUNTS}
    return {"documents": sum(row["documents"] for row in rows), **amounts}
