"""Reading lists: account, references, products, families, customers – full or since the watermark.

What belongs here: which lists are read how, and that each is loaded whole or not at all. What does not: sales (two phases,
``sales.py``) and availability (snapshots, ``availability.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cin7_emarsys import progress
from cin7_emarsys.cin7 import client as cin7_client
from cin7_emarsys.cin7 import load
from cin7_emarsys.cin7.client import BadPage, Cin7, Endpoint, naive
from cin7_emarsys.cin7.landing import Extract, sweep
from cin7_emarsys.cin7.load import Loaded
from cin7_emarsys.warehouse.connections import Warehouse

# Cin7 stamps changes with its own delay; what was changed while we read is read again.
OVERLAP = timedelta(minutes=10)
_PASSES = 3


@dataclass(frozen=True)
class Read:
    """One list as read: what the load did, calls made, watermark reached (naive UTC, Cin7's clock)."""

    loaded: Loaded
    calls: int
    watermark: datetime
    mode: str


LISTS: dict[str, Endpoint] = {
    "locations": cin7_client.LOCATIONS,
    "categories": cin7_client.CATEGORIES,
    "brands": cin7_client.BRANDS,
    "price_tiers": cin7_client.PRICE_TIERS,
    "products": cin7_client.PRODUCTS,
    "product_families": cin7_client.FAMILIES,
    "customers": cin7_client.CUSTOMERS,
}


def read_account(cin7: Cin7, warehouse: Warehouse, landing: Path) -> Read:
    """Cin7: GET me → `raw.me`, one row."""

    def fill(extract: Extract) -> dict[str, Any]:
        started = cin7.stopwatch("products")
        extract.add([cin7.me()])
        extract.at = started()
        return {"complete": True}

    return _land(cin7, warehouse, landing, "me", fill, since=None)


def read_list(cin7: Cin7, warehouse: Warehouse, landing: Path, table: str, *, full: bool) -> Read:
    """One list into its table of `raw`; incremental when it has a watermark and ``full`` is not asked for.

    All pages are landed first; rows and watermark are committed together. Raises a `TransportError`, and then nothing is
    loaded and the watermark stays.
    """
    endpoint = LISTS[table]
    model, _ = load.TABLES[table]
    mark: datetime | None = None
    if model.changed_field:
        with warehouse.write() as connection:
            load.ensure_tables(connection)
            mark = load.watermark(connection, table)
    since = None if full else mark
    # A repeated full read can wait for everybody else; the first one is what everybody waits for.
    lane = "full" if full and mark and table in ("products", "customers") else None

    def fill(extract: Extract) -> dict[str, Any]:
        filters = {} if since is None else {"ModifiedSince": naive(since - OVERLAP)}
        unique, total = read_pages(cin7, extract, endpoint, filters, lane=lane)
        whole = since is None and (total is None or unique >= total)
        return {"unique": unique, "total": total, "complete": whole, "conflicts": sorted(extract.conflicts)}

    return _land(cin7, warehouse, landing, table, fill, since=since)


def read_pages(
    cin7: Cin7, extract: Extract, endpoint: Endpoint, filters: dict[str, str], *, lane: str | None = None
) -> tuple[int, int | None]:
    """All pages of a list into an extract, and when that began. Returns unique records and the last total Cin7 told.

    Rows shift between pages while others work, so a list in which rows are missing, or come twice and differ, is read anew,
    twice at most. Raises `BadPage` when rows are still missing then, and when rows come that the filter should have left
    out: Cin7 ignores a parameter it does not know, and an ignored filter would pass for a full read.
    """
    started = cin7.stopwatch(lane or endpoint.lane)
    for _ in range(_PASSES):
        extract.begin()
        promised, total = _read_once(cin7, extract, endpoint, filters, lane, started)
        unique = len(extract.keys)
        # What came in meanwhile was changed after we began, so the next read finds it: only the first total counts.
        if (promised is None or unique >= promised) and not extract.conflicts:
            break
    if promised is not None and unique < promised:
        raise BadPage(
            "Cin7", "GET", endpoint.path, f"{unique} rows came and Cin7 says there are {promised}, in {_PASSES} reads"
        )
    return unique, total


def _read_once(
    cin7: Cin7,
    extract: Extract,
    endpoint: Endpoint,
    filters: dict[str, str],
    lane: str | None,
    started: Callable[[], datetime],
) -> tuple[int | None, int | None]:
    """One reading of a list. Returns the first and the last total Cin7 told."""
    totals: list[int | None] = []
    done = 0
    changed = extract.model.changed_field
    since = filters.get("ModifiedSince") or filters.get("UpdatedSince")
    with cin7.lease(lane or endpoint.lane):
        for page in cin7.pages(endpoint, lane, **filters):
            extract.at = started()
            totals.append(page.total)
            done += len(page.rows)
            for record in extract.add(page.rows):
                stamp = getattr(record, changed) if changed else None
                if since and stamp is not None and f"{stamp:%Y-%m-%dT%H:%M:%S}" < since:
                    raise BadPage(
                        "Cin7",
                        "GET",
                        endpoint.path,
                        f"asked for changes since {since} and got one of {stamp:%Y-%m-%dT%H:%M:%S}: the filter was ignored",
                    )
            progress.report(extract.entity.replace("_", " "), done, page.total)
    return totals[0], totals[-1]


def _land(
    cin7: Cin7,
    warehouse: Warehouse,
    landing: Path,
    table: str,
    fill: Callable[[Extract], dict[str, Any]],
    *,
    since: datetime | None,
) -> Read:
    sweep(landing, table)
    before = cin7.calls
    model, _ = load.TABLES[table]
    extract = Extract(landing, table, model, cin7.now())
    try:
        facts = fill(extract)
    except BaseException:
        extract.discard()
        raise
    folder = extract.finish(drift=extract.drift, **facts)
    calls = cin7.calls - before
    mode = "full" if since is None else "incremental"
    with warehouse.write() as connection:
        load.ensure_tables(connection)
        loaded = load.merge(connection, table, folder, complete=bool(facts["complete"]))
        load.set_watermark(connection, table, extract.at, extract.id, mode, cin7.now(), calls)
    return Read(loaded, calls, extract.at, mode)
