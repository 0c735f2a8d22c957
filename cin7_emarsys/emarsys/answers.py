"""What an answer of Emarsys means, record by record.

What belongs here: pure reading of answers into outcomes. What does not: sending (``client.py``) and keeping (``ledger.py``).

The vendor's word is in the body, not in the status: a batch with failures is HTTP 200 and ``replyCode`` 0, with the
failures inside ``data.errors``, which comes absent, as an empty list, as a map, or as a list of objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["accepted", "rejected", "retryable", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """The fate of one record: outcome, the vendor's code, its words, and whether it used up one of its attempts."""

    outcome: Outcome
    code: str | None = None
    reason: str | None = None
    attempt: bool = False


ACCEPTED = Verdict("accepted")
# A key or a field that the account does not know (2006 says also "already exists", which is a race).
_ACCOUNT_FAULTS = ("2004", "2006")


@dataclass(frozen=True)
class Verdicts:
    """Fates by key, and how many errors named a key that was never sent."""

    by_key: Mapping[str, Verdict]
    strangers: int = 0


class NotTrusted(Exception):
    """An answer from which nothing can be concluded about the records."""


def envelope(content: object) -> Any:
    """The ``data`` of an answer with ``replyCode`` 0. Raises `NotTrusted` for anything else."""
    if not isinstance(content, dict) or "replyCode" not in content:
        raise NotTrusted("the answer has no replyCode")
    if content["replyCode"] != 0:
        raise NotTrusted(f"replyCode {content['replyCode']}: {content.get('replyText', '')}")
    return content.get("data")


def records_of(content: object) -> dict[str, Any]:
    """The ``data`` of an answer that says something at all. Raises `NotTrusted`."""
    data = envelope(content)
    if not isinstance(data, dict) or not data:
        raise NotTrusted("the answer says nothing about the records")
    return data


def errors_of(data: object) -> dict[str, tuple[str, str]]:
    """``data.errors`` in any of its shapes as key → (code, text). What names nobody stands under the key ""."""
    errors = data.get("errors") if isinstance(data, dict) else None
    found: dict[str, list[tuple[str, str]]] = {}
    if isinstance(errors, dict):
        for key, value in errors.items():
            told = value if isinstance(value, dict) and value else {"": value or ""}  # named is enough to have failed
            found[str(key)] = [(str(code), str(text)) for code, text in told.items()]
    elif isinstance(errors, list):
        for entry in errors:
            told = entry if isinstance(entry, dict) else {"errorMsg": entry}
            key = str(told.get("key", told.get("external_id", "")))
            found.setdefault(key, []).append((str(told.get("errorCode", "")), str(told.get("errorMsg", ""))))
    elif errors:
        found[""] = [("", str(errors))]
    # Of several the one that a repeat does not cure.
    return {key: min(told, key=lambda one: judge(*one).attempt) for key, told in found.items()}


def connected_to_email(content: object) -> bool | None:
    """Whether an e-mail hangs on the event just triggered; None when the answer does not say."""
    data = content.get("data") if isinstance(content, dict) else None
    connected = data.get("connectedTo") if isinstance(data, dict) else None
    if connected is False:  # nothing at all hangs on it
        return False
    email = connected.get("email") if isinstance(connected, dict) else None
    return email if isinstance(email, bool) else None


def judge(code: str, text: str) -> Verdict:
    """One record's error. A race on the same key is told as "already exists" and may be repeated; a key or field that the
    account does not know is no fault of the record (`of_the_account`)."""
    if code == "2009" or (code == "2006" and "already exist" in text.lower()):
        return Verdict("retryable", code, text, attempt=True)
    return Verdict("retryable" if code in _ACCOUNT_FAULTS else "rejected", code, text)


def of_the_account(verdict: Verdict) -> bool:
    """Whether what this record met will meet every other one, until the account or the settings are changed."""
    return verdict.outcome == "retryable" and verdict.code in _ACCOUNT_FAULTS and not verdict.attempt


def batch(content: object, keys: Iterable[str]) -> Verdicts:
    """The fate of every record of a contact or event batch. Raises `NotTrusted`.

    What is not named among the errors was accepted, if as many ``ids`` came back as that makes, or as many were counted (or
    neither was told, and no error for somebody else); which id belongs to which record cannot be told, since they are
    neither in order nor of one type.
    """
    data = records_of(content)
    sent = {key.strip().lower(): key for key in keys}
    verdicts: dict[str, Verdict] = dict.fromkeys(sent.values(), ACCEPTED)
    strangers = 0
    for key, (code, text) in errors_of(data).items():
        ours = sent.get(key.strip().lower())
        if ours is None:
            strangers += 1
        else:
            verdicts[ours] = judge(code, text)
    unnamed = [key for key, verdict in verdicts.items() if verdict == ACCEPTED]
    ids = data.get("ids")
    # a deletion is confirmed by a bare number
    confirmed = len(ids) if isinstance(ids, list) else next((n for n in data.values() if type(n) is int), None)
    if strangers if confirmed is None else confirmed < len(unnamed):
        why = "an error named a key that was not sent" if strangers else "fewer were confirmed than were sent"
        verdicts |= dict.fromkeys(unnamed, Verdict("unknown", None, why, attempt=True))
    return Verdicts(verdicts, strangers)


def rows_read(content: object) -> list[dict[str, Any]]:
    """The contacts in a getdata answer: [] when none is found, which is told as ``false``, "" or nothing."""
    if isinstance(content, dict) and content.get("replyCode") not in (0, None):
        raise NotTrusted(f"replyCode {content['replyCode']}: {content.get('replyText', '')}")
    data = content.get("data") if isinstance(content, dict) else None
    result = data.get("result") if isinstance(data, dict) else None
    return [row for row in result if isinstance(row, dict)] if isinstance(result, list) else []
