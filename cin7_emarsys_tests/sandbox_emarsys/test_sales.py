"""The sales upload."""

import gzip

import pytest

from cin7_emarsys.sandbox.emarsys import CREDENTIALS

from .conftest import Emarsys

ANA = "ana@example.com"
LINE = f"BREAD-01,9.00,SO-1,2026-11-22T10:15:00Z,{ANA},2"
REFUND = f"BREAD-01,-4.50,SO-1,2026-11-23T08:00:00Z,{ANA},-1"


@pytest.fixture(autouse=True)
def ana(emarsys: Emarsys) -> None:
    emarsys.upsert({"3": ANA})


def test_an_upload_is_accepted_as_text_and_its_lines_are_seen_in_order(emarsys: Emarsys) -> None:
    answer = emarsys.sell(LINE, REFUND)
    assert (answer.status_code, answer.text) == (200, "Upload accepted\n")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = emarsys.judge("sales")["lines"]
    assert lines[0].pop("received_at")
    assert lines[0] == {
        "item": "BREAD-01",
        "price": 9.0,
        "order": "SO-1",
        "timestamp": "2026-11-22T10:15:00Z",
        "email": ANA,
        "quantity": 2,
        "batch": 1,
    }
    assert (lines[1]["price"], lines[1]["quantity"]) == (-4.5, -1)
    assert emarsys.judge("sales/orders")["orders"] == [{"order": "SO-1", "lines": 2, "revenue": "4.50"}]


def test_the_same_file_again_counts_twice(emarsys: Emarsys) -> None:
    emarsys.sell(LINE)
    emarsys.sell(LINE)
    assert [line["batch"] for line in emarsys.judge("sales")["lines"]] == [1, 2]


def test_an_account_may_replace_orders_instead(emarsys: Emarsys) -> None:
    emarsys.control("switches", {"sales_mode": "replace"})
    emarsys.sell(LINE, REFUND)
    emarsys.sell(LINE)
    assert [(line["price"], line["batch"]) for line in emarsys.judge("sales")["lines"]] == [(-4.5, 1), (9.0, 2)]


@pytest.mark.parametrize(
    "header",
    [
        "item,order,price,timestamp,email,quantity",
        "Item,price,order,timestamp,email,quantity",
        "item,price,order,timestamp,email,quantity,s_channel",
        "item;price;order;timestamp;email;quantity",
        "\ufeffitem,price,order,timestamp,email,quantity",
        "",
    ],
)
def test_any_other_header_refuses_the_file(emarsys: Emarsys, header: str) -> None:
    answer = emarsys.sell(LINE, header=header)
    assert answer.status_code == 400
    assert "expected the columns" in answer.text
    assert emarsys.judge("sales")["total"] == 0


def test_the_header_belongs_to_the_account(emarsys: Emarsys) -> None:
    header = "item,price,order,timestamp,customer,quantity,s_channel"
    key = str(emarsys.data("POST", "field", {"name": "External id", "application_type": "shorttext"})["id"])
    emarsys.upsert({"3": ANA, key: "C-1"})
    emarsys.control("switches", {"sales_header": header})
    assert emarsys.sell(LINE).status_code == 400
    assert emarsys.sell("A,1.00,SO-1,2026-11-22,C-1,1,web", header=header).status_code == 200
    line = emarsys.judge("sales")["lines"][0]
    assert (line["customer"], line["s_channel"], line["email"]) == ("C-1", "web", "")
    assert emarsys.judge("contacts")["total"] == 1


@pytest.mark.parametrize(
    "line",
    [
        f",9.00,SO-1,2026-11-22T10:15:00Z,{ANA},2",
        f"A,9.00,,2026-11-22T10:15:00Z,{ANA},2",
        "A,9.00,SO-1,2026-11-22T10:15:00Z,,2",
        f"A,9.00,SO-1,,{ANA},2",
        f"A,9.00,SO-1,2026-11-22T10:15:00,{ANA},2",
        f"A,9.00,SO-1,22/11/2026,{ANA},2",
        f'A,"9,00",SO-1,2026-11-22T10:15:00Z,{ANA},2',
        f"A,$9.00,SO-1,2026-11-22T10:15:00Z,{ANA},2",
        f"A,9.00,SO-1,2026-11-22T10:15:00Z,{ANA},two",
        f"A,9.00,SO-1,2026-11-22T10:15:00Z,{ANA}",
        f'"A\nB",9.00,SO-1,2026-11-22T10:15:00Z,{ANA},2',
    ],
)
def test_one_wrong_line_refuses_the_whole_file(emarsys: Emarsys, line: str) -> None:
    assert emarsys.sell(LINE, line).status_code == 400
    assert emarsys.judge("sales")["total"] == 0


def test_the_token_is_checked_before_the_merchant_and_in_any_letter_case(emarsys: Emarsys) -> None:
    token = CREDENTIALS["EMARSYS_SALES_TOKEN"]
    assert emarsys.upload("sales-data", "", Authorization="Bearer wrong").status_code == 401
    assert emarsys.upload("sales-data", "nonsense", Authorization=f"bearer {token}").status_code == 400
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/csv"}
    assert emarsys.http.post("/hapi/merchant/0000/sales-data/api", headers=headers).status_code == 404
    oauth = emarsys.token().json()["access_token"]
    assert emarsys.upload("sales-data", "", Authorization=f"Bearer {oauth}").status_code == 401


def test_a_zipped_body_is_accepted(emarsys: Emarsys) -> None:
    text = f"item,price,order,timestamp,email,quantity\n{LINE}\n".encode()
    assert emarsys.upload("sales-data", gzip.compress(text), **{"Content-Encoding": "gzip"}).status_code == 200
    assert emarsys.upload("sales-data", text, **{"Content-Encoding": "gzip"}).status_code == 400
    assert emarsys.judge("sales")["total"] == 1


def test_an_unknown_customer_becomes_a_pseudo_contact_for_good(emarsys: Emarsys) -> None:
    emarsys.sell(LINE.replace(ANA, "late@example.com"))
    emarsys.upsert({"3": "late@example.com"})
    contacts = [(row["email"], row["generated"]) for row in emarsys.judge("contacts")["contacts"]]
    assert contacts == [(ANA, False), ("late@example.com", False), ("late@example.com", True)]


def test_customers_are_looked_up_when_the_file_is_loaded(emarsys: Emarsys) -> None:
    emarsys.control("switches", {"load_delay": 300})
    emarsys.sell(LINE.replace(ANA, "soon@example.com"), LINE.replace(ANA, "never@example.com"))
    assert emarsys.judge("sales")["total"] == 2
    emarsys.clock.advance(200)
    emarsys.upsert({"3": "soon@example.com"})
    emarsys.clock.advance(200)
    emarsys.upsert({"3": "never@example.com"})
    generated = [row["email"] for row in emarsys.judge("contacts")["contacts"] if row["generated"]]
    assert generated == ["never@example.com"]


def test_an_upload_whose_answer_was_lost_still_counts(emarsys: Emarsys) -> None:
    emarsys.faults.set([{"name": "applied-then-503", "path": "/sales-data", "times": 1}])
    assert emarsys.sell(LINE).status_code == 503
    assert emarsys.judge("sales")["total"] == 1
