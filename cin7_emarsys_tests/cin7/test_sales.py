"""Sales in two phases: headers fill a queue, details are read from it once, and one bad sale stops nobody."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from cin7_emarsys.cin7.sale_models import SaleCreditNotes
from cin7_emarsys.cin7.sales import _stand_alone
from cin7_emarsys.transport import AuthFailed, Transient
from cin7_emarsys_tests.cin7.conftest import Reader
from cin7_emarsys_tests.conftest import trouble


def _details_asked(reader: Reader, since: int) -> list[str]:
    return [row["path"].partition("ID=")[2][:36] for row in reader.asked()[since:] if "/sale?ID=" in row["path"]]


def _caught_up(reader: Reader) -> None:
    """Everything that earlier tests have left is read."""
    reader.advance(hours=1)  # past the overlap of two scans
    reader.headers()
    reader.details()


def test_two_phases_and_nothing_twice(reader: Reader) -> None:
    scan = reader.headers()
    waiting = reader.query("select count(*), count(*) filter (kind = 'sale') from raw.sale_queue")[0]
    assert scan.queued == waiting[0] > 0
    assert reader.query("select bool_and(_in_first_scan) from raw.sale_headers") == [(True,)]
    done = reader.details()
    assert (done.left, done.failed, done.loaded.inserted) == (0, 0, waiting[0])
    assert done.calls == waiting[0]  # one call for each
    assert reader.query("select count(*) from raw.sales") == [(waiting[1],)]
    unread = reader.query(
        "select distinct headers.Status from raw.sale_headers as headers "
        "left join raw.sales as sales on sales.ID = headers.SaleID where sales.ID is null"
    )
    assert {status for (status,) in unread} <= {"DRAFT", "ESTIMATING", "ESTIMATED", "ORDERING", "VOIDED"}
    again = reader.headers()
    assert (again.loaded.inserted, again.loaded.updated, again.queued) == (0, 0, 0)
    assert reader.details().calls == 0
    assert reader.headers(full=True).queued == 0


def test_a_sale_is_read_again_only_if_it_was_changed(shop: Reader) -> None:
    _caught_up(shop)
    before = len(shop.asked())
    shop.do("touch", count=3)  # a bulk job stamps them and changes nothing else
    scan = shop.headers()
    assert (scan.loaded.updated, scan.queued) == (3, 3)
    assert shop.details().loaded.inserted == 0
    assert len(_details_asked(shop, before)) == 3
    shop.advance(hours=1)
    shop.headers()
    assert shop.details().calls == 0


def test_two_jobs_that_read_details_at_once_ask_for_each_sale_once(shop: Reader) -> None:
    _caught_up(shop)
    made = sorted(shop.do("order")["sale_id"] for _ in range(6))
    shop.headers()
    before = len(shop.asked())
    shop.faults({"name": "slow", "service": "cin7", "path": "/sale?", "times": 2, "seconds": 0.5})
    with ThreadPoolExecutor(2) as jobs:
        both = [jobs.submit(shop.details) for _ in range(2)]
        assert [job.result().left for job in both] == [0, 0]
    assert sorted(_details_asked(shop, before)) == made


def test_a_sale_after_the_baseline_is_no_history(shop: Reader) -> None:
    _caught_up(shop)
    made = shop.do("order")
    shop.headers()
    assert shop.query("select first_scan, kind from raw.sale_queue") == [(False, "sale")]
    assert shop.query("select _in_first_scan from raw.sale_headers where SaleID = ?", made["sale_id"]) != [(True,)]
    shop.details()
    assert shop.query("select count(*) from raw.sales where ID = ?", made["sale_id"]) == [(1,)]


def test_the_baseline_is_set_once_though_two_jobs_scan_first(merchant: Reader) -> None:
    with merchant.while_slow("/salelist?", merchant.headers):
        merchant.headers()
        baseline = merchant.watermark("baseline")
        made = merchant.do("order")["sale_id"]
        merchant.headers()
    assert merchant.watermark("baseline") == baseline
    assert merchant.query("select _in_first_scan from raw.sale_headers where SaleID = ?", made) == [(None,)]
    assert merchant.query("select first_scan from raw.sale_queue where sale_id = ?", made) == [(False,)]


def test_a_draft_of_the_first_reading_that_is_authorised_later_does_not_open_the_history_again(shop: Reader) -> None:
    draft = shop.do("order", draft=True)["sale_id"]
    _caught_up(shop)
    assert shop.query("select count(*) from raw.sales where ID = ?", draft) == [(0,)]
    shop.do("allocate", sale_id=draft)
    shop.headers()
    assert shop.query("select sale_id, first_scan from raw.sale_queue") == [(draft, False)]


def test_unallocated_sales_come_first_and_alone(shop: Reader) -> None:
    _caught_up(shop)
    shop.do("order")
    unallocated = shop.do("order", allocate=False)["sale_id"]
    before = len(shop.asked())
    shop.headers()
    done = shop.details(only_unallocated=True)
    assert (done.calls, done.left) == (1, 0)
    assert _details_asked(shop, before) == [unallocated]
    assert shop.query('select "Order".Status from raw.sales where ID = ?', unallocated) == [("AUTH_NO_ALLOC",)]
    assert shop.query("select count(*) from raw.sale_queue") == [(1,)]
    # What was unallocated is urgent once more when it is allocated.
    shop.do("allocate", sale_id=unallocated)
    shop.headers()
    assert shop.details(only_unallocated=True).calls == 1
    assert shop.query('select "Order".Status from raw.sales where ID = ?', unallocated) == [("AUTHORISED",)]


def test_a_credit_note_that_stands_alone(shop: Reader) -> None:
    _caught_up(shop)
    made = shop.do("credit_note")
    shop.headers()
    assert shop.query("select sale_id, kind, first_scan from raw.sale_queue") == [
        (made["sale_id"], "credit_note", False)
    ]
    assert shop.details().loaded.inserted == 1
    assert shop.query(
        "select _source, CreditNotes[1].CreditNoteNumber from raw.credit_notes where SaleID = ?", made["sale_id"]
    ) == [("sale/creditnote", made["credit_note_number"])]
    shop.headers()
    assert shop.details().calls == 0
    # Read like a sale it says more: in which currency, and how its prices are meant.
    note, source = _stand_alone(shop.cin7.sale(made["sale_id"], "sale_details"))
    read = SaleCreditNotes.model_validate(note)
    assert (source, read.SaleID, len(read.CreditNotes or [])) == ("sale", made["sale_id"], 1)
    assert all((read.BaseCurrency, read.CustomerCurrency, read.CurrencyRate, read.TaxCalculation))


@pytest.mark.trouble
def test_a_sale_that_was_credited_before_it_was_listed_is_read_as_a_sale(shop: Reader) -> None:
    _caught_up(shop)
    with shop.while_slow("/salecreditnotelist?", shop.headers):
        sale = shop.do("order")["sale_id"]
        for action in ("invoice", "refund"):
            shop.do(action, sale_id=sale)
    queued = "select sale_id, kind from raw.sale_queue"
    assert shop.query(queued) == [(sale, "credit_note")]
    shop.headers()
    assert shop.query(queued) == [(sale, "sale")]


def test_a_credit_note_that_its_own_endpoint_does_not_show_is_read_like_a_sale(shop: Reader) -> None:
    _caught_up(shop)
    made = shop.do("credit_note")
    shop.headers()
    shop.switches(credit_note_of_sales_only=True)
    try:
        done = shop.details()
    finally:
        shop.switches(credit_note_of_sales_only=False)
    assert (done.calls, done.failed) == (2, 0)
    assert shop.query(
        "select _source, CreditNotes[1].CreditNoteNumber from raw.credit_notes where SaleID = ?", made["sale_id"]
    ) == [("sale", made["credit_note_number"])]


def test_a_credit_note_that_is_undone_is_read_again(shop: Reader) -> None:
    _caught_up(shop)
    made = shop.do("credit_note")
    shop.headers()
    shop.details()
    shop.do("undo", sale_id=made["sale_id"])
    shop.headers()
    assert shop.details().loaded.updated == 1
    status = "select CreditNotes[1].Status from raw.credit_notes where SaleID = ?"
    assert shop.query(status, made["sale_id"]) == [("DRAFT",)]
    shop.headers()
    assert shop.details().calls == 0


def test_a_detail_that_was_refused_is_forgotten_when_its_sale_is_voided(shop: Reader) -> None:
    _caught_up(shop)
    made = shop.do("order")
    shop.headers()
    shop.do("corrupt", entity="sale", key=made["sale_id"], what="absurd-number")
    shop.details()
    shop.do("heal")
    assert shop.query("select key from raw.rejected where entity = 'sales'") == [(made["sale_id"],)]
    shop.do("void", sale_id=made["sale_id"])
    shop.headers()
    assert shop.query("select key from raw.rejected where entity = 'sales'") == []


def test_a_voided_sale_leaves_the_queue(shop: Reader) -> None:
    _caught_up(shop)
    made = shop.do("order")
    shop.headers()
    shop.do("void", sale_id=made["sale_id"])
    assert shop.headers().queued == 0


def test_a_refused_sale_stays_with_the_reason_and_the_others_go_on(shop: Reader) -> None:
    _caught_up(shop)
    made = [shop.do("order")["sale_id"] for _ in range(4)]
    shop.faults(
        {"name": "error-200", "service": "cin7", "path": f"/sale?ID={made[1]}"},
        {"name": "html-200", "service": "cin7", "path": f"/sale?ID={made[2]}"},
    )
    shop.headers()
    for attempt in (1, 2):
        done = shop.details()
        assert (done.left, done.failed) == (2, 2)
        queue = shop.query("select sale_id, attempts, last_error from raw.sale_queue order by last_error")
        assert {(sale, tries) for sale, tries, _ in queue} == {(made[1], attempt), (made[2], attempt)}
        assert "ErrorCode" in queue[0][2] or "error 500" in queue[0][2]
        assert "not JSON" in queue[1][2]
    assert shop.query("select count(*) from raw.sales where list_contains(?, ID)", made) == [(2,)]
    shop.faults()
    done = shop.details()
    assert (done.left, done.failed, done.loaded.inserted) == (0, 0, 2)


@pytest.mark.trouble
def test_a_sale_that_was_refused_often_is_read_once_it_can_be(shop: Reader) -> None:
    _caught_up(shop)
    made = shop.do("order")["sale_id"]
    shop.headers()
    with shop.warehouse.write() as connection:
        connection.execute("update raw.sale_queue set attempts = 40, last_error = 'refused'")
    assert shop.details().left == 0
    assert shop.query("select count(*) from raw.sales where ID = ?", made) == [(1,)]


@pytest.mark.trouble
def test_a_sale_that_cannot_be_used_is_refused_alone(shop: Reader) -> None:
    _caught_up(shop)
    good, bad = (shop.do("order")["sale_id"] for _ in range(2))
    shop.do("invoice", sale_id=bad)
    shop.headers()
    shop.do("corrupt", entity="sale", key=bad, what="absurd-number")
    done = shop.details()
    assert (done.left, done.failed, done.loaded.rejected) == (1, 1, 1)
    assert shop.query("select count(*) from raw.sales where ID = ?", good) == [(1,)]
    assert shop.query("select key, reason from raw.rejected where entity = 'sales'") == [
        (bad, "CurrencyRate is an absurd number")
    ]
    shop.do("heal")
    shop.headers()
    assert shop.details().left == 0
    assert shop.query("select count(*) from raw.rejected where entity = 'sales'") == [(0,)]


def test_trouble_with_every_sale_ends_the_reading_and_keeps_what_was_read(shop: Reader) -> None:
    _caught_up(shop)
    made = [shop.do("order")["sale_id"] for _ in range(6)]
    shop.headers()
    shop.faults({"name": "server-error", "service": "cin7", "path": "/sale?", "nth": 3, "times": 10_000})
    with pytest.raises(Transient):
        shop.details()
    read = shop.query("select count(*) from raw.sales where list_contains(?, ID)", made)[0][0]
    assert shop.query("select count(*) from raw.sale_queue") == [(6 - read,)]
    shop.faults()
    assert shop.details().left == 0
    assert shop.query("select count(*) from raw.sales where list_contains(?, ID)", made) == [(6,)]


def test_refused_credentials_are_not_about_one_sale(shop: Reader) -> None:
    _caught_up(shop)
    shop.do("order")
    shop.headers()
    shop.faults({"name": "auth-expired", "service": "cin7", "path": "/sale?"})
    with pytest.raises(AuthFailed):
        shop.details()
    assert shop.query("select attempts, last_error from raw.sale_queue") == [(0, None)]


@pytest.mark.parametrize("fault", ["reset-before", *trouble("truncated", "server-error", "throttle-429")])
def test_a_fault_now_and_then_loses_no_sale(fault: str, shop: Reader) -> None:
    _caught_up(shop)
    made = [shop.do("order")["sale_id"] for _ in range(5)]
    shop.headers()
    shop.faults({"name": fault, "service": "cin7", "path": "/sale?", "nth": 2, "times": 1})
    done = shop.details()
    assert (done.left, done.failed) == (0, 0)
    assert shop.query("select count(*) from raw.sales where list_contains(?, ID)", made) == [(5,)]
