"""Erasing persons from the ledger: what was sent still counts, nothing of theirs goes again, and Emarsys can be told."""

from __future__ import annotations

import json
import time
import zlib
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from cin7_emarsys.cin7.load import ensure_tables
from cin7_emarsys.emarsys import deletion, erasure, replay
from cin7_emarsys.emarsys.answers import Verdict
from cin7_emarsys.emarsys.delivery import Delivery
from cin7_emarsys.emarsys.ledger import Intended
from cin7_emarsys.emarsys.projection import project
from cin7_emarsys.emarsys.repair import NothingThere, now
from cin7_emarsys.emarsys.tables import audit, batches, bodies, dead_letters
from cin7_emarsys.erased import Erased
from cin7_emarsys.operations import erase as erasing
from cin7_emarsys.operations.explain import fetch
from cin7_emarsys.operations.person import lines_in_files
from cin7_emarsys.operations.refusals import CannotRun
from cin7_emarsys.transport import TransportError
from cin7_emarsys_tests.emarsys.conftest import Project, contact, order_event, sales_line

ANA, BEN, JOERG = "ana@example.com", "ben@example.com", "jörg@müller.example"
ACCOUNT = "10000000-0000-4000-8000-000000000001"


def erase(work: Project, *emails: str) -> erasure.Found:
    erased = Erased(work.state)
    erased.add(emails)
    found = erasure.erase(work.ledger, erased, emails, f"{emails[0]} asked", now())
    project(work.ledger, work.warehouse)
    return found


def delete(work: Project, *emails: str) -> Delivery:
    erased = Erased(work.state)
    erased.add(emails)
    delivery = Delivery(deletion.FLOW, work.settings, work.warehouse, work.ledger, None, dry_run=False)
    deletion.delete_contacts(delivery, erased, emails)
    return delivery


def everything(work: Project) -> str:
    """All text of the ledger, requests and answers unpacked, and its projection."""
    with work.ledger.engine.connect() as connection:
        kept = [str(work.records(flow)) for flow in ("contacts", "sales", "events", deletion.FLOW)]
        kept += [str(connection.execute(select(table)).all()) for table in (audit, dead_letters)]
        for request, response in connection.execute(select(bodies.c.request, bodies.c.response)):
            kept += [zlib.decompress(content).decode() for content in (request, response) if content]
    with work.warehouse.read() as reading:
        for table in ("records", "delivered", "dead_letters"):
            kept.append(str(reading.execute(f"from delivery.{table}").fetchall()))
    return "\n".join(kept).lower()


def test_tombstones_count_as_before(work: Project) -> None:
    work.known(ANA, BEN)
    work.contacts(contact(ANA, ltv="2"), contact(BEN, ltv="2"))
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i2", "B", 5, email=BEN))
    work.fill("mart.order_events", order_event("t1"), order_event("t2", email=BEN))
    for flow in ("contacts", "sales", "events"):
        work.run(flow)
    before = {flow: work.outcomes(flow) for flow in ("sales", "events")}
    work.account.fault("partial-reject", "contacts")
    work.contacts(contact(ANA, ltv="3"), contact(BEN, ltv="2"))
    work.run("contacts")
    found = erase(work, ANA)
    assert {flow: len(ids) for flow, ids in found.records.items()} == {"contacts": 3, "sales": 1, "events": 1}
    work.conserved()
    assert {flow: work.outcomes(flow) for flow in before} == before
    text = everything(work)
    assert ANA not in text and BEN in text
    assert erase(work, ANA).records == {}

    line = json.loads(next(row for row in work.records("sales") if row["document"] == "invoice:i1")["payload"])
    assert (line["item"], line["price"], "email" in line) == ("A", "10", False)
    with work.warehouse.read() as reading:
        delivered = reading.execute("select key from delivery.delivered where flow = 'contacts'").fetchall()
        reasons = reading.execute("select command, reason from operations.audit").fetchall()
    assert delivered == [(BEN,)]
    assert reasons == [("erase", "(erased) asked")] * 2


def test_nothing_of_hers_goes_again(work: Project) -> None:
    """Her lines are no longer wanted, but what Emarsys has of them stays as it is there."""
    work.known(ANA, BEN)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i2", "B", 5, email=BEN))
    work.run("sales")
    erase(work, ANA)
    work.fill("mart.sales_lines", sales_line("i2", "B", 5, email=BEN))
    work.contacts(contact(BEN))
    report = work.run("sales")
    assert (report.sent, report.unchanged, report.frozen) == (0, 1, 0)
    assert len(work.account.judge("sales")) == 2
    mine = work.records("sales")[0]["record_id"]
    with pytest.raises(NothingThere):
        replay.mark(work.ledger, replay.Chosen(record=mine), "again", "replay --recomputed", now())


def test_her_parked_line_and_dead_letter_wait_for_nobody(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10))
    work.account.fault("reset-after", "sales")
    work.run("sales")
    work.account.fault("partial-reject", "contacts")
    work.contacts(contact(ANA, ltv="9"))
    assert work.run("contacts").rejected == 1
    erase(work, ANA)
    work.fill("mart.sales_lines")
    report = work.run("sales")
    assert (report.sent, report.frozen) == (0, 0)
    with work.ledger.engine.connect() as connection:
        (letter,) = connection.execute(select(dead_letters)).all()
    assert letter.closed_by == "erased" and ANA not in str(letter)


def test_the_rows_of_others_stay_in_a_request(work: Project) -> None:
    erased = Erased(work.state)
    erased.add([ANA])

    def without(text: str) -> str:
        return erasure.without(text.encode(), erased).decode()

    rows = json.loads(without(json.dumps([{"3": ANA, "1": "Ana"}, {"3": BEN, "1": "Ben"}])))
    assert rows[1] == {"3": BEN, "1": "Ben"} and rows[0].keys() == {"erased"}
    answer = json.loads(
        without(json.dumps({"replyCode": 0, "data": {"ids": [1], "errors": {ANA: {"2": "x"}, BEN: {}}}}))
    )
    assert answer["replyCode"] == 0 and answer["data"]["ids"] == [1] and BEN in answer["data"]["errors"]
    lines = without(f"item,email\nA,{ANA}\nB,{BEN}\n").split("\n")
    assert [line.partition(",")[0] for line in lines] == ["item", "erased", "B", ""]
    assert ANA not in f"{rows}{answer}{lines}"
    assert without("nothing, not even JSON") == "nothing, not even JSON"


def test_the_contact_is_deleted_at_emarsys_and_that_is_written_down(work: Project) -> None:
    work.known(ANA, BEN)
    assert delete(work, ANA).report.accepted == 1
    assert list(work.account.contacts()) == [BEN]
    again = Delivery(deletion.FLOW, work.settings, work.warehouse, work.ledger, None, dry_run=False)
    assert deletion.delete_contacts(again, Erased(work.state), [ANA]) == 0
    assert again.report.accepted == 1, "one that is not there is good as well"
    with work.ledger.engine.connect() as connection:
        kept = connection.execute(select(bodies.c.request, bodies.c.response)).all()
    erase(work, ANA)
    assert ANA not in everything(work)
    assert len(work.outcomes(deletion.FLOW)) == 2 and len(kept) == 3


def test_nothing_of_hers_goes_while_her_erasure_is_broken_off(work: Project) -> None:
    work.known(ANA, BEN)
    erased = Erased(work.state)
    erased.add([ANA, ACCOUNT])
    assert erased.unfinished()
    work.contacts(contact(ANA, ltv="9"), contact(BEN, ltv="9"))
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i2", "B", 5, email=BEN))
    work.fill("mart.order_events", order_event("t1"), order_event("t2", email=BEN))
    for flow in ("contacts", "sales", "events"):
        report = work.run(flow)
        assert (report.sent, report.withheld) == (1, {"erased": 1}), flow
        assert report.desired == report.unchanged + report.sent + sum(report.withheld.values())
    erased.finish([ANA])  # by now nothing tells any more which accounts were hers
    assert erased.unfinished() is None


def test_reports_add_up_while_an_erasure_is_broken_off(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.order_events", order_event("t1"))
    work.account.fault("reset-after", "events")
    work.run("events")
    work.contacts(contact(ANA, first_name=None))
    Erased(work.state).add([ANA])
    for report in (work.run("events"), work.run("contacts", empty_value="a trial")):
        counted = report.unchanged + report.sent + report.waiting + report.frozen + sum(report.withheld.values())
        assert (report.desired, report.sent) == (counted, 0), report.flow


def held(work: Project, at: datetime) -> tuple[dict[str, int], list[str]]:
    with work.warehouse.read() as reading:
        (figures,) = fetch(reading, "ledger_at_summary", at=at)
        asked = dict.fromkeys(("flow", "batch", "sku", "customer", "order"))
        rows = fetch(reading, "ledger_at", at=at, limit=50, **asked)
    return {name: figures[name] for name in ("contacts", "sales_lines")}, [row["flow"] for row in rows]


def test_at_a_moment_emarsys_held_what_was_deleted_or_replayed_later(work: Project) -> None:
    work.known(ANA, BEN)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10, email=BEN))
    work.run("sales")
    before = now()
    time.sleep(0.01)
    delete(work, ANA)
    replay.mark(work.ledger, replay.Chosen(flow="sales"), "Emarsys lost it", "replay --recomputed", now())
    erase(work, ANA)
    assert held(work, before) == ({"contacts": 2, "sales_lines": 1}, ["sales", "contacts", "contacts"])
    assert held(work, now()) == ({"contacts": 1, "sales_lines": 0}, ["contacts"])


@pytest.mark.parametrize(
    "note", ["see https://shop.example/o?email={}", "{}/bob@example.com", "“{}”", "mailto:{}?subject=x"]
)
def test_a_name_among_other_signs_is_found_and_taken_out(work: Project, note: str) -> None:
    work.known(BEN)
    data = {"order": "SO-1", "note": note.format(ANA)}
    work.fill("mart.order_events", order_event("t1", email=BEN, data=data))
    work.run("events")
    assert erase(work, ANA).places() == {"ledger: events": 1}
    assert ANA not in everything(work)


def test_letters_beside_ascii_have_two_cases_and_two_spellings(work: Project) -> None:
    erased = Erased(work.state).adding([JOERG])
    pages = work.settings.paths.landing / "customers"
    pages.mkdir(parents=True)
    for n, line in enumerate((JOERG.upper(), json.dumps(JOERG.upper()), "joerg@mueller.example")):
        (pages / f"page-{n}.ndjson").write_text(f'{{"Name": "x"}}\n{{"Email": "{line}"}}\n')
    found = [(file.name, named) for _, file, named in lines_in_files(work.settings, erased, [JOERG])]
    assert found == [("page-0.ndjson", {1}), ("page-1.ndjson", {1})]
    work.ledger.write_audit("op", "prune", f"{JOERG.upper()} asked", "{}", now())
    assert erasure.find(work.ledger, erased, [JOERG]).places() == {"ledger: audit": 1}


def test_a_batch_that_a_dead_process_left_is_not_copied_before_it_has_fates(work: Project) -> None:
    work.known(ANA)
    batch = work.ledger.intend("events", "POST", "run", [Intended("t9", f'{{"external_id": "{ANA}"}}')], b"[]", now())
    work.ledger.connecting(batch, now())
    assert erase(work, ANA).places()["ledger: events"] == 1
    with work.warehouse.read() as reading:
        assert not reading.execute("from delivery.batches where batch_id = ?", [batch]).fetchall()


def test_a_deletion_that_fails_is_written_down_and_goes_again(work: Project) -> None:
    work.known(ANA)
    path = {"service": "emarsys", "path": "/contact/delete"}
    work.account.control("faults", [{"name": "server-error", **path}], "PUT")
    assert delete(work, ANA).report.unknown == 1
    work.account.control("switches", {"permissions": {"contact.delete": False}})
    work.account.control("faults", [], "PUT")
    with pytest.raises(TransportError):
        delete(work, ANA)
    work.account.control("switches", {"permissions": {"contact.delete": True}})
    assert delete(work, ANA).report.accepted == 1
    assert [outcome for _, outcome in work.outcomes(deletion.FLOW)] == ["unknown", "retryable", "accepted"]
    assert ANA not in str(work.records(deletion.FLOW))


def test_the_freed_pages_of_the_ledger_are_empty(work: Project) -> None:
    work.known(ANA, BEN)
    file = Path(work.state / "ledger.sqlite")
    assert ANA.encode() in b"".join(f.read_bytes() for f in work.state.glob("ledger.sqlite*")) and file.exists()
    erase(work, ANA)
    assert ANA.encode() not in b"".join(f.read_bytes() for f in work.state.glob("ledger.sqlite*"))


def test_nothing_is_deleted_while_nothing_may_be_sent(work: Project) -> None:
    work.policy(("armed = true", "armed = false"))
    with pytest.raises(CannotRun, match="not even a deletion"):
        erasing.erase(work.settings, ANA, "asked", everywhere=True)
    assert not (work.state / "erased.sqlite").exists()


def test_each_of_her_lines_is_counted_while_her_erasure_is_broken_off(work: Project) -> None:
    work.known(ANA)
    Erased(work.state).add([ANA])
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i1", "A", 10))
    assert work.run("sales").withheld == {"erased": 2}


@pytest.mark.parametrize("fate", ["accepted", "unknown"])
def test_what_she_had_is_there_whosever_the_document_is_now(work: Project, fate: str) -> None:
    work.known(ANA, BEN)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10))
    if fate == "unknown":
        work.account.fault("reset-after", "sales")
    work.run("sales")
    assert work.outcomes("sales") == [("invoice:i1#A#10#1#+1", fate)]
    erase(work, ANA)
    work.contacts(contact(BEN))
    work.fill(
        "mart.sales_lines",
        *(sales_line(*line, email=BEN) for line in (("i1", "A", 10), ("i1", "A", 10), ("i2", "B", 5))),
    )
    assert work.run("sales").accepted == 2
    assert sorted((line["item"], line["email"]) for line in work.account.judge("sales")) == [
        ("A", ANA),
        ("A", BEN),
        ("B", BEN),
    ]
    work.fill("mart.sales_lines", sales_line("i2", "B", 5, email=BEN))
    assert work.run("sales").accepted == 1, "his line is taken back, hers is not"


def test_her_parked_line_freezes_nobody_elses(work: Project) -> None:
    """The document is another buyer's by now."""
    work.known(ANA, BEN)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10))
    work.account.fault("reset-before", "sales")
    work.run("sales")
    erase(work, ANA)
    work.contacts(contact(BEN))
    work.fill("mart.sales_lines", sales_line("i1", "B", 5, email=BEN))
    report = work.run("sales")
    assert (report.accepted, report.frozen) == (1, 0)


def test_who_is_named_in_words_about_somebody_else_is_taken_out_of_them(work: Project) -> None:
    work.known(ANA, BEN)
    batch = work.ledger.intend("contacts", "PUT contact", "run", [Intended(BEN, "{}")], b"[]", now())
    fate = {BEN: Verdict("rejected", "2010", f"the same as {ANA}")}
    work.ledger.close_batch(batch, fate, now(), response=f'["{ANA}"]'.encode(), note=f"seen beside {ANA}")
    assert erase(work, ANA).places() == {"ledger: contacts": 2}
    assert ANA not in everything(work)
    with work.ledger.engine.connect() as connection:
        assert ANA not in str(connection.execute(select(batches)).all())


def test_at_a_moment_emarsys_held_whom_it_did_not_delete(work: Project) -> None:
    work.known(ANA, BEN)
    work.account.control("faults", [{"name": "server-error", "service": "emarsys", "path": "/contact/delete"}], "PUT")
    assert delete(work, ANA).report.unknown == 1
    erase(work, ANA)
    assert held(work, now()) == ({"contacts": 2, "sales_lines": 0}, ["contacts", "contacts"])


def test_the_oldest_erasure_that_was_broken_off_is_told(work: Project) -> None:
    erased = Erased(work.state)
    erased.add([ANA])
    since = erased.unfinished()
    time.sleep(0.01)
    erased.add([BEN])
    assert since and erased.unfinished() == since
    erased.finish([ANA])
    assert (erased.unfinished() or since) > since


def test_nothing_else_is_erased_when_emarsys_did_not_delete(work: Project) -> None:
    work.known(ANA)
    with work.warehouse.write() as connection:
        ensure_tables(connection)
        connection.execute("create table if not exists policy.generic_customers (name varchar)")
    work.account.control("faults", [{"name": "server-error", "service": "emarsys", "path": "/contact/delete"}], "PUT")
    with pytest.raises(CannotRun, match="Emarsys deleted 0 of 1 contacts"):
        erasing.erase(work.settings, ANA, "asked", everywhere=True)
    assert work.outcomes("contacts") == [(ANA, "accepted")]
    assert Erased(work.state).unfinished()
