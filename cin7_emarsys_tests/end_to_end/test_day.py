"""Days at the merchant: what happened becomes known at Emarsys, once, and nothing else does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cin7_emarsys_tests.end_to_end.conftest import Place
from cin7_emarsys_tests.end_to_end.month import lived_through


@pytest.mark.soak
def test_consent_opens_the_way_for_marketing_and_only_then(busy: Place) -> None:
    order = busy.ask("CIN7", "/_sandbox/merchant", {"do": "order", "sku": "CUP-ENAMEL", "quantity": 1})
    for deed in ("ship", "invoice"):
        busy.ask("CIN7", "/_sandbox/merchant", {"do": deed, "sale_id": order["sale_id"]})
    busy.sync("orders")
    purchases = ("cin7_first_purchase", "cin7_repeat_purchase")

    def heard() -> list[str]:
        events = busy.ask("EMARSYS", "/_sandbox/events?limit=1000")["events"]
        return [e["event"] for e in events if e["event"] in purchases and e["email"] == order["email"]]

    assert heard() == []
    busy.ask("EMARSYS", "/_sandbox/contacts", {"email": order["email"], "fields": {"optin": "1"}})
    busy.sync("orders")
    assert len(heard()) == 1
    busy.sync("orders")
    assert len(heard()) == 1


@pytest.mark.soak
def test_the_judge_after_busy_days(busy: Place) -> None:
    done = lived_through(busy, seed=1, half_days=2, busy=90)
    assert done.keys() >= {"undo", "void", "void_invoice", "refund", "edit", "change_email"}


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 5))
def test_the_judge_after_a_month(place: Place, seed: int) -> None:
    place.sync("nightly")
    lived_through(place, seed=seed, half_days=60, busy=20)


@pytest.mark.soak
def test_what_differs_at_emarsys_is_found_mended_by_its_command_and_gone(busy: Place) -> None:
    """Somebody deletes a contact and changes another at Emarsys."""
    busy.sync("nightly")  # what the days before have left is known
    (gone, gone_id), (changed, changed_id) = busy.rows(
        "select email, customer_id from mart.contacts where first_name is not null and consent = 'unknown' "
        "order by email limit 2"
    )
    busy.run("reconcile", "--json", code=1)
    before = _open(busy)
    busy.ask("EMARSYS", "/_sandbox/contacts", {"email": gone}, "DELETE")
    busy.ask("EMARSYS", "/_sandbox/contacts", {"email": changed, "fields": {"first_name": "Qwertz"}})
    said = json.loads(busy.run("reconcile", "--json", code=1))
    assert said["contacts"]["not_read"] == 0
    found = {name: row for name, row in _open(busy).items() if name not in before}
    assert set(found) == {("orphan_customers_at_emarsys", "deleted_there"), ("contact_drift", "changed_there")}
    deleted, drifted = (found[name] for name in sorted(found, reverse=True))
    assert (deleted["owner"], deleted["examples"]) == ("marketing", [gone_id])
    assert drifted["examples"] == [f"{changed_id} · first_name"]
    for row in (deleted, drifted):
        assert row["severity"] == "WARNING" and row["meaning"] and "cin7-emarsys replay" in row["next_step"]

    assigned = busy.run("exceptions", "assign", "contact_drift", "Maria", "--reason", "she owns the field map")
    assert "for Maria" in assigned
    until = ("--until", "2099-01-01", "--reason", "known")
    busy.run("exceptions", "ignore", "contact_drift", "--key", "nobody", *until, code=1)
    busy.run("exceptions", "ignore", "contact_drift", "--key", f"{changed_id} · first_name", *until)
    shown = json.loads(busy.run("exceptions", "show", "contact_drift", "--json"))
    assert [row["state"] for row in shown["exceptions"]] == ["ignored"]
    assert {each["reason"] for each in shown["decisions"]} == {"known", "she owns the field map"}
    assert "Qwertz" not in str(shown), "values of a person are not shown"

    for email in (gone, changed):
        record = json.loads(busy.run("ledger", "--flow", "contacts", "--customer", email, "--json"))["records"][0]
        busy.run("replay", "--record", str(record["record_id"]), "--reason", "as the exception says")
    busy.sync("customers")
    busy.run("reconcile", code=1 if before else 0)
    assert set(_open(busy)) == set(before), "resolved by themselves"
    kept = json.loads(busy.run("exceptions", "list", "--all", "--json", code=1 if before else 0))["exceptions"]
    resolved = {(row["class"], row["cause"]) for row in kept if row["state"] == "resolved"}
    assert set(found) <= resolved
    audit = busy.rows("select command, reason from operations.audit where command like 'exceptions%' order by entry")
    assert audit[:1] == [("exceptions assign", "she owns the field map")]


def _open(place: Place) -> dict[tuple[str, str], dict[str, Any]]:
    rows = json.loads(place.run("exceptions", "list", "--json", code=1))["exceptions"]
    return {(row["class"], row["cause"]): row for row in rows}
