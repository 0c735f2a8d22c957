"""Delivery: desired minus delivered, written down, sent, judged record by record, written down again.

What belongs here: the one loop all flows share. What does not: what is particular to a flow (``contacts.py``, ``sales.py``,
``events.py``, ``catalogue.py``), the wire (``client.py``), the form (``payloads.py``), and the tables (``ledger.py``).

The warehouse is read into an outbox file and closed before the first call; while the network is slow nobody waits for us.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from cin7_emarsys import locks, progress
from cin7_emarsys.emarsys import answers, crash
from cin7_emarsys.emarsys.answers import Verdict
from cin7_emarsys.emarsys.client import Connecting, Emarsys
from cin7_emarsys.emarsys.engagement_cloud import connect
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
# Refusals of a whole batch that no splitting can cure: the account, not a record, is at fault.
_ACCOUNT_FAULTS = ("2004", "2013", "2020", "5001", "5004", "5005")
# Only these say that the content is at fault; another 4xx (an unknown address or merchant) says nothing about a record.
_CONTENT_FAULTS = (400, 413, 422)
_EXAMPLES = 20


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
        with locks.held(self.settings.paths.locks, f"flow-{self.flow}"), connect(self.settings) as emarsys:
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


def _reply_code(error: TransportError) -> str | None:
    try:
        return str(json.loads(error.body)["replyCode"])
    except (ValueError, KeyError, TypeError):
        return None


def rows_of(outbox: Path) -> Iterator[dict[str, Any]]:
    with outbox.open() as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _sql(query: str) -> str:
    return (_QUERIES / f"{query}.sql").read_text()


def _named(connection: DuckDBPyConnection, query: str, parameters: Mapping[str, object]) -> dict[str, int]:
    sql = _sql(query)
    asked = {name: value for name, value in parameters.items() if f"${name}" in sql}
    cursor = connection.execute(sql, asked or None)
    row = cursor.fetchone() or ()
    return {column[0]: int(value) for column, value in zip(cursor.description or [], row, strict=False)}
