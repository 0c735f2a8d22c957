"""From vendor to vendor through Dagster: a first load, what a second run does, and a day of business, in this order."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cin7_emarsys_tests.conftest import trouble
from cin7_emarsys_tests.end_to_end.conftest import Place, make_place
from cin7_emarsys_tests.end_to_end.test_kill import killed

FLOWS = ("contacts", "sales", "events")


def _sent(outcome: dict[str, Any]) -> dict[str, int]:
    return {flow: outcome["assets"][f"emarsys/{flow}"]["sent"] for flow in ("contacts", "catalogue", "sales", "events")}


def test_emarsys_holds_what_the_marts_say(loaded: Place) -> None:
    contacts = loaded.ask("EMARSYS", "/_sandbox/contacts?limit=100000")["contacts"]
    wanted = dict(loaded.rows("select email, attributes->>'ltv' from mart.contacts"))
    assert {c["email"]: Decimal(c["fields"]["cin7_ltv"]) for c in contacts if not c["generated"]} == {
        email: Decimal(ltv) for email, ltv in wanted.items()
    }
    lines = loaded.ask("EMARSYS", "/_sandbox/sales?limit=100000")["lines"]
    mart = loaded.rows('select "order", item, price, quantity, email from mart.sales_lines')
    assert sorted((s["order"], s["item"], round(s["price"], 4), s["quantity"], s["email"]) for s in lines) == sorted(
        (order, item, float(price), float(quantity), email) for order, item, price, quantity, email in mart
    )


def test_no_sales_line_went_to_a_contact_emarsys_did_not_know(loaded: Place) -> None:
    contacts = loaded.ask("EMARSYS", "/_sandbox/contacts?limit=100000")["contacts"]
    assert not [c for c in contacts if c["generated"]]


def test_history_sends_no_event(loaded: Place) -> None:
    assert loaded.ask("EMARSYS", "/_sandbox/events")["total"] == 0
    assert loaded.rows("select count(*) from mart.order_facts where not silent") == [(0,)]


def test_no_available_item_lacks_sellable_units(loaded: Place) -> None:
    truth = {
        row["sku"].strip(): row["sellable_truth"] for row in loaded.ask("CIN7", "/_sandbox/ledger?limit=100000")["rows"]
    }
    promised = loaded.rows("select item, c_stock from mart.catalogue where available")
    assert len(promised) > 100
    assert [item for item, units in promised if units > truth.get(item, 0)] == []


def test_the_ledger_conserves(loaded: Place) -> None:
    assert (
        loaded.rows(
            "select batches.batch_id from delivery.batches left join delivery.records using (batch_id) "
            "group by all having any_value(batches.records) <> count(records.outcome)"
        )
        == []
    )


def test_no_secret_and_no_person_in_logs_or_events(loaded: Place) -> None:
    """All that a run with full logging leaves: its output, the events, the compute logs."""
    assert "DEBUG" in loaded.logged and "STEP_SUCCESS" in loaded.logged
    texts = [loaded.logged]
    for file in (loaded.folder / "var" / "dagster").rglob("*"):
        if file.suffix == ".db":
            texts += _texts(file)
        elif file.is_file():
            texts.append(file.read_text(errors="replace"))
    everything = "\n".join(texts)
    assert "ASSET_MATERIALIZATION" in everything and "mart" in everything
    secret = ("ACCOUNT_ID", "KEY", "SECRET", "TOKEN", "PASSWORD")
    never = {value for name, value in loaded.environment.items() if name.endswith(secret)}
    assert len(never) == 5
    people = loaded.rows(
        "select unnest([Name, DisplayName]) from raw.customers "
        "union select unnest([c.Name, c.Email, c.Phone, c.MobilePhone]) "
        "from (select unnest(Contacts) as c from raw.customers) "
        "union select unnest([Customer, Contact, Email, Phone]) from raw.sales union select email from mart.contacts"
    )
    never |= {told for (told,) in people if told and len(told) > 6}
    assert len(never) > 500
    quiet = everything.lower()
    assert sorted(told for told in never if told in everything or ("@" in told and told.lower() in quiet)) == []


def _texts(file: Path) -> list[str]:
    with sqlite3.connect(file) as connection:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        return [str(row) for table in tables for row in connection.execute(f'select * from "{table}"')]


def test_a_second_run_sends_nothing_and_reads_only_what_shows_that_nothing_changed(loaded: Place) -> None:
    before = loaded.judged()
    planned = {vendor["vendor"]: vendor["calls"] for vendor in json.loads(loaded.run("plan", "--json"))["vendors"]}
    calls = loaded.ask("CIN7", "/_sandbox/requests?limit=1")["total"]
    again = loaded.sync("nightly")
    assert _sent(again) == {"contacts": 0, "catalogue": 0, "sales": 0, "events": 0}
    assert loaded.judged() == before
    # one page of each list: account, five references and families, products, customers, two lists of headers, stock
    assert loaded.ask("CIN7", "/_sandbox/requests?limit=1")["total"] - calls == 11 == planned["Cin7"]


def test_before_anything_is_read_a_plan_asks_for_the_totals_alone(loaded: Place, tmp_path: Path) -> None:
    place = make_place(tmp_path / "project", loaded.environment)
    calls = place.ask("CIN7", "/_sandbox/requests?limit=1")["total"]
    lanes = {lane["lane"]: lane["calls"] for lane in json.loads(place.run("plan", "--json"))["lanes"]}
    assert place.ask("CIN7", "/_sandbox/requests?limit=1")["total"] - calls <= 6
    assert lanes["sale_details"] >= loaded.rows("select count(*) from raw.sales")[0][0]


def test_each_run_leaves_a_copy_and_the_nightly_one_a_report_that_names_nobody(loaded: Place) -> None:
    state = loaded.folder / "var"
    assert (state / "published.duckdb").exists()
    pages = {file.name: file.read_text() for file in (state / "report").iterdir()}
    assert "Is it safe to send" in pages["index.html"] and "availability.csv" in pages
    people = loaded.rows("select email from mart.contacts union select name from mart.persons where length(name) > 6")
    told = "\n".join(pages.values()).lower()
    assert [name for (name,) in people if name.lower() in told] == []


def test_every_month_ties_up(loaded: Place) -> None:
    months = loaded.rows("select distinct strftime(dated_on, '%Y-%m') from mart.documents order by 1 desc")
    for (month,) in months[:3]:
        closed = json.loads(loaded.run("report", "--month", month, "--json"))
        mart = loaded.rows(
            "select sum(case document_kind when 'invoice' then net else -net end) from mart.documents "
            f"where strftime(dated_on, '%Y-%m') = '{month}'"
        )
        assert closed["settled"] and closed["totals"]["together"]["mart"] == float(mart[0][0]), month


@pytest.mark.trouble
@pytest.mark.parametrize("job", ["orders", "stock", "customers", "products"])
def test_each_cadence_runs_by_itself_and_changes_nothing(loaded: Place, job: str) -> None:
    outcome = loaded.sync(job)
    assert outcome["ok"]
    assert {key: figures["sent"] for key, figures in outcome["assets"].items() if figures.get("sent")} == {}


@pytest.mark.trouble
def test_a_first_load_and_three_unchanged_snapshots_send_no_mail(loaded: Place) -> None:
    with loaded.start("serve", "--port", "0", "--json") as feed:
        try:
            assert feed.stdout
            address = json.loads(feed.stdout.readline())["url"]
            for number in range(4):
                if number:
                    assert loaded.sync("stock")["ok"]
                assert loaded.ask("EMARSYS", "/_sandbox/catalog/pull", {"url": address})["status"] != "rejected"
                assert loaded.ask("EMARSYS", "/_sandbox/mails")["total"] == 0
            assert loaded.ask("EMARSYS", "/_sandbox/catalogue?limit=1")["total"] > 100
        finally:
            feed.terminate()


def test_explain_customer_and_ledger_answer(loaded: Place) -> None:
    facts = json.loads(loaded.run("explain", "honey-500", "--json"))
    falls = facts["waterfall"]
    charged = sum(term["charged"] for term in falls["terms"]) + falls["fraction"]
    assert falls["on_hand"] + falls["shortfall"] + falls["kit_build"] - charged == falls["ats"]
    (email,) = loaded.rows(
        "select email from mart.customer_value where order_count > 1 and email is not null order by 1"
    )[0]
    statement = json.loads(loaded.run("customer", email, "--json"))
    assert round(sum(document["amount"] for document in statement["documents"]), 4) == round(statement["ltv"], 4)
    kept = json.loads(loaded.run("ledger", "--json", "--outcome", "accepted", "--limit", "5"))
    assert len(kept["records"]) == 5
    (line,) = loaded.rows(
        "select payload->>'item' from delivery.records where flow = 'sales' order by record_id desc limit 1"
    )
    assert f"× {line[0]} =" in loaded.run("ledger", "--flow", "sales", "--limit", "1")
    assert "No record answers that." in loaded.run("ledger", "--outcome", "unknown")
    assert loaded.run("explain", "no-such-sku", code=1) == ""
    assert loaded.run("customer", "nobody@example.org", code=1) == ""


@pytest.mark.parametrize("job", ["customers", *trouble("nightly")])
def test_dry_run_shows_what_would_be_sent_and_sends_nothing(loaded: Place, tmp_path: Path, job: str) -> None:
    place = make_place(tmp_path / "project", loaded.environment)
    before = place.judged()
    output = place.run("sync", job, "--dry-run")
    assert "contacts" in output and "→" in output
    assert place.judged() == before
    assert place.rows("select count(*) from delivery.batches") == [(0,)]


def test_nobody_else_may_read_what_is_kept(loaded: Place) -> None:
    var = loaded.folder / "var"
    kept = [path for path in var.rglob("*") if "dagster" not in path.relative_to(var).parts[:1]]
    assert {"warehouse.duckdb", "ledger.sqlite", "products.csv", "manifest.json"} <= {path.name for path in kept}
    assert [path for path in kept if path.stat().st_mode & 0o077] == []


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


# From here on something happens at the merchant.


@pytest.mark.trouble
def test_a_day_reaches_emarsys_once_and_truly_though_a_process_was_killed(loaded: Place) -> None:
    before = {tuple(line) for line in loaded.judged()["sales"]}
    day = loaded.ask("CIN7", "/_sandbox/merchant", {"do": "day"})["events"]
    assert killed(loaded, "closed@2", "orders"), "the sales lines are sent and written down, and nothing else is done"
    outcome = loaded.sync("nightly")
    assert outcome["ok"]

    shipped = {deed["order_number"] for deed in day if deed["do"] == "ship"}
    refunded = {deed["order_number"] for deed in day if deed["do"] == "refund"}
    events = loaded.ask("EMARSYS", "/_sandbox/events?limit=1000")["events"]
    orders = {kind: [e["data"]["order"] for e in events if e["event"] == kind] for kind in {e["event"] for e in events}}
    assert sorted(orders["cin7_order_shipped"]) == sorted(shipped)
    assert sorted(orders["cin7_refund_issued"]) == sorted(refunded)
    # first and repeat purchase are marketing, and nobody has opted in
    assert "cin7_repeat_purchase" not in orders
    assert "cin7_first_purchase" not in orders

    fresh = [line for line in loaded.judged()["sales"] if line not in before]
    invoiced = {deed["order_number"] for deed in day if deed["do"] == "invoice"}
    assert {order for order, *_ in fresh} == invoiced | refunded

    quarantined = next(deed["sku"] for deed in day if deed["do"] == "transfer")
    assert loaded.rows(f"select available, c_stock from mart.catalogue where item = '{quarantined}'") == [(False, 0)]
    promised = next(deed["sku"] for deed in day if deed["do"] == "sell_out")
    assert loaded.rows(f"select available from mart.catalogue where item = '{promised}'") == [(False,)]
    deprecated = next(deed["sku"] for deed in day if deed["do"] == "deprecate")
    state = f"select available, c_stock_state from mart.catalogue where item = '{deprecated}'"
    assert loaded.rows(state) == [(False, "discontinued")]

    loaded.sync("stock")  # what came back into stock is confirmed by a second snapshot
    again = loaded.sync("orders")
    assert [key for key, figures in again["assets"].items() if figures.get("sent")] == []


_PATHS = {"contacts": "/contact/?", "sales": "sales-data", "events": "/trigger"}


@pytest.mark.trouble
@pytest.mark.parametrize(
    "faults",
    [
        {"contacts": "applied-then-503", "sales": "applied-then-503", "events": "applied-then-503"},
        {"contacts": "partial-reject", "sales": "applied-then-503", "events": "partial-reject"},
    ],
    ids=["applied-then-503", "partial-reject"],
)
def test_a_day_under_write_side_faults_doubles_nothing(loaded: Place, faults: dict[str, str]) -> None:
    """Contacts, sales lines and events of a day are in flight when Emarsys misbehaves. Last: what it leaves is parked."""
    (before,) = loaded.rows("select coalesce(max(batch_id), 0) from delivery.batches")[0]
    loaded.ask("CIN7", "/_sandbox/merchant", {"do": "day"})
    specs = [{"name": name, "service": "emarsys", "path": _PATHS[flow], "nth": 1} for flow, name in faults.items()]
    loaded.ask("EMARSYS", "/_sandbox/faults", specs, "PUT")
    loaded.sync("orders", code=None)
    fired = [spec["fired"] for spec in loaded.ask("EMARSYS", "/_sandbox/faults")]
    loaded.ask("EMARSYS", "/_sandbox/faults", [], "PUT")
    assert fired == [1, 1, 1]
    of_this_day = f" and batch_id > {before}"
    loaded.sync("orders", code=None)

    conserved = "select batch_id from delivery.batches left join delivery.records using (batch_id) group by all " \
        "having any_value(batches.records) <> count(records.outcome)"  # fmt: skip
    assert loaded.rows(conserved) == []
    rejected = loaded.rows("select flow, key, reason from delivery.records where outcome = 'rejected'" + of_this_day)
    assert sorted({flow for flow, _, _ in rejected}) == sorted(
        f for f, name in faults.items() if name == "partial-reject"
    )
    assert all(reason for _, _, reason in rejected)

    judged = loaded.judged()
    events = Counter(trigger for _, trigger, _ in judged["events"])
    assert events and set(events.values()) == {1}
    lines = Counter((o, i, round(p, 4), q, e) for o, i, p, q, e, _ in judged["sales"])
    mart = loaded.rows('select "order", item, price, quantity, email from mart.sales_lines')
    wanted = Counter((o, i, float(p), float(q), e) for o, i, p, q, e in mart)
    assert lines - wanted == Counter()
    # all that is there was applied once: what got no answer is parked as unknown, never sent again
    refused = {key for flow, key, _ in rejected if flow == "contacts"}
    assert {line[4] for line in wanted - lines} <= refused
    # the runs that sent contacts have read them back
    assert loaded.rows(
        "select delivered.key from delivery.delivered left join reconciliation.contacts_read as read "
        "on read.email = delivered.key and read.ours and read.read_at > delivered.accepted_at "
        "where delivered.flow = 'contacts' and read.found is not true"
    ) == []  # fmt: skip
    parked = loaded.rows(
        "select distinct flow from delivery.records where outcome = 'unknown' and flow <> 'contacts'" + of_this_day
    )
    assert sorted(flow for (flow,) in parked) == sorted(
        flow for flow, name in faults.items() if name == "applied-then-503" and flow != "contacts"
    )
