"""Contacts against the simulated account: what goes, what goes again, and who spoils a batch."""

from __future__ import annotations

import pytest

from cin7_emarsys.emarsys import contacts, delivery, repair
from cin7_emarsys.emarsys.payloads import FieldsMissing
from cin7_emarsys.transport import AuthFailed, Permanent
from cin7_emarsys_tests.conftest import trouble
from cin7_emarsys_tests.emarsys.conftest import (
    Project,
    contact,
    figures,
)

ANA, BEN, CEM = "ana@example.com", "ben@example.com", "cem@example.com"


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


def test_a_plan_may_be_worked_out_in_parts(work: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_PART", 1)
    work.prepare()
    work.contacts(contact(ANA), contact(BEN), contact(CEM))
    assert figures(work.run("contacts")) == {"sent": 3, "accepted": 3}
    work.contacts(contact(ANA, ltv="12.50"), contact(BEN), contact(CEM))
    work.account.fault("reset-after", "contacts", times=6)
    assert figures(work.run("contacts")) == {"sent": 1, "unknown": 1, "unchanged": 2}
    work.account.control("clock", {"advance": 3600})
    assert figures(work.run("contacts")) == {"sent": 1, "accepted": 1, "unchanged": 2}
    assert list(work.state.glob("outbox/*")) == []


def test_a_derived_value_is_cleared_and_master_data_is_not(work: Project) -> None:
    work.contacts(contact(ANA, ltv="12.50", last_refund_date="2026-11-01"))
    work.prepare()
    work.run("contacts")
    work.contacts(contact(ANA, first_name=None, ltv="12.50", last_refund_date=None))
    work.run("contacts")
    assert work.account.contacts()[ANA] == {"first_name": "Ana", "email": ANA, "cin7_ltv": "12.50"}


@pytest.mark.trouble
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


def racing(work: Project, *, max_attempts: int) -> None:
    """A contact that always loses the race."""
    work.prepare()
    work.policy(("back_off_seconds = 0", f"back_off_seconds = 0\nmax_attempts = {max_attempts}"))
    work.contacts(contact(ANA))
    race = {"row": 0, "code": 2009, "message": "Contact already exists: 3"}
    work.account.fault("partial-reject", "contacts", **race, times=9)


@pytest.mark.trouble
def test_who_fails_too_often_is_a_dead_letter_until_it_succeeds(work: Project) -> None:
    racing(work, max_attempts=5)
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


@pytest.mark.parametrize("fault", ["applied-then-503", *trouble("reset-after", "reset-before", "throttle-429")])
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


@pytest.mark.parametrize("bad", [{999}, *trouble({0}, {0, 1, 2, 3, 500})])
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


@pytest.mark.trouble
def test_what_an_earlier_attempt_may_have_applied_is_undone_too(work: Project) -> None:
    """The connection broke after it was applied, and the repeat was refused: the last word is not the whole story."""
    work.known(ANA)
    work.contacts(contact(ANA, first_name="Anna"))
    at = {"service": "emarsys", "path": "/contact/?", "nth": 1}
    work.account.control("faults", [{"name": "reset-after", **at}, {"name": "auth-expired", **at, "times": 2}], "PUT")
    with pytest.raises(AuthFailed):
        work.run("contacts")
    assert work.account.contacts()[ANA]["first_name"] == "Anna"
    work.contacts(contact(ANA))
    assert figures(work.run("contacts")) == {"sent": 1, "accepted": 1}
    assert work.account.contacts()[ANA]["first_name"] == "Ana"


def test_a_field_that_is_gone_stops_the_flow_and_buries_nobody(work: Project) -> None:
    work.prepare()
    work.contacts(contact(ANA), contact(BEN))
    work.account.fault("partial-reject", "contacts", row=0, code=2006, message="Invalid field id: 90001")
    with pytest.raises(Permanent, match="Invalid field id: 90001"):
        work.run("contacts")
    assert work.outcomes("contacts") == [(ANA, "retryable"), (BEN, "accepted")]
    assert figures(work.run("contacts")) == {"sent": 1, "accepted": 1, "unchanged": 1}


def test_a_call_is_no_larger_than_emarsys_takes(work: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts, "_MAX_BYTES", 10)
    work.prepare()
    work.contacts(contact(ANA), contact(BEN), contact(CEM))
    assert figures(work.run("contacts")) == {"sent": 3, "accepted": 3}
    assert work.account.writes("contacts") == 3


def test_who_is_retried_by_a_person_goes_at_once(work: Project) -> None:
    work.prepare()
    work.policy(("back_off_seconds = 0", "back_off_seconds = 100000\nmax_attempts = 1"))
    work.contacts(contact(ANA))
    work.account.fault("error-200", "contacts", times=6)
    assert work.run("contacts").dead_letters == 1
    work.account.control("faults", [], "PUT")
    repair.settle_letters(work.ledger, "retried", "the account was tidied up", flow="contacts")
    assert figures(work.run("contacts")) == {"sent": 1, "accepted": 1}


def test_a_race_that_used_up_its_attempts_is_not_repeated(work: Project) -> None:
    racing(work, max_attempts=2)
    report = work.run("contacts")
    assert (figures(report), report.dead_letters) == ({"sent": 1, "retryable": 1}, 1)
    assert work.account.writes("contacts") == 2


def test_what_may_have_been_applied_uses_up_an_attempt_though_the_last_word_was_no(work: Project) -> None:
    work.prepare()
    work.policy(("back_off_seconds = 0", "back_off_seconds = 0\nmax_attempts = 1"))
    work.contacts(contact(ANA))
    at = {"service": "emarsys", "path": "/contact/?", "nth": 1}
    work.account.control("faults", [{"name": "reset-after", **at}, {"name": "auth-expired", **at, "times": 2}], "PUT")
    with pytest.raises(AuthFailed):
        work.run("contacts")
    assert len(repair.letters(work.ledger)["records"]) == 1
