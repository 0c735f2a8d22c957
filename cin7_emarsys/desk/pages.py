"""What each page shows: its question, its query, its columns and filters.

What belongs here: the panels and the words over them. What does not: HTML (``templates``), SQL (``queries``), serving
(``app.py``) or writing files (``report.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from cin7_emarsys.desk.source import Facts
from cin7_emarsys.merchant import Merchant
from cin7_emarsys.operations.explain import REASONS, TERMS
from cin7_emarsys.views.text import span, units

PAGE_ROWS = 50
DAYS = 14


@dataclass(frozen=True)
class Column:
    """A column of a list: the query's name for it, its heading, and how a value is written."""

    name: str
    heading: str
    kind: Literal["text", "units", "moment", "words", "item", "person", "command"] = "text"


@dataclass(frozen=True)
class Listing:
    """A page that is one list: what it answers, the query, the columns, the filters (the first is the default)."""

    name: str
    title: str
    question: str
    query: str
    counts: str | None
    columns: Sequence[Column]
    filters: Mapping[str, str]
    searched: str
    nothing: str
    template: str = "list"

    def chosen(self, asked: str | None) -> str:
        return asked if asked and asked in self.filters else next(iter(self.filters))


@dataclass(frozen=True)
class Shown:
    """One page of a list: rows in words, how many there are in all, how many each filter finds."""

    listing: Listing
    filter: str
    search: str | None
    page: int
    rows: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def pages(self) -> int:
        return max(-(-self.total // PAGE_ROWS), 1)


AVAILABILITY = Listing(
    "availability",
    "Availability",
    "How many can we promise of each item, and does Emarsys know?",
    "availability",
    "availability_counts",
    (
        Column("item", "Item", "item"),
        Column("title", "Title"),
        Column("on_hand", "On hand", "units"),
        Column("cin7_available", "Cin7 available", "units"),
        Column("ours", "Ours", "units"),
        Column("at_emarsys", "At Emarsys", "units"),
        Column("why", "Main reason"),
    ),
    {
        "all": "All items",
        "mis_mailed": "Would have mis-mailed",
        "negative": "Promised beyond stock",
        "kits": "Kits",
        "differs": "Emarsys differs",
        "held": "Kept as it was",
    },
    "SKU or title",
    "No item answers that.",
)
BACK_IN_STOCK = Listing(
    "back-in-stock",
    "Back in stock today",
    "What came back and is announced, what is held, and why?",
    "back_in_stock",
    None,
    (
        Column("item", "Item", "item"),
        Column("title", "Title"),
        Column("status", "Status", "words"),
        Column("at", "Since", "moment"),
        Column("units", "Units", "units"),
        Column("why", "Why not announced"),
        Column("step", "What to do", "command"),
    ),
    {"all": "All", "announced": "Announced", "held": "Held"},
    "SKU or title",
    "Nothing has come back into stock today, and nothing is held.",
)
ORPHANS = Listing(
    "orphans",
    "Orphans",
    "Which SKUs and customers are on one side only, and who mends that?",
    "orphans",
    "orphan_counts",
    (
        Column("key", "SKU or customer", "person"),
        Column("missing_at", "Missing at"),
        Column("cause", "Cause", "words"),
        Column("since", "Since", "moment"),
        Column("owner", "Owner", "words"),
        Column("next_step", "What to do", "command"),
    ),
    {
        "all": "To be looked at",
        "skus_there": "SKUs missing at Emarsys",
        "skus_here": "SKUs missing at Cin7",
        "customers_there": "Customers missing at Emarsys",
        "customers_here": "Contacts missing at Cin7",
    },
    "key or cause",
    "Nobody and nothing is missing on either side.",
)
EXCEPTIONS = Listing(
    "exceptions",
    "Exceptions",
    "What must a person look at, who, and by when?",
    "exceptions",
    "exception_counts",
    (
        Column("class", "Class"),
        Column("cause", "Cause", "words"),
        Column("title", "What"),
        Column("meaning", "What it means"),
        Column("severity", "How bad", "words"),
        Column("count", "How many", "units"),
        Column("first_seen_at", "Since", "moment"),
        Column("due_at", "Due", "moment"),
        Column("owner", "Owner"),
        Column("assigned_to", "Taken on by"),
        Column("next_step", "What to do", "command"),
    ),
    {"open": "Open", "critical": "Critical", "overdue": "Overdue", "ignored": "Ignored", "resolved": "Resolved"},
    "class, title or owner",
    "Nothing to look at.",
    "exceptions",
)
LISTINGS: Mapping[str, Listing] = {each.name: each for each in (AVAILABILITY, BACK_IN_STOCK, ORPHANS, EXCEPTIONS)}
STATUS: Mapping[str, str] = {
    "announced": "announced: Emarsys has fetched it",
    "published": "published, not fetched yet",
    "waiting": "goes with the next product file",
    "held": "held for a person",
    "not_believed": "not believed yet",
}


def show(
    facts: Facts,
    listing: Listing,
    *,
    filter: str | None = None,
    search: str | None = None,
    page: int = 1,
    limit: int = PAGE_ROWS,
) -> Shown:
    """One page of a list. Raises `NothingPublished`."""
    chosen = listing.chosen(filter)
    wanted = search.strip() if search and search.strip() else None
    number = max(page, 1)
    rows = facts.ask(
        listing.query,
        filter=chosen,
        search=wanted,
        limit=limit,
        offset=(number - 1) * PAGE_ROWS,
        since=_start_of_day(facts) if listing is BACK_IN_STOCK else None,
    )
    counts = facts.once(listing.counts)[0] if listing.counts else {}
    total = rows[0]["total"] if rows else 0
    return Shown(listing, chosen, wanted, number, [_in_words(listing, row) for row in rows], total, counts)


def first(shown: Shown, rows: int) -> Shown:
    """The same, with no more than so many rows."""
    return replace(shown, rows=shown.rows[:rows])


def _start_of_day(facts: Facts) -> datetime:
    """The last midnight of the merchant's calendar, as UTC."""
    rows = facts.once("today")
    return rows[0]["begins_at"] if rows and rows[0]["begins_at"] else facts.published_at - timedelta(days=1)


def _in_words(listing: Listing, row: dict[str, Any]) -> dict[str, Any]:
    if listing is AVAILABILITY:
        return row | {"why": _why(row)}
    if listing is BACK_IN_STOCK:
        release = f"cin7-emarsys sync stock --release {row['hold_id']} --reason …" if row["hold_id"] else None
        return row | {"status": STATUS[row["status"]], "why": reason(row["reason"]), "step": release}
    return row


def reason(code: str | None) -> str | None:
    """A reason code of a state, in a merchandiser's words."""
    if not code:
        return None
    name, _, detail = code.partition(": ")
    if name.startswith("held "):
        return f"held: {detail}"
    return REASONS.get(name, name.replace("_", " "))


def _why(row: Mapping[str, Any]) -> str:
    if row["reason"]:
        return reason(row["reason"]) or ""
    if row["state"] in ("not_tracked", "discontinued"):
        return {"not_tracked": "Cin7 keeps no stock of it", "discontinued": "deprecated in Cin7"}[row["state"]]
    if row["term"]:
        return f"{units(row['term_units'])} {TERMS[row['term']]}"
    return "" if row["on_hand"] > 0 else "none on hand"


LEVELS: Mapping[str, tuple[str, str]] = {
    "good": ("Safe to send", "Stock, customers and orders are current, and Emarsys knows them."),
    "watch": ("Send with care", "Nothing is wrong that would mis-mail many; read the points below first."),
    "bad": ("Do not send yet", "What Emarsys would act on is not true, or not known. Mend the points below first."),
}


def overview(facts: Facts, merchant: Merchant, now: datetime) -> dict[str, Any]:
    """The traffic light with its reasons, and what waits on each page. Raises `NothingPublished`."""
    findings = facts.ask(
        "safe_to_send",
        **facts.once("marks", fingerprint=merchant.contacts.fingerprint, orders_minutes=merchant.alerts.orders_minutes)[
            0
        ],
        now=now,
        armed=merchant.armed,
        stock_minutes=merchant.alerts.stock_minutes,
        orders_minutes=merchant.alerts.orders_minutes,
        nightly_hours=merchant.alerts.nightly_hours,
    )
    for finding in findings:
        if finding["minutes"] is not None:
            finding["says"] = finding["says"].replace("{age}", span(finding["minutes"]))
    level = findings[0]["level"]
    return {
        "level": level,
        "headline": LEVELS[level][0],
        "meaning": LEVELS[level][1],
        "findings": findings,
        "tiles": _tiles(facts),
    }


@dataclass(frozen=True)
class Tile:
    """A figure that leads to the page where its rows are."""

    text: str
    page: str
    filter: str
    count: int


def _tiles(facts: Facts) -> list[Tile]:
    items = facts.once("availability_counts")[0]
    found = [
        Tile("items an on-hand sync would have mis-mailed", "availability", "mis_mailed", items["mis_mailed"]),
        Tile("items promised beyond stock", "availability", "negative", items["negative"]),
    ]
    for text, chosen in (("back in stock today", "announced"), ("returns held", "held")):
        asked = {"filter": chosen, "search": None, "since": _start_of_day(facts), "limit": 1, "offset": 0}
        rows = facts.once(BACK_IN_STOCK.query, **asked)
        found.append(Tile(text, BACK_IN_STOCK.name, chosen, rows[0]["total"] if rows else 0))
    exceptions = facts.once("exception_counts")[0]
    found += [
        Tile("SKUs and customers on one side only", ORPHANS.name, "all", facts.once("orphan_counts")[0]["all"]),
        Tile("exceptions open", EXCEPTIONS.name, "open", exceptions["open"]),
        Tile("exceptions overdue", EXCEPTIONS.name, "overdue", exceptions["overdue"]),
    ]
    return sorted(found, key=lambda tile: not tile.count)


def flows(facts: Facts) -> dict[str, Any]:
    """Balance and delivery: where every record is, and what was sent day by day. Raises `NothingPublished`."""
    rows = facts.once("today")
    today = rows[0]["day"] if rows and rows[0]["day"] else facts.published_at.date()
    return {
        "balance": facts.ask("flows"),
        "excluded": facts.once("excluded"),
        "sent": facts.ask("sent_by_day", days=DAYS, today=today),
        "changes": facts.ask("changes_by_day", days=DAYS, today=today),
        "publications": facts.ask("publications", limit=10),
        "batches": facts.ask("batches", limit=20),
    }
