"""The four flows against an account of the Engagement Cloud edition."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from cin7_emarsys.emarsys import product_items, repair, replay
from cin7_emarsys.emarsys.delivery import Delivery, Report
from cin7_emarsys.emarsys.engagement_cloud import connect
from cin7_emarsys.emarsys.product_items import deliver_items
from cin7_emarsys.emarsys.setup import permissions, survey
from cin7_emarsys.merchant import Merchant
from cin7_emarsys.operations.erase import erase
from cin7_emarsys.operations.refusals import CannotRun
from cin7_emarsys.reconciliation.read_back import read_contacts
from cin7_emarsys.transport import Permanent
from cin7_emarsys_tests.conftest import trouble
from cin7_emarsys_tests.emarsys.conftest import Account, Project, contact, figures, order_event, product, sales_line

ANA, BEN = "ana@example.com", "ben@example.com"
PATHS = {
    "contacts": "/contact/v1/contacts",
    "catalogue": "/productItems",
    "sales": "/transactions",
    "events": "/events",
}
EDITION = """edition = "engagement_cloud"
[emarsys.engagement_cloud]
business_area = "AU"
[emarsys.engagement_cloud.event_configurations]
order_shipped = "{}"
"""
HEADER = 'sales_header = ["item", "price", "order", "timestamp", "email", "quantity"]\n'


@pytest.fixture
def cloud(work: Project) -> Project:
    """An account of this edition with the fields and one event of the policy, and the policy that says so."""
    work.account.control("switches", {"edition": "engagement_cloud"})
    kinds = {"text": "longtext"}
    for field in work.settings.merchant.contacts.field_map:
        if field.string_id.startswith("cin7_"):
            kind = kinds.get(field.type, field.type)
            work.account.control(
                "fields", {"name": field.string_id, "application_type": kind, "string_id": field.string_id}
            )
    configuration = work.account.control("events", {"name": "cin7_order_shipped"})["event_configuration_id"]
    work.policy((HEADER, EDITION.format(configuration)), ("armed = true\n", 'armed = true\ncurrency = "AUD"\n'))
    return work


def run(work: Project, flow: str) -> Report:
    if flow != "catalogue":
        return work.run(flow)
    try:
        return deliver_items(Delivery(flow, work.settings, work.warehouse, work.ledger, "run", dry_run=False))
    finally:
        work.conserved()


def fault(account: Account, name: str, flow: str, **more: Any) -> None:
    account.control("faults", [{"name": name, "service": "emarsys", "path": PATHS[flow], "nth": 1, **more}], "PUT")


def accept(work: Project, *emails: str) -> None:
    work.contacts(*(contact(email) for email in emails))
    work.run("contacts")


def revenue(account: Account) -> Counter[str]:
    """Sum by order number; an order's own transactions carry more behind it."""
    sums: Counter[str] = Counter()
    for row in account.judge("sales"):
        sums["-".join(row["order"].split("-")[:2])] += Decimal(str(row["price"]))  # type: ignore[assignment]
    return sums


# Contacts


def test_contacts_are_made_changed_and_cleared_one_by_one(cloud: Project) -> None:
    cloud.contacts(contact(ANA, ltv="12.50", last_refund_date="2026-11-01"), contact(BEN))
    assert figures(cloud.run("contacts")) == {"sent": 2, "accepted": 2}
    assert figures(cloud.run("contacts")) == {"unchanged": 2}
    expected = {"first_name": "Ana", "email": ANA, "cin7_ltv": "12.50", "cin7_last_refund_date": "2026-11-01"}
    assert cloud.account.contacts()[ANA] == expected
    cloud.contacts(contact(ANA, first_name=None, ltv="13", last_refund_date=None), contact(BEN))
    assert figures(cloud.run("contacts")) == {"sent": 1, "accepted": 1, "unchanged": 1}
    assert cloud.account.contacts()[ANA] == {"first_name": "Ana", "email": ANA, "cin7_ltv": "13"}


@pytest.mark.parametrize("name", ["applied-then-503", *trouble("reset-after", "throttle-429", "error-200")])
def test_a_contact_gets_through_a_fault_and_is_made_once(cloud: Project, name: str) -> None:
    """The first write of a new contact finds none; the fault meets the second, which makes it."""
    cloud.account.control("switches", {"unsaved_contact": "refused" if name == "reset-after" else "not_saved"})
    cloud.contacts(contact(ANA))
    fault(cloud.account, name, "contacts", nth=2)
    assert figures(cloud.run("contacts")) == {"sent": 1, "accepted": 1}
    assert [row["email"] for row in cloud.account.judge("contacts")] == [ANA]


def test_a_contact_that_is_not_saved_is_rejected_and_the_next_one_goes(cloud: Project) -> None:
    cloud.contacts(contact(ANA), contact(BEN))
    fault(cloud.account, "partial-reject", "contacts", times=1)
    report = cloud.run("contacts")
    assert figures(report) == {"sent": 2, "accepted": 1, "rejected": 1}
    assert cloud.account.contacts().keys() == {BEN}


def test_opt_out_goes_among_the_system_fields(cloud: Project) -> None:
    text = (cloud.state / "merchant.toml").read_text().replace("write_opt_out = false", "write_opt_out = true")
    (cloud.state / "merchant.toml").write_text(text)
    cloud.reload()
    cloud.contacts(contact(ANA, consent="opt_out"))
    cloud.run("contacts")
    assert cloud.account.contacts()[ANA]["optin"] == "2"


def test_contacts_are_read_back(cloud: Project) -> None:
    accept(cloud, ANA, BEN)
    cloud.account.control("contacts", {"email": BEN}, "DELETE")
    with cloud.warehouse.write() as connection:
        connection.execute("create schema if not exists reconciliation")
    found = read_contacts(cloud.settings, cloud.warehouse)
    assert (found.asked, found.found, found.others) == (2, 1, None)
    with cloud.warehouse.read() as connection:
        rows = connection.execute(
            "select email, found, code from reconciliation.contacts_read order by email"
        ).fetchall()
    assert rows == [(ANA, True, None), (BEN, False, "2008")]


# Catalogue


def test_only_changed_items_go_and_what_was_accepted_is_published(cloud: Project) -> None:
    cloud.fill("mart.catalogue", product("A", brand="Acme", msrp="12.5"), product("B", available=False))
    assert figures(run(cloud, "catalogue")) == {"sent": 2, "accepted": 2}
    assert figures(run(cloud, "catalogue")) == {"unchanged": 2}
    cloud.fill("mart.catalogue", product("A", brand="Acme", msrp="12.5"), product("B", c_stock=0))
    assert figures(run(cloud, "catalogue")) == {"sent": 1, "accepted": 1, "unchanged": 1}
    stored = {row["item"]: row for row in cloud.account.judge("catalogue")}
    shown = ("title", "available", "price", "msrp", "brand", "c_stock", "c_low_stock", "c_stock_state")
    assert [stored["A"][name] for name in shown] == ["The A", "true", "10.0", "12.5", "Acme", "5", "5", "in_stock"]
    assert (stored["B"]["available"], stored["B"]["c_stock"]) == ("true", "0")
    with cloud.warehouse.read() as connection:
        kept = connection.execute(
            "select item, c_stock, version from delivery.catalogue_items order by item"
        ).fetchall()
        collected = connection.execute("select count(collected_at) from delivery.publications").fetchone()
    assert kept == [("A", 5, 2), ("B", 0, 2)]
    assert collected == (2,)


@pytest.mark.trouble
def test_an_item_refused_stands_alone(cloud: Project) -> None:
    cloud.fill("mart.catalogue", product("A"), product("B", image="https://shop.example.com/b.webp"), product("C"))
    assert figures(run(cloud, "catalogue")) == {"sent": 3, "accepted": 2, "rejected": 1}
    assert [row["item"] for row in cloud.account.judge("catalogue")] == ["A", "C"]
    assert figures(run(cloud, "catalogue")) == {"unchanged": 2}


@pytest.mark.trouble
def test_what_may_have_been_applied_is_sent_again_even_when_all_is_as_before(cloud: Project) -> None:
    cloud.fill("mart.catalogue", product("A"))
    run(cloud, "catalogue")
    cloud.fill("mart.catalogue", product("A", available=False))
    fault(cloud.account, "reset-after", "catalogue", times=6)
    assert figures(run(cloud, "catalogue")) == {"sent": 1, "unknown": 1}
    cloud.fill("mart.catalogue", product("A"))
    assert figures(run(cloud, "catalogue")) == {"sent": 1, "accepted": 1}
    assert cloud.account.judge("catalogue")[0]["available"] == "true"


@pytest.mark.trouble
def test_a_vendor_whose_clock_goes_back_takes_the_newer_state(cloud: Project) -> None:
    cloud.fill("mart.catalogue", product("A"))
    fault(cloud.account, "clock-skew", "contacts", seconds=3600)
    run(cloud, "catalogue")
    cloud.fill("mart.catalogue", product("A", price="11.00"))
    run(cloud, "catalogue")
    assert cloud.account.judge("catalogue")[0]["price"] == "11.0"


@pytest.mark.trouble
def test_an_item_goes_again_after_a_day(cloud: Project) -> None:
    cloud.fill("mart.catalogue", product("A"), product("B"))
    fault(cloud.account, "partial-reject", "catalogue", mode="silent", row=0)
    run(cloud, "catalogue")
    assert [row["item"] for row in cloud.account.judge("catalogue")] == ["B"]
    cloud.account.control("clock", {"advance": 25 * 3600})
    assert figures(run(cloud, "catalogue")) == {"sent": 2, "accepted": 2}
    assert [row["item"] for row in cloud.account.judge("catalogue")] == ["B", "A"]


def test_a_name_that_is_too_long_is_cut(cloud: Project) -> None:
    cloud.contacts(contact(ANA, first_name="x" * 80))
    report = cloud.run("contacts")
    assert (figures(report), report.shortened) == ({"sent": 1, "accepted": 1}, 1)


def test_a_policy_that_every_contact_breaks_on_buries_nobody(cloud: Project) -> None:
    """One contact a call: the first ones refused prove nothing."""
    policy = cloud.state / "merchant.toml"
    system = 'business_area = "AU"\nsystem_fields = ["cin7_ltv"]'
    policy.write_text(policy.read_text().replace('business_area = "AU"', system))
    cloud.reload()
    cloud.contacts(*(contact(f"c{number}@example.com", ltv="1.00") for number in range(6)))
    with pytest.raises(Permanent):
        cloud.run("contacts")
    assert not repair.letters(cloud.ledger)["records"]


# Sales


def test_orders_refunds_and_corrections_sum_to_what_is_desired(cloud: Project) -> None:
    """Even where a transaction replaces the one with its id: no two of ours share one."""
    cloud.account.control("switches", {"sales_mode": "replace"})
    accept(cloud, ANA)
    first = (sales_line("1", "A", 20, 2), sales_line("1", "A", 20, 2), sales_line("1", "B", 5))
    more = (sales_line("2", "A", 7, order="SO-1"), sales_line("9", "A", -10, -1, order="SO-1"))
    cloud.fill("mart.sales_lines", *first)
    assert figures(cloud.run("sales")) == {"sent": 3, "accepted": 3}
    cloud.fill("mart.sales_lines", *first, *more)
    assert figures(cloud.run("sales")) == {"sent": 2, "accepted": 2, "unchanged": 3}
    assert revenue(cloud.account) == {"SO-1": 42}
    cloud.fill("mart.sales_lines", *first[:2], sales_line("1", "B", 4), *more)
    assert figures(cloud.run("sales"))["accepted"] == 2
    assert revenue(cloud.account) == {"SO-1": 41}
    assert [row["email"] for row in cloud.account.judge("sales")] == [ANA] * 7
    assert not any(row["generated"] for row in cloud.account.judge("contacts"))


def test_lines_are_taken_back_from_whom_they_went_to(cloud: Project) -> None:
    accept(cloud, ANA, BEN)
    cloud.fill("mart.sales_lines", sales_line("1", "A", 10), sales_line("1", "B", 7))
    cloud.run("sales")
    now = {"email": BEN, "timestamp": "2026-11-30"}
    cloud.fill("mart.sales_lines", sales_line("1", "A", 9, **now), sales_line("1", "B", 7, **now))
    cloud.run("sales")
    cloud.fill("mart.sales_lines")
    cloud.run("sales")
    left: Counter[str] = Counter()
    for line in cloud.account.judge("sales"):
        left[line["email"]] += line["price"]
    assert left == {ANA: 0, BEN: 0}


def test_a_sale_goes_again_just_as_it_was(cloud: Project) -> None:
    """Under the id it had, so that it replaces itself where the account replaces."""
    cloud.account.control("switches", {"sales_mode": "replace"})
    accept(cloud, ANA)
    cloud.fill("mart.sales_lines", sales_line("1", "A", 20, 2), sales_line("2", "A", 5))
    cloud.run("sales")
    delivery = Delivery("sales", cloud.settings, cloud.warehouse, cloud.ledger, None, dry_run=False)
    assert replay.verbatim(delivery, replay.Chosen(flow="sales"), "Emarsys lost it") == 2
    assert revenue(cloud.account) == {"SO-1": 20, "SO-2": 5}


@pytest.mark.parametrize("name", ["applied-then-503", *trouble("reset-before", "html-200")])
def test_an_unknown_sale_is_parked(cloud: Project, name: str) -> None:
    accept(cloud, ANA)
    cloud.fill("mart.sales_lines", sales_line("1", "A", 20, 2))
    fault(cloud.account, name, "sales")
    assert figures(cloud.run("sales")) == {"sent": 1, "unknown": 1}
    assert figures(cloud.run("sales"))["frozen"] == 1
    assert len(cloud.account.judge("sales")) == (name in ("applied-then-503", "reset-after"))


@pytest.mark.trouble
def test_one_wrong_transaction_does_not_keep_the_others(cloud: Project) -> None:
    accept(cloud, ANA)
    cloud.fill(
        "mart.sales_lines", *(sales_line(str(number), "A", 20) for number in range(5)), sales_line("9", "A", 0, 0)
    )
    assert figures(cloud.run("sales")) == {"sent": 6, "accepted": 5, "rejected": 1}


@pytest.mark.trouble
def test_an_account_that_is_not_enabled_stops_the_flow_and_loses_nothing(cloud: Project) -> None:
    accept(cloud, ANA)
    cloud.fill("mart.sales_lines", sales_line("1", "A", 20))
    cloud.account.control("switches", {"transactions_enabled": False})
    with pytest.raises(Permanent, match="404"):
        cloud.run("sales")
    cloud.account.control("switches", {"transactions_enabled": True})
    assert figures(cloud.run("sales")) == {"sent": 1, "accepted": 1}


# Events


def test_events_go_one_by_one_and_once(cloud: Project) -> None:
    accept(cloud, ANA)
    cloud.fill("mart.order_events", order_event("1"), order_event("2"), order_event("3", event="refund_issued"))
    report = cloud.run("events")
    assert (figures(report), report.withheld) == ({"sent": 2, "accepted": 2}, {"event_missing_at_emarsys": 1})
    cloud.run("events")
    told = [(row["event"], row["email"], row["data"]["trigger_id"]) for row in cloud.account.judge("events")]
    assert told == [("cin7_order_shipped", ANA, "1"), ("cin7_order_shipped", ANA, "2")]
    assert len(cloud.account.judge("mails")) == 2


@pytest.mark.parametrize("name", ["reset-after", *trouble("error-200")])
def test_an_unknown_event_is_parked_and_the_next_one_goes(cloud: Project, name: str) -> None:
    accept(cloud, ANA)
    cloud.fill("mart.order_events", order_event("1"), order_event("2"))
    fault(cloud.account, name, "events")
    assert figures(cloud.run("events")) == {"sent": 2, "accepted": 1, "unknown": 1}
    assert figures(cloud.run("events"))["frozen"] == 1
    applied = name in ("applied-then-503", "reset-after")
    assert [row["data"]["trigger_id"] for row in cloud.account.judge("events")] == (["1", "2"] if applied else ["2"])


def test_a_marketing_event_asks_for_consent(cloud: Project) -> None:
    text = (cloud.state / "merchant.toml").read_text()
    (cloud.state / "merchant.toml").write_text(
        text.replace('name = "cin7_order_shipped"', 'name = "cin7_order_shipped"\nkind = "marketing"')
    )
    cloud.reload()
    accept(cloud, ANA, BEN)
    cloud.account.control("contacts", {"email": BEN, "fields": {"optin": "1"}})
    cloud.fill("mart.order_events", order_event("1"), order_event("2", email=BEN))
    report = cloud.run("events")
    assert (figures(report), report.withheld) == ({"sent": 1, "accepted": 1}, {"no_consent": 1})


# The account


def test_what_the_account_lacks_is_told_and_not_made(work: Project) -> None:
    work.account.control("switches", {"edition": "engagement_cloud"})
    work.policy((HEADER, EDITION.format("x")), ("armed = true\n", 'armed = true\ncurrency = "AUD"\n'))
    with connect(work.settings) as emarsys:
        findings = survey(emarsys, work.settings.merchant)
        allowed = permissions(emarsys)
    missing = {finding.what for finding in findings if finding.state == "missing"}
    assert {"field cin7_ltv", "event cin7_refund_issued"} <= missing
    assert not {"field first_name", "event cin7_order_shipped"} & missing
    assert not any(finding.can_make for finding in findings)
    assert all(finding.state == "good" for finding in allowed)
    assert work.prepare() == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"currency": None}, "currency"),
        ({"emarsys": {"edition": "engagement_cloud"}}, "business_area"),
        ({"contacts": {"field_map": [{"attribute": "a", "string_id": "b", "type": "choice"}]}}, "choices"),
    ],
)
def test_the_edition_needs_a_complete_policy(change: dict[str, Any], words: str) -> None:
    policy = {
        "availability": {"sellable_locations": ["Main"]},
        "currency": "AUD",
        "emarsys": {"edition": "engagement_cloud", "engagement_cloud": {"business_area": "AU"}},
    }
    Merchant.model_validate(policy)
    with pytest.raises(ValidationError, match=words):
        Merchant.model_validate({**policy, **change})


def test_no_call_deletes_a_contact(cloud: Project) -> None:
    with pytest.raises(CannotRun, match="delete it in Emarsys by hand"):
        erase(cloud.settings, ANA, "asked", everywhere=True)
    assert not (cloud.state / "erased.sqlite").exists()


def calls(work: Project, flow: str) -> int:
    return sum(PATHS[flow] in row["path"] for row in work.account.judge("requests"))


def test_an_order_and_a_refund_of_each_document_fit_into_a_call(cloud: Project) -> None:
    policy = cloud.state / "merchant.toml"
    policy.write_text(
        policy.read_text().replace('business_area = "AU"', 'business_area = "AU"\ntransactions_per_call = 2')
    )
    cloud.reload()
    accept(cloud, ANA)
    for price in (10, 11):
        cloud.fill("mart.sales_lines", *(sales_line(str(n), "A", price) for n in range(2)))
        cloud.account.control("switches", {"max_transactions": 2})
        assert cloud.run("sales").retryable == 0
    assert calls(cloud, "sales") == 4
    assert revenue(cloud.account) == {"SO-0": 11, "SO-1": 11}


def test_a_call_of_items_is_no_larger_than_emarsys_takes(cloud: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_items, "_MAX_BYTES", 700)
    cloud.fill("mart.catalogue", product("A"), product("B"))
    assert figures(run(cloud, "catalogue")) == {"sent": 2, "accepted": 2}
    assert calls(cloud, "catalogue") == 2


def test_who_is_refused_alone_before_another_is_taken_counts_once(cloud: Project) -> None:
    accept(cloud, BEN)
    policy = cloud.state / "merchant.toml"
    policy.write_text(
        policy.read_text().replace('business_area = "AU"', 'business_area = "AU"\nsystem_fields = ["cin7_ltv"]')
    )
    cloud.reload()
    cloud.contacts(contact(ANA, ltv="1.00"), contact(BEN, last_name="Lee"))
    report = cloud.run("contacts")
    assert (figures(report), report.desired) == ({"sent": 2, "accepted": 1, "rejected": 1}, 2)


def test_lines_of_several_days_are_taken_back_on_their_days(cloud: Project) -> None:
    accept(cloud, ANA)
    lines = [sales_line("1", "A", 10), sales_line("1", "B", 7, timestamp="2026-11-30")]
    for some in (lines[:1], lines, []):
        cloud.fill("mart.sales_lines", *some)
        cloud.run("sales")
    taken_back = {line["item"]: line["timestamp"][:10] for line in cloud.account.judge("sales") if line["price"] < 0}
    assert taken_back == {"A": "2026-11-20", "B": "2026-11-30"}
