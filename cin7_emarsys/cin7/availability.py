"""Availability as snapshots: one complete read, and how far it can be trusted.

What belongs here: reading the whole, comparing it with what Cin7 says there is, deciding trust at two levels and keeping
the evidence. What does not: what may be promised (``warehouse/models/mart/ats.sql``).

A snapshot is not trusted when its rows are not as many as Cin7 says, even after two immediate re-reads, when another job
has taken a newer one meanwhile, or when far more rows than usual are gone; then nothing changes. A single SKU is not trusted
when a row of it cannot be used, comes twice with different figures, or differs between two reads; then that SKU keeps its
state and the others go on.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from duckdb import DuckDBPyConnection

from cin7_emarsys import disk, progress
from cin7_emarsys.cin7 import client as cin7_client
from cin7_emarsys.cin7 import load
from cin7_emarsys.cin7.client import Cin7
from cin7_emarsys.cin7.landing import Extract, sweep
from cin7_emarsys.cin7.models import AvailabilityRow, duckdb_columns
from cin7_emarsys.warehouse.connections import Warehouse

_PASSES = 3
# A drop that stays is the new normal.
_REPEATS = 3

_FIGURES = '"OnHand", "Allocated"'
_KEYS = load.AVAILABILITY_KEYS
_SAME_KEY = " and ".join(f'new."{name}" is not distinct from old."{name}"' for name in AvailabilityRow.key_fields)


@dataclass(frozen=True)
class Snapshot:
    """One snapshot as decided: rows used, what Cin7 said, reads made, and why it is not trusted (None: it is)."""

    snapshot_id: str
    rows: int
    total: int | None
    passes: int
    reason: str | None
    untrusted_skus: int
    rejected: int
    calls: int

    @property
    def trusted(self) -> bool:
        return self.reason is None


def take_snapshot(cin7: Cin7, warehouse: Warehouse, landing: Path, *, max_row_drop: float) -> Snapshot:
    """Cin7: GET ref/productavailability, whole, into `raw.availability` and `raw.snapshots`.

    Raises a `TransportError` when a page cannot be read at all; then nothing is recorded and nothing changes.
    """
    sweep(landing, "availability")
    before = cin7.calls
    extracts: list[Extract] = []
    unique, total = 0, None
    try:
        for number in range(1, _PASSES + 1):
            extract = Extract(landing, "availability", AvailabilityRow, cin7.now())
            extracts.append(extract)
            unique, total = read_whole(cin7, extract, "availability" if number == 1 else f"availability, read {number}")
            if unique == total:
                break
    except BaseException:
        for extract in extracts:
            extract.discard()
        raise
    folders = [extract.finish(drift=extract.drift, unique=unique, total=total) for extract in extracts]
    last = extracts[-1]
    replaced: str | None = None
    finished = cin7.now()
    with warehouse.write() as connection:
        load.ensure_tables(connection)
        _stage(connection, folders)
        reason = None
        if unique != total:
            reason = f"{unique} rows came and Cin7 says there are {total}, in {len(extracts)} reads"
        reason = reason or _overtaken(connection, last) or _row_drop(connection, unique, max_row_drop)
        untrusted = _untrusted_skus(connection, last.id, folders[-1])
        pending = connection.execute(_PENDING).fetchone()
        scanned = load.watermark(connection, "sale_headers")
        connection.execute(
            "insert into raw.snapshots values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null)",
            [
                last.id,
                last.at,
                finished,
                scanned,
                pending[0] if pending else 0,
                len(extracts),
                total,
                last.records,
                unique,
                reason is None,
                reason,
            ],
        )
        load.keep_rejected(connection, "availability", folders[-1], last.at)
        if reason is None:
            columns = ", ".join(f'"{name}"' for name in duckdb_columns(AvailabilityRow))
            connection.execute(_VANISHED, {"at": last.at, "pass": len(folders)})
            connection.execute("delete from raw.availability")
            connection.execute(
                f"insert into raw.availability select $id, {columns}, $pass from landed "
                f"where pass = $pass qualify row_number() over (partition by {_KEYS} order by _line desc) = 1",
                {"id": last.id, "pass": len(folders)},
            )
            connection.execute(_REAPPEARED)
            replaced = load.extract_of(connection, "availability")
            connection.execute("delete from raw.rejected where entity = 'availability' and last_seen < ?", [last.at])
            load.set_watermark(connection, "availability", last.at, last.id, "full", finished, cin7.calls - before)
        load.keep_drift(connection, "availability", last.drift, last.at, complete=reason is None)
        connection.execute("drop table landed")
    if reason is None:
        # Whole stock, every few minutes: kept as long as other pages it would fill the disk. What is not trusted stays.
        for folder in (*folders[:-1], *([last.folder.with_name(replaced)] if replaced else [])):
            shutil.rmtree(folder, ignore_errors=True)
    return Snapshot(last.id, last.records, total, len(extracts), reason, untrusted, last.rejected, cin7.calls - before)


# Products of which stock rows are gone since the snapshot before, with the free units they had; until they are back.
_VANISHED = f"""
insert into raw.vanished
select ID, any_value(SKU), $at, sum(OnHand - Allocated)
from raw.availability as old
group by ID
having bool_or(OnHand <> 0 and not exists (
    from landed as new where new.pass = $pass and {_SAME_KEY}
))
on conflict do nothing
"""
_REAPPEARED = """
delete from raw.vanished where exists (
    select sum(OnHand - Allocated) as free from raw.availability as now where now.ID = vanished.product_id
    having free >= vanished.free_before
)
"""
# Products of rows that cannot be used, also where it is the product's id or its SKU that is wanting.
_REFUSED = """
insert into raw.snapshot_untrusted_skus
with refused as (
    select nullif(lower(trim(payload::json->>'ID')), '') as id, nullif(trim(payload::json->>'SKU'), '') as sku
    from read_json({file}, format='newline_delimited', columns={{payload: 'VARCHAR'}})
)
select distinct
    $id, coalesce(refused.id, by_sku.ID), coalesce(refused.sku, by_id.SKU, refused.id), 'a row of it cannot be used'
from refused
left join raw.products as by_id on by_id.ID = refused.id
left join raw.products as by_sku on lower(by_sku.SKU) = case when refused.id is null then lower(refused.sku) end
where coalesce(refused.id, by_sku.ID) is not null
"""
_PENDING = """
select count(*)
from raw.sale_headers as headers
left join raw.sales as details on details.ID = headers.SaleID
where headers.OrderStatus = 'AUTH_NO_ALLOC' and headers.Status is distinct from 'VOIDED'
    and details._header_updated is distinct from headers.Updated
"""


def read_whole(cin7: Cin7, extract: Extract, shown: str) -> tuple[int, int | None]:
    """One whole read, shown to a person as that. Returns how many different rows came, and the last total.

    Notes in the extract when that began.
    """
    started = cin7.stopwatch("stock")
    total: int | None = None
    done = 0
    with cin7.lease("stock"):
        for page in cin7.pages(cin7_client.AVAILABILITY):
            extract.at = started()
            total = page.total
            extract.add(page.rows)
            done += len(page.rows)
            progress.report(shown, done, total)
    return len(extract.keys), total


def _stage(connection: DuckDBPyConnection, folders: list[Path]) -> None:
    reads = " union all ".join(
        f"select *, {number} as pass from {load.read_landed(folder, AvailabilityRow, {})}"
        for number, folder in enumerate(folders, 1)
    )
    connection.execute(f"create or replace temp table landed as {reads}")


def _overtaken(connection: DuckDBPyConnection, last: Extract) -> str | None:
    newer = load.watermark(connection, "availability")
    return "a newer snapshot came in while this one was read" if newer and newer > last.at else None


def _row_drop(connection: DuckDBPyConnection, rows: int, max_row_drop: float) -> str | None:
    known = connection.execute(
        "select unique_keys from raw.snapshots where trusted or released_reason is not null order by taken_at desc limit 1"
    ).fetchone()
    if known is None or rows >= known[0] * (1 - max_row_drop):
        return None
    recent = connection.execute(
        "select coalesce(reason, '') like 'row drop%' from raw.snapshots where unique_keys = total "
        "order by taken_at desc limit ?",
        [_REPEATS - 1],
    ).fetchall()
    if len(recent) == _REPEATS - 1 and all(dropped for (dropped,) in recent):
        return None
    return f"row drop: {rows} rows, and {known[0]} in the last trusted snapshot"


def _untrusted_skus(connection: DuckDBPyConnection, snapshot_id: str, folder: Path) -> int:
    rejected = folder / "rejected.ndjson"
    connection.execute(
        "insert into raw.snapshot_untrusted_skus "
        f'select $id, any_value("ID"), any_value("SKU"), \'the same row twice with different figures\' from landed '
        f"group by pass, {_KEYS} having count(distinct ({_FIGURES})) > 1 and pass = (select max(pass) from landed) "
        "union "
        f'select $id, any_value("ID"), any_value("SKU"), \'figures differ between two reads\' from landed '
        f"group by {_KEYS} having count(distinct pass) > 1 and count(distinct ({_FIGURES})) > 1",
        {"id": snapshot_id},
    )
    if rejected.exists():
        connection.execute(_REFUSED.format(file=disk.files(rejected)), {"id": snapshot_id})
    row = connection.execute(
        "select count(distinct product_id) from raw.snapshot_untrusted_skus where snapshot_id = ?", [snapshot_id]
    ).fetchone()
    return int(row[0]) if row else 0
