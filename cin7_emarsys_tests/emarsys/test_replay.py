"""Sending again what was accepted: verbatim or recomputed, and what a stop in the middle leaves."""

from __future__ import annotations

import os
import signal
import threading
import time
import zlib
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from cin7_emarsys.emarsys import deletion, repair, replay
from cin7_emarsys.emarsys.delivery import Delivery
from cin7_emarsys.emarsys.erasure import erase
from cin7_emarsys.emarsys.repair import NothingThere
from cin7_emarsys.emarsys.retry import back_off, unbroken
from cin7_emarsys.emarsys.tables import audit, batches, bodies
from cin7_emarsys.erased import Erased
from cin7_emarsys_tests.emarsys.conftest import Project, contact, order_event, sales_line

ANA, BEN = "ana@example.com", "ben@example.com"
NOW = datetime(2026, 11, 24)


def verbatim(work: Project, flow: str, **chosen: Any) -> int:
    delivery = Delivery(flow, work.settings, work.warehouse, work.ledger, None, dry_run=False)
    return replay.verbatim(delivery, replay.Chosen(flow=flow, **chosen), "Emarsys lost it")


def test_a_contact_goes_again_as_it_is_by_now(work: Project) -> None:
    work.prepare()
    work.contacts(contact(ANA, ltv="1"), contact(BEN))
    work.run("contacts")
    (batch,) = {row["batch_id"] for row in work.records("contacts")}
    record = work.records("contacts")[0]["record_id"]
    assert [row["key"] for row in replay.preview(work.ledger, replay.Chosen(batch=batch))["records"]] == [ANA, BEN]
    assert (
        replay.mark(work.ledger, replay.Chosen(record=record), "it was changed by hand", "replay --recomputed", NOW)
        == 1
    )
    report = work.run("contacts")
    assert (report.sent, report.accepted, report.unchanged) == (1, 1, 1)
    assert work.run("contacts").unchanged == 2
    with pytest.raises(NothingThere):
        replay.mark(work.ledger, replay.Chosen(record=record), "again", "replay --recomputed", NOW)
    with work.ledger.engine.connect() as connection:
        kept = connection.execute(select(audit.c.command, audit.c.reason)).all()
    assert [tuple(row) for row in kept] == [("replay --recomputed", "it was changed by hand")]
    with work.warehouse.read() as reading:
        assert reading.execute("select command, reason from operations.audit").fetchall() == [tuple(kept[0])]


def test_what_the_batches_count_is_what_the_records_say(work: Project) -> None:
    work.prepare()
    work.contacts(contact(ANA), contact(BEN), contact("cem@example.com"), contact("dan@example.com"))
    work.run("contacts")
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i2", "A", 5, email=BEN))
    work.run("sales")
    erased = Erased(work.state)
    erased.add([ANA])
    erase(work.ledger, erased, [ANA], "asked", NOW)
    for chosen in (replay.Chosen(record=2), replay.Chosen(flow="sales", batch=2)):
        replay.mark(work.ledger, chosen, "Emarsys lost it", "replay --recomputed", NOW)
    for chosen in (replay.Chosen(), replay.Chosen(flow="contacts"), replay.Chosen(batch=2), replay.Chosen(until=NOW)):
        with work.ledger.engine.connect() as connection:
            told = connection.execute(repair.by_flow(chosen.condition())).all()
        assert replay.preview(work.ledger, chosen)["flows"] == [dict(row._mapping) for row in told]
    assert [flow["records"] for flow in replay.preview(work.ledger, replay.Chosen())["flows"]] == [2]


def test_a_contact_goes_again_just_as_it_was(work: Project) -> None:
    work.prepare()
    work.contacts(contact(ANA, ltv="1"), contact(BEN, ltv="2"))
    work.run("contacts")
    work.account.control("contacts", {"email": ANA, "fields": {"cin7_ltv": "99"}})
    work.contacts(contact(ANA, ltv="5"), contact(BEN, ltv="2"))
    assert verbatim(work, "contacts", record=work.records("contacts")[0]["record_id"]) == 1
    assert work.account.contacts()[ANA]["cin7_ltv"] == "1"
    assert work.run("contacts").accepted == 1
    assert work.account.contacts()[ANA]["cin7_ltv"] == "5"


def test_a_contact_goes_again_whoever_of_its_batch_was_erased(work: Project) -> None:
    work.prepare()
    work.contacts(contact(ANA), contact(BEN))
    work.run("contacts")
    erased = Erased(work.state)
    erased.add([ANA])
    erase(work.ledger, erased, [ANA], "asked", NOW)
    assert verbatim(work, "contacts") == 1


def test_a_window_in_which_something_cannot_go_as_it_was_sends_nothing(work: Project) -> None:
    work.prepare()
    work.contacts(contact(ANA))
    work.run("contacts")
    work.fill("mart.order_events", order_event("t1"))
    work.run("events")
    window = replay.Chosen(since=datetime(2020, 1, 1))
    with pytest.raises(NothingThere, match="--flow contacts"):
        replay.may_go_verbatim(work.ledger, window)
    replay.may_go_verbatim(work.ledger, replay.Chosen(since=datetime(2020, 1, 1), flow="contacts"))


def test_a_deletion_is_never_replayed(work: Project) -> None:
    work.known(ANA)
    erased = Erased(work.state)
    erased.add([BEN])
    deleting = Delivery(deletion.FLOW, work.settings, work.warehouse, work.ledger, None, dry_run=False)
    deletion.delete_contacts(deleting, erased, [BEN])
    assert {row["flow"] for row in replay.preview(work.ledger, replay.Chosen())["records"]} == {"contacts"}


def test_a_contact_that_cannot_go_as_it_was_is_left_as_it_is(work: Project) -> None:
    work.prepare()
    work.contacts(contact(ANA))
    work.run("contacts")
    with work.ledger.write() as connection:
        connection.execute(update(bodies).values(request=zlib.compress(b"[]")))
    with pytest.raises(NothingThere, match="recomputed"):
        verbatim(work, "contacts")
    assert [row["resolution"] for row in work.records("contacts")] == [None]


def test_a_sales_line_goes_again_and_counts_once_here(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i1", 'B "x", ö', "5.50"))
    work.run("sales")
    assert verbatim(work, "sales", record=work.records("sales")[1]["record_id"]) == 1
    assert [line["item"] for line in work.account.judge("sales")] == ["A", 'B "x", ö', 'B "x", ö']
    assert work.run("sales").unchanged == 2


def test_an_event_goes_again_only_after_the_same_questions(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.order_events", order_event("t1"))
    work.run("events")
    with pytest.raises(NothingThere, match="deadline and consent"):
        verbatim(work, "events")
    assert replay.mark(work.ledger, replay.Chosen(flow="events"), "a trial", "replay --recomputed", NOW) == 1
    assert work.run("events").accepted == 1
    assert [row["deduplicated"] for row in work.account.judge("events")] == [False, True]


def test_a_stop_waits_for_the_end_of_the_batch(work: Project) -> None:
    """It comes while the vendor takes its time with the first of two files."""
    work.known(ANA)
    lines = [sales_line(f"i{number}", "A", 10) for number in range(501)]
    work.fill("mart.sales_lines", *lines)
    work.account.control("faults", [{"name": "slow", "path": "/sales-data", "seconds": 0.5}], "PUT")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    stop = threading.Thread(target=_stop_when_called, args=(work,))
    try:
        stop.start()
        with pytest.raises(KeyboardInterrupt):
            work.run("sales")
    finally:
        stop.join()
        signal.signal(signal.SIGTERM, before)
    assert [outcome for _, outcome in work.outcomes("sales")] == ["accepted"] * 500
    assert work.run("sales").accepted == 1
    assert len(work.account.judge("sales")) == 501


def _stop_when_called(work: Project) -> None:
    while not any(state == "connecting" for _, state, _ in work.ledger.open_batches("sales")):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_second_stop_does_not_wait() -> None:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    reached = []
    try:
        with pytest.raises(KeyboardInterrupt), unbroken():
            signal.raise_signal(signal.SIGTERM)
            reached.append("after the first")
            signal.raise_signal(signal.SIGTERM)
            reached.append("after the second")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert reached == ["after the first"]


def test_back_off_grows_up_to_an_hour_and_is_the_same_for_whoever_asks() -> None:
    waits = [back_off("k", attempts, 30).total_seconds() for attempts in range(1, 50)]
    assert waits == [back_off("k", attempts, 30).total_seconds() for attempts in range(1, 50)]
    assert all(0 <= wait <= min(30 * 2**attempts, 3600) for attempts, wait in enumerate(waits, 1))
    assert len({back_off(str(key), 5, 30) for key in range(50)}) == 50


def test_a_window_holds_what_was_sent_from_its_beginning_up_to_its_end(work: Project) -> None:
    work.known(ANA)
    with work.ledger.engine.connect() as connection:
        (at,) = connection.execute(select(batches.c.closed_at)).scalars()
    later = at + timedelta(seconds=1)

    def found(since: datetime, until: datetime) -> int:
        return len(replay.preview(work.ledger, replay.Chosen(since=since, until=until))["records"])

    assert (found(at, later), found(NOW, at), found(later, datetime(2100, 1, 1))) == (1, 0, 0)
