"""A few rows of the fault table: whatever fails, nothing is lost, doubled or wrong, and at most one batch is parked."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults import cases
from benchmarks.trial import Judged, Stage, Vendors, compare
from cin7_emarsys_tests.emarsys.conftest import Project, contact, order_event, product, sales_line

ANA, BEN = "ana@example.com", "ben@example.com"
EMAILS = [f"c{number}@example.com" for number in range(4)]
# The name, and how many records are parked: applied, and not applied.
TRIED = {
    "applied-then-503 on sales": (8, 0),
    "reset-after on events, no de-duplication": (4, 0),
    "connecting:kill in events": (0, 4),
    "file_in_place:disk-full in catalogue": (0, 0),
}


@pytest.fixture
def stage(work: Project, tmp_path: Path) -> Iterator[Stage]:
    """A place that has something to send in each flow."""
    work.contacts(*(contact(email, ltv="12.50") for email in EMAILS))
    lines = [sales_line(str(n), item, 10, email=email) for n, email in enumerate(EMAILS) for item in ("A", "B")]
    work.fill("mart.sales_lines", *lines)
    work.fill("mart.order_events", *(order_event(f"t{n}", email=email) for n, email in enumerate(EMAILS)))
    work.fill("mart.catalogue", product("A"), product("B", available=False))
    shutil.copytree(work.state, tmp_path / "stage" / "after")
    vendors = Vendors()
    yield Stage(tmp_path / "stage", vendors)
    vendors.close()


@pytest.mark.trouble
def test_rows_of_the_fault_table(stage: Stage) -> None:
    right = stage.right("after")
    assert (len(right.contacts), sum(right.sales.values()), sum(right.events.values()), len(right.items)) == (
        4,
        8,
        4,
        2,
    )
    found = {}
    for case in cases():
        if case.name in TRIED:
            found[case.name] = compare(case.name, right, *stage.trial(case.start, case.disturbed, case.switches))
    assert {row.case: (row.lost, row.doubled, row.wrong) for row in found.values()} == dict.fromkeys(TRIED, (0, 0, 0))
    assert {row.case: (row.parked_but_applied, row.parked_not_applied) for row in found.values()} == TRIED
    assert max(row.parked_batches for row in found.values()) == 1


def test_the_comparison_sees_what_is_lost_doubled_and_wrong() -> None:
    line, event = ("A", 10.0, "SO-1"), ("t1", ANA, "shipped")
    right = Judged({ANA: "1", BEN: "1"}, Counter([line, line]), Counter([event]), {"A": "1"})

    def told(**found: Any) -> tuple[int, int, int]:
        row = compare("", right, replace(right, **found), (0, 0, 0, 0), 0.0, 1)
        return row.lost, row.doubled, row.wrong

    assert told() == (0, 0, 0)
    assert told(contacts={}, sales=Counter([line]), events=Counter(), items={}) == (5, 0, 0)
    assert told(contacts={ANA: "2", BEN: "1", "x": "1"}, items={"A": "2"}) == (0, 0, 3)
    assert told(sales=Counter([line] * 4), events=Counter([event] * 2)) == (0, 3, 0)
    assert told(events=Counter([event, ("t2", ANA, "shipped")])) == (0, 0, 1)
