"""Vendors on a bad day: nothing lost, nothing doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from cin7_emarsys_tests.end_to_end.conftest import Place, make_place, warehouse

pytestmark = pytest.mark.trouble


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        ("throttle-text", "/salelist?"),
        ("throttle-429", "/product?"),
        ("throttle-503", "/sale?"),
        ("html-200", "/customer?"),
        ("error-200", "/productfamily?"),
        ("truncated", "/sale?"),
        ("shifted-page", "/customer?"),
        ("incomplete-snapshot", "/ref/productavail"),
        ("server-error", "/sale?"),
    ],
)
def test_a_read_side_fault_leaves_the_same_warehouse(loaded: Place, tmp_path: Path, fault: str, path: str) -> None:
    """Read into a warehouse of its own; nothing is sent, so the sandbox may be shared."""
    place = make_place(tmp_path / "project", loaded.environment)
    place.ask("CIN7", "/_sandbox/faults", [{"name": fault, "service": "cin7", "path": path, "nth": 1}], "PUT")
    try:
        outcome = place.sync("nightly", dry_run=True, code=None)
        (met,) = place.ask("CIN7", "/_sandbox/faults")
    finally:
        place.ask("CIN7", "/_sandbox/faults", [], "PUT")
    assert met["fired"] == 1
    if not outcome["ok"]:  # a fault may end a run, clearly; the next one goes on from there
        assert outcome["errors"]
        assert place.sync("nightly", dry_run=True)["ok"]
    assert warehouse(place) == warehouse(loaded)


@pytest.mark.parametrize("fault", ["incomplete-snapshot", "shifted-page"])
def test_a_snapshot_that_cannot_be_trusted_exports_nothing_and_heals(loaded: Place, place: Place, fault: str) -> None:
    place.ask("CIN7", "/_sandbox/faults", [{"name": fault, "service": "cin7", "path": "productavailability"}], "PUT")
    outcome = place.sync("nightly", code=None)
    untrusted = [check for check in outcome["checks"] if check["name"] == "snapshot_trusted" and not check["passed"]]
    assert untrusted and untrusted[0]["next_step"]
    assert place.ask("EMARSYS", "/_sandbox/requests?limit=1")["total"] == 0
    place.ask("CIN7", "/_sandbox/faults", [], "PUT")
    assert place.sync("nightly")["ok"]
    assert warehouse(place) == warehouse(loaded)
    assert place.judged() == loaded.judged()
