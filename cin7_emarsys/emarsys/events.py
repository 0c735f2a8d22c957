"""The flow of order events: one batch per event, consent read just before a marketing batch. A mail goes out for each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cin7_emarsys.emarsys import answers
from cin7_emarsys.emarsys.answers import Verdict
from cin7_emarsys.emarsys.client import BATCH, EMAIL_FIELD, OPT_IN_FIELD, Connecting, Emarsys
from cin7_emarsys.emarsys.delivery import Delivery, Report, rows_of
from cin7_emarsys.emarsys.ledger import Intended
from cin7_emarsys.emarsys.sending import Sending

_MAX_BYTES = 100_000  # of the data of one event
_MAX_CALL_BYTES = 7_500_000
_ROW_BYTES = 200  # what stands around the data of an event


def deliver_events(delivery: Delivery) -> Report:
    """Events not yet decided, one batch per event; consent is read anew just before each marketing batch.

    A mail goes out: an unknown outcome is parked, unless Emarsys is sure to drop the repeat of what it has. What is past
    its deadline by Emarsys' clock is left.
    """
    report, merchant = delivery.report, delivery.settings.merchant
    late = delivery.overridden("too_late")
    with delivery.open() as emarsys:
        outbox = delivery.plan("plan_events", "count_events", late=late)
        if outbox is None:
            return report
        try:
            if outbox.stat().st_size == 0:
                return report
            ids = emarsys.events()
            emarsys.confirm_clock()  # deadlines go by it
            for planned in _event_batches(outbox, report):
                event = merchant.events[planned[0]["event"]]
                event_id = ids.get(event.name)
                if event_id is None:
                    report.withhold("event_missing_at_emarsys", len(planned))
                    continue
                due = []
                for row in planned:
                    if row["doubtful_at"]:
                        if not _harmless(delivery, emarsys, event_id, row):
                            continue  # parked: the plan counts it as frozen
                        report.frozen -= 1
                    if delivery.forgotten(row["email"]):
                        continue
                    if row["waits"]:
                        report.waiting += 1
                    elif not late and datetime.fromisoformat(row["deadline_at"]) < emarsys.now():
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
                        report.would(
                            key=f"{row['data']['order']} {row['email']}", changes=[("event", None, row["event"])]
                        )
                    continue
                fresh = [row for row in due if not row["doubtful_at"]]
                again = [row for row in due if row["doubtful_at"]]
                if fresh:
                    _send_events(delivery, emarsys, event_id, fresh, None)
                if again:
                    until = min(_remembered_until(delivery, row) for row in again)
                    _send_events(delivery, emarsys, event_id, again, until)
        finally:
            outbox.unlink(missing_ok=True)
    return report


def _remembered_until(delivery: Delivery, row: Mapping[str, Any]) -> datetime:
    """Up to when Emarsys drops a trigger id that it has seen."""
    memory = timedelta(hours=delivery.settings.merchant.emarsys.trigger_id_memory_hours)
    return datetime.fromisoformat(row["doubtful_at"]) + memory


def _harmless(delivery: Delivery, emarsys: Emarsys, event_id: str, row: Mapping[str, Any]) -> bool:
    """Whether an event of unknown outcome may go again: with the same trigger id, which Emarsys still remembers and, since
    no e-mail hangs on the event, compares."""
    remembered = emarsys.now() < _remembered_until(delivery, row)
    return remembered and delivery.ledger.connected_to_email(event_id) is False


def _send_events(
    delivery: Delivery, emarsys: Emarsys, event_id: str, due: Sequence[Mapping[str, Any]], repeat_until: datetime | None
) -> None:
    contacts = {
        row["key"]: {"external_id": row["email"], "trigger_id": row["key"], "data": row["data"] or {}} for row in due
    }

    def request(items: Sequence[Intended]) -> bytes:
        return json.dumps([contacts[item.key] for item in items], ensure_ascii=False).encode()

    def call(items: Sequence[Intended], connecting: Connecting) -> tuple[Mapping[str, Verdict], bytes]:
        content = emarsys.trigger(event_id, [contacts[item.key] for item in items], connecting)
        connected = answers.connected_to_email(content)
        if connected is not None:
            delivery.ledger.keep_connection(event_id, connected, emarsys.now())
        emails = {str(contacts[item.key]["external_id"]): item.key for item in items}
        found = emarsys.verdicts(content, emails)
        delivery.report.strangers += found.strangers
        return {emails[email]: verdict for email, verdict in found.by_key.items()}, json.dumps(content).encode()

    items = [Intended(row["key"], json.dumps(contacts[row["key"]], ensure_ascii=False)) for row in due]
    sending = Sending(delivery, emarsys, "POST event/trigger", request, call, repeat_until=repeat_until)
    for start in range(0, len(items), emarsys.events_per_call):
        sending.send(items[start : start + emarsys.events_per_call])


def _opted_in(emarsys: Emarsys, emails: Sequence[str]) -> set[str]:
    wanted = sorted(set(emails))
    found: set[str] = set()
    for start in range(0, len(wanted), BATCH):
        rows = emarsys.contact_data(wanted[start : start + BATCH], [OPT_IN_FIELD])
        found |= {str(row[EMAIL_FIELD]).lower() for row in rows if str(row.get(OPT_IN_FIELD)) == "1"}
    return found


def _event_batches(outbox: Path, report: Report) -> Iterator[list[dict[str, Any]]]:
    """Batches of one event each, in which no person stands twice: errors name the person, not the event.

    A trigger id that stands twice goes once.
    """
    seen: set[str] = set()
    batches: list[_Batch] = []
    event = None
    for row in rows_of(outbox):
        if row["key"] in seen:
            report.folded += 1
            continue
        seen.add(row["key"])
        if row["event"] != event:
            yield from (batch.rows for batch in batches)
            batches, event = [], row["event"]
        length = len(json.dumps(row["data"])) + len(row["email"]) + _ROW_BYTES
        for batch in batches:
            if batch.takes(row["email"], length):
                break
        else:
            batch = _Batch()
            batches.append(batch)
        batch.add(row, length)
        while len(batches) > 1 and len(batches[0].rows) >= BATCH:
            yield batches.pop(0).rows
    yield from (batch.rows for batch in batches)


@dataclass
class _Batch:
    """Rows of one call, as far as it has room: by count, by bytes, and for each person once."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    people: set[str] = field(default_factory=set)
    size: int = 0

    def takes(self, email: str, length: int) -> bool:
        room = len(self.rows) < BATCH and self.size + length <= _MAX_CALL_BYTES
        return room and email.strip().lower() not in self.people

    def add(self, row: dict[str, Any], length: int) -> None:
        self.rows.append(row)
        self.people.add(row["email"].strip().lower())
        self.size += length
