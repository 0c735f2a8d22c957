"""Contact fields: the system fields, their choices, custom fields, and the rule for the values of each type."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from cin7_emarsys.sandbox.emarsys.countries import COUNTRIES
from cin7_emarsys.sandbox.emarsys.envelope import RowRefusal
from cin7_emarsys.sandbox.emarsys.switches import Switches

EMAIL = "3"
OPT_IN = "31"
REGISTERED = "48"
FIRST_CUSTOM_ID = 90_001
CREATABLE = ("shorttext", "longtext", "largetext", "date", "url", "numeric")
CHOICE_TYPES = ("singlechoice", "multichoice")
TYPES = (*CREATABLE, *CHOICE_TYPES, "voucher", "special")
RESERVED = ("id", "uid", "eid", "key_id", "source_id", "contact_list_id", "contacts")

Value = str | list[str]

_LENGTHS = {"shorttext": 60, "longtext": 255}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_URL = re.compile(r"https?://\S+")
_FOUR_BYTES = re.compile("[\U00010000-\U0010ffff]")


@dataclass(slots=True)
class Field:
    """`id` as text; `choices` maps choice id to English label."""

    id: str
    string_id: str
    name: str
    type: str
    choices: dict[str, str] = field(default_factory=dict)
    read_only: bool = False

    @property
    def custom(self) -> bool:
        return int(self.id) >= FIRST_CUSTOM_ID

    def choice_list(self) -> list[dict[str, Any]]:
        """Choice id, bit position and order in the list are three different things."""
        last = len(self.choices)
        return [
            {"id": key, "choice": label, "bit_position": last - place}
            for place, (key, label) in enumerate(self.choices.items())
        ]


def _numbered(*labels: str) -> dict[str, str]:
    return {str(number): label for number, label in enumerate(labels, 1)}


def _system() -> list[Field]:
    genders = _numbered("Male", "Female", "Other")
    languages = _numbered("English", "German", "French", "Italian", "Spanish", "Portuguese", "Dutch", "Japanese")
    plain = [
        Field("1", "first_name", "First Name", "shorttext"),
        Field("2", "last_name", "Last Name", "shorttext"),
        Field(EMAIL, "email", "Email", "longtext"),
        Field("4", "birth_date", "Date of Birth", "date"),
        Field("5", "gender", "Gender", "singlechoice", genders),
        Field("10", "address", "Address", "longtext"),
        Field("11", "city", "City", "shorttext"),
        Field("12", "state", "State", "shorttext"),
        Field("13", "zip_code", "ZIP Code", "shorttext"),
        Field("14", "country", "Country or region", "singlechoice", dict(COUNTRIES)),
        Field("15", "phone", "Phone", "shorttext"),
        Field("18", "company_name", "Company", "longtext"),
        Field(OPT_IN, "optin", "Opt-In", "special", {"1": "True", "2": "False"}),
        Field("35", "registration_language", "Registration Language", "singlechoice", languages),
        Field("37", "mobile", "Mobile", "shorttext"),
        Field("46", "salutation", "Salutation", "singlechoice", _numbered("Mr.", "Mrs.", "Ms.", "Dr.", "Mx.")),
    ]
    fixed = [
        Field("0", "interests", "Interests", "multichoice"),
        Field("27", "avg_visit_length", "Avg. length of visit", "special"),
        Field("28", "page_views_per_day", "Page views per day", "special"),
        Field("29", "days_since_last_email", "Days since last e-mail sent", "special"),
        Field("30", "response_rate", "Response rate", "special"),
        Field("32", "user_status", "User status", "special"),
        Field("33", "source", "Contact source", "special"),
        Field("34", "form", "Contact form", "special"),
        Field("36", "newsletter", "Newsletter", "special"),
        Field("47", "email_valid", "E-mail valid", "special"),
        Field(REGISTERED, "registration_date", "Registration date", "special"),
    ]
    for each in fixed:
        each.read_only = True
    return sorted([*plain, *fixed], key=lambda each: int(each.id))


class Fields:
    """The fields of the account, by id (as text)."""

    def __init__(self, switches: Callable[[], Switches]) -> None:
        self._switches = switches
        self.by_id: dict[str, Field] = {each.id: each for each in _system()}

    def add(self, name: str, kind: str, string_id: str | None = None, choices: tuple[str, ...] = ()) -> Field:
        number = FIRST_CUSTOM_ID + sum(each.custom for each in self.by_id.values())
        labels = {str(number * 10 + place): label for place, label in enumerate(choices, 1)}
        new = Field(str(number), string_id or derived_string_id(name), name, kind, labels)
        self.by_id[new.id] = new
        return new

    def by_string_id(self, string_id: str) -> Field | None:
        return next((each for each in self.by_id.values() if each.string_id == string_id), None)

    def by_name(self, name: str) -> Field | None:
        return next((each for each in self.by_id.values() if each.name.casefold() == name.casefold()), None)

    def indexed(self) -> list[str]:
        """Ids of the fields that the account can be searched by, e-mail first."""
        wanted = self._switches().indexed_fields
        found = [EMAIL]
        for each in self.by_id.values():
            text = f"{each.string_id} {derived_string_id(each.name)}"
            auto = wanted is None and ("external" in text or "customer_id" in text)
            if each.custom and (auto or each.id in (wanted or ()) or each.string_id in (wanted or ())):
                found.append(each.id)
        return found

    def clean(self, each: Field, value: Any) -> Value | None:
        """The value as it is stored; None clears. Raises RowRefusal 2007."""
        if each.type == "voucher":
            raise RowRefusal(2007, f"Invalid field type: voucher, field id: {each.id}")
        if value is None or value == "":
            return None
        kind = each.type
        if kind in _LENGTHS or kind == "largetext":
            return self._text(each, value)
        if kind == "singlechoice" or each.id == OPT_IN:
            text = str(value) if type(value) in (int, str) else ""
            if text not in each.choices:
                raise RowRefusal(2007, f"Invalid choice id for field id: {each.id}")
            return text
        if kind == "multichoice":
            return _choices(each, value)
        if kind == "date":
            if not isinstance(value, str) or not _is_date(value):
                raise RowRefusal(2007, f"Invalid date format for field id: {each.id}")
            return value
        if kind == "numeric":
            return _number(each, value)
        if not isinstance(value, str) or not _URL.fullmatch(value):
            raise RowRefusal(2007, f"Invalid URL for field id: {each.id}")
        return value

    def _text(self, each: Field, value: Any) -> str | None:
        if not isinstance(value, str):
            raise RowRefusal(2007, f"Invalid value for field id: {each.id}, string expected")
        text: str = value
        if each.id == EMAIL:
            if not _EMAIL.fullmatch(text):
                raise RowRefusal(2007, f"Invalid e-mail address for field id: {each.id}")
        elif not text.isascii() and not each.custom and (found := _FOUR_BYTES.search(text)):
            text = text[: found.start()]  # system fields lose what starts with a 4-byte character
        longest = _LENGTHS.get(each.type)
        if longest and len(text) > longest:
            if self._switches().text_overflow == "error":
                raise RowRefusal(2007, f"Value too long for field id: {each.id}, at most {longest} characters")
            text = text[:longest]
        return text or None


def derived_string_id(name: str) -> str:
    """`Cin7 customer id` → `cin7_customer_id`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def is_email(text: str) -> bool:
    return _EMAIL.fullmatch(text) is not None


def _choices(each: Field, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise RowRefusal(2007, f"Array expected for field id: {each.id}")
    if not value:
        raise RowRefusal(2007, f"No choice provided for field id: {each.id}")
    chosen = [str(item) if type(item) in (int, str) else "" for item in value]
    if any(item not in each.choices for item in chosen):
        raise RowRefusal(2007, f"Invalid choice id for field id: {each.id}")
    return chosen


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _number(each: Field, value: Any) -> str:
    """Leading zeros are lost, as in every numeric field."""
    text = str(value) if type(value) in (int, float, str) else ""
    if not _NUMBER.fullmatch(text) or len(text.lstrip("-").replace(".", "")) > 24:
        raise RowRefusal(2007, f"Invalid numeric value for field id: {each.id}")
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, point, rest = digits.partition(".")
    return f"{sign}{whole.lstrip('0') or '0'}{point}{rest}"
