"""Delivery: one run of one flow – its lock, what a dead process left, its plan (desired minus delivered), its report.

What belongs here: what all flows share before and after they send. What does not: a batch (``sending.py``), what is
particular to a flow (``contacts.py``, ``sales.py``, ``events.py``, ``catalogue.py``), the wire (``client.py``), the form
(``payloads.py``), and the tables (``ledger.py``).

The warehouse is read into an outbox file and closed before the first call; while the network is slow nobody waits for us.
"""

from __future__ import annotations

import getpass
import json
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from cin7_emarsys import crash, disk, locks
from cin7_emarsys.emarsys.answers import Verdict
from cin7_emarsys.emarsys.client import Emarsys
from cin7_emarsys.emarsys.engagement_cloud import connect
from cin7_emarsys.emarsys.ledger import Ledger
from cin7_emarsys.emarsys.projection import in_little_memory, project, projected
from cin7_emarsys.erased import Erased
from cin7_emarsys.settings import Settings
from cin7_emarsys.warehouse import gates
from cin7_emarsys.warehouse.connections import Warehouse

_QUERIES = Path(__file__).parent / "queries"
_EXAMPLES = 20
_PART = 20_000  # records worked out at a time, where the query can do with a part of them


@dataclass
class Report:
    """What one flow did, in records: desired = unchanged + sent + waiting + frozen + withheld (by rule) + earlier dead
    letters; sent = accepted + rejected + retryable + unknown. ``dead_letters`` are those it made; ``calls`` to Emarsys,
    ``seconds`` in all. A record that was sent again within the run (in a part of its batch, after a race) counts once.
    ``guarded`` counts, by guard, what was not done though the rest of the record may have gone."""

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
    dead_letters: int = 0
    folded: int = 0
    withheld: dict[str, int] = field(default_factory=dict)
    guarded: dict[str, int] = field(default_factory=dict)
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


class Delivery:
    """One run of one flow. Use as a context manager: it holds the flow's lock and recovers what a dead process left."""

    def __init__(
        self,
        flow: str,
        settings: Settings,
        warehouse: Warehouse,
        ledger: Ledger,
        run_id: str | None,
        *,
        dry_run: bool,
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        self.flow, self.settings, self.warehouse, self.ledger, self.run_id = flow, settings, warehouse, ledger, run_id
        self.sent = False
        self._overrides = dict(overrides or {})
        armed = settings.merchant.armed or self.overridden("not_armed")
        self.report = Report(flow, dry_run=dry_run or not armed)

    def overridden(self, guard: str) -> bool:
        """Whether a person has overridden this guard for this run."""
        return guard in self._overrides

    def keep_overrides(self) -> None:
        """Notes in the audit who overrode what for this run, and why, before anything is sent under it."""
        for guard, reason in self._overrides.items():
            details = json.dumps({"guard": guard, "flow": self.flow, "run": self.run_id})
            at = datetime.now(UTC).replace(tzinfo=None)
            self.ledger.write_audit(getpass.getuser(), f"sync --override {guard}", reason, details, at)

    def refusing(self, connection: DuckDBPyConnection) -> list[gates.Gate]:
        """The gates that stop this flow, without those that are overridden."""
        return [gate for gate in gates.offending(connection, self.flow) if not self.overridden(gate.name)]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the flow's lock, of this machine and of the ledger."""
        with locks.held(self.settings.paths.locks, f"flow-{self.flow}"), self.ledger.alone(self.flow):
            yield

    @contextmanager
    def open(self) -> Iterator[Emarsys]:
        """Holds the flow's lock, settles open intents, and brings the projection up to date when something was sent."""
        started = time.perf_counter()
        with self.alone(), connect(self.settings) as emarsys:
            self._erased = Erased(self.settings.paths.state)  # by now: an erasure waits for this lock
            self._recover(emarsys)
            try:
                yield emarsys
            finally:
                self.report.calls = emarsys.calls
                self.report.seconds = round(time.perf_counter() - started, 3)
                if self.sent:
                    project(self.ledger, self.warehouse)
                    crash.point("moved")

    def _recover(self, emarsys: Emarsys) -> None:
        """An intent that never reached connecting was certainly not sent; of any other nobody knows."""
        for batch_id, state, keys in self.ledger.open_batches(self.flow):
            if state == "intent":
                verdict = Verdict("retryable", None, "the process ended before it connected")
            else:
                reason = "the process ended before the answer was written down"
                verdict = Verdict("unknown", None, reason, attempt=True)
            self.ledger.close_batch(batch_id, dict.fromkeys(keys, verdict), emarsys.now(), note="recovered")

    def plan(self, query: str, count: str, **parameters: object) -> Path | None:
        """The changed records as a file of JSON lines, or None when a gate refuses; asked in the same transaction, in which
        the projection has been brought up to date."""
        self.settings.paths.outbox.mkdir(parents=True, exist_ok=True)
        for left in self.settings.paths.outbox.glob(
            f"{self.flow}-*.ndjson"
        ):  # by a process that died: we hold the lock
            left.unlink(missing_ok=True)
        outbox = self.settings.paths.outbox / f"{self.flow}-{uuid.uuid4().hex[:12]}.ndjson"
        if not in_little_memory(partial(self._write_plan, outbox, query, count, parameters)):
            return None
        crash.point("planned")
        return outbox

    def _write_plan(
        self, outbox: Path, query: str, count: str, parameters: Mapping[str, object], limits: Mapping[str, str]
    ) -> bool:
        """Whether no gate refused."""
        with projected(self.ledger, self.warehouse, limits) as connection:
            self.report.refused = self.refusing(connection)
            counts = _named(connection, count, parameters)
            self.report.desired = counts.get("desired", 0)
            self.report.unchanged = counts.get("unchanged", 0)
            self.report.frozen = counts.get("frozen", 0)
            if self.report.refused:
                return False
            sql = _sql(query)
            parts = self.report.desired // _PART + 1 if "$parts" in sql else 1
            piece = outbox.with_suffix(".part.ndjson")
            with outbox.open("wb") as whole:
                for part in range(parts):
                    asked = _mentioned({**parameters, "parts": parts, "part": part}, sql)
                    connection.execute(f"copy (\n{sql}\n) to {disk.literal(piece)} (format json)", asked)
                    with piece.open("rb") as lines:
                        shutil.copyfileobj(lines, whole)
            piece.unlink()
        return True

    def forgotten(self, address: str, records: int = 1) -> bool:
        """Whether these records are of an erased person, whom the warehouse still has if her erasure was broken off."""
        if not self._erased.knows(address):
            return False
        self.report.withhold("erased", records)
        return True

    def close_moot(self, query: str) -> None:
        """Closes dead letters that nobody wants sent any more; ``query`` gives their keys."""
        with self.warehouse.read() as connection:
            keys = [key for (key,) in connection.execute(_sql(query)).fetchall()]
        if keys and not self.report.dry_run:
            at = datetime.now(UTC).replace(tzinfo=None)
            self.sent |= self.ledger.close_dead_letters(self.flow, keys, "no longer wanted", at) > 0


def keep_examples(settings: Settings, report: Report, run_id: str) -> None:
    """Writes the first changes of a dry run beside the outbox, for the person who asked; never to a log."""
    with (settings.paths.outbox / f"dry-run-{run_id}.ndjson").open("a") as file:
        for change in report.changes:
            file.write(json.dumps({"flow": report.flow, **change}, default=str, ensure_ascii=False) + "\n")


def rows_of(outbox: Path) -> Iterator[dict[str, Any]]:
    with outbox.open() as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _sql(query: str) -> str:
    return (_QUERIES / f"{query}.sql").read_text()


def _mentioned(parameters: Mapping[str, object], sql: str) -> dict[str, object] | None:
    """Those parameters that the query has: DuckDB refuses the others."""
    return {name: value for name, value in parameters.items() if f"${name}" in sql} or None


def _named(connection: DuckDBPyConnection, query: str, parameters: Mapping[str, object]) -> dict[str, int]:
    sql = _sql(query)
    cursor = connection.execute(sql, _mentioned(parameters, sql))
    row = cursor.fetchone() or ()
    return {column[0]: int(value) for column, value in zip(cursor.description or [], row, strict=False)}
