"""Sales lines against the simulated account: each goes once, a correction is its negative, what is in doubt is parked."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

import pytest
from sqlalchemy import select

from cin7_emarsys.emarsys import repair
from cin7_emarsys.emarsys.answers import ACCEPTED
from cin7_emarsys.emarsys.client import Emarsys
from cin7_emarsys.emarsys.ledger import Intended
from cin7_emarsys.emarsys.tables import audit
from cin7_emarsys.transport import Permanent
from cin7_emarsys_tests.emarsys.conftest import (
    UNKNOWN,
    Project,
    contact,
    figures,
    sales_line,
    sold,
)

ANA, BEN, CEM = "ana@example.com", "ben@example.com", "cem@example.com"


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


@pytest.mark.trouble
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


def test_each_line_is_taken_back_where_it_went(work: Project) -> None:
    """The order goes back and forth, and its buyer is another one each time."""
    work.known(ANA, BEN, CEM)
    once, again, twice = (sales_line("i1", "A", 10, email=email) for email in (ANA, BEN, CEM))
    for lines in ([once], [], [again], [twice, twice], []):
        work.fill("mart.sales_lines", *lines)
        work.run("sales")
    gone = [(line["email"], line["price"]) for line in work.account.judge("sales")]
    assert gone == [(ANA, 10), (ANA, -10), (BEN, 10), (CEM, 10), (BEN, -10), (CEM, -10)]


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


@pytest.mark.trouble
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


def test_a_contact_stamped_days_ahead_holds_up_its_own_lines_alone(
    work: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.policy(("settle_minutes = 0", "settle_minutes = 1"))
    work.known(ANA)
    ahead = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=3)
    work.ledger.close_batch(
        work.ledger.intend("contacts", "PUT contact", "run", [Intended(BEN, "{}")], b"", ahead), {BEN: ACCEPTED}, ahead
    )
    work.fill("mart.sales_lines", sales_line("i1", "A", 10, email=BEN))
    slept = [0.0]

    def sleep(seconds: float) -> None:
        slept[0] += seconds
        assert slept[0] <= 60

    monkeypatch.setattr(time, "sleep", sleep)
    assert figures(work.run("sales")) == {"waiting": 1}
    assert slept[0]


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


@pytest.mark.trouble
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


@pytest.mark.trouble
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
    assert (work.run("sales").sent, work.run("sales").sent) == (sent, sent)  # alone it proves nothing: see above


def test_a_line_or_two_refused_alone_prove_nothing_and_wait(work: Project) -> None:
    """The account has changed its header, and little is due: nothing says that the lines are at fault."""
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i0", "A", 10))
    work.run("sales")
    work.account.control("switches", {"sales_header": ["order", "timestamp", "email", "item", "price", "quantity"]})
    lines = [sales_line("i0", "A", 10), sales_line("i1", "A", 10), sales_line("i2", "B", 5)]
    for due in (2, 3):
        work.fill("mart.sales_lines", *lines[:due])
        assert figures(work.run("sales")) == {"sent": due - 1, "retryable": due - 1, "unchanged": 1}
    assert not repair.letters(work.ledger)["records"]
    work.account.control("switches", {"sales_header": ["item", "price", "order", "timestamp", "email", "quantity"]})
    assert figures(work.run("sales")) == {"sent": 2, "accepted": 2, "unchanged": 1}


def test_once_others_were_taken_every_line_has_its_fate(work: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Emarsys, "documents_per_call", 5)
    work.known(ANA)
    work.fill("mart.sales_lines", *(sales_line(f"i{n}", " " if n in (5, 6, 7) else "A", 10) for n in range(10)))
    assert figures(work.run("sales")) == {"sent": 10, "accepted": 7, "rejected": 3}


def test_who_is_refused_alone_again_and_again_is_a_dead_letter_in_the_end(work: Project) -> None:
    work.known(ANA)
    work.policy(("back_off_seconds = 0", "back_off_seconds = 0\nmax_attempts = 3"))
    work.fill("mart.sales_lines", sales_line("i0", "A", 10))
    work.run("sales")
    work.fill("mart.sales_lines", sales_line("i0", "A", 10), sales_line("i1", " ", 10))
    assert [work.run("sales").dead_letters for _ in range(3)] == [0, 0, 1]
    assert work.run("sales").sent == 0


@pytest.mark.trouble
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


def test_a_form_that_emarsys_never_took_stops_the_flow_each_time(work: Project) -> None:
    """However little is due: that it was refused before does not prove the form."""
    work.known(ANA)
    work.account.control("switches", {"sales_header": ["order", "timestamp", "email", "item", "price", "quantity"]})
    work.fill("mart.sales_lines", sales_line("i1", "A", 10))
    for _ in range(2):
        with pytest.raises(Permanent):
            work.run("sales")
    assert {outcome for _, outcome in work.outcomes("sales")} == {"retryable"}


def test_a_dead_line_is_moot_once_its_price_has_changed_and_a_dry_run_leaves_it(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i2", " ", 10))
    assert work.run("sales").dead_letters == 1
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i2", " ", 11))
    work.run("sales", dry_run=True)
    assert len(repair.letters(work.ledger)["records"]) == 1
    work.run("sales")
    assert repair.letters(work.ledger)["records"] == []


def test_what_became_moot_is_closed_in_the_warehouse_though_nothing_was_sent(work: Project) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i2", " ", 10))
    work.run("sales")
    work.fill("mart.sales_lines", sales_line("i1", "A", 10))
    assert work.run("sales").sent == 0
    with work.warehouse.read() as reading:
        assert reading.execute("select closed_by from delivery.dead_letters").fetchall() == [("no longer wanted",)]


def test_a_reversal_that_died_waits_for_a_person(work: Project) -> None:
    work.known(ANA)
    work.policy(("back_off_seconds = 0", "back_off_seconds = 0\nmax_attempts = 1"))
    line = sales_line("i1", "A", 10)
    work.fill("mart.sales_lines", line, line)
    work.run("sales")
    header = ["item", "price", "order", "timestamp", "email", "quantity"]
    work.account.control("switches", {"sales_header": header[::-1]})
    work.fill("mart.sales_lines", line)
    assert work.run("sales").dead_letters == 1
    work.account.control("switches", {"sales_header": header})
    assert work.run("sales").sent == 0
    assert len(sold(work)) == 2, "nor is the other line taken back instead"


def test_a_file_is_no_larger_than_emarsys_takes(work: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Emarsys, "sales_bytes", 10)
    work.known(ANA)
    lines = [sales_line(f"i{n}", item, 10) for n in range(3) for item in "AB"]
    work.fill("mart.sales_lines", *lines)
    assert figures(work.run("sales")) == {"sent": 6, "accepted": 6}
    assert work.account.writes("sales") == 3, "and a document stands in one"
