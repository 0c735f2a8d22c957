"""What is personal in a record of Cin7's, and what stays of the record without it.

What belongs here: which fields say who somebody is. What does not: who was erased (``erased.py``), the files
(``landing.py``), and the tables (``load.py``).

Documents stay, with their lines and amounts and for nobody: the revenue has happened. An account that is one person's goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cin7_emarsys.erased import Erased

_PERSON = frozenset({
    "Email", "Contact", "Phone", "BillingAddress", "ShippingAddress", "CustomerReference", "Reference", "TrackingNumber",
    "TrackingURL", "TrackingUrl",
})  # fmt: skip
_ACCOUNT = frozenset({"Customer", "CustomerID", "BillingAddress"})


@dataclass(frozen=True)
class Forgotten:
    """What stays of a record that names an erased person: ``row`` (None: nothing), and whether it was that person's."""

    row: dict[str, Any] | None
    was_theirs: bool


def forget(entity: str, row: Mapping[str, Any], erased: Erased) -> Forgotten:
    """A record as received, of a table of `raw`, without the erased persons it names."""
    if entity == "customers":
        if erased.knows(row.get("ID")) or _only_theirs(row.get("Contacts"), erased):
            return Forgotten(None, True)
        others = [one for one in _listed(row.get("Contacts")) if not erased.knows(one.get("Email"))]
        return Forgotten(_without({**row, "Contacts": others}, frozenset(), erased), False)
    their_account = erased.knows(row.get("CustomerID"))
    email = row.get("Email")
    their_address = erased.knows(email)
    theirs = their_address or (their_account and not (isinstance(email, str) and "@" in email))
    personal = (_PERSON if theirs else frozenset()) | (_ACCOUNT if their_account else frozenset())
    return Forgotten(_without(row, personal, erased), theirs)


def _only_theirs(contacts: object, erased: Erased) -> bool:
    """An account whose every contact with an e-mail is an erased person."""
    emails = [one["Email"] for one in _listed(contacts) if str(one.get("Email") or "").strip()]
    return bool(emails) and all(erased.knows(email) for email in emails)


def _listed(contacts: object) -> list[dict[str, Any]]:
    return [one for one in contacts if isinstance(one, dict)] if isinstance(contacts, list) else []


def _without(value: Any, personal: frozenset[str], erased: Erased) -> Any:
    """The value without these fields at any depth, and without erased names in any text."""
    if isinstance(value, Mapping):
        return {name: _without(inside, personal, erased) for name, inside in value.items() if name not in personal}
    if isinstance(value, list):
        return [_without(inside, personal, erased) for inside in value]
    if isinstance(value, str) and erased.mentions(value):
        return None if erased.knows(value) else erased.without(value)
    return value
