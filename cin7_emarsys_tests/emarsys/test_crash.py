"""The process dies or fails at each point where that hurts: afterwards nothing is lost, and nothing happened twice.

What happens at the points of reading from Cin7, and of an erasure, stands with their tests.
"""

from __future__ import annotations

import signal
from itertools import cycle

import pytest

from cin7_emarsys import crash
from cin7_emarsys.emarsys import repair
from cin7_emarsys.emarsys.delivery import Delivery
from cin7_emarsys.merchant import SettingsError
from cin7_emarsys_tests.conftest import trouble
from cin7_emarsys_tests.emarsys.conftest import FLOWS, Project, contact, order_event, product, sales_line

ANA, BEN = "ana@example.com", "ben@example.com"
BOTH = ["SO-i1", "SO-i2"]
READING = ("page_landed", "landed", "loaded", "watermark")
DELIVERY = ("planned", "intended", "connecting", "sent", "answered", "closed", "moved")
PUBLICATION = ("planned", "file_written", "file_in_place", "published")
ERASURE = ("hashed", "deleted_there", "ledger_erased", "files_erased", "warehouse_erased")
IN_DOUBT = ("connecting", "sent", "answered")  # killed at these, nobody can know
STILL_IN_DOUBT = ("sent",)  # a process that goes on knows what it did: only this call has no answer
FAILURES = {"exception": crash.Crashed, "disk-full": OSError}


def killed(work: Project, flow: str, point: str) -> None:
    assert work.crash(flow, point) == -signal.SIGKILL


def failed(work: Project, monkeypatch: pytest.MonkeyPatch, flow: str, point: str, mode: str) -> None:
    """The same in this process: an exception passes through everything that might hold on to it."""
    monkeypatch.setenv("CRASH_AT", f"{point}:{mode}")
    work.reload()
    with pytest.raises(FAILURES[mode]):
        FLOWS[flow](Delivery(flow, work.settings, work.warehouse, work.ledger, "run", dry_run=False))
    monkeypatch.delenv("CRASH_AT")
    work.reload()


def test_every_point_is_tried() -> None:
    assert set(READING) | set(DELIVERY) | set(PUBLICATION) | set(ERASURE) == set(crash.POINTS)


def test_a_point_that_does_not_exist_is_named(work: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("nowhere", "closed:softly", "closed@0"):
        monkeypatch.setenv("CRASH_AT", wrong)
        with pytest.raises(SettingsError, match=r"CRASH_AT must be one of page_landed, .*:disk-full"):
            work.reload()
    assert not any(crash.armed(point) for point in crash.POINTS)


@pytest.mark.parametrize("point", trouble("sent", "intended", "moved"))
def test_contacts(work: Project, point: str) -> None:
    work.prepare()
    work.contacts(contact(ANA), contact(BEN))
    killed(work, "contacts", point)
    report = work.run("contacts")
    assert report.accepted + report.unchanged == 2
    assert [row["email"] for row in work.account.judge("contacts")] == [ANA, BEN]
    assert work.run("contacts").unchanged == 2


def after_a_failure_of_sales(work: Project, point: str, *, in_doubt: bool) -> None:
    for _ in range(2):
        assert work.run("sales").frozen == (2 if in_doubt else 0)
    arrived = [line["order"] for line in work.account.judge("sales")]
    fates = {outcome for _, outcome in work.outcomes("sales")}
    if not in_doubt:
        assert arrived == BOTH
        assert fates == ({"accepted", "retryable"} if point in ("intended", "connecting") else {"accepted"})
        return
    # Whether a request whose sender died on the way is still applied is up to the vendor.
    assert arrived in ([], BOTH) if point == "sent" else arrived == ([] if point == "connecting" else BOTH)
    assert fates == {"unknown"}
    # A person looks at Emarsys, and says what is there.
    repair.resolve(work.ledger, "accepted" if arrived else "not-applied", "looked at Emarsys", flow="sales")
    work.run("sales")
    assert [line["order"] for line in work.account.judge("sales")] == BOTH


@pytest.mark.parametrize(
    "point", ["answered", *trouble("planned", "intended", "connecting", "sent", "closed", "moved")]
)
def test_sales(work: Project, point: str) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i2", "B", 5))
    killed(work, "sales", point)
    after_a_failure_of_sales(work, point, in_doubt=point in IN_DOUBT)


_FEW = [("planned", "exception"), ("sent", "disk-full")]
_MORE = [pair for pair in zip(DELIVERY, cycle(FAILURES), strict=False) if pair not in _FEW]


@pytest.mark.parametrize(("point", "mode"), [*_FEW, *trouble(*_MORE)])
def test_sales_when_something_fails(work: Project, monkeypatch: pytest.MonkeyPatch, point: str, mode: str) -> None:
    work.known(ANA)
    work.fill("mart.sales_lines", sales_line("i1", "A", 10), sales_line("i2", "B", 5))
    failed(work, monkeypatch, "sales", point, mode)
    after_a_failure_of_sales(work, point, in_doubt=point in STILL_IN_DOUBT)


@pytest.mark.parametrize("point", trouble("answered", "connecting", "sent"))
def test_events(work: Project, point: str) -> None:
    work.known(ANA, BEN)
    work.fill("mart.order_events", order_event("t1"), order_event("t2", email=BEN))
    killed(work, "events", point)
    for _ in range(2):
        assert work.run("events").frozen == 2
    arrived = [row["trigger_id"] for row in work.account.judge("events")]
    assert arrived in ([], ["t1", "t2"])
    assert [row["outcome"] for row in work.records("events")] == ["unknown", "unknown"]
    assert len(work.account.judge("mails")) == len(arrived)


@pytest.mark.parametrize("point", ["file_in_place", *trouble("planned", "file_written", "published")])
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


@pytest.mark.parametrize(("point", "mode"), [*zip(PUBLICATION, cycle(FAILURES), strict=False)])
def test_catalogue_when_something_fails(work: Project, monkeypatch: pytest.MonkeyPatch, point: str, mode: str) -> None:
    work.fill("mart.catalogue", product("A"))
    failed(work, monkeypatch, "catalogue", point, mode)
    work.run("catalogue")
    assert work.run("catalogue").unchanged == 1
    assert [entry.name for entry in work.settings.paths.feed.iterdir()] == ["products.csv"]
