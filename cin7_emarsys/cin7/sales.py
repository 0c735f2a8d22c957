"""Sales in two phases: a cheap scan of headers fills a durable queue; details are read from it, what matters first.

What belongs here: the scan, the queue, the reading of details and of stand-alone credit notes. What does not: what counts
as a purchase (``warehouse/models``).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from cin7_emarsys import locks, progress
from cin7_emarsys.cin7 import client as cin7_client
from cin7_emarsys.cin7 import load
from cin7_emarsys.cin7.client import Cin7, Row, naive
from cin7_emarsys.cin7.extract import OVERLAP, read_pages
from cin7_emarsys.cin7.landing import Extract, sweep
from cin7_emarsys.cin7.load import Loaded
from cin7_emarsys.transport import (
    AuthFailed,
    NotJson,
    Permanent,
    PermissionMissing,
    RefusedBeforeSend,
    Transient,
    TransportError,
)
from cin7_emarsys.warehouse.connections import Warehouse

_WORKERS = 2
_MAX_SLICE = 500
# A sale that could not be read is asked for again in later runs; after so many of them, only a few of its kind in a run.
_MAX_ATTEMPTS = 5
_HOPELESS = 10
# So many sales in a row that Cin7 has trouble with: then it is not about one sale.
_IN_A_ROW = 3

_NO_DETAIL = "('DRAFT', 'ESTIMATING', 'ESTIMATED', 'ORDERING', 'VOIDED')"
_ENQUEUE_SALES = f"""
insert into raw.sale_queue
select
    headers.SaleID, headers.Updated,
    case
        when headers.OrderStatus = 'AUTH_NO_ALLOC' or details."Order".Status = 'AUTH_NO_ALLOC' then 0
        when headers.Status in ('COMPLETED', 'CREDITED', 'VOIDED') then 2
        else 1
    end,
    headers.OrderDate, $first and details.ID is null, 'sale', $at, 0, null
from raw.sale_headers as headers
left join raw.sales as details on details.ID = headers.SaleID
where details._header_updated is distinct from headers.Updated
    and (
        coalesce(headers.Status, '') not in {_NO_DETAIL}
        or (details.ID is not null and headers.Status <> 'VOIDED')
    )
on conflict (sale_id) do update set
    updated = excluded.updated, priority = excluded.priority, kind = excluded.kind,
    attempts = case when updated = excluded.updated then attempts else 0 end
"""
_DEQUEUE_VOID = """
delete from raw.sale_queue
where kind = 'sale' and sale_id in (select SaleID from raw.sale_headers where Status = 'VOIDED')
"""
_ENQUEUE_CREDIT_NOTES = """
insert into raw.sale_queue
select SaleID, max(Updated), 2, max(InvoiceDate), max(Updated) <= (
        select watermark from raw.watermarks where entity = 'baseline'
    ), 'credit_note', $at, 0, null
from raw.credit_note_headers as headers
where not exists (from raw.sale_headers as sales where sales.SaleID = headers.SaleID)
    and ( -- one that was read and is undone has to be read again
        coalesce(CreditNoteStatus, Status, '') not in ('DRAFT', 'NOT AVAILABLE')
        or exists (from raw.credit_notes as notes where notes.SaleID = headers.SaleID)
    )
group by SaleID
having max(Updated) is distinct from (
    select any_value(_header_updated) from raw.credit_notes as notes where notes.SaleID = headers.SaleID
)
on conflict (sale_id) do update set
    updated = excluded.updated, attempts = case when updated = excluded.updated then attempts else 0 end
"""
_FORGET_VOID = """
delete from raw.rejected
where entity = 'sales' and key in (select SaleID from raw.sale_headers where Status = 'VOIDED')
"""
# A scan beside us may have queued a sale anew while its detail was on the way: then it stays.
_DEQUEUE_READ = """
delete from raw.sale_queue as queue
where (kind = 'sale' and exists (
        from raw.sales as sales where sales.ID = queue.sale_id and sales._header_updated = queue.updated
    ))
    or (kind = 'credit_note' and exists (
        from raw.credit_notes as notes where notes.SaleID = queue.sale_id and notes._header_updated = queue.updated
    ))
"""


@dataclass
class Scan:
    """One scan of headers: what the load did, calls, when it began (naive UTC, Cin7's clock), sales still to be read."""

    loaded: Loaded
    calls: int
    at: datetime
    queued: int


@dataclass
class Details:
    """One reading of details: what the loads did, calls, how many are left, and of these how many Cin7 refused to show."""

    loaded: Loaded = field(default_factory=Loaded)
    calls: int = 0
    left: int = 0
    failed: int = 0


def scan_headers(cin7: Cin7, warehouse: Warehouse, landing: Path, *, full: bool) -> Scan:
    """Cin7: GET saleList and saleCreditNoteList, changed since the watermark, into headers and queue.

    The first scan sets the baseline: what it lists is history. Rows, queue and watermark are committed together. Raises a
    `TransportError`, and then nothing is loaded.
    """
    before = cin7.calls
    with warehouse.write() as connection:
        load.ensure_tables(connection)
        since = None if full else load.watermark(connection, "sale_headers")
    at = cin7.now()
    filters: dict[str, str] = {}
    if since is not None:
        # No upper bound: a sale that is changed while we read would leave the list, and its neighbours would slip through.
        filters = {"UpdatedSince": naive(since - OVERLAP)}
    folders: dict[str, Path] = {}
    for table, endpoint in (("sale_headers", cin7_client.SALES), ("credit_note_headers", cin7_client.CREDIT_NOTES)):
        sweep(landing, table)
        extract = Extract(landing, table, load.TABLES[table][0], at)
        try:
            unique, total = read_pages(cin7, extract, endpoint, filters)
            at = extract.at if table == "sale_headers" else at
        except BaseException:
            extract.discard()
            for folder in folders.values():
                shutil.rmtree(folder, ignore_errors=True)
            raise
        folders[table] = extract.finish(
            drift=extract.drift,
            unique=unique,
            total=total,
            complete=since is None and (total is None or unique >= total),
            conflicts=sorted(extract.conflicts),
        )
    calls = cin7.calls - before
    with warehouse.write() as connection:
        load.ensure_tables(connection)
        first = load.watermark(connection, "baseline") is None  # another job may have made the first scan meanwhile
        mode = "full" if since is None else "incremental"
        loaded = Loaded()
        for table, folder in folders.items():
            loaded += load.merge(connection, table, folder, complete=since is None)
            load.set_watermark(connection, table, at, folder.name, mode, cin7.now(), calls)
        if first:
            load.set_watermark(connection, "baseline", at, folders["sale_headers"].name, mode, cin7.now(), 0)
            connection.execute("update raw.sale_headers set _in_first_scan = true")
        connection.execute(_ENQUEUE_SALES, {"at": at, "first": first})
        connection.execute(_ENQUEUE_CREDIT_NOTES, {"at": at})
        connection.execute(_DEQUEUE_VOID)
        connection.execute(_FORGET_VOID)
        queued = _count(connection, "true")
    return Scan(loaded, calls, at, queued)


def read_details(cin7: Cin7, warehouse: Warehouse, landing: Path, *, only_unallocated: bool = False) -> Details:
    """Cin7: GET sale?ID= for what the queue holds, most urgent first, committed slice by slice.

    With ``only_unallocated`` just the sales that are, or were, authorised without allocation. A sale that Cin7 refuses to
    show stays in the queue with the reason; the others go on. Raises a `TransportError` when it is not about one sale;
    what was read until then is committed.
    """
    result = Details()
    before = cin7.calls
    lane = "stock" if only_unallocated else "sale_details"
    where = "priority = 0" if only_unallocated else "true"
    slice_size = max(1, min(_MAX_SLICE, cin7.calls_per_minute))
    tried: set[str] = set()  # and could not be read: what was read has left the queue
    hopeless = False

    def ask(connection: DuckDBPyConnection, which: str, order: str, most: int) -> list[tuple[str, datetime, str]]:
        return connection.execute(
            f"select sale_id, updated, kind from raw.sale_queue where {where} and {which} "
            f"and not list_contains($tried, sale_id) order by {order}, sale_id limit $most",
            {"attempts": _MAX_ATTEMPTS, "tried": list(tried), "most": most},
        ).fetchall()

    def look(connection: DuckDBPyConnection) -> list[tuple[str, datetime, str]]:
        """What to read next, and how much is left. What Cin7 refused too often comes last: a few, and once."""
        nonlocal hopeless
        result.left, result.failed = _count(connection, where), _count(connection, "attempts > 0")
        if hopeless:
            return []
        due = ask(connection, "attempts < $attempts", "priority, attempts, order_date desc nulls last", slice_size)
        hopeless = not due
        return due or ask(connection, "attempts >= $attempts", "attempts", _HOPELESS)

    for table in ("sales", "credit_notes"):
        sweep(landing, table)
    with warehouse.write() as connection:
        load.ensure_tables(connection)
        total = _count(connection, f"{where} and attempts < $most", most=_MAX_ATTEMPTS)
    done = 0
    while True:
        # Two jobs would ask for the same sales, each call of the second in vain. A stock tick does not wait for a slice.
        with nullcontext() if only_unallocated else locks.held(landing.parent / "locks", "sale-details"):
            with warehouse.read() as connection:
                due = look(connection)
            if not due:
                break
            tried.update(_read_slice(cin7, warehouse, landing, due, lane, result))
        done += len(due)
        progress.report("sale details", done, max(total, done))
    result.calls = cin7.calls - before
    return result


def _read_slice(
    cin7: Cin7, warehouse: Warehouse, landing: Path, due: list[tuple[str, datetime, str]], lane: str, result: Details
) -> set[str]:
    """Reads one slice and commits it. Returns the ids that could not be read."""
    at = cin7.now()
    updated = {sale_id: moment.isoformat() for sale_id, moment, _ in due}
    rows: dict[str, list[Row]] = {"sales": [], "credit_notes": []}
    own: dict[str, list[Row]] = {"sales": [], "credit_notes": []}
    failures: dict[str, str] = {}
    own_fault: set[str] = set()
    trouble: list[TransportError] = []  # in a row
    stopped = False
    with cin7.lease(lane):
        for sale_id, kind, content in _fetch(cin7, due, lane):
            trouble = [*trouble, content] if isinstance(content, Transient | NotJson) else []
            if isinstance(content, AuthFailed | PermissionMissing | RefusedBeforeSend):
                trouble, stopped = [content], True
                break
            if isinstance(content, TransportError):
                failures[sale_id] = content.detail
                if not trouble:
                    own_fault.add(sale_id)
                if len(trouble) >= _IN_A_ROW:
                    stopped = True
                    break
            elif kind == "sale":
                rows["sales"].append(content)
                own["sales"].append({"_header_updated": updated[sale_id]})
            else:
                note, source = _stand_alone(content)
                rows["credit_notes"].append(note)
                own["credit_notes"].append({"_header_updated": updated[sale_id], "_source": source})
    folders: dict[str, Path] = {}
    read: set[str] = set()
    for table, found in rows.items():
        if found:
            model = load.TABLES[table][0]
            extract = Extract(landing, table, model, at)
            try:
                read |= {getattr(record, model.key_fields[0]) for record in extract.add(found, own[table])}
                folders[table] = extract.finish(drift=extract.drift)
            except BaseException:
                extract.discard()
                raise
            result.loaded.rejected += extract.rejected
    for sale_id, _, _ in due:
        if sale_id not in read and not stopped:
            failures.setdefault(sale_id, "the record cannot be used; see raw.rejected")
    own_fault |= set() if stopped else set(failures)
    with warehouse.write() as connection:
        for table, folder in folders.items():
            loaded = load.merge(connection, table, folder)
            result.loaded.inserted += loaded.inserted
            result.loaded.updated += loaded.updated
            result.loaded.unchanged += loaded.unchanged
            result.loaded.erased += loaded.erased
        connection.execute(_DEQUEUE_READ)
        for sale_id, reason in failures.items():  # reported by a check; the history does not wait for a single one
            connection.execute(
                "update raw.sale_queue set attempts = attempts + 1, last_error = ?, first_scan = first_scan and not ? "
                "where sale_id = ?",
                [reason, sale_id in own_fault, sale_id],
            )
    if stopped:
        raise trouble[-1]
    return set(failures)


def _fetch(
    cin7: Cin7, due: list[tuple[str, datetime, str]], lane: str
) -> Iterator[tuple[str, str, dict[str, Any] | TransportError]]:
    def one(sale_id: str, kind: str) -> dict[str, Any] | TransportError:
        try:
            return cin7.sale(sale_id, lane) if kind == "sale" else _credit_notes(cin7, sale_id, lane)
        except TransportError as error:
            return error

    with ThreadPoolExecutor(_WORKERS) as pool:
        waiting = [(sale_id, kind, pool.submit(one, sale_id, kind)) for sale_id, _, kind in due]
        try:
            for sale_id, kind, answer in waiting:
                yield sale_id, kind, answer.result()
        finally:
            for _, _, answer in waiting:
                answer.cancel()


def _credit_notes(cin7: Cin7, sale_id: str, lane: str) -> Row:
    """By their own endpoint; where that refuses them or shows none, like a sale."""
    own: Row = {}
    try:
        own = cin7.credit_notes_of(sale_id)
        if own.get("CreditNotes"):
            return own
    except Permanent as error:
        if isinstance(error, AuthFailed | PermissionMissing):
            raise
    try:
        return cin7.sale(sale_id, lane)
    except Permanent as error:
        if not own or isinstance(error, AuthFailed | PermissionMissing):
            raise
        return own


def _stand_alone(content: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Either endpoint's answer in the shape of `sale/creditnote`, and which one it was."""
    if "SaleID" in content:
        return content, "sale/creditnote"
    kept = ("BaseCurrency", "CustomerCurrency", "CurrencyRate", "TaxCalculation", "CreditNotes")
    return {"SaleID": content.get("ID"), **{name: content.get(name) for name in kept}}, "sale"


def _count(connection: DuckDBPyConnection, where: str, **parameters: object) -> int:
    row = connection.execute(f"select count(*) from raw.sale_queue where {where}", parameters or None).fetchone()
    return int(row[0]) if row else 0
