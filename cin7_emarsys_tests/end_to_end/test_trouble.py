"""Vendors on a bad day: nothing lost, nothing doubled."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cin7_emarsys_tests.end_to_end.conftest import Place, make_place, warehouse

_soak = pytest.mark.soak


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        pytest.param("throttle-text", "/salelist?", marks=_soak),
        pytest.param("throttle-429", "/product?", marks=_soak),
        pytest.param("throttle-503", "/sale?", marks=_soak),
        pytest.param("html-200", "/customer?", marks=_soak),
        pytest.param("error-200", "/productfamily?", marks=_soak),
        ("truncated", "/sale?"),
        pytest.param("shifted-page", "/customer?", marks=_soak),
        pytest.param("incomplete-snapshot", "/ref/productavail", marks=_soak),
        pytest.param("server-error", "/sale?", marks=_soak),
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


@pytest.mark.parametrize("fault", ["incomplete-snapshot", pytest.param("shifted-page", marks=_soak)])
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


_PATHS = {"contacts": "/contact/?", "sales": "sales-data", "events": "/trigger"}


@pytest.mark.parametrize(
    "faults",
    [
        {"contacts": "applied-then-503", "sales": "applied-then-503", "events": "applied-then-503"},
        {"contacts": "partial-reject", "sales": "applied-then-503", "events": "partial-reject"},
    ],
    ids=["applied-then-503", "partial-reject"],
)
def test_a_day_under_write_side_faults_doubles_nothing(busy: Place, faults: dict[str, str]) -> None:
    """Contacts, sales lines and events of a day are in flight when Emarsys misbehaves."""
    (before,) = busy.rows("select coalesce(max(batch_id), 0) from delivery.batches")[0]
    busy.ask("CIN7", "/_sandbox/merchant", {"do": "day"})
    specs = [{"name": name, "service": "emarsys", "path": _PATHS[flow], "nth": 1} for flow, name in faults.items()]
    busy.ask("EMARSYS", "/_sandbox/faults", specs, "PUT")
    busy.sync("orders", code=None)
    fired = [spec["fired"] for spec in busy.ask("EMARSYS", "/_sandbox/faults")]
    busy.ask("EMARSYS", "/_sandbox/faults", [], "PUT")
    assert fired == [1, 1, 1]
    of_this_day = f" and batch_id > {before}"
    busy.sync("orders", code=None)

    conserved = "select batch_id from delivery.batches left join delivery.records using (batch_id) group by all " \
        "having any_value(batches.records) <> count(records.outcome)"  # fmt: skip
    assert busy.rows(conserved) == []
    rejected = busy.rows("select flow, key, reason from delivery.records where outcome = 'rejected'" + of_this_day)
    assert sorted({flow for flow, _, _ in rejected}) == sorted(
        f for f, name in faults.items() if name == "partial-reject"
    )
    assert all(reason for _, _, reason in rejected)

    judged = busy.judged()
    events = Counter(trigger for _, trigger, _ in judged["events"])
    assert events and set(events.values()) == {1}
    lines = Counter((o, i, round(p, 4), q, e) for o, i, p, q, e, _ in judged["sales"])
    mart = busy.rows('select "order", item, price, quantity, email from mart.sales_lines')
    wanted = Counter((o, i, float(p), float(q), e) for o, i, p, q, e in mart)
    assert lines - wanted == Counter()
    # all that is there was applied once: what got no answer is parked as unknown, never sent again
    refused = {key for flow, key, _ in rejected if flow == "contacts"}
    assert {line[4] for line in wanted - lines} <= refused
    parked = busy.rows(
        "select distinct flow from delivery.records where outcome = 'unknown' and flow <> 'contacts'" + of_this_day
    )
    assert sorted(flow for (flow,) in parked) == sorted(
        flow for flow, name in faults.items() if name == "applied-then-503" and flow != "contacts"
    )


def test_wrong_credentials_are_one_clear_sentence(loaded: Place, tmp_path: Path) -> None:
    wrong = {**loaded.environment, "CIN7_APPLICATION_KEY": "00000000-0000-0000-0000-000000000000"}
    place = make_place(tmp_path / "project", wrong)
    before = place.ask("CIN7", "/_sandbox/requests?limit=1")["total"]
    outcome = place.sync("products", code=1)
    assert outcome["errors"]
    assert all("403" in sentence and "doctor" in sentence for sentence in outcome["errors"].values())
    assert wrong["CIN7_APPLICATION_KEY"] not in str(outcome)
    # one call for each list of the job, and none again
    assert place.ask("CIN7", "/_sandbox/requests?limit=1")["total"] - before <= 2
