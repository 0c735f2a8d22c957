"""The flow of sales lines. They add up at Emarsys: each goes once, and an unknown outcome is parked, never sent again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cin7_emarsys import progress
from cin7_emarsys.emarsys import payloads
from cin7_emarsys.emarsys.answers import ACCEPTED, Verdict
from cin7_emarsys.emarsys.client import Connecting, Emarsys
from cin7_emarsys.emarsys.delivery import Delivery, Report, rows_of
from cin7_emarsys.emarsys.ledger import Intended
from cin7_emarsys.emarsys.sending import Sending

_NEVER = datetime(9999, 12, 31)  # noqa: DTZ001 - naive UTC, as everywhere in the ledger


def deliver_sales(delivery: Delivery) -> Report:
    """Sales lines not yet accepted, and reversals of accepted ones that are no longer right, documents whole in a call.

    Lines add up at Emarsys: an unknown outcome freezes its document, and nothing of it goes until that is resolved.
    """
    report, merchant = delivery.report, delivery.settings.merchant
    settle = timedelta(minutes=merchant.orders.settle_minutes)
    with delivery.open() as emarsys:
        if settle:
            emarsys.synchronise()  # contacts were stamped by Emarsys' clock
            _wait_until_settled(delivery, emarsys, settle)
        outbox = delivery.plan("plan_sales", "count_sales", settled_before=emarsys.now() - settle if settle else _NEVER)
        if outbox is None:
            return report
        delivery.close_moot("moot_sales")
        try:
            sending = sending_of_lines(delivery, emarsys)
            items: list[Intended] = []
            documents: set[str] = set()
            size = planned = 0
            for row in rows_of(outbox):
                lines = abs(row["difference"])
                planned += max(row["difference"], 0)
                if delivery.forgotten(row["email"], lines):
                    continue
                if row["frozen"] or row["waits"]:
                    which = "frozen" if row["frozen"] else "waiting"
                    setattr(report, which, getattr(report, which) + lines)
                    continue
                reversal = row["difference"] < 0
                payload = payloads.sales_line(row, reversal=reversal)
                if report.dry_run:
                    for _ in range(lines):
                        line = f"{payload['quantity']} × {payload['item']} = {payload['price']}"
                        report.would(
                            key=f"{payload['order']} {payload['email']}",
                            changes=[("line taken back" if reversal else "line", None, line)],
                        )
                    continue
                if row["document"] not in documents and (
                    len(documents) >= emarsys.documents_per_call or size > emarsys.sales_bytes
                ):
                    sending.send(items)
                    items, documents, size = [], set(), 0
                documents.add(row["document"])
                for ordinal in range(row["ordinal"], row["ordinal"] + lines):
                    item = _line(row["document"], payload, ordinal)
                    size += len(item.payload)
                    items.append(item)
            if items:
                sending.send(items)
            report.unchanged = max(report.desired - planned, 0)
        finally:
            outbox.unlink(missing_ok=True)
    return report


def sending_of_lines(delivery: Delivery, emarsys: Emarsys) -> Sending:
    """Sends sales lines in the form of the account's edition."""
    merchant = delivery.settings.merchant

    def request(items: Sequence[Intended]) -> bytes:
        return payloads.sales_body(items, merchant)

    def call(items: Sequence[Intended], connecting: Connecting) -> tuple[Mapping[str, Verdict], bytes]:
        text = emarsys.upload_sales(request(items), connecting)
        return {item.key: ACCEPTED for item in items}, text.encode()

    header = ",".join(merchant.emarsys.sales_header)
    return Sending(delivery, emarsys, f"POST sales-data {header}", request, call)


def _wait_until_settled(delivery: Delivery, emarsys: Emarsys, settle: timedelta) -> None:
    """Sales lines of a contact Emarsys does not know yet land on a pseudo contact for good: the newest one must settle.

    Nothing waits longer than that takes, also for a contact stamped by a clock that was ahead: its lines go later.
    """
    if delivery.report.dry_run:
        return
    newest = delivery.ledger.accepted_last("contacts")
    left = min(newest + settle - emarsys.now(), settle).total_seconds() if newest else 0
    while left > 0:
        progress.report("seconds until new contacts have settled", 0, round(left))
        time.sleep(min(left, 5))
        left -= 5


def _line(document: str, payload: Mapping[str, Any], ordinal: int) -> Intended:
    sign = "-" if payload["reversal"] else "+"
    key = f"{document}#{payload['item']}#{payload['base_price']}#{payload['base_quantity']}#{sign}{ordinal}"
    text = json.dumps(payload, ensure_ascii=False)
    return Intended(key, text, hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), document)
