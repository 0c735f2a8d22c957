"""What every flow has in common: dry runs, gates, missing permissions, wrong settings, answers without content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest

from cin7_emarsys.emarsys import answers
from cin7_emarsys.emarsys.answers import Verdict
from cin7_emarsys.emarsys.client import Connecting
from cin7_emarsys.emarsys.delivery import Delivery, Report
from cin7_emarsys.emarsys.ledger import Intended, TakenOver
from cin7_emarsys.emarsys.sending import Sending
from cin7_emarsys.transport import AuthFailed, Permanent, PermissionMissing, RefusedBeforeSend
from cin7_emarsys_tests.emarsys.conftest import (
    Project,
    contact,
    figures,
    order_event,
    product,
    sales_line,
)

ANA, BEN, CEM = "ana@example.com", "ben@example.com", "cem@example.com"


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


def test_a_batch_that_was_taken_for_lost_meanwhile_is_not_sent(work: Project) -> None:
    """Another machine closed it, and may have sent its records since."""
    delivery = Delivery("sales", work.settings, work.warehouse, work.ledger, "run", dry_run=False)

    def call(items: Sequence[Intended], connecting: Connecting) -> tuple[Mapping[str, Verdict], bytes]:
        ((batch, _, keys),) = work.ledger.open_batches("sales")
        work.ledger.close_batch(batch, dict.fromkeys(keys, Verdict("retryable")), datetime(2026, 11, 24))
        assert connecting
        connecting()
        raise AssertionError("it was sent")

    with delivery.open() as emarsys, pytest.raises(TakenOver, match="closed by another process"):
        Sending(delivery, emarsys, "POST sales-data", lambda _: b"", call).send([Intended("k", "{}")])
    assert work.outcomes("sales") == [("k", "retryable")]


def test_a_repeat_that_waited_too_long_for_its_turn_is_not_sent(work: Project) -> None:
    """By then Emarsys may have forgotten the first one."""
    delivery = Delivery("events", work.settings, work.warehouse, work.ledger, "run", dry_run=False)

    def call(items: Sequence[Intended], connecting: Connecting) -> tuple[Mapping[str, Verdict], bytes]:
        assert connecting
        connecting()
        raise AssertionError("it was sent")

    with delivery.open() as emarsys:
        sending = Sending(delivery, emarsys, "POST event/trigger", lambda _: b"", call, repeat_until=emarsys.now())
        sending.send([Intended("k", "{}")])
    assert work.outcomes("events") == [("k", "retryable")]


@pytest.mark.parametrize(
    "error",
    [
        Permanent("Emarsys", "PUT", "contact/", "an error of its own", status=400, body='{"replyCode": 2001}'),
        answers.NotTrusted("the answer says nothing"),
    ],
)
def test_an_answer_from_which_nothing_follows_uses_up_an_attempt(work: Project, error: Exception) -> None:
    work.policy(("back_off_seconds = 0", "back_off_seconds = 0\nmax_attempts = 1"))
    delivery = Delivery("contacts", work.settings, work.warehouse, work.ledger, "run", dry_run=False)

    def call(items: Sequence[Intended], connecting: Connecting) -> tuple[Mapping[str, Verdict], bytes]:
        raise error

    with delivery.open() as emarsys:
        Sending(delivery, emarsys, "PUT contact", lambda _: b"", call).send([Intended(ANA, "{}")])
    assert (figures(delivery.report), delivery.report.dead_letters) == ({"sent": 1, "unknown": 1}, 1)
