"""The fault table: each fault of the sandbox and each crash point, until quiet, judged by what the vendors really hold.

Each row is a trial of its own: a merchant's day of business goes to a fresh account, and something fails – a fault on the
way of one flow, or the process at one point, by kill -9, an exception or a full disk. Then the flows run until nothing is
left to do, a person resolves what is parked by the judge's truth, they run again, and the judge is compared with a run that
nothing disturbed. Goal: lost, doubled and wrong 0 in every row, and parked at most one batch.

``--quick`` tries a few of each kind. Faults of reading and failures while reading are judged at Emarsys as well.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.trial import Row, Stage, Trial, Vendors, compare, fail
from cin7_emarsys import crash
from cin7_emarsys.sandbox.faults import default_specs

PATHS = {"contacts": "/contact/?", "sales": "/sales-data", "events": "/trigger"}
READING = ("page_landed", "landed", "loaded", "watermark")
PUBLISHING = ("file_written", "file_in_place", "published")
ERASING = ("hashed", "deleted_there", "ledger_erased", "files_erased", "warehouse_erased")
DELIVERING = tuple(name for name in crash.POINTS if name not in (*READING, *PUBLISHING, *ERASING))
WRITE_FAULTS = (
    "throttle-429", "throttle-503", "throttle-text", "server-error", "html-200", "error-200", "truncated", "slow",
    "reset-before", "reset-after", "applied-then-503", "auth-expired", "clock-skew",
)  # fmt: skip
READ_FAULTS = (
    "throttle-429", "throttle-503", "throttle-text", "server-error", "html-200", "error-200", "truncated", "slow",
    "reset-before", "auth-expired", "clock-skew", "incomplete-snapshot", "shifted-page", "duplicate-row", "schema-change",
)  # fmt: skip
IN_DOUBT = ("reset-before", "reset-after", "applied-then-503", "server-error", "html-200", "truncated")
QUICK = {
    "applied-then-503 on sales",
    "reset-after on events",
    "reset-after on contacts, for long",
    "partial-reject on contacts",
    "reset-after on events, no de-duplication",
    "sent:kill in events",
    "answered:exception in sales",
    "intended:disk-full in contacts",
    "file_in_place:kill in catalogue",
    "landed:disk-full in read",
}


@dataclass(frozen=True)
class Case:
    """A name, the state it starts from, what goes wrong, and what the account is like."""

    name: str
    start: str
    disturbed: Callable[[Trial], None]
    switches: Mapping[str, object] | None = None


def cases() -> Iterator[Case]:
    """All trials."""
    yield from _write_faults()
    yield from _crashes(dict.fromkeys(PATHS, DELIVERING) | {"catalogue": ("planned", *PUBLISHING)})
    yield from _read_faults()
    yield from _crashes({"read": READING})


def _fault(*specs: dict[str, Any]) -> Callable[[Trial], None]:
    return lambda trial: trial.vendors.faults.set(list(specs))


def _write_faults() -> Iterator[Case]:
    for name in WRITE_FAULTS:
        for flow, path in PATHS.items():
            spec: dict[str, Any] = {"name": name, "service": "emarsys", "path": path, "nth": 1}
            if name == "slow":
                spec["seconds"] = 0.5
            if name == "clock-skew":
                spec = {"name": name, "service": "emarsys"}
            yield Case(f"{name} on {flow}", "after", _fault(spec))
    for flow in ("contacts", "events"):
        spec = {"name": "partial-reject", "service": "emarsys", "path": PATHS[flow], "nth": 1}
        yield Case(f"partial-reject on {flow}", "after", _fault(spec))
    for name in IN_DOUBT:
        spec = {"name": name, "service": "emarsys", "path": PATHS["contacts"], "nth": 1, "times": 9}
        yield Case(f"{name} on contacts, for long", "after", _fault(spec))
    none = {"interactions": True, "campaign_deduplication": False}
    programs = {"interactions": True, "program_events": [f"cin7_{name}" for name in _EVENTS]}
    for name in IN_DOUBT:
        for nth in (1, 2):  # the first call to an event, and one after Emarsys has told what hangs on it
            spec = {"name": name, "service": "emarsys", "path": PATHS["events"], "nth": nth}
            which = "events" if nth == 1 else "2nd events"
            yield Case(f"{name} on {which}, no de-duplication", "after", _fault(spec), none)
        spec = {"name": name, "service": "emarsys", "path": PATHS["events"], "nth": 1}
        yield Case(f"{name} on events, by programs", "after", _fault(spec), programs)


_EVENTS = (
    "first_purchase",
    "repeat_purchase",
    "order_shipped",
    "order_backordered",
    "refund_issued",
    "order_cancelled",
)


def _read_faults() -> Iterator[Case]:
    for name in READ_FAULTS:
        specs = [spec for spec in default_specs([name]) if spec["service"] == "cin7"]
        if name == "auth-expired":
            specs = [{"name": name, "service": "cin7", "path": "/sale?", "nth": 2}]
        if name == "clock-skew":
            specs = [{"name": name, "service": "cin7"}]

        def disturbed(trial: Trial, specs: list[dict[str, Any]] = specs) -> None:
            trial.vendors.faults.set(specs)
            trial.read(3)

        yield Case(f"{name} in reading", "before", disturbed)


def _crashes(steps: Mapping[str, Sequence[str]]) -> Iterator[Case]:
    for step, points in steps.items():
        for point in points:
            for mode in crash.MODES:

                def disturbed(trial: Trial, step: str = step, point: str = point, mode: str = mode) -> None:
                    if step != "read":
                        trial.flows_before(step)
                    if not fail(step, point, mode):
                        raise RuntimeError(f"{step} did not fail at {point} by {mode}")
                    if step == "read":
                        trial.read(3)

                start = "before" if step == "read" else "after"
                yield Case(f"{point}:{mode} in {step}", start, disturbed)


def rows(chosen: Iterable[Case], tell: Callable[[Row], None]) -> list[Row]:
    """Runs the trials one after another."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        vendors = Vendors()
        try:
            stage = Stage(Path(folder), vendors)
            stage.business()
            for case in chosen:
                right = stage.right(case.start)
                found.append(compare(case.name, right, *stage.trial(case.start, case.disturbed, case.switches)))
                tell(found[-1])
        finally:
            vendors.close()
    return found


_COLUMNS = {"lost": 6, "doubled": 9, "wrong": 7, "there": 7, "not": 6, "late": 9, "dead": 6}
_WIDTH = 50


def _told(row: Row) -> str:
    parked = (row.parked_but_applied, row.parked_not_applied)
    figures = (row.lost, row.doubled, row.wrong, *parked, row.late_s, row.dead_letters)
    return f"{row.case:<{_WIDTH}}" + "".join(f"{f:>{w}}" for f, w in zip(figures, _COLUMNS.values(), strict=True))


def main() -> None:
    as_json = "--json" in sys.argv
    wanted = [case for case in cases() if "--quick" not in sys.argv or case.name in QUICK]
    only = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    wanted = [case for case in wanted if not only or any(part in case.name for part in only)]
    if not as_json:
        print(
            "In records. there, not: parked, and at Emarsys or not; late: simulated seconds from the first write to the"
        )
        print("last; dead: dead letters, which a person let go again.\n")
        print(" " * _WIDTH + "".join(f"{name:>{width}}" for name, width in _COLUMNS.items()))
    began = time.perf_counter()
    found = rows(wanted, lambda row: None if as_json else print(_told(row), flush=True))
    if as_json:
        print(json.dumps({"rows": [asdict(row) for row in found]}))
        return
    bad = [row for row in found if row.lost or row.doubled or row.wrong or row.parked_batches > 1]
    print(
        f"\n{len(found)} trials in {time.perf_counter() - began:.0f} s; {len(bad)} with something lost, doubled or wrong, "
        "or with more than one batch parked"
    )


if __name__ == "__main__":
    main()
