"""Emarsys: POST contact/getdata, GET contact/query, POST contact/checkids, GET settings."""

from itertools import islice
from typing import Any

from starlette.routing import Route

from cin7_emarsys.sandbox.emarsys.account import Account
from cin7_emarsys.sandbox.emarsys.contacts import Contact, key_text
from cin7_emarsys.sandbox.emarsys.envelope import Call, Refusal, RowRefusal, core, only

MAX_KEYS = 1000
MAX_LIMIT = 10_000


def routes(account: Account) -> list[Route]:
    reads = ContactReads(account)
    switches = account.switches
    return [
        core(switches, "POST", "/contact/getdata", reads.getdata, "contact.getdata"),
        core(switches, "GET", "/contact/query", reads.query, "contact.list"),
        core(switches, "POST", "/contact/checkids", reads.checkids, "contact.contactid.verify"),
        core(switches, "GET", "/settings", reads.settings, "customer.settings"),
    ]


class ContactReads:
    def __init__(self, account: Account) -> None:
        self._account = account

    async def getdata(self, call: Call) -> dict[str, Any]:
        """`{"keyId", "keyValues": [≤ 1000], "fields"?: [ids]}` → `{"errors": [...], "result": [...] or false}`."""
        only(call.body, ("keyId", "keyValues", "fields"), key_name="keyId")
        key_field = self._key_field(call.body.get("keyId", ""))
        values = call.body.get("keyValues")
        if values is None:
            raise Refusal(10001, "Missing parameter: keyValues")
        if not isinstance(values, list):
            raise Refusal(10001, "Value must be an array.")
        if len(values) > MAX_KEYS:
            raise Refusal(10001, f"Max. number of contacts: {MAX_KEYS}")
        wanted = self._fields(call.body.get("fields"))
        errors: list[dict[str, Any]] = []
        found: list[Contact] = []
        for value in values:
            try:
                found.append(self._account.contacts.one(key_field, value))
            except RowRefusal as refusal:
                text = f"No contact found with the external id: {key_field}" if refusal.code == 2008 else refusal.text
                errors.append({"key": value, "errorCode": refusal.code, "errorMsg": text})
        others = (contact for contact in self._account.contacts.by_id.values() if contact not in found)
        found += islice(others, self._account.switches().unasked_rows)
        self._account.random.shuffle(found)
        result = [
            {"id": str(contact.id), "uid": contact.uid, **{name: contact.value(name) for name in wanted}}
            for contact in found
        ]
        shape = self._account.switches().errors_empty_shape
        return {"errors": errors or ({} if shape == "object" else []), "result": result or False}

    def _fields(self, sent: Any) -> list[str]:
        known = self._account.fields.by_id
        if sent is None:
            return list(known)
        if not isinstance(sent, list):
            raise Refusal(10001, "Value must be an array.")
        wanted = [str(name) if type(name) in (int, str) else "" for name in sent]
        for name in wanted:
            if name not in known and name not in ("id", "uid"):
                raise Refusal(2006, f"Invalid field id: {name}")
        return [name for name in wanted if name in known]

    def _key_field(self, sent: Any) -> str:
        key_field = self._account.contacts.key_field(sent)
        if key_field is None:
            raise Refusal(2004, f"Invalid key field id: {sent}")
        return key_field

    async def query(self, call: Call) -> dict[str, Any]:
        """`?return=FIELD&FIELD=value&excludeempty=false&limit=10000&offset=0`; an empty value selects empty fields."""
        query, contacts = call.request.query_params, self._account.contacts
        if not query.get("return"):
            raise Refusal(2014, "No return field specified")
        returned = query["return"]
        if returned not in self._account.fields.by_id and returned not in ("id", "uid"):
            raise Refusal(2006, f"Invalid field id: {returned}")
        filters = [name for name in query if name not in ("return", "excludeempty", "limit", "offset")]
        if len(filters) != 1:
            raise Refusal(1001, "Exactly one field to search by is expected")
        column, value = filters[0], query[filters[0]]
        if column not in contacts.indexed and column not in ("id", "uid"):
            raise Refusal(2015, f"The column is not indexed: {column}")
        limit, offset = query.get("limit", str(MAX_LIMIT)), query.get("offset", "0")
        if not limit.isdecimal() or not offset.isdecimal() or not 1 <= int(limit) <= MAX_LIMIT:
            raise Refusal(2016, f"The limit must be between 1 and {MAX_LIMIT}")
        if query.get("excludeempty", "false") not in ("true", "false", "0", "1"):
            raise Refusal(10001, "Invalid parameter: excludeempty")
        if value:
            found = contacts.find(column, value)
        else:
            found = [contact for contact in contacts.by_id.values() if column not in contact.values]
        if query.get("excludeempty") in ("true", "1"):
            found = [contact for contact in found if contact.value(returned)]
        page = found[int(offset) : int(offset) + int(limit)]
        return {"errors": [], "result": [_row(contact, returned) for contact in page]}

    async def checkids(self, call: Call) -> dict[str, Any]:
        """`{"key_id", "external_ids": [≤ 1000], "get_multiple_ids"?: bool}` → `{"ids": {key: id}, "errors": {…}}`."""
        only(call.body, ("key_id", "external_ids", "get_multiple_ids"), key_name="key_id")
        key_field = self._key_field(call.body.get("key_id", ""))
        values, many = call.body.get("external_ids"), call.body.get("get_multiple_ids", False)
        if not isinstance(values, list):
            raise Refusal(2003, "The list of external ids is not an array")
        if len(values) > MAX_KEYS:
            raise Refusal(2002, f"The maximum number of external ids is {MAX_KEYS}")
        if not isinstance(many, bool):
            raise Refusal(10001, "Invalid parameter: get_multiple_ids")
        ids: dict[str, Any] = {}
        errors: dict[str, dict[str, str]] = {}
        for value in values:
            try:
                text = key_text(key_field, value)
                found = self._account.contacts.find(key_field, text)
                if many and found:
                    ids[text] = [str(contact.id) for contact in found]
                else:
                    ids[text] = str(self._account.contacts.one(key_field, value).id)
            except RowRefusal as refusal:
                text = f"No contact found with the external id: {key_field}" if refusal.code == 2008 else refusal.text
                errors[str(value)] = {str(refusal.code): text}
        return {"ids": ids, "errors": errors}

    async def settings(self, call: Call) -> dict[str, Any]:
        """What tells a classic account from the other product."""
        return {
            "id": "100000",
            "environment": "suite99.emarsys.net",
            "timezone": "Europe/Vienna",
            "name": "sandbox",
            "country": "Austria",
            "total_contacts": str(len(self._account.contacts.by_id)),
        }


def _row(contact: Contact, returned: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": str(contact.id)}
    if returned == "uid":
        row["uid"] = contact.uid
    elif returned != "id":
        row[returned] = contact.value(returned)
    return row
