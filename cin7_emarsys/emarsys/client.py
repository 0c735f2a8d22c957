"""SAP Emarsys, edition Emarsys: Core API v3 with OAuth2, and the classic sales data API.

What belongs here: how Emarsys is asked. What does not: what an answer means for a record (``answers.py``), what is sent
(``payloads.py``), and the writing down of it (``delivery.py``).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from typing import Any, Self

from cin7_emarsys.emarsys import answers
from cin7_emarsys.rate import RateWindow
from cin7_emarsys.settings import Settings
from cin7_emarsys.transport import Answer, NotJson, OAuth2, Permanent, Transient, Transport, UnknownAfterSend

LANES = ("events", "contacts", "catalogue", "sales", "read_back")
BATCH = 1000
EMAIL_FIELD = "3"
OPT_IN_FIELD = "31"

# "Upload accepted", by a recording; a page or another sentence with that word in it is no acknowledgement.
_ACKNOWLEDGED = re.compile(r"\s*(upload )?accepted\b", re.IGNORECASE)

Connecting = Callable[[], None] | None


def _first_number(answer: Answer, header: str) -> float | None:
    found = re.search(r"\d+(\.\d+)?", answer.headers.get(header, ""))
    return float(found[0]) if found else None


def _until_reset(answer: Answer) -> float | None:
    reset = _first_number(answer, "X-RateLimit-Reset")
    return max(reset - answer.at.timestamp(), 0.0) if reset is not None else None


def _throttled(window_seconds: float) -> Callable[[Answer], float | None]:
    def wait(answer: Answer) -> float | None:
        if answer.status == 429:
            until = _until_reset(answer)
            if until is not None:
                return until + min(random.uniform(1, 3), window_seconds)  # noqa: S311 - jitter
            return _first_number(answer, "Retry-After") or window_seconds
        if answer.status in (502, 503):
            return _first_number(answer, "Retry-After") or min(window_seconds, 60)
        return None

    return wait


def _slow_down(answer: Answer) -> float | None:
    """Near the end of the window the rest is left to others of the same credential."""
    limit, remaining = _first_number(answer, "X-RateLimit-Limit"), _first_number(answer, "X-RateLimit-Remaining")
    if limit is None or remaining is None or remaining > (20 if limit >= 200 else limit * 0.1):
        return None
    return _until_reset(answer)


class Emarsys:
    """One Emarsys account. Use as a context manager.

    How many contacts, events and documents go in one call, of about how many bytes of lines, and whether the API can make
    fields and events and delete contacts, differs between the editions.
    """

    contacts_per_call = events_per_call = BATCH
    documents_per_call = 500
    sales_bytes = 4_000_000
    can_make = can_delete = True

    def __init__(self, settings: Settings, base_url: str | None = None) -> None:
        account = settings.emarsys
        window = RateWindow(
            settings.paths.rate,
            f"emarsys:{account.client_id.get_secret_value()}",
            account.calls_per_minute,
            account.window_seconds,
            LANES,
        )
        self._merchant_id = account.merchant_id
        self.back_off = min(1.0, account.window_seconds / 20)
        self.core = Transport(
            "Emarsys",
            base_url or account.base_url,
            window,
            token=OAuth2("Emarsys", account.token_url, account.client_id, account.client_secret),
            throttled=_throttled(account.window_seconds),
            slow_down=_slow_down,
            back_off=self.back_off,
        )
        self._account, self._window = account, window

    @cached_property
    def hapi(self) -> Transport:
        """The sales data API; made when it is asked for, which only the sales flow does."""
        account = self._account
        return Transport(
            "Emarsys",
            account.hapi_url,
            self._window,
            headers=lambda: {"Authorization": f"Bearer {account.sales_token.get_secret_value()}"},
            throttled=_throttled(account.window_seconds),
            back_off=self.back_off,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for transport in self._transports():
            transport.close()

    def _transports(self) -> list[Transport]:
        return [self.core, self.hapi] if "hapi" in self.__dict__ else [self.core]

    @property
    def calls(self) -> int:
        return sum(transport.calls for transport in self._transports())

    def now(self) -> datetime:
        """Emarsys' clock, naive UTC."""
        return self.core.now().replace(tzinfo=None)

    def _read(self, method: str, path: str, lane: str, body: object = None, **params: str | int) -> Any:
        """A call that may be repeated; the whole envelope."""

        def check(answer: Answer) -> None:
            content = answer.json()
            if not isinstance(content, dict) or "replyCode" not in content:
                raise NotJson(
                    "Emarsys", method, path, "the answer has no replyCode", status=answer.status, body=answer.text
                )
            if content["replyCode"] != 0:
                raise Transient(
                    "Emarsys", method, path, f"replyCode {content['replyCode']}", status=answer.status, body=answer.text
                )

        answer = self.core.request(
            method, f"v3/{path}", lane=lane, repeatable=True, json=body, params=params, check=check
        )
        return answer.json()

    def synchronise(self) -> None:
        """Learns Emarsys' clock from the headers of any answer, before something is measured against it."""
        with suppress(Permanent):  # a refusal tells the time as well
            self.settings()
        self.confirm_clock()

    def confirm_clock(self) -> None:
        """Asks Emarsys' clock again if the last answer contradicted what was known of it."""
        with suppress(Permanent):
            self.core.confirm_clock(self.settings)

    def settings(self) -> dict[str, Any]:
        """Emarsys: GET settings."""
        data = self._read("GET", "settings", "contacts")["data"]
        return data if isinstance(data, dict) else {}

    def fields(self) -> list[dict[str, Any]]:
        """Emarsys: GET field/translate/en. Each with id, name, application_type, string_id."""
        data = self._read("GET", "field/translate/en", "contacts")["data"]
        return [field for field in data if isinstance(field, dict)] if isinstance(data, list) else []

    def choices(self, field_id: str) -> dict[str, str]:
        """Emarsys: GET field/{id}/choice/translate/en. Label in lower case → choice id."""
        data = self._read("GET", f"field/{field_id}/choice/translate/en", "contacts")["data"]
        return {str(row["choice"]).strip().lower(): str(row["id"]) for row in data if isinstance(row, dict)}

    def create_field(self, name: str, application_type: str, string_id: str) -> None:
        """Emarsys: POST field. One that exists meanwhile is good as well."""
        self._create("field", {"name": name, "application_type": application_type, "string_id": string_id}, ("9002",))

    def events(self) -> dict[str, str]:
        """Emarsys: GET event. Name → id."""
        data = self._read("GET", "event", "events")["data"]
        return (
            {str(row["name"]): str(row["id"]) for row in data if isinstance(row, dict)}
            if isinstance(data, list)
            else {}
        )

    def create_event(self, name: str) -> None:
        """Emarsys: POST event. One that exists meanwhile is good as well."""
        self._create("event", {"name": name}, ("5003",))

    def _create(self, path: str, body: Mapping[str, str], exists: Sequence[str]) -> None:
        try:
            self.core.request("POST", f"v3/{path}", lane="contacts", repeatable=True, json=body)
        except Permanent as error:
            if not any(f'"replyCode":{code}' in error.body.replace(" ", "") for code in exists):
                raise

    def upsert_contacts(
        self, rows: Sequence[Mapping[str, object]], connecting: Connecting = None, key_field: str = EMAIL_FIELD
    ) -> Any:
        """Emarsys: PUT contact/?create_if_not_exists=1, keyed by e-mail or the field given; the answer. Idempotent."""
        return self._write(
            "PUT", "contact/", {"key_id": key_field, "contacts": list(rows)}, connecting, repeatable=True
        )

    def delete_contacts(self, emails: Sequence[str], connecting: Connecting = None) -> Any:
        """Emarsys: POST contact/delete for up to 1,000 e-mails; the answer. Idempotent, and cannot be taken back."""
        body = {"key_id": EMAIL_FIELD, EMAIL_FIELD: list(emails)}
        return self._write("POST", "contact/delete", body, connecting, repeatable=True)

    def verdicts(self, content: object, keys: Iterable[str]) -> answers.Verdicts:
        """The fate of every record of a contact or event batch. Raises `NotTrusted`."""
        return answers.batch(content, keys)

    def contact_data(self, emails: Sequence[str], fields: Sequence[str]) -> list[dict[str, Any]]:
        """Emarsys: POST contact/getdata for up to 1,000 e-mails; rows by field id, in no particular order."""
        return self.contact_data_and_errors(emails, fields)[0]

    def contact_data_and_errors(
        self, emails: Sequence[str], fields: Sequence[str]
    ) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """The same, with the vendor's code for each e-mail it gave no row for (2008: not there, 2010: there twice)."""
        asked = sorted({EMAIL_FIELD, *fields})
        body = {"keyId": EMAIL_FIELD, "keyValues": list(emails), "fields": asked}
        content = self._read("POST", "contact/getdata", "read_back", body)
        errors = answers.errors_of(content["data"] if isinstance(content, dict) else None)
        return answers.rows_read(content), {email: code for email, (code, _) in errors.items()}

    def contacts_without(self, field_id: str, limit: int = 10_000) -> list[str]:
        """Emarsys: GET contact/query for contacts in which a field is empty; their e-mails. The field must be indexed."""
        emails: list[str] = []
        for offset in range(0, 100_000_000, limit):
            asked: dict[str, str | int] = {"return": EMAIL_FIELD, field_id: "", "limit": limit, "offset": offset}
            rows = answers.rows_read(self._read("GET", "contact/query/", "read_back", None, **asked))
            emails += [str(row[EMAIL_FIELD]) for row in rows if row.get(EMAIL_FIELD)]
            if len(rows) < limit:
                break
        return emails

    def trigger(self, event_id: str, contacts: Sequence[Mapping[str, object]], connecting: Connecting = None) -> Any:
        """Emarsys: POST event/{id}/trigger, batch form; the body of the answer. A mail goes out: never repeated here."""
        body = {"key_id": EMAIL_FIELD, "contacts": list(contacts)}
        return self._write("POST", f"event/{event_id}/trigger", body, connecting, repeatable=False)

    def _write(self, method: str, path: str, body: object, connecting: Connecting, *, repeatable: bool) -> Any:
        def check(answer: Answer) -> None:
            try:
                answers.records_of(answer.json())
            except (NotJson, answers.NotTrusted) as error:
                kind = Transient if repeatable else UnknownAfterSend
                raise kind("Emarsys", method, path, f"no trustworthy answer: {error}", status=answer.status) from None

        params = {"create_if_not_exists": 1} if method == "PUT" else None
        answer = self.core.request(
            method,
            f"v3/{path}",
            lane="contacts" if repeatable else "events",
            repeatable=repeatable,
            json=body,
            params=params,
            check=check,
            on_connecting=connecting,
        )
        return answer.json()

    def upload_sales(self, csv: bytes, connecting: Connecting = None) -> str:
        """Emarsys: POST hapi sales-data/api; the text of the answer. Lines add up there: never repeated here."""
        path = f"merchant/{self._merchant_id}/sales-data/api"

        def check(answer: Answer) -> None:
            if not _ACKNOWLEDGED.match(answer.text):
                raise UnknownAfterSend(
                    "Emarsys", "POST", path, "the upload was not acknowledged", status=answer.status, body=answer.text
                )

        answer = self.hapi.request(
            "POST",
            path,
            lane="sales",
            repeatable=False,
            content=csv,
            headers={"Content-Type": "text/csv", "Accept": "text/plain"},
            check=check,
            on_connecting=connecting,
        )
        return answer.text
