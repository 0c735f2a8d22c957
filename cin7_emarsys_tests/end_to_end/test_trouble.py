"""Vendors on a bad day: nothing lost, nothing doubled."""

from __future__ import annotations

import pytest

from cin7_emarsys_tests.end_to_end.conftest import Place, warehouse


def test_read_side_faults_leave_the_samewarehouse(loaded: Place, place: Place) -> None:
    names = [
        "throttle-429",
        "throttle-503",
        "throttle-text",
        "html-200",
        "error-200",
        "truncated",
        "server-error",
        "slow",
    ]
    specs = [{"name": name, "service": "cin7", "nth": 5 + 4 * n} for n, name in enumerate(names)]
    place.ask("CIN7", "/_sandbox/faults", specs, "PUT")
    outcome = place.sync("nightly", code=None)
    if not outcome["ok"]:  # a fault may end a run, clearly; the next one goes on from there
        assert outcome["errors"]
        place.ask("CIN7", "/_sandbox/faults", [], "PUT")
        assert place.sync("nightly")["ok"]
    assert warehouse(place) == warehouse(loaded)
    assert place.judged() == loaded.judged()


@pytest.mark.parametrize("fault", ["shifted-page", "incomplete-snapshot"])
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


def test_write_side_faults_double_nothing(loaded: Place, place: Place) -> None:
    specs = [
        {"name": "partial-reject", "service": "emarsys", "path": "/contact", "nth": 1},
        {"name": "applied-then-503", "service": "emarsys", "path": "sales-data", "nth": 1},
        {"name": "applied-then-503", "service": "emarsys", "path": "/contact", "nth": 2},
    ]
    place.ask("EMARSYS", "/_sandbox/faults", specs, "PUT")
    place.sync("nightly", code=None)
    place.ask("EMARSYS", "/_sandbox/faults", [], "PUT")
    place.sync("nightly")
    conserved = "select batch_id from delivery.batches left join delivery.records using (batch_id) group by all " \
        "having any_value(batches.records) <> count(records.outcome)"  # fmt: skip
    assert place.rows(conserved) == []
    rejected = place.rows("select key, reason from delivery.records where outcome = 'rejected'")
    assert len(rejected) == 1 and rejected[0][1]
    # every line is there once: what was applied without an answer is parked as unknown, never sent again
    assert [line for line in place.judged()["sales"] if line[4] != rejected[0][0]] == [
        line for line in loaded.judged()["sales"] if line[4] != rejected[0][0]
    ]
    assert place.rows("select count(*) > 0 from delivery.records where flow = 'sales' and outcome = 'unknown'") == [
        (True,)
    ]


def test_wrong_credentials_are_one_clear_sentence(place: Place) -> None:
    place.environment = {**place.environment, "CIN7_APPLICATION_KEY": "00000000-0000-0000-0000-000000000000"}
    outcome = place.sync("products", code=1)
    assert outcome["errors"]
    assert all("403" in sentence and "doctor" in sentence for sentence in outcome["errors"].values())
    assert place.environment["CIN7_APPLICATION_KEY"] not in str(outcome)
    # one call for each list of the job, and none again
    assert place.ask("CIN7", "/_sandbox/requests?limit=1")["total"] <= 2
