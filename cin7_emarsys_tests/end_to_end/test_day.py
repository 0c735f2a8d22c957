"""Days at the merchant: what happened becomes known at Emarsys, once, and nothing else does."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from cin7_emarsys_tests.conftest import soak
from cin7_emarsys_tests.end_to_end.conftest import Place
from cin7_emarsys_tests.end_to_end.month import lived_through
from cin7_emarsys_tests.end_to_end.test_kill import told_through_kills


def test_a_day_reaches_emarsys_once_and_truly(busy: Place) -> None:
    before = {tuple(line) for line in busy.judged()["sales"]}
    day = busy.ask("CIN7", "/_sandbox/merchant", {"do": "day"})["events"]
    outcome = busy.sync("nightly")
    assert outcome["ok"]

    shipped = {deed["order_number"] for deed in day if deed["do"] == "ship"}
    refunded = {deed["order_number"] for deed in day if deed["do"] == "refund"}
    events = busy.ask("EMARSYS", "/_sandbox/events?limit=1000")["events"]
    orders = {kind: [e["data"]["order"] for e in events if e["event"] == kind] for kind in {e["event"] for e in events}}
    assert sorted(orders["cin7_order_shipped"]) == sorted(shipped)
    assert sorted(orders["cin7_refund_issued"]) == sorted(refunded)
    # first and repeat purchase are marketing, and nobody has opted in
    assert "cin7_repeat_purchase" not in orders
    assert "cin7_first_purchase" not in orders

    fresh = [line for line in busy.judged()["sales"] if line not in before]
    invoiced = {deed["order_number"] for deed in day if deed["do"] == "invoice"}
    assert {order for order, *_ in fresh} == invoiced | refunded

    quarantined = next(deed["sku"] for deed in day if deed["do"] == "transfer")
    assert busy.rows(f"select available, c_stock from mart.catalogue where item = '{quarantined}'") == [(False, 0)]
    promised = next(deed["sku"] for deed in day if deed["do"] == "sell_out")
    assert busy.rows(f"select available from mart.catalogue where item = '{promised}'") == [(False,)]
    deprecated = next(deed["sku"] for deed in day if deed["do"] == "deprecate")
    state = f"select available, c_stock_state from mart.catalogue where item = '{deprecated}'"
    assert busy.rows(state) == [(False, "discontinued")]

    busy.sync("stock")  # what came back into stock is confirmed by a second snapshot
    again = busy.sync("nightly")
    assert [key for key, figures in again["assets"].items() if figures.get("sent")] == []


def test_a_process_that_is_killed_while_it_tells_a_day(busy: Place) -> None:
    told_through_kills(busy, "answered@2")


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


_PATHS = {"contacts": "/contact/?", "sales": "sales-data", "events": "/trigger"}


@pytest.mark.parametrize(
    "faults",
    [
        *soak({"contacts": "applied-then-503", "sales": "applied-then-503", "events": "applied-then-503"}),
        {"contacts": "partial-reject", "sales": "applied-then-503", "events": "partial-reject"},
    ],
    ids=["applied-then-503", "partial-reject"],
)
def test_a_day_under_write_side_faults_doubles_nothing(busy: Place, faults: dict[str, str]) -> None:
    """Contacts, sales lines and events of a day are in flight when Emarsys misbehaves. Last: what it leaves is parked."""
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


def _open(place: Place) -> dict[tuple[str, str], dict[str, Any]]:
    rows = json.loads(place.run("exceptions", "list", "--json", code=1))["exceptions"]
    return {(row["class"], row["cause"]): row for row in rows}
