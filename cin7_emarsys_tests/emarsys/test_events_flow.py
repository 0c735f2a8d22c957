"""Events against the simulated account: who gets a mail, when, and never twice."""

from __future__ import annotations

from contextlib import suppress

import pytest
from typer.testing import CliRunner

from cin7_emarsys.cli import app
from cin7_emarsys.emarsys import events, repair
from cin7_emarsys.transport import PermissionMissing, TransportError
from cin7_emarsys_tests.conftest import trouble
from cin7_emarsys_tests.emarsys.conftest import (
    PATHS,
    UNKNOWN,
    Project,
    contact,
    figures,
    moment,
    order_event,
)

ANA, BEN, CEM = "ana@example.com", "ben@example.com", "cem@example.com"


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


@pytest.mark.parametrize("fault", ["reset-after", *trouble("reset-before")])
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


@pytest.fixture
def in_doubt_twice(work: Project) -> Project:
    """An event of which neither the first try nor its repeat was answered."""
    on_a_program(work)
    work.fill("mart.order_events", order_event("t0"), order_event("t1"))
    for _ in range(2):
        work.account.fault("reset-after", "events", times=9)
        work.run("events")
    work.account.control("faults", [], "PUT")
    assert work.outcomes("events")[1:] == [("t1", "retryable"), ("t1", "unknown")]
    return work


def test_only_the_newest_doubt_is_restored(in_doubt_twice: Project) -> None:
    work = in_doubt_twice
    work.account.control("switches", {"permissions": {"externalevent.trigger": False}})
    with pytest.raises(PermissionMissing):
        work.run("events")
    assert work.outcomes("events")[1:] == [("t1", "retryable"), ("t1", "unknown"), ("t1", "retryable")]


def test_a_repeat_that_was_killed_before_it_left_stops_nobody(in_doubt_twice: Project) -> None:
    work = in_doubt_twice
    work.crash("events", "intended")
    work.fill("mart.order_events", order_event("t0"), order_event("t1"), order_event("t2"))
    work.run("events")
    assert dict(work.outcomes("events")) == dict.fromkeys(("t0", "t1", "t2"), "accepted")
    work.conserved()


def test_what_a_person_has_decided_is_not_in_doubt_again(in_doubt_twice: Project) -> None:
    work = in_doubt_twice
    assert repair.resolve(work.ledger, "not-applied", "Emarsys has not got it", flow="events") == 1
    work.account.control("switches", {"permissions": {"externalevent.trigger": False}})
    with pytest.raises(PermissionMissing):
        work.run("events")
    assert "unknown" not in dict(work.outcomes("events")).values() and not repair.parked(work.ledger)["records"]


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


def test_a_trigger_id_that_stands_twice_goes_once(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.order_events", order_event("t1"), order_event("t1"))
    report = work.run("events")
    assert (report.sent, report.accepted, report.folded) == (1, 1, 1)
    assert len(mails(work)) == 1


def test_a_call_is_no_larger_than_emarsys_takes(work: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_MAX_CALL_BYTES", 10)
    work.known(ANA, BEN, CEM)
    work.fill("mart.order_events", *(order_event(f"t-{email}", email=email) for email in (ANA, BEN, CEM)))
    assert figures(work.run("events")) == {"sent": 3, "accepted": 3}
    assert work.account.writes("events") == 3


def test_what_was_never_sent_is_not_in_doubt(work: Project) -> None:
    """The token was refused, and no new one is to be had."""
    work.known(ANA)
    work.fill("mart.order_events", order_event("t1"))
    at = {"service": "emarsys", "path": PATHS["events"], "nth": 1}
    token = {"name": "server-error", "service": "emarsys", "path": "/oauth2/token", "nth": 2, "times": 9}
    work.account.control("faults", [{"name": "auth-expired", **at}, token], "PUT")
    with suppress(TransportError):
        work.run("events")
    assert work.outcomes("events") == [("t1", "retryable")]
    work.account.control("faults", [], "PUT")
    assert figures(work.run("events")) == {"sent": 1, "accepted": 1}


def test_what_a_process_left_that_died_is_gone_after_the_next(work: Project) -> None:
    work.known(ANA)
    work.settings.paths.outbox.mkdir(parents=True)
    (work.settings.paths.outbox / "events-0.ndjson").write_text(f'{{"email": "{ANA}"}}\n')
    work.run("events")
    assert list(work.settings.paths.outbox.iterdir()) == []


def test_a_repeat_that_is_refused_is_no_longer_in_doubt(work: Project) -> None:
    on_a_program(work)
    work.account.fault("reset-after", "events")
    work.fill("mart.order_events", order_event("t0"), order_event("t1"))
    work.run("events")
    work.account.fault("partial-reject", "events", row=0)
    assert figures(work.run("events")) == {"sent": 1, "rejected": 1, "unchanged": 1}
    assert not repair.parked(work.ledger)["records"]


def test_what_a_person_decides_is_seen_in_the_warehouse_at_once(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.order_events", order_event("t1"))
    work.account.fault("reset-before", "events")
    work.run("events")
    said = ["unknowns", "resolve", "accepted", "--flow", "events", "--reason", "the mail came"]
    assert CliRunner().invoke(app, said).exit_code == 0
    with work.warehouse.read() as reading:
        found = reading.execute("select outcome from delivery.records where flow = 'events'").fetchall()
    assert found == [("accepted",)]
