"""The process is killed at each point where that hurts: afterwards nothing is lost, and nothing happened twice."""

from __future__ import annotations

import signal

import pytest

from cin7_emarsys.emarsys.crash import POINTS
from cin7_emarsys_tests.emarsys.conftest import Project, contact, order_event, product, sales_line

ANA, BEN = "ana@example.com", "ben@example.com"
DELIVERY = ("planned", "intended", "connecting", "answered", "closed")
PUBLICATION = ("planned", "file_written", "file_in_place", "published")


def killed(work: Project, flow: str, point: str) -> None:
    assert work.crash(flow, point) == -signal.SIGKILL


def test_every_point_is_tried() -> None:
    assert set(DELIVERY) | set(PUBLICATION) == set(POINTS)


@pytest.mark.parametrize("point", DELIVERY)
def test_contacts(work: Project, point: str) -> None:
    work.prepare()
    work.contacts(contact(ANA), contact(BEN))
    killed(work, "contacts", point)
    report = work.run("contacts")
    assert report.accepted + report.unchanged == 2
    assert [row["email"] for row in work.account.judge("contacts")] == [ANA, BEN]
    assert work.run("contacts").unchanged == 2


@pytest.mark.parametrize("point", DELIVERY)
def test_sales(work: Project, point: str) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i2", "B", 5))
    killed(work, "sales", point)
    unknown = point in ("connecting", "answered")
    for _ in range(2):
        report = work.run("sales")
        assert report.frozen == (2 if unknown else 0)
    arrived = [line["order"] for line in work.account.judge("sales")]
    assert arrived == ([] if point == "connecting" else ["SO-i1", "SO-i2"])
    fates = {outcome for _, outcome in work.outcomes("sales")}
    assert fates == ({"unknown"} if unknown else {"accepted", "retryable"} if point == "intended" else {"accepted"})


@pytest.mark.parametrize("point", DELIVERY)
def test_events(work: Project, point: str) -> None:
    work.known(ANA, BEN)
    work.fill("mart.order_events", order_event("t1"), order_event("t2", email=BEN))
    killed(work, "events", point)
    unknown = point in ("connecting", "answered")
    for _ in range(2):
        report = work.run("events")
        assert report.frozen == (2 if unknown else 0)
    arrived = [row["trigger_id"] for row in work.account.judge("events")]
    assert arrived == ([] if point == "connecting" else ["t1", "t2"])
    assert [row["outcome"] for row in work.records("events")].count("unknown") == (2 if unknown else 0)
    assert len(work.account.judge("mails")) == len(arrived)


@pytest.mark.parametrize("point", PUBLICATION)
def test_catalogue(work: Project, point: str) -> None:
    work.fill("mart.catalogue", product("A"))
    work.run("catalogue")
    file = work.settings.paths.feed / "products.csv"
    before = file.read_bytes()
    work.fill("mart.catalogue", product("A", price="12.00"), product("B"))
    killed(work, "catalogue", point)
    in_place = point in ("file_in_place", "published")
    assert (file.read_bytes() != before) == in_place
    report = work.run("catalogue")
    assert report.accepted == (0 if in_place else 2)
    assert work.run("catalogue").unchanged == 2
    assert file.read_bytes().count(b"\n") == 3
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]
    with work.warehouse.read() as connection:
        found = connection.execute("select version, collected_at from delivery.publications order by 1").fetchall()
    assert found == [(1, None), (2, None)]
