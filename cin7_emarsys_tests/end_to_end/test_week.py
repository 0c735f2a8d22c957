"""Two days at a merchant under random faults and failures, as the benchmark lives through a week."""

from __future__ import annotations

import pytest

from benchmarks.week import live


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_or_doubled(seed: int) -> None:
    week = live("small", 2, seed)
    assert week.differences == []
    assert (week.lost, week.doubled, week.wrong) == (0, 0, 0)
    assert week.faults + week.failures > 0
    assert week.events and week.lines and all(flow.calls for name, flow in week.flows.items() if name != "catalogue")
