"""The flow of order events: one batch per event, consent read just before a marketing batch. A mail goes out for each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cin7_emarsys.emarsys.answers import Verdict
from cin7_emarsys.emarsys.client import BATCH, EMAIL_FIELD, OPT_IN_FIELD, Connecting, Emarsys
from cin7_emarsys.emarsys.delivery import Delivery, Report, rows_of
from cin7_emarsys.emarsys.ledger import Intended

_MAX_BYTES = 100_000


def deliver_events(delivery: Delivery) -> Report:
    """Events not yet decided, one batch per event; consent is read anew just before each marketing batch.

    A mail goes out: an unknown outcome is parked. What is past its deadline by Emarsys' clock is left.
    """
    report, merchant = delivery.report, delivery.settings.merchant
    with delivery.open() as emarsys:
        outbox = delivery.plan("plan_events", "count_events")
        if outbox is None:
            return report
        try:
            if outbox.stat().st_size == 0:
                return report
            ids = emarsys.events()
            for planned in _event_batches(outbox):
                event = merchant.events[planned[0]["event"]]
                event_id = ids.get(event.name)
                if event_id is None:
                    report.withhold("event_missing_at_emarsys", len(planned))
                    continue
                due = []
                for row in planned:
                    if row["waits"]:
                        report.waiting += 1
                    elif datetime.fromisoformat(row["deadline_at"]) < emarsys.now():
                        report.withhold("too_late")
                    elif len(json.dumps(row["data"])) > _MAX_BYTES:
                        report.withhold("too_large")
                    else:
                        due.append(row)
                if event.kind == "marketing" and due:
                    agreed = _opted_in(emarsys, [row["email"] for row in due])
                    report.withhold("no_consent", sum(row["email"] not in agreed for row in due))
                    due = [row for row in due if row["email"] in agreed]
                if report.dry_run:
                    for row in due:
                        report.would(key=row["key"], changes=[("event", None, row["event"])])
                    continue
                if due:
                    _send_events(delivery, emarsys, event_id, due)
        finally:
            outbox.unlink(missing_ok=True)
    return report


def _send_events(delivery: Delivery, emarsys: Emarsys, event_id: str, due: Sequence[Mapping[str, Any]]) -> None:
    contacts = {
        row["key"]: {"external_id": row["email"], "trigger_id": row["key"], "data": row["data"] or {}} for row in due
    }

    def request(items: Sequence[Intended]) -> bytes:
        return json.dumps([contacts[item.key] for item in items], ensure_ascii=False).encode()

    def call(items: Sequence[Intended], connecting: Connecting) -> tuple[Mapping[str, Verdict], bytes]:
        content = emarsys.trigger(event_id, [contacts[item.key] for item in items], connecting)
        emails = {str(contacts[item.key]["external_id"]): item.key for item in items}
        found = emarsys.verdicts(content, emails)
        delivery.report.strangers += found.strangers
        return {emails[email]: verdict for email, verdict in found.by_key.items()}, json.dumps(content).encode()

    items = [Intended(row["key"], json.dumps(contacts[row["key"]], ensure_ascii=False)) for row in due]
    for start in range(0, len(items), emarsys.events_per_call):
        delivery.send(emarsys, "POST event/trigger", items[start : start + emarsys.events_per_call], request, call)


def _opted_in(emarsys: Emarsys, emails: Sequence[str]) -> set[str]:
    wanted = sorted(set(emails))
    found: set[str] = set()
    for start in range(0, len(wanted), BATCH):
        rows = emarsys.contact_data(wanted[start : start + BATCH], [OPT_IN_FIELD])
        found |= {str(row[EMAIL_FIELD]).lower() for row in rows if str(row.get(OPT_IN_FIELD)) == "1"}
    return found


def _event_batches(outbox: Path) -> Iterator[list[dict[str, Any]]]:
    """Batches of one event each, in which no person stands twice: errors name the person, not the event."""
    batch: list[dict[str, Any]] = []
    later: list[dict[str, Any]] = []
    people: set[str] = set()
    for row in rows_of(outbox):
        if batch and (row["event"] != batch[0]["event"] or len(batch) >= BATCH):
            yield batch
            while later:
                batch, later = _distinct(later)
                yield batch
            batch, people = [], set()
        if row["email"] in people:
            later.append(row)
        else:
            people.add(row["email"])
            batch.append(row)
    if batch:
        yield batch
    while later:
        batch, later = _distinct(later)
        yield batch


def _distinct(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    people: set[str] = set()
    first: list[dict[str, Any]] = []
    later: list[dict[str, Any]] = []
    for row in rows:
        (later if row["email"] in people else first).append(row)
        people.add(row["email"])
    return first, later
