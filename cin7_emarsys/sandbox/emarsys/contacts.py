"""The contact store: contacts, their indexes, and the record of every change of consent."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.emarsys.envelope import RowRefusal, local_time
from cin7_emarsys.sandbox.emarsys.fields import EMAIL, OPT_IN, REGISTERED, Fields, Value, is_email
from cin7_emarsys.sandbox.emarsys.switches import Switches

FIRST_ID = 100_000_001


@dataclass(slots=True, eq=False)
class Contact:
    """`values` by field id, without blanks. `generated`: made by the load of sales of an unknown customer."""

    id: int
    uid: str
    created_at: datetime
    values: dict[str, Value] = field(default_factory=dict)
    generated: bool = False

    @property
    def email(self) -> str:
        return str(self.values.get(EMAIL, ""))

    def value(self, field_id: str) -> Value | None:
        """As the vendor shows it."""
        return local_time(self.created_at) if field_id == REGISTERED else self.values.get(field_id)

    @property
    def opt_in(self) -> str | None:
        value = self.values.get(OPT_IN)
        return None if value is None else str(value)


class Consent(NamedTuple):
    """One change of opt-in, "api" or "ui"."""

    email: str
    old: str | None
    new: Value | None
    at: datetime
    by: str

    def shown(self) -> dict[str, Any]:
        at = self.at.isoformat(timespec="milliseconds")
        return {"email": self.email, "from": self.old, "to": self.new, "at": at, "by": self.by}


class Contacts:
    """All contacts. `find` and `apply` are the only ways in; `by_id` is for reading, in order of creation."""

    def __init__(self, clock: Clock, fields: Fields, seed: int, switches: Callable[[], Switches]) -> None:
        self._clock, self._fields, self._seed, self._switches = clock, fields, seed, switches
        self.by_id: dict[int, Contact] = {}
        self.generated: dict[str, Contact] = {}
        """By customer value as sent; nothing that comes later repairs them."""
        self.consents: list[Consent] = []
        self._last_id = FIRST_ID - 1
        self._by_uid: dict[str, Contact] = {}
        self._indexes: dict[str, dict[str, list[Contact]]] = {}
        self._fold_case = False
        self.reindex()

    def reindex(self) -> None:
        """After a change of the fields or switches."""
        self._fold_case = self._switches().email_case == "insensitive"
        indexes: dict[str, dict[str, list[Contact]]] = {name: {} for name in self._fields.indexed()}
        for name, index in indexes.items():
            for contact in self.by_id.values():
                if name in contact.values:
                    index.setdefault(self._folded(name, contact.values[name]), []).append(contact)
        self._indexes = indexes

    @property
    def indexed(self) -> Iterable[str]:
        return self._indexes.keys()

    def key_field(self, sent: Any) -> str | None:
        """`key_id` as sent (field id, string id, "id", "uid") → field id, "id" or "uid"; None: not usable as a key."""
        if type(sent) not in (str, int) or sent == "":
            return None
        name = str(sent)
        if name in ("id", "uid") or name in self._indexes:
            return name
        named = self._fields.by_string_id(name)
        return named.id if named and named.id in self._indexes else None

    def find(self, key_field: str, value: str) -> list[Contact]:
        if key_field == "id":
            contact = self.by_id.get(int(value)) if value.isascii() and value.isdigit() else None
            return [contact] if contact else []
        if key_field == "uid":
            contact = self._by_uid.get(value)
            return [contact] if contact else []
        return self._indexes[key_field].get(self._folded(key_field, value), [])

    def one(self, key_field: str, value: Any) -> Contact:
        """Raises RowRefusal 2005, 2008 or 2010."""
        text = key_text(key_field, value)
        found = self.find(key_field, text)
        if not found:
            raise RowRefusal(2008, f"No contact found with the external id: {key_field} - {text}")
        if len(found) > 1:
            raise RowRefusal(2010, f"More contacts found with the external id: {key_field} - {text}")
        return found[0]

    def create(self, values: dict[str, Value | None], by: str = "api") -> Contact:
        contact = self._new(self._clock.now())
        self.by_id[contact.id] = contact
        self._by_uid[contact.uid] = contact
        self.apply(contact, values, by)
        return contact

    def apply(self, contact: Contact, changes: dict[str, Value | None], by: str = "api") -> None:
        """Writes cleaned values; None clears. Absent fields stay."""
        values = contact.values
        for name, value in changes.items():
            if name in self._indexes:
                self._move(contact, name, value)
            if name == OPT_IN and value != contact.opt_in:
                email = changes.get(EMAIL) or contact.email
                self.consents.append(Consent(str(email), contact.opt_in, value, self._clock.now(), by))
            if value is None:
                values.pop(name, None)
            else:
                values[name] = value

    def delete(self, contact: Contact) -> None:
        for name in self._indexes:
            self._move(contact, name, None)
        del self.by_id[contact.id], self._by_uid[contact.uid]

    def customer(self, column: str, value: str) -> Contact:
        """Whom a sales line belongs to, when it is loaded: an unknown customer gets a pseudo contact for good."""
        for name in [EMAIL] if column == "email" else [name for name in self._indexes if name != EMAIL]:
            if found := self.find(name, value):
                return found[0]
        if value not in self.generated:
            pseudo = self._new(self._clock.now())
            pseudo.generated = True
            pseudo.values[EMAIL] = value
            self.generated[value] = pseudo
        return self.generated[value]

    def _new(self, now: datetime) -> Contact:
        self._last_id += 1
        return Contact(self._last_id, sha256(f"{self._seed}-{self._last_id}".encode()).hexdigest()[:11], now)

    def _move(self, contact: Contact, name: str, value: Value | None) -> None:
        index, old = self._indexes[name], contact.values.get(name)
        if old is not None:
            folded = self._folded(name, old)
            left = [other for other in index[folded] if other is not contact]
            if left:
                index[folded] = left
            else:
                del index[folded]
        if value is not None:
            index.setdefault(self._folded(name, value), []).append(contact)

    def _folded(self, name: str, value: Value) -> str:
        text = str(value)
        return text.lower() if self._fold_case and name == EMAIL else text


def key_text(key_field: str, value: Any) -> str:
    """A key value as text. Raises RowRefusal 2005."""
    text = str(value) if type(value) in (str, int) else ""
    if not text:
        raise RowRefusal(2005, f"No value provided for key field: {key_field}")
    if key_field == EMAIL and not is_email(text):
        raise RowRefusal(2005, f"Invalid key value for key field: {key_field}")
    return text
