"""Emarsys: GET field, GET field/translate, the choices of a field, POST field."""

import re
from typing import Any

from starlette.routing import Route

from cin7_emarsys.sandbox.emarsys.account import Account
from cin7_emarsys.sandbox.emarsys.envelope import Call, Refusal, core, only
from cin7_emarsys.sandbox.emarsys.fields import CHOICE_TYPES, CREATABLE, RESERVED, Field, derived_string_id

_LANGUAGE = re.compile(r"[a-z]{2}")
_STRING_ID = re.compile(r"[a-zA-Z0-9_]{1,255}")


def routes(account: Account) -> list[Route]:
    fields = FieldRoutes(account)
    switches = account.switches
    choices = ("field.singlechoice.trans.list",)
    return [
        core(switches, "GET", "/field/translate/{language}", fields.listed, "field.list"),
        core(switches, "GET", "/field/choices", fields.many_choices, "field.multichoice.list"),
        core(switches, "GET", "/field/{id:int}/choice/translate/{language}", fields.choices, *choices),
        core(switches, "GET", "/field", fields.listed, "field.get"),
        core(switches, "POST", "/field", fields.create, "field.create"),
    ]


class FieldRoutes:
    def __init__(self, account: Account) -> None:
        self._account = account

    async def listed(self, call: Call) -> list[dict[str, Any]]:
        """`[{"id": number, "name", "application_type", "string_id"}]`."""
        _language(call.request.path_params.get("language", "en"))
        return [
            {"id": int(each.id), "name": each.name, "application_type": each.type, "string_id": each.string_id}
            for each in self._account.fields.by_id.values()
        ]

    async def choices(self, call: Call) -> list[dict[str, Any]]:
        """`[{"id": text, "choice": label, "bit_position": number}]`."""
        _language(call.request.path_params["language"])
        return self._choice_field(str(call.request.path_params["id"])).choice_list()

    async def many_choices(self, call: Call) -> dict[str, list[dict[str, Any]]]:
        """`?fields=5,14&language=en` → choices by field id."""
        query = call.request.query_params
        only(query, ("fields", "language"))
        _language(query.get("language", "en"))
        if not query.get("fields"):
            raise Refusal(10001, "Missing parameter: fields")
        return {name: self._choice_field(name).choice_list() for name in query["fields"].split(",")}

    def _choice_field(self, name: str) -> Field:
        found = self._account.fields.by_id.get(name)
        if found is None or found.type not in CHOICE_TYPES:
            raise Refusal(None, "No such field", 404)
        return found

    async def create(self, call: Call) -> dict[str, int]:
        """`{"name", "application_type", "string_id"?}` → `{"id": number}`."""
        only(call.body, ("name", "application_type", "string_id"))
        fields = self._account.fields
        name, kind = call.body.get("name"), call.body.get("application_type")
        if not name or not kind:
            raise Refusal(9005, "The parameters name and application_type are required")
        if not isinstance(name, str) or not derived_string_id(name) or len(name) > 255:
            raise Refusal(9001, "Invalid field name")
        string_id = call.body.get("string_id", derived_string_id(name))
        if not isinstance(string_id, str) or not _STRING_ID.fullmatch(string_id):
            raise Refusal(9001, "Invalid field string id")
        if kind not in CREATABLE:
            raise Refusal(9006, f"Fields of this type cannot be created: {kind}")
        if string_id.lower() in RESERVED or name.lower() in RESERVED:
            raise Refusal(9003, "The field name or string id is reserved")
        if fields.by_string_id(string_id) or fields.by_name(name):
            raise Refusal(9002, "A field with this name or string id already exists")
        if sum(each.custom for each in fields.by_id.values()) >= self._account.switches().field_slots:
            raise Refusal(9004, "There are no more free fields of this type in the account")
        new = fields.add(name, kind, string_id)
        self._account.contacts.reindex()
        return {"id": int(new.id)}


def _language(code: str) -> None:
    """Labels are English whatever the language."""
    if not _LANGUAGE.fullmatch(code):
        raise Refusal(10001, f"Invalid language: {code}")
