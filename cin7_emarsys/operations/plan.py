"""What a sync would cost now: calls and minutes in each lane, against what is left of the vendors' budgets.

What belongs here: reckoning calls from what is known here, asking Cin7 for a total only where nothing has been read yet.
What does not: making the calls (``cin7``, ``emarsys``).

It counts what is known now: what has changed at Cin7 meanwhile comes on top, and what that changes at Emarsys with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from cin7_emarsys.cin7 import client as cin7_client
from cin7_emarsys.cin7.client import Cin7, Endpoint
from cin7_emarsys.emarsys.client import BATCH, Emarsys
from cin7_emarsys.emarsys.engagement_cloud import connect
from cin7_emarsys.operations.explain import fetch
from cin7_emarsys.settings import Cin7Settings, EmarsysSettings, Settings
from cin7_emarsys.warehouse.connections import Warehouse

_REFERENCES = 5  # the account, locations, categories, brands, price tiers


@dataclass(frozen=True)
class Cost:
    """Calls of one kind: to which vendor, in which lane, and for what."""

    vendor: str
    lane: str
    calls: int
    what: str


def plan(settings: Settings, job: str) -> dict[str, Any]:
    """`lanes`: calls and minutes of the job, lane by lane; `vendors`: the same in all, with what the window still gives now.

    Cin7: GET of one row where a list has never been read. Raises a `TransportError`.
    """
    with Cin7(settings) as cin7, connect(settings) as emarsys, _warehouse(settings) as connection:
        costs = [cost for cost in _costs(settings, job, cin7, emarsys, connection) if cost.calls]
        limits: Mapping[str, tuple[Cin7Settings | EmarsysSettings, int]] = {
            "Cin7": (settings.cin7, cin7.transport.window.used()),
            "Emarsys": (settings.emarsys, emarsys.core.window.used()),
        }
    lanes: dict[tuple[str, str], dict[str, Any]] = {}
    for cost in costs:
        lane = lanes.setdefault(
            (cost.vendor, cost.lane), {"vendor": cost.vendor, "lane": cost.lane, "calls": 0, "what": []}
        )
        lane["calls"] += cost.calls
        lane["what"].append(f"{cost.calls:,} for {cost.what}")
    for lane in lanes.values():
        lane["minutes"] = _minutes(lane["calls"], limits[lane["vendor"]][0])
    vendors = []
    for vendor, (account, used) in limits.items():
        calls = sum(cost.calls for cost in costs if cost.vendor == vendor)
        left = max(account.calls_per_minute - used, 0)
        vendors.append(
            {
                "vendor": vendor,
                "calls": calls,
                "minutes": _minutes(max(calls - left, 0), account),
                "calls_per_window": account.calls_per_minute,
                "window_seconds": account.window_seconds,
                "left_now": left,
            }
        )
    return {"job": job, "lanes": list(lanes.values()), "vendors": vendors}


def _minutes(calls: int, account: Cin7Settings | EmarsysSettings) -> float:
    return round(calls / account.calls_per_minute * account.window_seconds / 60, 1)


@contextmanager
def _warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection | None]:
    if not settings.paths.warehouse.exists():
        yield None
        return
    with Warehouse(database=str(settings.paths.warehouse)).read() as connection:
        yield connection


def _costs(
    settings: Settings, job: str, cin7: Cin7, emarsys: Emarsys, connection: duckdb.DuckDBPyConnection | None
) -> Iterator[Cost]:
    known = _Known(cin7, connection)
    nightly = job == "nightly"
    if nightly or job in ("stock", "orders"):
        yield from _sales(known, job)
    if nightly or job == "stock":
        pages = known.pages("availability", cin7_client.AVAILABILITY, again=True)
        yield Cost("Cin7", "stock", pages, "the stock")
        looks = min(known.asked("plan_looks"), settings.merchant.availability.second_look_calls)
        yield Cost("Cin7", "stock", looks, "a second look at what comes back")
    if nightly or job == "products":
        lane = "full" if nightly and known.read("products") else "products"
        yield Cost("Cin7", lane, known.pages("products", cin7_client.PRODUCTS, again=nightly), "products")
        yield Cost("Cin7", "products", known.pages("product_families", cin7_client.FAMILIES, again=nightly), "families")
    if nightly or job == "customers":
        lane = "full" if nightly and known.read("customers") else "customers"
        yield Cost("Cin7", lane, known.pages("customers", cin7_client.CUSTOMERS, again=nightly), "customers")
    if nightly:
        yield Cost("Cin7", "products", _REFERENCES, "account, locations and other references")
    if nightly or job in ("orders", "customers"):
        fingerprint = settings.merchant.contacts.fingerprint
        contacts = known.asked("plan_contacts", fingerprint=fingerprint)
        calls = -(-contacts // emarsys.contacts_per_call) + bool(contacts)
        yield Cost("Emarsys", "contacts", calls, f"{contacts:,} contacts that differ")
    if nightly or job in ("stock", "products"):
        items = known.asked("plan_items") if settings.merchant.emarsys.edition == "engagement_cloud" else 0
        calls = -(-items // settings.merchant.emarsys.engagement_cloud.items_per_call)
        yield Cost("Emarsys", "catalogue", calls, f"{items:,} items that differ")
    if nightly or job == "orders":
        documents = known.asked("plan_documents")
        calls = -(-documents // emarsys.documents_per_call)
        yield Cost("Emarsys", "sales", calls, f"{documents:,} documents for the sales data")
        yield Cost(
            "Emarsys", "events", known.asked("plan_events", batch=emarsys.events_per_call), "events that happened"
        )
    if nightly:
        contacts = known.asked("plan_read_back")
        calls = -(-contacts // BATCH) + 2 * bool(contacts)
        yield Cost("Emarsys", "read_back", calls, f"reading back {contacts:,} contacts")


def _sales(known: _Known, job: str) -> Iterator[Cost]:
    yield Cost("Cin7", "sale_headers", known.pages("sale_headers", cin7_client.SALES), "headers of sales")
    yield Cost("Cin7", "sale_headers", known.pages("credit_note_headers", cin7_client.CREDIT_NOTES), "credit notes")
    if known.read("sale_headers"):
        queued = known.queue()
        yield Cost("Cin7", "stock", queued["unallocated"], "orders that hold no stock yet")
        if job != "stock":
            yield Cost("Cin7", "sale_details", queued["others"], "orders, one by one")
    elif job != "stock":
        orders = known.total(cin7_client.SALES)
        yield Cost("Cin7", "sale_details", orders, "every order, one by one (drafts and voided ones cost nothing)")


class _Known:
    """What the warehouse knows of sizes; Cin7 is asked for the total of what was never read."""

    def __init__(self, cin7: Cin7, connection: duckdb.DuckDBPyConnection | None) -> None:
        self._cin7, self._connection = cin7, connection
        self._totals: dict[str, int] = {}

    def read(self, table: str) -> bool:
        return self._count(f"select count(*) as units from raw.watermarks where entity = '{table}'") > 0

    def pages(self, table: str, endpoint: Endpoint, *, again: bool = False) -> int:
        """Pages of a list: one when only changes are read, all of them when it is read whole (``again``, or never yet)."""
        rows = self._count(f"select count(*) as units from raw.{table}")
        if rows and not again:
            return 1
        return max(-(-(rows or self.total(endpoint)) // endpoint.limit), 1)

    def total(self, endpoint: Endpoint) -> int:
        """Cin7: GET of one row of this list, for the total that it tells."""
        if endpoint.path not in self._totals:
            page = next(self._cin7.pages(replace(endpoint, limit=1)))
            self._totals[endpoint.path] = page.total or len(page.rows)
        return self._totals[endpoint.path]

    def queue(self) -> dict[str, int]:
        rows = self._rows("plan_queue")
        return rows[0] if rows else {"unallocated": 0, "others": 0}

    def asked(self, query: str, **parameters: object) -> int:
        rows = self._rows(query, **parameters)
        return int(rows[0]["units"]) if rows else 0

    def _rows(self, query: str, **parameters: object) -> list[dict[str, Any]]:
        if self._connection is None:
            return []
        try:
            return fetch(self._connection, query, **parameters)
        except duckdb.CatalogException:  # not built yet
            return []

    def _count(self, sql: str) -> int:
        if self._connection is None:
            return 0
        try:
            row = self._connection.execute(sql).fetchone()
        except duckdb.CatalogException:
            return 0
        return int(row[0]) if row else 0
