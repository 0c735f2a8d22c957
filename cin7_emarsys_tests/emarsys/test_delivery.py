"""Delivery against the simulated account: what goes, what goes again, and what never goes twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import pytest
from sqlalchemy import select

from cin7_emarsys.emarsys import answers, repair
from cin7_emarsys.emarsys.delivery import Report
from cin7_emarsys.emarsys.payloads import FieldsMissing
from cin7_emarsys.emarsys.tables import audit
from cin7_emarsys.transport import AuthFailed, Permanent, PermissionMissing, RefusedBeforeSend
from cin7_emarsys_tests.emarsys.conftest import Project, contact, moment, order_event, product, sales_line

ANA, BEN, CEM = "ana@example.com", "ben@example.com", "cem@example.com"
# Faults after which nobody knows whether it was applied.
UNKNOWN = ["applied-then-503", "reset-after", "reset-before", "html-200"]


def figures(report: Report) -> dict[str, int]:
    names = ("sent", "accepted", "rejected", "retryable", "unknown", "waiting", "frozen", "unchanged")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


# Contacts


def test_only_changed_contacts_go(work: Project) -> None:
    work.prepare()
    work.contacts(contact(ANA), contact(BEN))
    assert figures(work.run("contacts")) == {"sent": 2, "accepted": 2}
    again = work.run("contacts")
    assert (figures(again), work.account.writes("contacts")) == ({"unchanged": 2}, 1)
    work.contacts(contact(ANA, ltv="12.50"), contact(BEN))
    assert figures(work.run("contacts")) == {"sent": 1, "accepted": 1, "unchanged": 1}
    assert work.account.contacts()[ANA] == {"first_name": "Ana", "email": ANA, "cin7_ltv": "12.50"}
    assert figures(work.run("contacts")) == {"unchanged": 2}


def test_a_derived_value_is_cleared_and_master_data_is_not(work: Project) -> None:
    work.contacts(contact(ANA, ltv="12.50", last_refund_date="2026-11-01"))
    work.prepare()
    work.run("contacts")
    work.contacts(contact(ANA, first_name=None, ltv="12.50", last_refund_date=None))
    work.run("contacts")
    assert work.account.contacts()[ANA] == {"first_name": "Ana", "email": ANA, "cin7_ltv": "12.50"}


def test_what_may_have_been_applied_is_cleared_as_well(work: Project) -> None:
    """A value sent with an unknown outcome may be there."""
    work.known(ANA)
    work.contacts(contact(ANA, last_refund_date="2026-11-01"))
    work.account.fault("reset-after", "contacts", times=6)
    assert figures(work.run("contacts")) == {"sent": 1, "unknown": 1}
    assert work.account.contacts()[ANA]["cin7_last_refund_date"] == "2026-11-01"
    work.contacts(contact(ANA, last_refund_date=None))
    work.run("contacts")
    assert "cin7_last_refund_date" not in work.account.contacts()[ANA]


def test_what_may_have_been_applied_is_undone_when_the_source_goes_back(work: Project) -> None:
    work.known(ANA)
    work.contacts(contact(ANA, first_name="Anna"))
    work.account.fault("reset-after", "contacts", times=6)
    assert figures(work.run("contacts")) == {"sent": 1, "unknown": 1}
    work.contacts(contact(ANA))
    work.account.control("clock", {"advance": 3600})
    assert figures(work.run("contacts")) == {"sent": 1, "accepted": 1}
    assert work.account.contacts()[ANA] == {"first_name": "Ana", "email": ANA}
    assert figures(work.run("contacts")) == {"unchanged": 1}


@pytest.mark.parametrize("mode", ["", "case"])
def test_a_rejected_contact_waits_until_it_changes(work: Project, mode: str) -> None:
    work.prepare()
    work.contacts(contact(ANA), contact(BEN), contact(CEM))
    work.account.fault("partial-reject", "contacts", row=1, mode=mode)
    assert figures(work.run("contacts")) == {"sent": 3, "accepted": 2, "rejected": 1}
    assert work.account.contacts().keys() == {ANA, CEM}
    assert figures(work.run("contacts")) == {"unchanged": 2}
    work.contacts(contact(ANA), contact(BEN, ltv="1"), contact(CEM))
    assert figures(work.run("contacts")) == {"sent": 1, "accepted": 1, "unchanged": 2}


def test_an_error_for_a_stranger_makes_contacts_go_again(work: Project) -> None:
    work.prepare()
    work.contacts(contact(ANA), contact(BEN))
    work.account.fault("partial-reject", "contacts", row=1, mode="alien")
    report = work.run("contacts")
    assert (figures(report), report.strangers) == ({"sent": 2, "unknown": 2}, 1)
    assert figures(work.run("contacts")) == {"sent": 2, "accepted": 2}


@pytest.mark.parametrize("code", [2009, 2006])
def test_a_lost_race_is_repeated_at_once(work: Project, code: int) -> None:
    work.prepare()
    work.contacts(contact(ANA), contact(BEN))
    work.account.fault("partial-reject", "contacts", row=0, code=code, message="Contact already exists: 3", times=2)
    assert figures(work.run("contacts")) == {"sent": 2, "accepted": 2}
    assert work.account.writes("contacts") == 3
    assert [outcome for key, outcome in work.outcomes("contacts") if key == ANA] == ["retryable"] * 2 + ["accepted"]


def test_who_fails_too_often_is_a_dead_letter_until_it_succeeds(work: Project) -> None:
    work.prepare()
    work.policy(("back_off_seconds = 0", "back_off_seconds = 0\nmax_attempts = 5"))
    work.contacts(contact(ANA))
    race = {"row": 0, "code": 2009, "message": "Contact already exists: 3"}
    work.account.fault("partial-reject", "contacts", **race, times=9)
    assert work.run("contacts").dead_letters == 0  # four attempts: the first, and three repeats
    assert (work.run("contacts").dead_letters, work.run("contacts").sent) == (1, 0)
    (letter,) = repair.letters(work.ledger)["records"]
    assert (letter["key"], letter["attempts"]) == (ANA, 5)
    # It goes again when a person says so, or when it has changed; succeeding closes it.
    repair.settle_letters(work.ledger, "retried", "the account was tidied up", flow="contacts")
    assert (work.run("contacts").sent, repair.letters(work.ledger)["records"]) == (1, [])
    work.contacts(contact(ANA, ltv="1"))
    assert figures(work.run("contacts")) == {"sent": 1, "accepted": 1}


def test_a_failed_contact_waits_before_it_goes_again(work: Project) -> None:
    work.prepare()
    work.policy(("back_off_seconds = 0", "back_off_seconds = 100000"))
    work.contacts(contact(ANA), contact(BEN))
    work.account.fault("error-200", "contacts", times=6)
    assert figures(work.run("contacts")) == {"sent": 2, "unknown": 2}
    assert figures(work.run("contacts")) == {"waiting": 2}
    work.policy()
    assert figures(work.run("contacts")) == {"sent": 2, "accepted": 2}


@pytest.mark.parametrize("fault", ["applied-then-503", "reset-after", "reset-before", "throttle-429"])
def test_contacts_get_through_a_fault(work: Project, fault: str) -> None:
    work.prepare()
    work.contacts(contact(ANA), contact(BEN))
    work.account.fault(fault, "contacts")
    assert figures(work.run("contacts")) == {"sent": 2, "accepted": 2}
    assert [row["email"] for row in work.account.judge("contacts")] == [ANA, BEN]


@pytest.mark.parametrize("bad", [0, 3])
def test_a_batch_refused_as_a_whole_is_split(work: Project, bad: int) -> None:
    work.prepare()
    work.account.control("switches", {"invalid_value_scope": "batch"})
    emails = [f"c{number}@example.com" for number in range(5)]
    rows = [contact(email, first_order_date="2026-11-01") for email in emails]
    rows[bad] = contact(emails[bad], first_order_date="yesterday")
    work.contacts(*rows)
    assert figures(work.run("contacts")) == {"sent": 5, "accepted": 4, "rejected": 1}
    assert work.account.contacts().keys() == set(emails) - {emails[bad]}
    assert figures(work.run("contacts")) == {"unchanged": 4}


@pytest.mark.parametrize("bad", [{0}, {999}, {0, 1, 2, 3, 500}])
def test_a_thousand_with_few_spoilt_ones_take_few_calls(work: Project, bad: set[int]) -> None:
    work.prepare()
    work.account.control("switches", {"invalid_value_scope": "batch"})
    rows = [contact(f"c{n:03}@example.com", first_order_date="never" if n in bad else None) for n in range(1000)]
    work.contacts(*rows)
    report = work.run("contacts")
    assert figures(report) == {"sent": 1000, "accepted": 1000 - len(bad), "rejected": len(bad)}
    assert work.account.writes("contacts") <= len(bad) * 12 + 2  # 2 × ⌈log₂ 1000⌉ + 2 = 22 for one
    assert len(work.account.contacts()) == 1000 - len(bad)


def test_what_names_a_value_is_the_fault_of_its_record_though_all_are_refused(work: Project) -> None:
    work.prepare()
    work.account.control("switches", {"invalid_value_scope": "batch"})
    work.contacts(*(contact(email, first_order_date="yesterday") for email in (ANA, BEN)))
    assert figures(work.run("contacts")) == {"sent": 2, "rejected": 2}
    assert work.run("contacts").sent == 0


def test_opt_out_only_where_policy_says_so(work: Project) -> None:
    work.account.control("contacts", {"email": ANA, "fields": {"optin": "1"}})
    work.contacts(contact(ANA, consent="opt_out"))
    work.prepare()
    work.run("contacts")
    assert work.account.contacts()[ANA]["optin"] == "1"
    work.policy(("write_opt_out = false", "write_opt_out = true"))
    work.run("contacts")
    assert work.account.contacts()[ANA]["optin"] == "2"


def test_fields_that_are_missing_stop_the_flow(work: Project) -> None:
    work.contacts(contact(ANA))
    with pytest.raises(FieldsMissing, match="cin7_ltv"):
        work.run("contacts")
    assert work.outcomes("contacts") == []


@pytest.mark.parametrize("flow", ["contacts", "sales", "events"])
def test_a_dry_run_sends_nothing(work: Project, flow: str) -> None:
    work.known(ANA)
    desired(work)
    writes = work.account.writes(flow)
    report = work.run(flow, dry_run=True)
    assert (report.dry_run, report.sent, report.withheld["dry_run"], len(report.changes)) == (True, 0, 1, 1)
    assert work.account.writes(flow) == writes
    assert work.run(flow).accepted == 1


def test_unarmed_is_dry(work: Project) -> None:
    work.policy(("armed = true", "armed = false"))
    work.prepare()
    work.contacts(contact(ANA))
    assert work.run("contacts").withheld == {"dry_run": 1}
    assert work.account.writes("contacts") == 0


@pytest.mark.parametrize("flow", ["sales", "events"])
def test_a_gate_refuses(work: Project, flow: str) -> None:
    work.known(ANA)
    desired(work)
    work.fill("raw.sale_queue", {"sale_id": "s9", "first_scan": True})
    report = work.run(flow)
    assert ([gate.name for gate in report.refused], report.sent) == (["history_complete"], 0)
    assert work.account.writes(flow) == 0


def desired(work: Project) -> None:
    """One more of everything."""
    work.contacts(contact(ANA, ltv="5"))
    work.fill("mart.sales_lines", sales_line("i1", "A", 10))
    work.fill("mart.order_events", order_event("t1"))


@pytest.mark.parametrize("flow", ["contacts", "events"])
def test_a_missing_permission_stops_and_nothing_is_lost(work: Project, flow: str) -> None:
    work.known(ANA)
    desired(work)
    name = {"contacts": "contact.update", "events": "externalevent.trigger"}[flow]
    work.account.control("switches", {"permissions": {name: False}})
    with pytest.raises(PermissionMissing):
        work.run(flow)
    work.account.control("switches", {"permissions": {name: True}})
    assert figures(work.run(flow)) == {"sent": 1, "accepted": 1}


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("EMARSYS_MERCHANT_ID", "0000000000000000", Permanent),
        ("EMARSYS_SALES_TOKEN", "wrong", AuthFailed),
        ("EMARSYS_HAPI_URL", "http://127.0.0.1:9/hapi", RefusedBeforeSend),
    ],
)
def test_wrong_settings_make_no_dead_letters(
    work: Project, monkeypatch: pytest.MonkeyPatch, name: str, value: str, error: type[Exception]
) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", *(sales_line("i1", item, 10) for item in "ABC"))
    good = work.account.environment[name]
    monkeypatch.setenv(name, value)
    work.reload()
    with pytest.raises(error):
        work.run("sales")
    assert {outcome for _, outcome in work.outcomes("sales")} == {"retryable"}
    monkeypatch.setenv(name, good)
    work.reload()
    assert figures(work.run("sales")) == {"sent": 3, "accepted": 3}


# Sales


def sold(work: Project) -> list[tuple[str, str, float, float]]:
    lines = work.account.judge("sales")
    return sorted((line["order"], line["item"], line["price"], line["quantity"]) for line in lines)


def test_sales_lines_go_once(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", "10.50", 2), sales_line("i1", "A", "10.50", 2))
    assert figures(work.run("sales")) == {"sent": 2, "accepted": 2}
    assert figures(work.run("sales")) == {"unchanged": 2}
    assert sold(work) == [("SO-i1", "A", 10.5, 2), ("SO-i1", "A", 10.5, 2)]


def test_a_correction_is_the_negative_and_the_new_line(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10, 2), sales_line("i1", "B", 7))
    work.run("sales")
    work.fill("mart.sales_lines", sales_line("i1", "A", "9.99", 2, timestamp="2026-11-30"), sales_line("i1", "B", 7))
    assert figures(work.run("sales"))["accepted"] == 2
    assert figures(work.run("sales")) == {"unchanged": 2}
    lines = [line for line in work.account.judge("sales") if line["item"] == "A"]
    assert [(line["price"], line["quantity"]) for line in lines[:1]] == [(10, 2)]
    assert sorted((line["price"], line["quantity"], line["timestamp"]) for line in lines[1:]) == [
        (-10, -2, "2026-11-20T00:00:00Z"),
        (9.99, 2, "2026-11-30T00:00:00Z"),
    ]


def test_back_and_forth(work: Project) -> None:
    """What was taken back may be sold again, and taken back again: each time once."""
    work.known(ANA)
    for _ in range(2):
        work.fill("mart.sales_lines", sales_line("i1", "A", 10))
        work.run("sales")
        work.run("sales")
        assert sum(price for _, _, price, _ in sold(work)) == 10
        work.fill("mart.sales_lines")
        work.run("sales")
        work.run("sales")
        assert sum(price for _, _, price, _ in sold(work)) == 0
    assert len(sold(work)) == 4


def test_a_refund_is_negative_and_can_be_voided(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("c1", "A", -10, -1))
    work.run("sales")
    work.fill("mart.sales_lines")
    work.run("sales")
    assert sold(work) == [("SO-c1", "A", -10, -1), ("SO-c1", "A", 10, 1)]


def test_big_and_odd_amounts_stay_exact(work: Project) -> None:
    work.known(ANA)
    price = "12345678901234.5678"
    work.fill("mart.sales_lines", sales_line("i1", "A", price, "0.3333"), sales_line("i1", "B", 0, 1))
    work.run("sales")
    assert figures(work.run("sales")) == {"unchanged": 2}
    orders = work.account.judge("sales/orders")
    assert [Decimal(order["revenue"]) for order in orders] == [Decimal(price)]


def test_an_item_that_is_cleaned_is_still_the_same(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A\n1 \U0001f600", 10))
    assert figures(work.run("sales")) == {"sent": 1, "accepted": 1}
    assert figures(work.run("sales")) == {"unchanged": 1}
    assert sold(work) == [("SO-i1", "A 1", 10, 1)]
    work.fill("mart.sales_lines")
    work.run("sales")
    assert figures(work.run("sales")) == {}
    assert sold(work) == [("SO-i1", "A 1", -10, -1), ("SO-i1", "A 1", 10, 1)]


def test_sales_wait_for_their_contact(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i2", "A", 5, email=BEN))
    assert figures(work.run("sales")) == {"sent": 1, "accepted": 1, "waiting": 1}
    work.contacts(contact(ANA), contact(BEN))
    work.run("contacts")
    assert figures(work.run("sales")) == {"sent": 1, "accepted": 1, "unchanged": 1}
    assert not any(row["generated"] for row in work.account.judge("contacts"))


@pytest.mark.parametrize("fault", UNKNOWN)
def test_an_unknown_upload_is_parked_and_its_document_frozen(work: Project, fault: str) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i1", "B", 5))
    work.account.fault(fault, "sales")
    assert figures(work.run("sales")) == {"sent": 2, "unknown": 2}
    # Even a correction has to wait; other documents go on.
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i1", "B", 6), sales_line("i2", "C", 1))
    report = work.run("sales")
    assert (report.sent, report.accepted, report.frozen) == (1, 1, 2)
    lines = [line for line in sold(work) if line[0] == "SO-i1"]
    assert lines in ([], [("SO-i1", "A", 10, 1), ("SO-i1", "B", 5, 1)])


def test_a_throttled_upload_goes_once(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10))
    work.account.fault("throttle-429", "sales", times=1)
    assert figures(work.run("sales")) == {"sent": 1, "accepted": 1}
    assert len(sold(work)) == 1


def test_a_line_that_spoils_its_file_stands_alone_in_the_end(work: Project) -> None:
    work.known(ANA)
    lines = [sales_line(f"i{number}", "A", 10) for number in range(5)]
    lines[0]["item"] = " "
    work.fill("mart.sales_lines", *lines)
    assert figures(work.run("sales")) == {"sent": 5, "accepted": 4, "rejected": 1}
    assert [order for order, *_ in sold(work)] == ["SO-i1", "SO-i2", "SO-i3", "SO-i4"]
    assert work.run("sales").sent == 0


def test_a_dead_line_is_closed_when_its_document_says_something_else(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i2", " ", 10))
    work.run("sales")
    (letter,) = repair.letters(work.ledger)["records"]
    assert (letter["flow"], letter["attempts"]) == ("sales", 1)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i2", "B", 10))
    assert work.run("sales").accepted == 1
    assert repair.letters(work.ledger)["records"] == []


@pytest.mark.parametrize(("how", "sent"), [("retried", 1), ("dropped", 0)])
def test_a_dead_line_goes_again_only_when_a_person_says_so(
    work: Project, how: Literal["retried", "dropped"], sent: int
) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i2", " ", 10))
    work.run("sales")
    assert repair.settle_letters(work.ledger, how, "a trial", flow="sales") == 1
    assert (work.run("sales").sent, work.run("sales").sent) == (sent, 0)


def test_columns_in_the_wrong_order_make_no_dead_letters(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", *(sales_line(f"i{number}", "A", 10) for number in range(3)))
    work.account.control("switches", {"sales_header": ["order", "timestamp", "email", "item", "price", "quantity"]})
    with pytest.raises(Permanent):
        work.run("sales")
    work.policy(
        (
            'sales_header = ["item", "price", "order", "timestamp", "email", "quantity"]',
            'sales_header = ["order", "timestamp", "email", "item", "price", "quantity"]',
        )
    )
    assert figures(work.run("sales")) == {"sent": 3, "accepted": 3}


# Events


def mails(work: Project) -> list[tuple[str, str]]:
    return sorted((row["event"], row["email"]) for row in work.account.judge("mails"))


def test_events_go_once(work: Project) -> None:
    work.known(ANA, BEN)
    events = [order_event("t1"), order_event("t2"), order_event("t3", email=BEN), order_event("t4", "refund_issued")]
    work.fill("mart.order_events", *events)
    assert figures(work.run("events")) == {"sent": 4, "accepted": 4}
    assert figures(work.run("events")) == {"unchanged": 4}
    shipped = ("cin7_order_shipped", ANA)
    assert mails(work) == [
        ("cin7_order_shipped", ANA),
        shipped,
        ("cin7_order_shipped", BEN),
        ("cin7_refund_issued", ANA),
    ]
    assert {row["trigger_id"]: row["data"]["order"] for row in work.account.judge("events")}["t3"] == "SO-t3"


def test_a_marketing_event_asks_for_consent(work: Project) -> None:
    work.known(ANA, BEN, CEM)
    work.account.control("contacts", {"email": ANA, "fields": {"optin": "1"}})
    work.account.control("contacts", {"email": BEN, "fields": {"optin": "2"}})
    rows = [order_event(f"t-{email}", "first_purchase", email=email) for email in (ANA, BEN, CEM)]
    work.fill("mart.order_events", *rows, order_event("s-ben", email=BEN))
    report = work.run("events")
    assert (figures(report), report.withheld) == ({"sent": 2, "accepted": 2}, {"no_consent": 2})
    assert mails(work) == [("cin7_first_purchase", ANA), ("cin7_order_shipped", BEN)]
    work.account.control("contacts", {"email": CEM, "fields": {"optin": "1"}})
    assert figures(work.run("events"))["accepted"] == 1


def test_an_event_waits_for_its_contact(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.order_events", order_event("t1", email=BEN))
    assert figures(work.run("events")) == {"waiting": 1}
    work.contacts(contact(ANA), contact(BEN))
    work.run("contacts")
    assert figures(work.run("events")) == {"sent": 1, "accepted": 1}


def test_after_its_deadline_an_event_stays(work: Project) -> None:
    work.known(ANA)
    work.fill(
        "mart.order_events",
        order_event("late", deadline_at=moment(-1)),
        order_event("excluded", excluded="switched_off"),
        order_event("due"),
    )
    report = work.run("events")
    assert (figures(report), report.withheld) == ({"sent": 1, "accepted": 1}, {"too_late": 1})
    assert [row["trigger_id"] for row in work.account.judge("events")] == ["due"]


def test_the_deadline_goes_by_the_vendors_clock(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.order_events", order_event("t1", deadline_at=moment(0.05)))
    work.account.control("faults", [{"name": "clock-skew", "service": "emarsys", "seconds": 3600}], "PUT")
    assert work.run("events").withheld == {"too_late": 1}


@pytest.mark.parametrize("fault", UNKNOWN)
def test_an_unknown_event_is_parked(work: Project, fault: str) -> None:
    work.known(ANA, BEN)
    work.fill("mart.order_events", order_event("t1"), order_event("t2", email=BEN))
    work.account.fault(fault, "events")
    assert figures(work.run("events")) == {"sent": 2, "unknown": 2}
    work.fill("mart.order_events", order_event("t1"), order_event("t2", email=BEN), order_event("t3"))
    assert figures(work.run("events")) == {"sent": 1, "accepted": 1, "frozen": 2}
    triggers = [row["trigger_id"] for row in work.account.judge("events")]
    assert len(triggers) == len(set(triggers))


@pytest.mark.parametrize("fault", ["reset-after", "reset-before"])
def test_an_unknown_event_goes_again_where_emarsys_drops_what_it_has(work: Project, fault: str) -> None:
    """It said so: no e-mail hangs on the event, and it has not forgotten the trigger id yet."""
    on_a_program(work)
    work.account.fault(fault, "events")
    work.fill("mart.order_events", order_event("t0"), order_event("t1"))
    assert figures(work.run("events")) == {"sent": 1, "unknown": 1, "unchanged": 1}
    assert figures(work.run("events")) == {"sent": 1, "accepted": 1, "unchanged": 1}
    assert figures(work.run("events")) == {"unchanged": 2}
    assert len(mails(work)) == 2
    assert [outcome for key, outcome in work.outcomes("events") if key == "t1"] == ["retryable", "accepted"]


def test_what_a_repeat_could_not_settle_is_in_doubt_as_before(work: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_program(work)
    work.account.fault("reset-after", "events")
    work.fill("mart.order_events", order_event("t0"), order_event("t1"))
    work.run("events")
    work.account.control("switches", {"permissions": {"externalevent.trigger": False}})
    with pytest.raises(PermissionMissing):  # the repeat certainly did not happen; the first one may have
        work.run("events")
    assert work.outcomes("events")[1:] == [("t1", "unknown"), ("t1", "retryable")]
    work.account.control("switches", {"permissions": {"externalevent.trigger": True}})
    work.policy(("[delivery]", "trigger_id_memory_hours = 0\n[delivery]"))  # by now it has forgotten
    assert figures(work.run("events")) == {"unchanged": 1, "frozen": 1}
    assert len(mails(work)) == 2


def on_a_program(work: Project) -> None:
    """One event has been sent, and the answer told that an automation programme listens, and no e-mail."""
    work.known(ANA)
    switches = {"interactions": True, "program_events": ["cin7_order_shipped"], "campaign_deduplication": False}
    work.account.control("switches", switches)
    work.fill("mart.order_events", order_event("t0"))
    work.run("events")


def test_an_event_with_an_e_mail_on_it_is_never_repeated(work: Project) -> None:
    work.known(ANA)
    work.account.control("switches", {"interactions": True, "campaign_deduplication": False})
    work.fill("mart.order_events", order_event("t0"))
    work.run("events")
    work.account.fault("reset-after", "events")
    work.fill("mart.order_events", order_event("t0"), order_event("t1"))
    for _ in range(2):
        work.run("events")
    assert work.outcomes("events") == [("t0", "accepted"), ("t1", "unknown")]
    repair.resolve(work.ledger, "send-again", "the mail may come twice", flow="events")
    assert figures(work.run("events")) == {"sent": 1, "accepted": 1, "unchanged": 1}
    assert [row["trigger_id"] for row in work.account.judge("events")] == ["t0", "t1", "t1"]


@pytest.mark.parametrize(("how", "arrives"), [("accepted", 0), ("not-applied", 1)])
def test_what_is_parked_is_resolved_by_a_person(work: Project, how: repair.Resolution, arrives: int) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i1", "A", 10), sales_line("i2", "B", 5))
    work.account.fault("reset-before", "sales")
    work.run("sales")
    parked = repair.parked(work.ledger)
    assert [(flow["flow"], flow["records"]) for flow in parked["flows"]] == [("sales", 3)]
    first = parked["records"][0]["record_id"]
    assert repair.resolve(work.ledger, how, "looked at Emarsys", record=first) == 1
    assert work.run("sales").sent == 0  # the rest of its document is still in doubt
    assert repair.resolve(work.ledger, "not-applied", "looked at Emarsys", flow="sales") == 2
    assert work.run("sales").accepted == 2 + arrives
    assert work.run("sales").unchanged == 3
    assert len(sold(work)) == 2 + arrives
    with pytest.raises(repair.NothingThere):
        repair.resolve(work.ledger, "accepted", "again", record=first)
    with work.ledger.engine.connect() as connection:
        kept = connection.execute(select(audit.c.who, audit.c.command, audit.c.reason)).all()
    assert [tuple(row) for row in kept] == [
        (repair.who(), f"unknowns resolve {how}", "looked at Emarsys"),
        (repair.who(), "unknowns resolve not-applied", "looked at Emarsys"),
    ]


def test_a_throttled_event_goes_once(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.order_events", order_event("t1"))
    work.account.fault("throttle-429", "events", times=1)
    assert figures(work.run("events")) == {"sent": 1, "accepted": 1}
    assert len(mails(work)) == 1


def test_a_rejected_event_is_a_dead_letter(work: Project) -> None:
    work.known(ANA, BEN)
    work.fill("mart.order_events", order_event("t1"), order_event("t2", email=BEN))
    work.account.fault("partial-reject", "events", row=0)
    assert figures(work.run("events")) == {"sent": 2, "accepted": 1, "rejected": 1}
    assert work.run("events").sent == 0


def test_an_event_that_nothing_listens_to_is_told_and_not_repeated(work: Project) -> None:
    work.known(ANA)
    work.account.control("switches", {"event_listeners": []})
    work.fill("mart.order_events", order_event("t1"), order_event("t2"))
    assert figures(work.run("events")) == {"sent": 2, "rejected": 2}
    assert work.run("events").sent == 0


def test_an_event_whose_data_is_too_large_stays(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.order_events", order_event("t1", data={"order": "x" * 200_000}))
    assert work.run("events").withheld == {"too_large": 1}


def test_an_event_the_account_lacks_is_counted(work: Project) -> None:
    work.known(ANA)
    work.policy(('name = "cin7_order_shipped"', 'name = "not_there"'))
    work.fill("mart.order_events", order_event("t1"))
    assert work.run("events").withheld == {"event_missing_at_emarsys": 1}


# Answers that say nothing


@pytest.mark.parametrize("flow", ["contacts", "events"])
def test_an_answer_without_content_proves_nothing(work: Project, flow: str) -> None:
    work.known(ANA)
    desired(work)
    work.account.fault("error-200", flow, times=6)
    assert figures(work.run(flow)) == {"sent": 1, "unknown": 1}


def test_the_figures_of_a_report_add_up() -> None:
    report = Report("contacts")
    fates: dict[str, Any] = {"a": answers.ACCEPTED, "b": answers.Verdict("unknown"), "c": answers.Verdict("rejected")}
    report.count(fates)
    assert report.sent == report.accepted + report.rejected + report.retryable + report.unknown == 3


def test_a_gate_refuses_the_product_file(work: Project) -> None:
    work.fill("mart.catalogue", product("A", title=""))
    report = work.run("catalogue")
    assert [gate.name for gate in report.refused] == ["catalogue_whole"]
    assert not work.settings.paths.feed.exists()
