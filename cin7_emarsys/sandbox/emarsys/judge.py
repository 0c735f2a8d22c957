"""What really happened, for tests: `GET /_sandbox/…` with `?limit=1000&offset=0`. Nothing of this exists at the vendor.

| path | answer, besides "total" |
|---|---|
| contacts | "contacts": [{"email", "fields": {string_id: value}, "created_at", "generated"}], generated ones last |
| catalogue | "version", "fetched_at", "items": [{column: text}] |
| sales | "lines": [{"item", "price", "order", "timestamp", "email", "quantity", "received_at", "batch"}], doubles too |
| sales/orders | "orders": [{"order", "lines", "revenue": exact sum as text}] |
| events | "events": [{"event", "email", "trigger_id", "received_at", "data", "deduplicated"}] |
| mails | "mails": [{"kind", "sku" or "event", "email", "sent_at", "opt_in"}] |
| imports | "imports": [{"status", "version", "rows", "errors", "source", "at"}], every attempt of a product file |
| consents | "consents": [{"email", "from", "to", "at", "by": "api" or "ui"}], every change of opt-in |
| requests | "requests": [{"method", "path", "status", "at", "key", "bytes", "t"}] |
"""

from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from cin7_emarsys.sandbox.emarsys.account import Account
from cin7_emarsys.sandbox.emarsys.contacts import Contact
from cin7_emarsys.sandbox.requests import RequestLog

Page = Callable[[int, int], dict[str, Any]]


def routes(account: Account, log: RequestLog) -> list[Route]:
    judge = Judge(account)
    return [
        _route("contacts", judge.contacts),
        _route("catalogue", judge.catalogue),
        _route("sales", judge.sales),
        _route("sales/orders", lambda limit, offset: _page("orders", account.sales.orders(), limit, offset)),
        _route("events", lambda limit, offset: _page("events", account.events.log, limit, offset)),
        _route("mails", lambda limit, offset: _page("mails", account.mails, limit, offset)),
        _route("imports", lambda limit, offset: _page("imports", account.catalogue.imports, limit, offset)),
        _route("consents", judge.consents),
        _route("requests", log.page),
    ]


class Judge:
    def __init__(self, account: Account) -> None:
        self._account = account

    def contacts(self, limit: int, offset: int) -> dict[str, Any]:
        self._account.sales.load()
        contacts = self._account.contacts
        rows = islice(chain(contacts.by_id.values(), contacts.generated.values()), offset, offset + limit)
        total = len(contacts.by_id) + len(contacts.generated)
        return {"total": total, "contacts": [self._shown(contact) for contact in rows]}

    def _shown(self, contact: Contact) -> dict[str, Any]:
        known = self._account.fields.by_id
        fields = {known[name].string_id: value for name, value in contact.values.items()}
        return {
            "email": contact.email,
            "fields": fields,
            "created_at": contact.created_at.isoformat(timespec="milliseconds"),
            "generated": contact.generated,
        }

    def consents(self, limit: int, offset: int) -> dict[str, Any]:
        consents = self._account.contacts.consents
        return {"total": len(consents), "consents": [each.shown() for each in consents[offset : offset + limit]]}

    def catalogue(self, limit: int, offset: int) -> dict[str, Any]:
        catalogue = self._account.catalogue
        fetched_at = catalogue.fetched_at.isoformat(timespec="milliseconds") if catalogue.fetched_at else None
        items = list(islice(catalogue.items.values(), offset, offset + limit))
        return {"version": catalogue.version, "fetched_at": fetched_at, "total": len(catalogue.items), "items": items}

    def sales(self, limit: int, offset: int) -> dict[str, Any]:
        sales = self._account.sales
        return {"total": len(sales.lines), "lines": sales.shown(limit, offset)}


def _page(name: str, rows: Sequence[Any], limit: int, offset: int) -> dict[str, Any]:
    return {"total": len(rows), name: rows[offset : offset + limit]}


def _route(name: str, page: Page) -> Route:
    async def endpoint(request: Request) -> Response:
        limit, offset = request.query_params.get("limit", "1000"), request.query_params.get("offset", "0")
        if not limit.isdecimal() or not offset.isdecimal():
            return PlainTextResponse("limit and offset are numbers\n", 400)
        return JSONResponse(page(int(limit), int(offset)))

    return Route(f"/_sandbox/{name}", endpoint, methods=["GET"])
