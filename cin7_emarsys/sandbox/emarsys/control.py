"""What a test can make happen inside Emarsys: `/_sandbox/…`. Nothing of this exists at the vendor.

| call | effect |
|---|---|
| GET, POST switches {…} | the account's switches (see `switches`); answers all of them |
| POST contacts {"email", "fields": {string_id: value}, "duplicate"?: bool} | a contact is created or edited in the
  UI; null clears; `duplicate` adds a second contact with the same e-mail |
| DELETE contacts {"email"} | somebody deletes the contact in the UI |
| POST fields {"name", "application_type", "string_id"?, "choices"?: [labels]} | any field type, made by the vendor |
| POST events {"name", "schema"?: {property: "string"|"number"|"boolean"|"object"|"array"}, "contact"?: property} |
  somebody creates an event in the UI; schema and contact (the property with the e-mail) are for engagement events |
| POST catalog/pull {"url", "user"?, "password"?} | Emarsys downloads the product file |
| POST tactics/check | the tactics compare now |
| POST tokens/revoke | all tokens end |
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from cin7_emarsys.sandbox.emarsys.account import Account
from cin7_emarsys.sandbox.emarsys.auth import Tokens
from cin7_emarsys.sandbox.emarsys.contacts import Contact
from cin7_emarsys.sandbox.emarsys.envelope import RowRefusal
from cin7_emarsys.sandbox.emarsys.events import SCHEMA_KINDS
from cin7_emarsys.sandbox.emarsys.feed import Feed
from cin7_emarsys.sandbox.emarsys.fields import CHOICE_TYPES, EMAIL, TYPES, Value, is_email

Command = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def routes(account: Account, tokens: Tokens, feed: Feed) -> list[Route]:
    control = Control(account, tokens, feed)
    return [
        _route("GET", "switches", control.switches),
        _route("POST", "switches", control.switches),
        _route("POST", "contacts", control.edit_contact),
        _route("DELETE", "contacts", control.delete_contact),
        _route("POST", "fields", control.add_field),
        _route("POST", "events", control.add_event),
        _route("POST", "catalog/pull", control.pull),
        _route("POST", "tactics/check", control.check),
        _route("POST", "tokens/revoke", control.revoke),
    ]


class Control:
    def __init__(self, account: Account, tokens: Tokens, feed: Feed) -> None:
        self._account, self._tokens, self._feed = account, tokens, feed

    async def switches(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._account.switch(body).model_dump()

    async def edit_contact(self, body: dict[str, Any]) -> dict[str, Any]:
        _only(body, "email", "fields", "duplicate")
        account, email = self._account, _text(body, "email")
        if not is_email(email):
            raise ValueError(f"not an e-mail address: {email}")
        account.sales.load()
        changes: dict[str, Value | None] = {}
        for string_id, value in body.get("fields", {}).items():
            field = account.fields.by_string_id(string_id)
            if field is None:
                raise ValueError(f"unknown field {string_id!r}")
            changes[field.id] = account.fields.clean(field, value)
        found: list[Contact] = [] if body.get("duplicate") else account.contacts.find(EMAIL, email)
        if found:
            account.contacts.apply(found[0], changes, by="ui")
            return {"id": found[0].id, "created": False}
        return {"id": account.contacts.create({EMAIL: email, **changes}, by="ui").id, "created": True}

    async def delete_contact(self, body: dict[str, Any]) -> dict[str, Any]:
        _only(body, "email")
        found = list(self._account.contacts.find(EMAIL, _text(body, "email")))
        for contact in found:
            self._account.contacts.delete(contact)
        return {"deleted": len(found)}

    async def add_field(self, body: dict[str, Any]) -> dict[str, Any]:
        _only(body, "name", "application_type", "string_id", "choices")
        kind, choices = _text(body, "application_type"), tuple(body.get("choices", ()))
        if kind not in TYPES or bool(choices) != (kind in CHOICE_TYPES):
            raise ValueError(f"application_type is one of {', '.join(TYPES)}; choices belong to choice types only")
        field = self._account.fields.add(_text(body, "name"), kind, body.get("string_id"), choices)
        self._account.contacts.reindex()
        return {"id": int(field.id), "string_id": field.string_id, "choices": field.choices}

    async def add_event(self, body: dict[str, Any]) -> dict[str, Any]:
        _only(body, "name", "schema", "contact")
        name, schema, contact = _text(body, "name"), body.get("schema", {}), body.get("contact", "email")
        if not isinstance(schema, dict) or any(kind not in SCHEMA_KINDS for kind in schema.values()):
            raise ValueError(f"a schema is {{property: one of {', '.join(SCHEMA_KINDS)}}}")
        event = self._account.events.by_name(name) or self._account.events.create(name, self._account.clock.now())
        event.schema, event.contact = schema, contact
        return {"id": event.id, "name": event.name, "event_configuration_id": event.configuration_id}

    async def pull(self, body: dict[str, Any]) -> dict[str, Any]:
        _only(body, "url", "user", "password")
        return await self._feed.pull(_text(body, "url"), body.get("user"), body.get("password"))

    async def check(self, body: dict[str, Any]) -> dict[str, Any]:
        _only(body)
        return self._account.tactics.check()

    async def revoke(self, body: dict[str, Any]) -> dict[str, Any]:
        _only(body)
        return {"revoked": self._tokens.revoke()}


def _route(method: str, name: str, command: Command) -> Route:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        try:
            body = json.loads(raw) if raw and method != "GET" else {}
            if not isinstance(body, dict):
                raise ValueError("the body is not an object")
            return JSONResponse(await command(body))
        except RowRefusal as refusal:
            return PlainTextResponse(f"{refusal.text}\n", 400)
        except ValueError as error:
            return PlainTextResponse(f"{error}\n", 400)

    return Route(f"/_sandbox/{name}", endpoint, methods=[method])


def _only(body: dict[str, Any], *known: str) -> None:
    if unknown := [name for name in body if name not in known]:
        raise ValueError(f"unknown keys {unknown}; known: {', '.join(known) or 'none'}")


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is missing")
    return value
