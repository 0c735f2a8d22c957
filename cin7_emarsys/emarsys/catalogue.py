"""The product data file: one full CSV that Emarsys fetches, put in place whole or not at all.

What belongs here: deciding that a new version is due, its guards, writing it beside and renaming it. What does not: what an
item says (``warehouse/models/mart/catalogue.sql``) and serving the file (``feed.py``).

There is no answer item by item and no way to read the catalogue back: its states are `published` (we put a version in
place) and `collected` (Emarsys fetched it whole).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec

from cin7_emarsys import crash, progress
from cin7_emarsys.emarsys import payloads
from cin7_emarsys.emarsys.delivery import Delivery, Report
from cin7_emarsys.emarsys.projection import project, projected
from cin7_emarsys.settings import Settings


class Unfit(Exception):
    """The file would do harm and is not published; the text says why."""


def publish_folder(settings: Settings) -> str:
    """Where the product file goes: the policy's address, else the folder that `serve` serves."""
    return settings.merchant.catalogue.publish_url or f"file://{settings.paths.feed.resolve()}"


def publish(delivery: Delivery) -> Report:
    """Publishes a new version when an item differs from the last one published. Raises `Unfit`.

    In the report a record is an item: sent and accepted are the items that differ in a newly published version.
    """
    started = time.perf_counter()
    settings, report, ledger, warehouse = delivery.settings, delivery.report, delivery.ledger, delivery.warehouse
    with delivery.alone():
        folder = publish_folder(settings)
        filesystem, root = fsspec.core.url_to_fs(folder)
        target = f"{root.rstrip('/')}/{settings.merchant.catalogue.filename}"
        for version, sha in ledger.unfinished_publications():  # a crash between the rename and its note
            if filesystem.exists(target) and _sha(filesystem.cat_file(target)) == sha:
                ledger.published(version, _now())
        with projected(ledger, warehouse) as connection:
            report.refused = delivery.refusing(connection)
            cursor = connection.execute(
                "select product_id, payload_hash, "
                + ", ".join(payloads.PRODUCT_COLUMNS)
                + " from mart.catalogue order by item"
            )
            names = [column[0] for column in cursor.description or []]
            items = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            kept = connection.execute("select * from delivery.catalogue_items")
            columns = [column[0] for column in kept.description or []]
            before = {row["item"]: row for row in (dict(zip(columns, row, strict=True)) for row in kept.fetchall())}
            known = connection.execute(_KNOWN).fetchone()
        changed = [item for item in items if before.get(item["item"], {}).get("payload_hash") != item["payload_hash"]]
        gone = before.keys() - {item["item"] for item in items}
        report.desired, report.unchanged = len(items), len(items) - len(changed)
        in_place = filesystem.exists(target)
        if report.refused or (not changed and not gone and in_place):
            report.seconds = round(time.perf_counter() - started, 3)
            return report
        if report.dry_run:
            for item in changed:
                report.would(key=item["item"], changes=_changes(before.get(item["item"], {}), item))
            return report
        crash.point("planned")
        content = payloads.product_csv(items)
        _guard(items, content)
        version = ledger.begin_publication(
            delivery.run_id, len(items), _sha(content), folder, ((item["item"], _kept(item)) for item in items)
        )
        filesystem.makedirs(root, exist_ok=True)
        beside = f"{target}.{version}.new"
        try:
            _write_beside(filesystem, beside, content, elsewhere=settings.merchant.catalogue.publish_url is not None)
        except BaseException:
            with suppress(OSError):
                filesystem.rm_file(beside)
            raise
        crash.point("file_written")
        if filesystem.exists(target) and "file" not in filesystem.protocol:
            filesystem.rm_file(target)  # stores without a replacing rename
        if "file" in filesystem.protocol:
            Path(beside).replace(target)
        else:
            filesystem.mv(beside, target)
        crash.point("file_in_place")
        ledger.published(version, max(filter(None, (_now(), *(known or ())))))
        crash.point("published")
        project(ledger, warehouse)
        report.sent = report.accepted = len(changed)
        progress.report("product file published, items", len(items), len(items))
    report.seconds = round(time.perf_counter() - started, 3)
    return report


# Cin7's clock may be ahead of ours; what was read later cannot have been published earlier.
_KNOWN = """
select greatest((select max(completed_at) from raw.watermarks), (select max(finished_at) from raw.snapshots))
"""


def _write_beside(filesystem: Any, beside: str, content: bytes, *, elsewhere: bool) -> None:
    if "file" in filesystem.protocol:
        with Path(beside).open("wb") as local:
            local.write(content)
            local.flush()
            os.fsync(local.fileno())  # a power cut after the rename must not leave an empty file in place
        if elsewhere:  # somebody else serves it
            Path(beside).chmod(0o644)
    else:
        with filesystem.open(beside, "wb") as file:
            file.write(content)


def _guard(items: list[dict[str, Any]], content: bytes) -> None:
    if not items:
        raise Unfit("the product file would be empty: it replaces the whole catalogue, so nothing is published")
    if content.count(b"\n") != len(items) + 1:
        raise Unfit("a line break inside a field would make Emarsys ignore the item; nothing is published")
    names = [item["item"] for item in items]
    if len(set(names)) != len(names):
        raise Unfit("an item is listed twice; nothing is published")


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str | None, str]]:
    """Old and new cells of an item, of the columns that the ledger keeps; one line for all the others."""
    found = [
        (
            name,
            None if before.get(name) is None else payloads.cell(name, before[name]),
            payloads.cell(name, after[name]),
        )
        for name in payloads.PRODUCT_COLUMNS
        if name in before or not before
        if before.get(name) != after[name]
    ]
    return found or [("the rest", None, "category, brand, description, msrp or group_id")]


def _kept(item: dict[str, Any]) -> str:
    names = (
        "item", "product_id", "available", "price", "c_stock", "c_low_stock", "c_stock_state", "title", "link", "image",
        "payload_hash",
    )  # fmt: skip
    return json.dumps({name: item[name] for name in names}, default=str, ensure_ascii=False)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
