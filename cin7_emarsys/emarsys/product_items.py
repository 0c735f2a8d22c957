"""The catalogue of an account of the Engagement Cloud edition: items that changed, sent in calls. Idempotent.

What belongs here: which items go, and their publication in the ledger. What does not: the product file of the other edition
(``catalogue.py``) and the form of an item (``cloud_payloads.py``).

There is no answer item by item and no way to read back: an item counts as published and collected once its call was
acknowledged, and since that does not prove that it was stored, each goes again after a day (``resend_items_hours``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cin7_emarsys.emarsys import catalogue, cloud_payloads, payloads
from cin7_emarsys.emarsys.answers import ACCEPTED, Verdict
from cin7_emarsys.emarsys.client import Connecting
from cin7_emarsys.emarsys.delivery import Delivery, Report, rows_of
from cin7_emarsys.emarsys.engagement_cloud import EngagementCloud
from cin7_emarsys.emarsys.ledger import Intended
from cin7_emarsys.emarsys.projection import project
from cin7_emarsys.emarsys.sending import Sending

_ENDPOINT = "PUT productItems"
_MAX_BYTES = 900_000  # of a million


def deliver_catalogue(delivery: Delivery) -> Report:
    """The catalogue in the way of the account's edition."""
    cloud = delivery.settings.merchant.emarsys.edition == "engagement_cloud"
    return deliver_items(delivery) if cloud else catalogue.publish(delivery)


def deliver_items(delivery: Delivery) -> Report:
    """Items that differ from what was accepted last, or were accepted long ago; then a publication of what is there."""
    report, rules = delivery.report, delivery.settings.merchant.emarsys.engagement_cloud
    with delivery.open() as emarsys:
        if not isinstance(emarsys, EngagementCloud):
            raise TypeError("items go to the Engagement Cloud edition only")
        emarsys.synchronise()  # items carry Emarsys' time
        stale_before = emarsys.now() - timedelta(hours=rules.resend_items_hours)
        outbox = delivery.plan("plan_product_items", "count_product_items", stale_before=stale_before)
        if outbox is None:
            return report
        try:
            rows: dict[str, dict[str, Any]] = {}
            size = 0

            def request(items: Sequence[Intended]) -> bytes:
                return cloud_payloads.items((rows[item.key] for item in items), rules)

            def call(items: Sequence[Intended], connecting: Connecting) -> tuple[Mapping[str, Verdict], bytes]:
                text = emarsys.put_items(request(items), connecting)
                return {item.key: ACCEPTED for item in items}, text.encode()

            sending = Sending(delivery, emarsys, _ENDPOINT, request, call)
            at = _event_time(delivery, emarsys.now())
            for row in rows_of(outbox):
                if report.dry_run:
                    changes = [(name, None, row[name]) for name in ("available", "price")]
                    report.would(key=row["item"], changes=changes)
                    continue
                item = {**_clean(row), "event_time": at}
                length = len(cloud_payloads.items([item], rules))
                if rows and (len(rows) == rules.items_per_call or size + length > _MAX_BYTES):
                    _send(sending, rows)
                    size = 0
                rows[row["item"]] = item
                size += length
            if rows:
                _send(sending, rows)
        finally:
            outbox.unlink(missing_ok=True)
            if not report.dry_run:
                project(delivery.ledger, delivery.warehouse)
                _publish(delivery, emarsys.now())
    return report


def _send(sending: Sending, rows: dict[str, dict[str, Any]]) -> None:
    items = [
        Intended(name, json.dumps(row, default=str, ensure_ascii=False), row["payload_hash"])
        for name, row in rows.items()
    ]
    sending.send(items)
    rows.clear()


def _clean(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("product_id", "payload_hash", *payloads.PRODUCT_COLUMNS)
    return {name: payloads.clean(row[name]) if isinstance(row[name], str) else row[name] for name in names}


def _event_time(delivery: Delivery, now: datetime) -> str:
    """Emarsys' time, and later than any sent before: Emarsys drops an item that looks older than what it has."""
    with delivery.warehouse.read() as connection:
        row = connection.execute(
            "select max(payload->>'event_time') from delivery.records where flow = 'catalogue'"
        ).fetchone()
    last = datetime.fromisoformat(row[0]).replace(tzinfo=None) if row and row[0] else now
    return cloud_payloads.instant(max(now, last + timedelta(milliseconds=1)))


def _publish(delivery: Delivery, at: datetime) -> None:
    """A version of the catalogue as Emarsys has accepted it, when that differs from the last one."""
    with delivery.warehouse.read() as connection:
        accepted = connection.execute(
            "select key, payload, payload_hash from delivery.delivered where flow = 'catalogue' order by key"
        ).fetchall()
        before = dict(connection.execute("select item, payload_hash from delivery.catalogue_items").fetchall())
    if before == {item: digest for item, _, digest in accepted}:
        return
    sha = hashlib.sha256("\n".join(payload for _, payload, _ in accepted).encode()).hexdigest()
    rules = delivery.settings.merchant.emarsys.engagement_cloud
    version = delivery.ledger.begin_publication(
        delivery.run_id, len(accepted), sha, rules.items_path, ((item, payload) for item, payload, _ in accepted)
    )
    delivery.ledger.published(version, at)
    delivery.ledger.collected(sha, at)
