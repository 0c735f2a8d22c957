"""A process that is killed: nothing lost, nothing doubled."""

from __future__ import annotations

import time

from cin7_emarsys_tests.end_to_end.conftest import Place, warehouse


def test_kill_at_any_moment_then_sync_again(loaded: Place, place: Place) -> None:
    for moment in (3.0, 6.0, 9.0):
        process = place.start("sync", "nightly", "--json")
        time.sleep(moment)
        process.kill()
        process.communicate()
    place.sync("nightly")
    assert warehouse(place) == warehouse(loaded)
    unknown = place.rows("select key from delivery.records where outcome = 'unknown' and flow in ('sales', 'events')")
    mine, undisturbed = place.judged(), loaded.judged()
    assert mine["contacts"] == undisturbed["contacts"]
    assert mine["events"] == undisturbed["events"]
    assert len(set(mine["sales"])) >= len(set(undisturbed["sales"])) - len(unknown)
    doubled = [line for line in set(mine["sales"]) if mine["sales"].count(line) > undisturbed["sales"].count(line)]
    assert doubled == []
