"""Engagement Cloud: POST salesdata/v1/transactions, orders and refunds as a whole. One wrong transaction refuses the call.

202 `{"requestId"}` = accepted for processing; 422 `{"requestId", "error"}`; 404: the account is not enabled. Whether the
same transaction again replaces or adds is the switch `sales_mode`.
"""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cin7_emarsys.sandbox.emarsys.account import Account
from cin7_emarsys.sandbox.emarsys.contact_writes import rejected
from cin7_emarsys.sandbox.emarsys.fields import is_email
from cin7_emarsys.sandbox.engagement_cloud.answers import (
    NOT_FOUND,
    PREFIX,
    Path,
    Problem,
    an_object,
    body_of,
    error,
    is_instant,
    is_number,
    number_text,
    only,
    route,
    some_rows,
)
from cin7_emarsys.sandbox.requests import full_path

HEADER = ("item", "price", "order", "timestamp", "email", "quantity", "transaction", "transaction_type")
"""The columns of the judge's lines; `order` is the transaction's own id, or for a refund the one that it refers to."""
_TEXTS = ("transactionId", "businessAreaId", "externalContactId", "externalStoreId", "salesChannel")
_CURRENCIES = ("accountCurrency", "transactionCurrency")
_TIMES = ("transactionCreatedAt", "transactionChangedAt")
_TYPES = ("order", "refund")
_REQUIRED = ("transactionType", "externalContactIdType", "items", *_TEXTS, *_CURRENCIES, *_TIMES)
_AMOUNTS = ("amountInAccountCurrency", "amountInTransactionCurrency")
_CURRENCY = re.compile(r"[A-Z]{3}")


def routes(account: Account) -> list[Route]:
    return [route("POST", "/salesdata/v1/transactions", Transactions(account).post)]


class Transactions:
    def __init__(self, account: Account) -> None:
        self._account = account

    async def post(self, request: Request) -> Response:
        switches = self._account.switches()
        if not switches.transactions_enabled:
            raise Problem(404, "The customer is not enabled or its configuration is missing.", NOT_FOUND)
        number = f"sales_transactions_{self._account.clock.now().isoformat(timespec='milliseconds')[:23]}Z"
        try:
            body = await body_of(request, switches.max_bytes, status=422)
            rows = some_rows(body, "transactions", switches.max_transactions, 422)
            lines = [line for place, row in enumerate(rows) for line in _lines(row, ("transactions", place))]
            self._rejected(request, len(rows))
        except Problem as problem:
            shown = error(problem, request.url.path.removeprefix(PREFIX))
            return JSONResponse({"requestId": number, "error": shown}, problem.status)
        self._account.sales.accept(HEADER, lines)
        return JSONResponse({"requestId": number}, 202)

    def _rejected(self, request: Request, total: int) -> None:
        """partial-reject: one transaction is refused, and with it the call."""
        fault = self._account.faults.hit("partial-reject", "emarsys", full_path(request.scope))
        if fault is not None:
            place = min(rejected(1, fault.get("row"), total, fault.firing))
            message = str(fault.get("message", "Invalid value"))
            raise Problem(422, message, path=("transactions", place, "externalContactId"))


def _lines(row: dict[str, Any], path: Path) -> list[list[str]]:
    """One transaction as the judge's lines. Raises Problem."""
    only(row, (*_REQUIRED, "referencedOrderId", "customFields"), path, 422)
    for name in _REQUIRED:
        if row.get(name) in (None, ""):
            raise Problem(422, f"{name} is required", path=(*path, name))
    kind = row["transactionType"]
    refund = kind == "refund"
    checks = [
        ("transactionType", kind in _TYPES),
        ("externalContactIdType", row["externalContactIdType"] == "email"),
        *((name, isinstance(row[name], str)) for name in _TEXTS),
        ("externalContactId", isinstance(row["externalContactId"], str) and is_email(row["externalContactId"])),
        *((name, isinstance(row[name], str) and _CURRENCY.fullmatch(row[name]) is not None) for name in _CURRENCIES),
        *((name, is_instant(row[name])) for name in _TIMES),
        ("referencedOrderId", _is_text(row.get("referencedOrderId")) if refund else "referencedOrderId" not in row),
        ("items", isinstance(row["items"], list) and bool(row["items"])),
        ("customFields", isinstance(row.get("customFields", {}), dict)),
    ]
    for name, right in checks:
        if not right:
            raise Problem(422, f"Invalid {name}", path=(*path, name))
    order = row["referencedOrderId"] if refund else row["transactionId"]
    lines = []
    for place, sent in enumerate(row["items"]):
        item = _item(sent, refund, (*path, "items", place))
        amount, quantity = number_text(item["amountInAccountCurrency"]), number_text(item["quantity"])
        time, email = row["transactionCreatedAt"], row["externalContactId"]
        lines.append([item["productId"], amount, order, time, email, quantity, row["transactionId"], kind])
    return lines


def _item(sent: Any, refund: bool, path: Path) -> dict[str, Any]:
    """A line: quantity not zero; quantity and amounts of a refund negative, of an order not."""
    item = an_object(sent, path, 422)
    only(item, ("productId", "quantity", *_AMOUNTS, "customFields"), path, 422)
    if not _is_text(item.get("productId")):
        raise Problem(422, "productId is required", path=(*path, "productId"))
    for name in ("quantity", *_AMOUNTS):
        value: Any = item.get(name)
        if not is_number(value) or (value > 0 if refund else value < 0) or (name == "quantity" and not value):
            raise Problem(422, f"Invalid {name}", path=(*path, name))
    if not isinstance(item.get("customFields", {}), dict):
        raise Problem(422, "Invalid customFields", path=(*path, "customFields"))
    return item


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
