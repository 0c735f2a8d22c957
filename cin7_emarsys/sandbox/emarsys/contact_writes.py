"""Emarsys: PUT contact, POST contact, POST contact/delete."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.routing import Route

from cin7_emarsys.sandbox.emarsys.account import Account
from cin7_emarsys.sandbox.emarsys.contacts import Contact, key_text
from cin7_emarsys.sandbox.emarsys.envelope import MEGABYTE, Call, Refusal, RowRefusal, core, only, require
from cin7_emarsys.sandbox.emarsys.fields import EMAIL, Value
from cin7_emarsys.sandbox.requests import full_path

MAX_ROWS = 1000
_TOP = ("key_id", "contacts", "contact_list_id", "source_id")
_INVALID = (2006, 2007)

Errors = dict[str, dict[str, str]]


@dataclass(slots=True)
class Row:
    """One row of a batch after its checks: `key` as sent, and what to write or why not."""

    key: str
    changes: dict[str, Value | None]
    refusal: RowRefusal | None = None


def routes(account: Account) -> list[Route]:
    writes = ContactWrites(account)
    switches = account.switches
    return [
        core(switches, "PUT", "/contact", writes.put, "contact.update", max_bytes=8 * MEGABYTE),
        core(switches, "POST", "/contact", writes.post, "contact.create"),
        core(switches, "POST", "/contact/delete", writes.delete, "contact.delete"),
    ]


def rejected(fault_count: Any, start: Any, total: int, firing: int) -> set[int]:
    """The places in a batch that a partial-reject refuses: so many neighbours from `start`, or from a moving place."""
    first = int(start) if start is not None else (firing * 7919) % max(1, total)
    return {(first + step) % total for step in range(min(int(fault_count), total))} if total else set()


class ContactWrites:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._creating: dict[tuple[str, str], bool] = {}
        """Race mode: keys that a call in flight is about to create, and whether another call wanted them too."""

    async def put(self, call: Call) -> dict[str, Any]:
        create = call.request.query_params.get("create_if_not_exists", "0")
        only(call.request.query_params, ("create_if_not_exists",))
        if create not in ("0", "1"):
            raise Refusal(10001, "Invalid parameter: create_if_not_exists")
        if create == "1":
            require(self._account.switches(), ["contact.create"])
        return await self._write(call, update=True, create=create == "1")

    async def post(self, call: Call) -> dict[str, Any]:
        only(call.request.query_params, ())
        return await self._write(call, update=False, create=True)

    async def _write(self, call: Call, *, update: bool, create: bool) -> dict[str, Any]:
        key_field = self._key_field(call.body)
        if "contacts" not in call.body:
            sent = {name: value for name, value in call.body.items() if name not in _TOP}
            return await self._write_one(call, key_field, sent, update, create)
        only(call.body, _TOP, key_name="key_id")
        sent_rows = call.body["contacts"]
        if not isinstance(sent_rows, list) or not sent_rows or any(type(row) is not dict for row in sent_rows):
            raise Refusal(10001, "Value must be an array.")
        if len(sent_rows) > MAX_ROWS:
            raise Refusal(1000, "The maximum batch size of 1,000 contacts is exceeded")
        ids, errors = await self._write_rows(call, key_field, sent_rows, update, create)
        data: dict[str, Any] = {"ids": ids}
        shape = self._account.switches().errors_empty_shape
        if errors or shape != "absent":
            data["errors"] = errors or ([] if shape == "array" else {})
        return data

    async def _write_one(
        self, call: Call, key_field: str, sent: dict[str, Any], update: bool, create: bool
    ) -> dict[str, Any]:
        for name in sent:
            if name.replace("_", "").lower() == "keyid":
                raise Refusal(2004, "Invalid key field id: ")
        ids, errors = await self._write_rows(call, key_field, [sent], update, create)
        for error in errors.values():
            for code, text in error.items():
                raise Refusal(int(code), text)
        return {"id": ids[0]}

    def _key_field(self, body: dict[str, Any]) -> str:
        if "contact_list_id" in body:
            raise Refusal(2020, f"Invalid contact list id: {body['contact_list_id']}")
        if "source_id" in body:
            raise Refusal(2013, f"Invalid source id: {body['source_id']}")
        sent = body.get("key_id", EMAIL)
        key_field = self._account.contacts.key_field(sent)
        if key_field is None:
            raise Refusal(2004, f"Invalid key field id: {sent}")
        return key_field

    async def _write_rows(
        self, call: Call, key_field: str, sent_rows: Sequence[dict[str, Any]], update: bool, create: bool
    ) -> tuple[list[Any], Errors]:
        self._account.sales.load()
        rows = [self._checked(key_field, sent) for sent in sent_rows]
        if self._account.switches().invalid_value_scope == "batch":
            for row in rows:
                if row.refusal is not None and row.refusal.code in _INVALID:
                    raise Refusal(row.refusal.code, row.refusal.text)
        reported = self._partial_reject(call, rows)
        if update and create and self._account.switches().race != "off":
            await self._race(key_field, rows)
        ids: list[Any] = []
        errors: Errors = {}
        created: set[int] = set()
        for place, row in enumerate(rows):
            try:
                if row.refusal is not None:
                    raise row.refusal
                ids.append(self._applied(key_field, row, update, create, created))
            except RowRefusal as refusal:
                errors.setdefault(reported.get(place, row.key), {})[str(refusal.code)] = refusal.text
        return ids, errors

    def _checked(self, key_field: str, sent: dict[str, Any]) -> Row:
        fields = self._account.fields
        changes: dict[str, Value | None] = {}
        value = sent.get(key_field)
        row = Row(str(value) if value is not None else "", changes)
        try:
            row.key = key_text(key_field, value)
            for name, value in sent.items():
                known = fields.by_id.get(name)
                if known is None:
                    if name == key_field:
                        continue
                    if name == "source_id":
                        raise RowRefusal(2013, f"Invalid source id: {value}")
                    code = 2007 if name in ("id", "uid") else 2006
                    raise RowRefusal(code, f"Invalid field id: {name}")
                if known.read_only:
                    if self._account.switches().read_only == "error":
                        raise RowRefusal(2007, f"Read-only field id: {name}")
                    continue
                changes[name] = fields.clean(known, value)
        except RowRefusal as refusal:
            row.refusal = refusal
        return row

    def _applied(self, key_field: str, row: Row, update: bool, create: bool, created: set[int]) -> str | int:
        """The contact's id: text when it existed, a number when it was created by this call."""
        contacts = self._account.contacts
        found = contacts.find(key_field, row.key)
        if len(found) > 1:
            raise RowRefusal(2010, f"More contacts found with the external id: {key_field} - {row.key}")
        contact = found[0] if found else None
        if contact is None and not create:
            raise RowRefusal(2008, f"No contact found with the external id: {key_field} - {row.key}")
        if contact is None and key_field in ("id", "uid"):
            raise RowRefusal(2004, "Cannot use id or uid as key on contact creation")
        if contact is not None and (not update or contact.id in created):
            raise RowRefusal(2009, f"Contact with the external id already exists: {key_field}")
        self._email_is_free(contact, key_field, row.key, row.changes)
        if contact is not None:
            contacts.apply(contact, row.changes)
            return str(contact.id)
        contact = contacts.create(row.changes)
        created.add(contact.id)
        return contact.id

    def _email_is_free(
        self, contact: Contact | None, key_field: str, key: str, changes: dict[str, Value | None]
    ) -> None:
        email = changes.get(EMAIL)
        if (
            email is None
            or (key_field, key) == (EMAIL, email)
            or self._account.switches().email_conflict == "duplicate"
        ):
            return
        if any(other is not contact for other in self._account.contacts.find(EMAIL, str(email))):
            raise RowRefusal(2009, f"Contact with the external id already exists: {EMAIL}")

    def _partial_reject(self, call: Call, rows: list[Row]) -> dict[int, str]:
        """The fault refuses some rows. Returns the keys under which they are reported, when these are not the sent
        ones: `mode` "case" = another letter case, "alien" = a key that nobody sent."""
        fault = self._account.faults.hit("partial-reject", "emarsys", full_path(call.request.scope))
        reported: dict[int, str] = {}
        if fault is None:
            return reported
        code, text = int(fault.get("code", 2007)), str(fault.get("message", "Invalid choice id for field id: 14"))
        for place in rejected(fault.get("count", 1), fault.get("row"), len(rows), fault.firing):
            rows[place].refusal = RowRefusal(code, text)
            if fault.get("mode") == "case":
                reported[place] = rows[place].key.swapcase()
            elif fault.get("mode") == "alien":
                reported[place] = f"alien-{place}@example.com"
        return reported

    async def _race(self, key_field: str, rows: list[Row]) -> None:
        """The defect of the upsert: of two overlapping calls with the same new key the later one is told that the
        contact exists; in the mode "lost" the earlier one as well, and nobody creates it."""
        switches, find = self._account.switches(), self._account.contacts.find
        exists = RowRefusal(switches.race_code, f"Contact with the external id already exists: {key_field}")
        mine: dict[tuple[str, str], Row] = {}
        for row in rows:
            key = (key_field, row.key)
            if row.refusal is not None or key in mine or find(*key):
                continue
            if key in self._creating:
                self._creating[key] = True
                row.refusal = exists
            else:
                self._creating[key] = False
                mine[key] = row
        if not mine:
            return
        await asyncio.sleep(switches.race_window)
        for key, row in mine.items():
            if self._creating.pop(key) and switches.race == "lost":
                row.refusal = exists

    async def delete(self, call: Call) -> dict[str, Any]:
        """`{"key_id", KEY FIELD: value or [values]}`; a list is a batch."""
        contacts = self._account.contacts
        sent = call.body.get("key_id", EMAIL)
        key_field = contacts.key_field(sent)
        if key_field is None:
            raise Refusal(2004, f"Invalid key field id: {sent}")
        only(call.body, ("key_id", key_field), key_name="key_id")
        values = call.body.get(key_field)
        single = not isinstance(values, list)
        wanted = [values] if single else list(values or ())
        if len(wanted) > MAX_ROWS:
            raise Refusal(1000, "The maximum batch size of 1,000 contacts is exceeded")
        deleted, errors = 0, {}
        for value in wanted:
            try:
                contacts.delete(contacts.one(key_field, value))
                deleted += 1
            except RowRefusal as refusal:
                if single:
                    raise Refusal(refusal.code, refusal.text, 404 if refusal.code == 2008 else 400) from None
                errors[str(value)] = {str(refusal.code): refusal.text}
        return {"deleted_contacts": deleted, "errors": errors}
