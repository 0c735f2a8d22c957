"""Engagement Cloud: contacts, one per call, and the reading of one contact field.

| call | answer |
|---|---|
| POST contact/v1/contacts {"firstName", "lastName", "primaryEmail", "genderCode", "businessAreaIds",
  "additionalSystemFields": {string_id: value}, "extensionFields": {string_id: value}} | 200 {"contacts":
  [{"keyFieldValue", "contactId"}], "notSavedContacts": []}; a contact that is not saved is 200 too |
| GET contact/v1/contacts({keyField}={value}) | the properties above and "cdpId"; 404: no such contact, or no such field |
| PATCH the same, `application/merge-patch+json` | 200 {}; null removes, absent keeps |
| GET contactfield/v1/fields/{string_id} | 200 {"stringId", "name", "applicationType"}; 404 |
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cin7_emarsys.sandbox.emarsys.account import Account
from cin7_emarsys.sandbox.emarsys.contacts import Contact
from cin7_emarsys.sandbox.emarsys.envelope import RowRefusal
from cin7_emarsys.sandbox.emarsys.fields import EMAIL, Field, Value
from cin7_emarsys.sandbox.engagement_cloud.answers import (
    NOT_FOUND,
    Path,
    Problem,
    an_object,
    body_of,
    error,
    only,
    route,
)
from cin7_emarsys.sandbox.faults import Fault
from cin7_emarsys.sandbox.requests import full_path

MERGE_PATCH = "application/merge-patch+json"
_NAMED = {"firstName": "1", "lastName": "2", "primaryEmail": EMAIL, "genderCode": "5"}
"""Property → field id."""
_GROUPS = ("additionalSystemFields", "extensionFields")
_KNOWN = (*_NAMED, *_GROUPS, "businessAreaIds")


@dataclass(slots=True)
class Change:
    """A checked body: field values (None clears), and the business areas (None: not sent)."""

    values: dict[str, Value | None]
    areas: list[str] | None


def routes(account: Account) -> list[Route]:
    contacts = ContactRoutes(account)
    return [
        route("POST", "/contact/v1/contacts", contacts.post),
        route("GET", "/contact/v1/contacts({key:path})", contacts.get),
        route("PATCH", "/contact/v1/contacts({key:path})", contacts.patch),
        route("GET", "/contactfield/v1/fields/{string_id}", contacts.field),
    ]


class ContactRoutes:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._areas: dict[int, list[str]] = {}

    async def post(self, request: Request) -> Response:
        change = self._checked(await body_of(request, self._account.switches().max_bytes))
        email = change.values.get(EMAIL)
        if not email:
            raise Problem(400, "primaryEmail is required", path=("primaryEmail",))
        problem = self._not_saved(request, str(email))
        if problem is not None:
            if self._account.switches().unsaved_contact == "refused":
                raise problem
            shown = error(problem, "/contact/v1/contacts")
            return JSONResponse({"contacts": [], "notSavedContacts": [email], "error": shown})
        self._account.sales.load()
        contact = self._account.contacts.create(change.values)
        self._areas[contact.id] = change.areas or []
        saved = {"keyFieldValue": email, "contactId": contact.id}
        return JSONResponse({"contacts": [saved], "notSavedContacts": []})

    async def get(self, request: Request) -> Response:
        contact = self._contact(request)
        shown: dict[str, Any] = {name: contact.values.get(field_id) for name, field_id in _NAMED.items()}
        shown |= {"cdpId": contact.uid, "businessAreaIds": self._areas.get(contact.id, [])}
        groups: dict[str, dict[str, Any]] = {name: {} for name in _GROUPS}
        for field_id, value in contact.values.items():
            if field_id not in _NAMED.values():
                field = self._account.fields.by_id[field_id]
                groups[_GROUPS[field.custom]][field.string_id] = value
        return JSONResponse({**shown, **groups})

    async def patch(self, request: Request) -> Response:
        body = await body_of(request, self._account.switches().max_bytes, MERGE_PATCH)
        contact = self._contact(request)
        change = self._checked(body)
        if EMAIL in change.values:
            email = change.values[EMAIL]
            if not email:
                raise Problem(400, "primaryEmail cannot be removed", path=("primaryEmail",))
            taken = any(other is not contact for other in self._account.contacts.find(EMAIL, str(email)))
            if taken and self._account.switches().email_conflict == "error":
                raise Problem(400, "A contact with this primaryEmail already exists.", path=("primaryEmail",))
        if (fault := self._fault(request)) is not None:
            raise _rejected(fault)
        self._account.contacts.apply(contact, change.values)
        if change.areas is not None:
            self._areas[contact.id] = change.areas
        return JSONResponse({})

    async def field(self, request: Request) -> Response:
        field = self._account.fields.by_string_id(request.path_params["string_id"])
        if field is None:
            raise Problem(404, "The requested field was not found.", NOT_FOUND)
        return JSONResponse({"stringId": field.string_id, "name": field.name, "applicationType": field.type})

    def _not_saved(self, request: Request, email: str) -> Problem | None:
        if (fault := self._fault(request)) is not None:
            return _rejected(fault)
        if self._account.contacts.find(EMAIL, email):
            return Problem(400, "A contact with this primaryEmail already exists.", path=("primaryEmail",))
        return None

    def _fault(self, request: Request) -> Fault | None:
        return self._account.faults.hit("partial-reject", "emarsys", full_path(request.scope))

    def _contact(self, request: Request) -> Contact:
        """The contact that `({keyField}={value})` names. 404 for both: which one, only the message says."""
        name, equals, value = request.path_params["key"].partition("=")
        key_field = self._key_field(name) if equals else None
        if key_field is None:
            raise Problem(404, "The requested field was not found.", NOT_FOUND)
        if self._account.switches().quoted_keys:
            if len(value) < 2 or not value.startswith("'") or not value.endswith("'"):
                raise Problem(400, "Request has invalid format")
            value = value[1:-1].replace("''", "'")
        found = self._account.contacts.find(key_field, value)
        if not found:
            raise Problem(404, "The requested contact was not found.", NOT_FOUND)
        if len(found) > 1:
            raise Problem(400, "More than one contact has this value.")
        return found[0]

    def _key_field(self, name: str) -> str | None:
        if name == "cdpId":
            return "uid"
        if name in _NAMED:
            return self._account.contacts.key_field(_NAMED[name])
        field = self._account.fields.by_string_id(name)
        return self._account.contacts.key_field(field.id) if field is not None and field.custom else None

    def _checked(self, body: dict[str, Any]) -> Change:
        only(body, _KNOWN, ())
        values: dict[str, Value | None] = {}
        for name, field_id in _NAMED.items():
            if name in body:
                values[field_id] = self._clean(self._account.fields.by_id[field_id], body[name], (name,))
        for custom, group in enumerate(_GROUPS):
            for string_id, value in an_object(body.get(group, {}), (group,)).items():
                field = self._account.fields.by_string_id(string_id)
                if field is None or field.custom != bool(custom) or field.id in _NAMED.values() or field.read_only:
                    raise Problem(400, f"Unknown field {string_id}", path=(group, string_id))
                values[field.id] = self._clean(field, value, (group, string_id))
        areas = body.get("businessAreaIds")
        if "businessAreaIds" in body and not _is_list_of_text(areas):
            raise Problem(400, "businessAreaIds must be an array of texts", path=("businessAreaIds",))
        return Change(values, areas)

    def _clean(self, field: Field, value: Any, path: Path) -> Value | None:
        try:
            return self._account.fields.clean(field, float(value) if isinstance(value, Decimal) else value)
        except RowRefusal as refusal:
            raise Problem(400, refusal.text, path=path) from None


def _rejected(fault: Fault) -> Problem:
    return Problem(400, str(fault.get("message", "Invalid value")))


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)
