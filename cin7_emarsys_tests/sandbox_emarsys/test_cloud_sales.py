"""The Engagement Cloud edition: transactions and engagement events."""

from typing import Any

import httpx
import pytest

from cin7_emarsys.sandbox.emarsys import CREDENTIALS

from .conftest import Emarsys

ANA = "ana@example.com"
AT = "2026-11-22T10:15:00.000Z"


def line(quantity: float = 2, amount: float = 9.1, **changes: Any) -> dict[str, Any]:
    amounts = {"amountInAccountCurrency": amount, "amountInTransactionCurrency": amount}
    return {"productId": "BREAD-01", "quantity": quantity, **amounts, **changes}


def order(number: str = "SO-1", *items: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "transactionType": "order",
        "transactionId": number,
        "businessAreaId": "AU",
        "externalContactIdType": "email",
        "externalContactId": ANA,
        "accountCurrency": "AUD",
        "transactionCurrency": "AUD",
        "transactionCreatedAt": AT,
        "transactionChangedAt": AT,
        "externalStoreId": "main",
        "salesChannel": "online",
        "items": list(items) or [line()],
        **changes,
    }


def refund(number: str = "CR-7", *items: dict[str, Any], **changes: Any) -> dict[str, Any]:
    lines = items or (line(-1, -4.55),)
    return order(number, *lines, **{"transactionType": "refund", "referencedOrderId": "SO-1", **changes})


def send(cloud: Emarsys, *transactions: dict[str, Any]) -> httpx.Response:
    return cloud.cloud("POST", "salesdata/v1/transactions", {"transactions": list(transactions)})


@pytest.fixture(autouse=True)
def ana(cloud: Emarsys) -> None:
    cloud.cloud("POST", "contact/v1/contacts", {"primaryEmail": ANA})


def test_transactions_are_lines_at_the_judge(cloud: Emarsys) -> None:
    answer = send(cloud, order(), refund())
    assert answer.status_code == 202
    assert answer.json()["requestId"].startswith("sales_transactions_")
    lines = cloud.judge("sales")["lines"]
    assert lines[0].pop("received_at")
    assert lines[0] == {
        "item": "BREAD-01",
        "price": 9.1,
        "order": "SO-1",
        "timestamp": AT,
        "email": ANA,
        "quantity": 2,
        "batch": 1,
        "transaction": "SO-1",
        "transaction_type": "order",
    }
    assert [lines[1][name] for name in ("order", "transaction", "price", "quantity")] == ["SO-1", "CR-7", -4.55, -1]
    assert cloud.judge("sales/orders")["orders"] == [{"order": "SO-1", "lines": 2, "revenue": "4.55"}]


def test_the_same_transaction_again_adds_or_replaces(cloud: Emarsys) -> None:
    send(cloud, order(), refund())
    send(cloud, order())
    assert cloud.judge("sales")["total"] == 3
    cloud.control("switches", {"sales_mode": "replace"})
    send(cloud, order("SO-1", line(1, 1)))
    assert [each["price"] for each in cloud.judge("sales")["lines"]] == [-4.55, 1]


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        (order(transactionType="sale"), ["transactionType"]),
        (order(nonsense=1), ["nonsense"]),
        (order(businessAreaId=""), ["businessAreaId"]),
        (order(transactionId=7), ["transactionId"]),
        (order(externalContactIdType="customer"), ["externalContactIdType"]),
        (order(externalContactId="ana"), ["externalContactId"]),
        (order(accountCurrency="aud"), ["accountCurrency"]),
        (order(transactionCreatedAt="2026-11-22T10:15:00Z"), ["transactionCreatedAt"]),
        (order(referencedOrderId="SO-0"), ["referencedOrderId"]),
        (order(items=[]), ["items"]),
        (refund(referencedOrderId=""), ["referencedOrderId"]),
        (order("SO-1", line(), line(quantity=0)), ["items", 1, "quantity"]),
        (order("SO-1", line(quantity="2")), ["items", 0, "quantity"]),  # type: ignore[arg-type]
        (order("SO-1", line(1, -1)), ["items", 0, "amountInAccountCurrency"]),
        (order("SO-1", line(price=1)), ["items", 0, "price"]),
        (order("SO-1", line(productId="")), ["items", 0, "productId"]),
        (refund("CR-7", line(1, -1)), ["items", 0, "quantity"]),
        (refund("CR-7", line(-1, 1)), ["items", 0, "amountInAccountCurrency"]),
    ],
)
def test_one_wrong_transaction_refuses_the_call(cloud: Emarsys, wrong: dict[str, Any], path: list[Any]) -> None:
    answer = send(cloud, order(), wrong)
    assert answer.status_code == 422
    assert answer.json()["requestId"]
    assert answer.json()["error"]["innererror"]["path"] == ["transactions", 1, *path]
    assert cloud.judge("sales")["total"] == 0


def test_the_limits_of_a_call(cloud: Emarsys) -> None:
    assert send(cloud, *(order(str(number)) for number in range(101))).status_code == 422
    assert send(cloud).status_code == 422
    assert send(cloud, order(salesChannel="x" * 1_000_000)).status_code == 413


def test_an_account_that_is_not_enabled_is_404(cloud: Emarsys) -> None:
    cloud.control("switches", {"transactions_enabled": False})
    answer = send(cloud, order())
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not-found-error")


def test_an_unknown_contact_becomes_a_pseudo_contact(cloud: Emarsys) -> None:
    send(cloud, order(externalContactId="late@example.com"))
    cloud.cloud("POST", "contact/v1/contacts", {"primaryEmail": "late@example.com"})
    generated = [row["email"] for row in cloud.judge("contacts")["contacts"] if row["generated"]]
    assert generated == ["late@example.com"]


def test_partial_reject_refuses_one_transaction_and_with_it_the_call(cloud: Emarsys) -> None:
    cloud.faults.set([{"name": "partial-reject", "path": "/transactions", "row": 1, "times": 1}])
    answer = send(cloud, order("SO-1"), order("SO-2"))
    assert answer.json()["error"]["innererror"]["path"][:2] == ["transactions", 1]
    assert cloud.judge("sales")["total"] == 0
    assert send(cloud, order("SO-1"), order("SO-2")).status_code == 202


def test_a_call_whose_answer_was_lost_still_counts(cloud: Emarsys) -> None:
    cloud.faults.set([{"name": "applied-then-503", "path": "/transactions", "times": 1}])
    assert send(cloud, order()).status_code == 503
    assert cloud.judge("sales")["total"] == 1


def event_path(cloud: Emarsys, **more: Any) -> str:
    created = cloud.control("events", {"name": "order_shipped", **more})
    integration = CREDENTIALS["EMARSYS_INTEGRATION_ID"]
    configuration = created["event_configuration_id"]
    return f"engagementevent/v1/integrations/{integration}/eventConfigurations/{configuration}/events"


def test_each_engagement_event_is_a_mail(cloud: Emarsys) -> None:
    path, data = event_path(cloud), {"email": ANA, "total": 13.9}
    answers = [cloud.cloud("POST", f"{path}?draft={draft}", data) for draft in ("false", "false", "true")]
    assert [(answer.status_code, answer.content) for answer in answers] == [(202, b"")] * 3
    logged = cloud.judge("events")["events"]
    assert [(each["event"], each["email"], each["data"]) for each in logged] == [("order_shipped", ANA, data)] * 2
    assert [each["deduplicated"] for each in logged] == [False, False]
    assert cloud.judge("mails")["total"] == 2


def test_an_event_of_an_unknown_contact_is_no_mail(cloud: Emarsys) -> None:
    assert cloud.cloud("POST", event_path(cloud), {"email": "nobody@example.com"}).status_code == 202
    assert (cloud.judge("events")["total"], cloud.judge("mails")["total"]) == (1, 0)


def test_an_event_fits_the_schema_that_somebody_configured(cloud: Emarsys) -> None:
    path = event_path(cloud, schema={"customer": "string", "order": "object"}, contact="customer")
    right = {"customer": ANA, "order": {"number": "SO-1"}}
    for wrong in ({"customer": ANA}, {**right, "order": "SO-1"}, {**right, "more": 1}, {**right, "customer": ""}):
        assert cloud.cloud("POST", path, wrong).status_code == 422
    assert cloud.cloud("POST", path, [right]).status_code == 400
    assert cloud.cloud("POST", f"{path}?draft=maybe", right).status_code == 400
    assert cloud.cloud("POST", f"{path[:-8]}x/events", right).status_code == 404
    assert cloud.judge("events")["total"] == 0
    assert cloud.cloud("POST", path, right).status_code == 202
    cloud.faults.set([{"name": "partial-reject", "path": "/events", "times": 1}])
    assert cloud.cloud("POST", path, right).status_code == 422
