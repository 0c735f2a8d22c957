"""Delivery: desired minus delivered, written down, sent, judged record by record, written down again.

What belongs here: the one loop all flows share, and what is particular to contacts, sales and events. What does not: the
wire (``client.py``), the form (``payloads.py``), the tables (``ledger.py``), and the product file (``catalogue.py``).

The warehouse is read into an outbox file and closed before the first call; while the network is slow nobody waits for us.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from cin7_emarsys import locks, progress
from cin7_emarsys.emarsys import answers, crash, payloads
from cin7_emarsys.emarsys.answers import ACCEPTED, Verdict
from cin7_emarsys.emarsys.client import BATCH, EMAIL_FIELD, OPT_IN_FIELD, Connecting, Emarsys
from cin7_emarsys.emarsys.ledger import Intended, Ledger
from cin7_emarsys.emarsys.projection import ensure_delivery_tables, project
from cin7_emarsys.settings import Settings
from cin7_emarsys.transport import (
    AuthFailed,
    Permanent,
    PermissionMissing,
    RefusedBeforeSend,
    TransportError,
)
from cin7_emarsys.warehouse import gates
from cin7_emarsys.warehouse.resource import Warehouse

_QUERIES = Path(__file__).parent / "queries"
_MAX_BYTES = 7_500_000
_SALES_DOCUMENTS = 500
_SALES_BYTES = 4_000_000
_EVENT_BYTES = 100_000
# Refusals of a whole batch that no splitting can cure: the account, not a record, is at fault.
_ACCOUNT_FAULTS = ("2004", "2013", "2020", "5001", "5004", "5005")
# Only these say that the content is at fault; another 4xx (an unknown address or merchant) says nothing about a record.
_CONTENT_FAULTS = (400, 413, 422)
_EXAMPLES = 20
_NEVER = datetime(9999, 12, 31)  # noqa: DTZ001 - naive UTC, as everywhere in the ledger


@dataclass
class Report:
    """What one flow did, in records: desired = unchanged + sent + waiting + frozen + withheld (by rule) + dead letters
    not tried again; sent = accepted + rejected + retryable + unknown. ``calls`` to Emarsys, ``seconds`` in all."""

    flow: str
    desired: int = 0
    unchanged: int = 0
    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    retryable: int = 0
    unknown: int = 0
    waiting: int = 0
    frozen: int = 0
    withheld: dict[str, int] = field(default_factory=dict)
    strangers: int = 0
    shortened: int = 0
    calls: int = 0
    seconds: float = 0.0
    dry_run: bool = False
    refused: list[gates.Gate] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)

    def count(self, verdicts: Mapping[str, Verdict]) -> None:
        self.sent += len(verdicts)
        for verdict in verdicts.values():
            setattr(self, verdict.outcome, getattr(self, verdict.outcome) + 1)

    def withhold(self, rule: str, records: int = 1) -> None:
        self.withheld[rule] = self.withheld.get(rule, 0) + records

    def would(self, **change: Any) -> None:
        """Counts a record that a dry run would send, and keeps the first examples."""
        self.withhold("dry_run")
        if len(self.changes) < _EXAMPLES:
            self.changes.append(change)


@dataclass
class _Trial:
    """What splitting one refused batch has shown: whether Emarsys took any part of it, and who was refused alone before."""

    taken: bool = False
    alone: list[Intended] = field(default_factory=list)
    error: TransportError | None = None


class Delivery:
    """One run of one flow. Use as a context manager: it holds the flow's lock and recovers what a dead process left."""

    def __init__(
        self, flow: str, settings: Settings, warehouse: Warehouse, ledger: Ledger, run_id: str | None, *, dry_run: bool
    ) -> None:
        self.flow, self.settings, self.warehouse, self.ledger, self.run_id = flow, settings, warehouse, ledger, run_id
        self._sent = False
        self.report = Report(flow, dry_run=dry_run or not settings.merchant.armed)

    @contextmanager
    def open(self) -> Iterator[Emarsys]:
        """Holds the flow's lock, settles open intents, brings the projection up to date before and after."""
        started = time.perf_counter()
        with locks.held(self.settings.paths.locks, f"flow-{self.flow}"), Emarsys(self.settings) as emarsys:
            self._recover(emarsys)
            project(self.ledger, self.warehouse)
            try:
                yield emarsys
            finally:
                self.report.calls = emarsys.calls
                self.report.seconds = round(time.perf_counter() - started, 3)
                if self._sent:
                    project(self.ledger, self.warehouse)

    def _recover(self, emarsys: Emarsys) -> None:
        """An intent that never reached connecting was certainly not sent; of any other nobody knows."""
        for batch_id, state, keys in self.ledger.open_batches(self.flow):
            if state == "intent":
                verdict = Verdict("retryable", None, "the process ended before it connected")
            else:
                verdict = Verdict("unknown", None, "the process ended before the answer was written down")
            self.ledger.close_batch(batch_id, dict.fromkeys(keys, verdict), emarsys.now(), note="recovered")

    def crash_point(self, name: str) -> None:
        crash.point(name, self.settings.crash_at)

    def plan(self, query: str, count: str, **parameters: object) -> Path | None:
        """The changed records as a file of JSON lines, or None when a gate refuses; asked in the same transaction."""
        self.settings.paths.outbox.mkdir(parents=True, exist_ok=True)
        outbox = self.settings.paths.outbox / f"{self.flow}-{uuid.uuid4().hex[:12]}.ndjson"
        with self.warehouse.write() as connection:
            ensure_delivery_tables(connection)
            self.report.refused = gates.offending(connection, self.flow)
            counts = _named(connection, count, parameters)
            self.report.desired = counts.get("desired", 0)
            self.report.unchanged = counts.get("unchanged", 0)
            self.report.frozen = counts.get("frozen", 0)
            if self.report.refused:
                return None
            asked = {name: value for name, value in parameters.items() if f"${name}" in _sql(query)}
            connection.execute(f"create or replace temp table plan as {_sql(query)}", asked or None)
            connection.execute(f"copy plan to '{outbox}' (format json)")
        self.crash_point("planned")
        return outbox

    def send(
        self,
        emarsys: Emarsys,
        endpoint: str,
        items: Sequence[Intended],
        request: Callable[[Sequence[Intended]], bytes],
        call: Callable[[Sequence[Intended], Connecting], tuple[Mapping[str, Verdict], bytes]],
    ) -> None:
        """Intent, call, outcome – for one batch; split in halves when it is refused as a whole.

        When every record of a split batch is refused alone, the account or our form is at fault, not the records: they
        stay retryable. Raises the `TransportError` when going on makes no sense (that, credentials, permission, no
        connection); by then the outcome has been written.
        """
        trial = _Trial()
        self._send(emarsys, endpoint, items, request, call, trial if len(items) > 1 else None)
        if trial.alone and not trial.taken and trial.error:
            reason = "refused alone like everything else of its batch"
            self.report.count({item.key: Verdict("retryable", None, reason) for item in trial.alone})
            raise trial.error
        for item in trial.alone:
            self._send(emarsys, endpoint, [item], request, call, None)

    def _send(
        self,
        emarsys: Emarsys,
        endpoint: str,
        items: Sequence[Intended],
        request: Callable[[Sequence[Intended]], bytes],
        call: Callable[[Sequence[Intended], Connecting], tuple[Mapping[str, Verdict], bytes]],
        trial: _Trial | None,
    ) -> None:
        self._sent = True
        batch_id = self.ledger.intend(self.flow, endpoint, self.run_id, items, request(items), emarsys.now())
        self.crash_point("intended")
        started = time.perf_counter()
        response, status, note = b"", None, None
        stop: TransportError | None = None
        split = doubtful = False

        def connecting() -> None:
            self.ledger.connecting(batch_id, emarsys.now())
            self.crash_point("connecting")

        def all_of(outcome: answers.Outcome, reason: str, code: str | None = None) -> dict[str, Verdict]:
            return {item.key: Verdict(outcome, code, reason) for item in items}

        try:
            verdicts, response = call(items, connecting)
            status = 200
            if trial:
                trial.taken = True
            self.crash_point("answered")
        except (RefusedBeforeSend, AuthFailed, PermissionMissing) as error:
            verdicts, status, stop = all_of("retryable", error.detail), error.status, error
        except Permanent as error:
            status, note = error.status, error.detail
            code = _reply_code(error)
            if code in _ACCOUNT_FAULTS:
                verdicts = all_of("rejected" if code == "5005" else "retryable", error.body[:300] or error.detail, code)
                stop = None if code == "5005" else error
            elif error.status not in _CONTENT_FAULTS:
                verdicts, stop = all_of("retryable", error.detail, code), error
            elif len(items) > 1:
                verdicts, split = all_of("retryable", "refused as a whole; sent again in halves"), True
            elif trial and not trial.taken:
                verdicts, doubtful = all_of("retryable", "refused alone; what becomes of its batch decides", code), True
                trial.alone.append(items[0])
                trial.error = error
            else:
                verdicts = all_of("rejected", error.body[:300] or error.detail, code)
        except TransportError as error:  # of what was not sent (no token, say) the outcome is known
            verdicts, status = all_of("unknown" if error.sent else "retryable", error.detail), error.status
        except answers.NotTrusted as error:
            verdicts = all_of("unknown", str(error))
        self.ledger.close_batch(
            batch_id,
            verdicts,
            emarsys.now(),
            response=response,
            status=status,
            seconds=round(time.perf_counter() - started, 4),
            note=note,
        )
        self.crash_point("closed")
        if split:
            middle = len(items) // 2
            self._send(emarsys, endpoint, items[:middle], request, call, trial)
            self._send(emarsys, endpoint, items[middle:], request, call, trial)
        if split or doubtful:
            return
        self.report.count(verdicts)
        progress.report(f"{self.flow} sent", self.report.sent, None)
        if stop:
            raise stop


def keep_examples(settings: Settings, report: Report, run_id: str) -> None:
    """Writes the first changes of a dry run beside the outbox, for the person who asked; never to a log."""
    with (settings.paths.outbox / f"dry-run-{run_id}.ndjson").open("a") as file:
        for change in report.changes:
            file.write(json.dumps({"flow": report.flow, **change}, default=str, ensure_ascii=False) + "\n")


def deliver_contacts(delivery: Delivery) -> Report:
    """Contacts whose attributes changed, upserted by e-mail in batches of up to 1,000. Idempotent: unknown goes again."""
    report, merchant = delivery.report, delivery.settings.merchant
    fingerprint = payloads.field_map_fingerprint(merchant)
    with delivery.open() as emarsys:
        outbox = delivery.plan("plan_contacts", "count_contacts", fingerprint=fingerprint)
        if outbox is None:
            return report
        try:
            if outbox.stat().st_size == 0:
                return report
            fields = emarsys.fields()
            if report.dry_run:  # what the account lacks would be made first; a dry run shows the values all the same
                known = {field.get("string_id") for field in fields}
                wanted = (row.string_id for row in merchant.contacts.field_map)
                fields += [{"id": name, "string_id": name} for name in wanted if name not in known]
            mapper = payloads.ContactMapper(merchant, fields, _choices(emarsys, merchant.contacts.field_map, fields))

            def call(items: Sequence[Intended], connecting: Connecting) -> tuple[Mapping[str, Verdict], bytes]:
                content = emarsys.upsert_contacts([rows[item.key] for item in items], connecting)
                found = answers.batch(content, [item.key for item in items])
                report.strangers += found.strangers
                return found.by_key, json.dumps(content).encode()

            def request(items: Sequence[Intended]) -> bytes:
                return json.dumps([rows[item.key] for item in items], ensure_ascii=False).encode()

            for planned in _batches(outbox, BATCH):
                rows: dict[str, dict[str, str]] = {}
                items: list[Intended] = []
                for row in planned:
                    before = row["before"] or {}
                    wire, kept = mapper.row(row["key"], row["attributes"], row["derived"], row["consent"], before)
                    if report.dry_run:
                        report.would(key=row["key"], changes=_changes(before, kept))
                        continue
                    rows[row["key"]] = wire
                    items.append(Intended(row["key"], json.dumps(kept, ensure_ascii=False), row["payload_hash"]))
                if items:
                    delivery.send(emarsys, "PUT contact", items, request, call)
            report.shortened = mapper.shortened
        finally:
            outbox.unlink(missing_ok=True)
    return report


def deliver_sales(delivery: Delivery) -> Report:
    """Sales lines not yet accepted, and reversals of accepted ones that are no longer right, up to 500 documents a file.

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
        try:

            def request(items: Sequence[Intended]) -> bytes:
                return payloads.sales_csv((json.loads(item.payload) for item in items), merchant.emarsys.sales_header)

            def call(items: Sequence[Intended], connecting: Connecting) -> tuple[Mapping[str, Verdict], bytes]:
                text = emarsys.upload_sales(request(items), connecting)
                return {item.key: ACCEPTED for item in items}, text.encode()

            items: list[Intended] = []
            documents: set[str] = set()
            size = planned = 0
            for row in _rows(outbox):
                lines = abs(row["difference"])
                planned += max(row["difference"], 0)
                if row["frozen"] or row["waits"]:
                    which = "frozen" if row["frozen"] else "waiting"
                    setattr(report, which, getattr(report, which) + lines)
                    continue
                reversal = row["difference"] < 0
                payload = payloads.sales_line(row, reversal=reversal)
                if report.dry_run:
                    for _ in range(lines):
                        report.would(
                            key=row["document"], changes=[("line", None, f"{payload['item']} {payload['price']}")]
                        )
                    continue
                if row["document"] not in documents and (len(documents) >= _SALES_DOCUMENTS or size > _SALES_BYTES):
                    delivery.send(emarsys, "POST sales-data", items, request, call)
                    items, documents, size = [], set(), 0
                documents.add(row["document"])
                used = row["reversals_used"] if reversal else row["lines_used"]
                for ordinal in range(used + 1, used + 1 + lines):
                    item = _line(row["document"], payload, ordinal)
                    size += len(item.payload)
                    items.append(item)
            if items:
                delivery.send(emarsys, "POST sales-data", items, request, call)
            report.unchanged = max(report.desired - planned, 0)
        finally:
            outbox.unlink(missing_ok=True)
    return report


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
                    elif len(json.dumps(row["data"])) > _EVENT_BYTES:
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
        found = answers.batch(content, emails)
        delivery.report.strangers += found.strangers
        return {emails[email]: verdict for email, verdict in found.by_key.items()}, json.dumps(content).encode()

    items = [Intended(row["key"], json.dumps(contacts[row["key"]], ensure_ascii=False)) for row in due]
    delivery.send(emarsys, "POST event/trigger", items, request, call)


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
    for row in _rows(outbox):
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


def _wait_until_settled(delivery: Delivery, emarsys: Emarsys, settle: timedelta) -> None:
    """Sales lines of a contact Emarsys does not know yet land on a pseudo contact for good: the newest one must settle."""
    if delivery.report.dry_run:
        return
    with delivery.warehouse.read() as connection:
        newest = connection.execute(
            "select max(accepted_at) from delivery.delivered where flow = 'contacts'"
        ).fetchone()
    while newest and newest[0] and (left := (newest[0] + settle - emarsys.now()).total_seconds()) > 0:
        progress.report("seconds until new contacts have settled", 0, round(left))
        time.sleep(min(left, 5))


def _line(document: str, payload: Mapping[str, Any], ordinal: int) -> Intended:
    sign = "-" if payload["reversal"] else "+"
    key = f"{document}#{payload['item']}#{payload['base_price']}#{payload['base_quantity']}#{sign}{ordinal}"
    text = json.dumps(payload, ensure_ascii=False)
    return Intended(key, text, hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), document)


def _choices(
    emarsys: Emarsys, field_map: Sequence[Any], fields: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, str]]:
    chosen = {row.string_id for row in field_map if row.type == "choice"}
    return {
        str(field["string_id"]): emarsys.choices(str(field["id"]))
        for field in fields
        if field.get("string_id") in chosen
    }


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
    names = sorted(before.keys() | after.keys())
    return [(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def _reply_code(error: TransportError) -> str | None:
    try:
        return str(json.loads(error.body)["replyCode"])
    except (ValueError, KeyError, TypeError):
        return None


def _rows(outbox: Path) -> Iterator[dict[str, Any]]:
    with outbox.open() as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _batches(outbox: Path, size: int) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    written = 0
    for row in _rows(outbox):
        length = len(json.dumps(row))  # as it goes over the wire: other letters than ASCII take six bytes each
        if batch and (len(batch) >= size or written + length > _MAX_BYTES):
            yield batch
            batch, written = [], 0
        batch.append(row)
        written += length
    if batch:
        yield batch


def _sql(query: str) -> str:
    return (_QUERIES / f"{query}.sql").read_text()


def _named(connection: DuckDBPyConnection, query: str, parameters: Mapping[str, object]) -> dict[str, int]:
    sql = _sql(query)
    asked = {name: value for name, value in parameters.items() if f"${name}" in sql}
    cursor = connection.execute(sql, asked or None)
    row = cursor.fetchone() or ()
    return {column[0]: int(value) for column, value in zip(cursor.description or [], row, strict=False)}
