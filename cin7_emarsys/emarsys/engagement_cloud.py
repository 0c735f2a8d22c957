"""SAP Emarsys, edition Engagement Cloud: the same methods as `client.Emarsys`, asked of other paths in other JSON.

What belongs here: how this edition is asked. What does not: the form of what is sent (``cloud_payloads.py``) and the writing
down of it (``delivery.py``). One contact and one event go in a call, so each is a batch of its own in the ledger. Nothing
here drops a repeated event or is known to drop a repeated sale: what is unknown of these is parked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any
from urllib.parse import quote

from cin7_emarsys.emarsys import cloud_payloads
from cin7_emarsys.emarsys.answers import ACCEPTED, NotTrusted, Verdict, Verdicts
from cin7_emarsys.emarsys.client import EMAIL_FIELD, Connecting, Emarsys
from cin7_emarsys.settings import Settings
from cin7_emarsys.transport import Answer, NotJson, Permanent, Transient, UnknownAfterSend

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_MERGE_PATCH = {"Content-Type": "application/merge-patch+json", "Accept": "application/json"}
_NOT_THERE = "2008"
_NOBODY = "nobody@example.com"
_SHORT = (
    "first_name",
    "last_name",
)  # no call tells what a property of a contact takes; these are of 60 letters everywhere


class EngagementCloud(Emarsys):
    """One account of the Engagement Cloud edition. Use as a context manager."""

    contacts_per_call = events_per_call = 1
    sales_bytes = 500_000
    can_make = can_delete = False

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.emarsys.cloud_url)
        self._merchant, self._rules = settings.merchant, settings.merchant.emarsys.engagement_cloud
        self.documents_per_call = max(self._rules.transactions_per_call // 2, 1)  # an order and a refund of each

    def settings(self) -> dict[str, Any]:
        """This edition has no such call; a contact that is not there tells the time as well."""
        self._contact(_NOBODY)
        return {}

    def fields(self) -> list[dict[str, Any]]:
        """Emarsys: GET contactfield/v1/fields/{string id}, for those of the field map; no call lists them."""
        return self._fields

    @cached_property
    def _fields(self) -> list[dict[str, Any]]:
        found = []
        for name in (row.string_id for row in self._merchant.contacts.field_map):
            kind: object = "shorttext" if name in _SHORT else ""
            if name not in self._rules.contact_properties:
                path = f"{self._rules.fields_path}/{quote(name, safe='')}"
                shown = self._found(path, "contacts")
                if shown is None:
                    continue
                kind = shown.get("applicationType", "")
            found.append({"id": name, "string_id": name, "name": name, "application_type": kind})
        return found

    def choices(self, field_id: str) -> dict[str, str]:
        """No call tells them; the policy maps no choice in this edition."""
        return {}

    def events(self) -> dict[str, str]:
        """Name → event configuration, as the policy says; no call lists them."""
        if not self._account.integration_id:
            return {}
        events = self._merchant.events
        return {events[name].name: configured for name, configured in self._rules.event_configurations.items()}

    def upsert_contacts(
        self, rows: Sequence[Mapping[str, object]], connecting: Connecting = None, key_field: str = EMAIL_FIELD
    ) -> Any:
        """Emarsys: PATCH contact/v1/contacts({key}={e-mail}) of one contact, or POST where there is none. Idempotent.

        The policy refuses another ``key_field`` in this edition.
        """
        (row,) = rows
        if (changed := self._patch(row, connecting)) is not None:
            return changed
        created: dict[str, Any] = {}
        refusal: Permanent | None = None
        body = cloud_payloads.contact(row, self._rules, new=True)
        try:
            created = self._asked(
                "POST", self._rules.contacts_path, "contacts", body, lambda told: "contacts" in told, connecting
            )
        except Permanent as error:
            if error.status != 400:
                raise
            refusal = error
        if not created.get("contacts"):
            # Not saved, perhaps because an earlier call or somebody else has made it meanwhile.
            if (changed := self._patch(row, connecting)) is not None:
                return changed
            if refusal:
                raise refusal
            if not (created.get("error") or created.get("notSavedContacts")):
                raise NotTrusted("the contact is neither among those saved nor among those not saved")
        return created

    def _patch(self, row: Mapping[str, object], connecting: Connecting) -> Any:
        """The answer, or None where there is no such contact."""
        body = cloud_payloads.contact(row, self._rules, new=False)
        path = self._contact_path(str(row[EMAIL_FIELD]))
        with suppress(_NoSuchContact):
            return self._asked("PATCH", path, "contacts", body, lambda _: True, connecting, _MERGE_PATCH)
        return None

    def verdicts(self, content: object, keys: Iterable[str]) -> Verdicts:
        """The fate of the one record of a call; the status has said it, except for a contact that was not saved."""
        error = content.get("error") if isinstance(content, dict) else None
        if isinstance(content, dict) and (error or content.get("notSavedContacts")):
            told = error if isinstance(error, dict) else {}
            verdict = Verdict("rejected", told.get("code"), str(told.get("message", "the contact was not saved")))
            return Verdicts(dict.fromkeys(keys, verdict))
        return Verdicts(dict.fromkeys(keys, ACCEPTED))

    def contact_data_and_errors(
        self, emails: Sequence[str], fields: Sequence[str]
    ) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """Emarsys: GET contact/v1/contacts({key}={e-mail}), one by one; as the other edition tells it."""
        found = {email: self._contact(email) for email in emails}
        rows = [cloud_payloads.contact_row(content, self._rules) for content in found.values() if content is not None]
        return rows, {email: _NOT_THERE for email, content in found.items() if content is None}

    def contacts_without(self, field_id: str, limit: int = 10_000) -> list[str]:
        """Raises `Permanent`: no call lists contacts."""
        raise Permanent("Emarsys", "GET", self._rules.contacts_path, "no call lists contacts", sent=False)

    def trigger(self, event_id: str, contacts: Sequence[Mapping[str, object]], connecting: Connecting = None) -> Any:
        """Emarsys: POST …/integrations/{id}/eventConfigurations/{id}/events, one event. A mail goes out: never repeated
        here."""
        (row,) = contacts
        ids = (quote(self._account.integration_id, safe=""), quote(event_id, safe=""))
        path = f"{self._rules.events_path}/{ids[0]}/eventConfigurations/{ids[1]}/events"
        self._call(
            "POST", path, "events", json.dumps(cloud_payloads.event(row, self._rules)).encode(),
            lambda answer: answer.status == 202, connecting, repeatable=False,
        )  # fmt: skip
        return {}

    def upload_sales(self, body: bytes, connecting: Connecting = None) -> str:
        """Emarsys: POST salesdata/v1/transactions; the text of the answer. Lines may add up there: never repeated here."""
        answer = self._call(
            "POST", self._rules.transactions_path, "sales", body,
            lambda answer: answer.status == 202 and "requestId" in _object(answer), connecting, repeatable=False,
        )  # fmt: skip
        return answer.text

    def put_items(self, body: bytes, connecting: Connecting = None) -> str:
        """Emarsys: PUT productItems; the text of the answer. Idempotent: an older state of an item is dropped there."""
        answer = self._call(
            "PUT", self._rules.items_path, "catalogue", body,
            lambda answer: answer.status == 202 and "success" in _object(answer), connecting, repeatable=True,
        )  # fmt: skip
        return answer.text

    def _contact_path(self, email: str) -> str:
        value = "'" + email.replace("'", "''") + "'" if self._rules.quoted_keys else email
        return f"{self._rules.contacts_path}({self._rules.key_field}={quote(value, safe='')})"

    def _contact(self, email: str) -> dict[str, Any] | None:
        with suppress(_NoSuchContact):
            return self._asked("GET", self._contact_path(email), "read_back", None, lambda _: True)
        return None

    def _found(self, path: str, lane: str) -> dict[str, Any] | None:
        try:
            return self._asked("GET", path, lane, None, lambda _: True)
        except Permanent as error:
            if error.status == 404:
                return None
            raise

    def _asked(
        self,
        method: str,
        path: str,
        lane: str,
        body: object,
        expected: Callable[[dict[str, Any]], bool],
        connecting: Connecting = None,
        headers: Mapping[str, str] = _JSON,
    ) -> dict[str, Any]:
        """A call that may be repeated, answered with 200 and an object. Raises `_NoSuchContact` as the vendor says so."""

        def good(answer: Answer) -> bool:
            content = _object(answer)
            return answer.status == 200 and expected(content) and ("error" not in content or "contacts" in content)

        sent = None if body is None else json.dumps(body).encode()
        try:
            return _object(self._call(method, path, lane, sent, good, connecting, repeatable=True, headers=headers))
        except Permanent as error:
            if error.status == 404 and "contact was not found" in error.body:
                raise _NoSuchContact from None
            raise

    def _call(
        self,
        method: str,
        path: str,
        lane: str,
        body: bytes | None,
        expected: Callable[[Answer], bool],
        connecting: Connecting,
        *,
        repeatable: bool,
        headers: Mapping[str, str] = _JSON,
    ) -> Answer:
        """A 2xx that is not as ``expected`` proves nothing."""

        def check(answer: Answer) -> None:
            good = False
            with suppress(NotJson):
                good = expected(answer)
            if not good:
                kind = Transient if repeatable else UnknownAfterSend
                raise kind("Emarsys", method, path, "no trustworthy answer", status=answer.status, body=answer.text)

        return self.core.request(
            method, path, lane=lane, repeatable=repeatable, content=body, headers=headers, check=check,
            on_connecting=connecting,
        )  # fmt: skip


class _NoSuchContact(Exception):
    """The vendor says that there is no such contact (and not: no such field)."""


def _object(answer: Answer) -> dict[str, Any]:
    """Raises `NotJson`."""
    content = answer.json()
    return content if isinstance(content, dict) else {}


def connect(settings: Settings) -> Emarsys:
    """The client for the account's edition."""
    return EngagementCloud(settings) if settings.merchant.emarsys.edition == "engagement_cloud" else Emarsys(settings)
