"""The second look: before a rise is believed, the stock rows of its products are read once more, live.

What belongs here: reading them one by one within a budget of calls, or the whole stock where that is cheaper, and keeping
what came. What does not: who is to be looked at, and what the look proves (``warehouse/models/mart``).

A look that could not be made is written down with its trouble: what it was to prove stays unproven, and the run goes on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cin7_emarsys import progress
from cin7_emarsys.cin7 import availability, load
from cin7_emarsys.cin7 import client as cin7_client
from cin7_emarsys.cin7.client import Cin7
from cin7_emarsys.cin7.landing import Extract, sweep
from cin7_emarsys.cin7.models import AvailabilityRow, duckdb_columns
from cin7_emarsys.transport import TransportError
from cin7_emarsys.warehouse.connections import Warehouse

_ENTITY = "second_look_rows"


@dataclass(frozen=True)
class Asked:
    """One product to look at, and the snapshot that the look is to bear out."""

    product_id: str
    sku: str
    snapshot_id: str


@dataclass(frozen=True)
class SecondLook:
    """What one second look did: products asked for, of these without a good answer, calls, and whether all was read."""

    asked: int = 0
    failed: int = 0
    calls: int = 0
    whole: bool = False


class _FilterIgnored(Exception):
    """Rows of other products came: Cin7 ignores a parameter that it does not know."""


def take(cin7: Cin7, warehouse: Warehouse, landing: Path, *, max_calls: int) -> SecondLook:
    """Cin7: GET ref/productavailability for the products of `mart.second_look_wanted`, into `raw.second_look*`.

    One call a product (a page more where it has many rows) if they are at most ``max_calls``, else one read of the whole.
    Raises nothing when Cin7 does not answer: then each product that was not seen carries the reason.
    """
    with warehouse.write() as connection:
        load.ensure_tables(connection)
        wanted = [
            Asked(*row)
            for row in connection.execute(
                "select product_id, sku, snapshot_id from mart.second_look_wanted order by product_id"
            ).fetchall()
        ]
    if not wanted:
        return SecondLook()
    sweep(landing, _ENTITY)
    before = cin7.calls
    extract = Extract(landing, _ENTITY, AvailabilityRow, cin7.now())
    started = cin7.stopwatch("stock")
    whole = len(wanted) > max_calls
    try:
        if not whole:
            try:
                trouble = _one_by_one(cin7, extract, wanted)
            except _FilterIgnored:
                whole = True
                extract.begin()
        if whole:
            trouble = _whole(cin7, extract, wanted)
        extract.at = started()
    except BaseException:
        extract.discard()
        raise
    folder = extract.finish(drift=extract.drift)
    trouble = _doubtful(extract, wanted) | trouble
    with warehouse.write() as connection:
        looks = [[asked.product_id, asked.sku, asked.snapshot_id, trouble.get(asked.product_id)] for asked in wanted]
        connection.execute(
            "create or replace temp table looks as select unnest(from_json(?::json, '[[\"VARCHAR\"]]')) as look",
            [json.dumps(looks)],
        )
        connection.execute("delete from raw.second_looks where product_id in (select look[1] from looks)")
        connection.execute("delete from raw.second_look_rows where ID in (select look[1] from looks)")
        connection.execute(
            "insert into raw.second_looks select look[1], look[2], look[3], ?, look[4] from looks", [extract.at]
        )
        columns = ", ".join(f'"{name}"' for name in duckdb_columns(AvailabilityRow))
        if extract.pages:
            connection.execute(
                f"insert into raw.second_look_rows select {columns} from {load.read_landed(folder, AvailabilityRow, {})} "
                'where "ID" in (select look[1] from looks) '
                f"qualify row_number() over (partition by {load.AVAILABILITY_KEYS} order by _line desc) = 1"
            )
        load.keep_drift(connection, "availability", extract.drift, extract.at, complete=False)
        connection.execute("drop table looks")
    failed = sum(asked.product_id in trouble for asked in wanted)
    return SecondLook(len(wanted), failed, cin7.calls - before, whole)


def _one_by_one(cin7: Cin7, extract: Extract, wanted: list[Asked]) -> dict[str, str]:
    """Rows of each product into the extract. Returns product id to trouble."""
    trouble: dict[str, str] = {}
    with cin7.lease("stock"):
        for number, asked in enumerate(wanted, 1):
            try:
                seen, total = 0, None
                for page in cin7.pages(cin7_client.AVAILABILITY, ID=asked.product_id):
                    if any(_product(extract, row) != asked.product_id for row in page.rows):
                        raise _FilterIgnored
                    extract.add(page.rows)
                    seen, total = seen + len(page.rows), page.total
            except TransportError as error:  # it would be the same for the next: the run must not wait for each
                return trouble | {late.product_id: error.detail for late in wanted[number - 1 :]}
            if seen != total:
                trouble[asked.product_id] = f"{seen} rows came and Cin7 says there are {total}"
            progress.report("second look", number, len(wanted))
    return trouble


def _whole(cin7: Cin7, extract: Extract, wanted: list[Asked]) -> dict[str, str]:
    try:
        unique, total = availability.read_whole(cin7, extract, "second look")
        detail = "" if unique == total else f"{unique} rows came and Cin7 says there are {total}"
    except TransportError as error:
        detail = error.detail
    return {asked.product_id: detail for asked in wanted} if detail else {}


def _product(extract: Extract, row: object) -> str:
    return (extract.key_of(row) or "").split("|")[0]


def _doubtful(extract: Extract, wanted: list[Asked]) -> dict[str, str]:
    """Products of rows that cannot be used, or that came twice and differ."""
    file = extract.folder / "rejected.ndjson"
    lines = file.read_text().splitlines() if file.exists() else []
    ids = {asked.sku.lower(): asked.product_id for asked in wanted}
    doubtful = {}
    for row in (json.loads(json.loads(line)["payload"]) for line in lines):
        sku = str(row.get("SKU")).strip().lower() if isinstance(row, dict) else ""
        doubtful[_product(extract, row) or ids.get(sku, "")] = "a row of it cannot be used"
    return doubtful | {key.split("|")[0]: "the same row came twice with different figures" for key in extract.conflicts}
