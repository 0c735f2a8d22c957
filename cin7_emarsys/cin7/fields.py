"""How Cin7 writes a value, and what we take it for: one type for each kind of field.

What belongs here: reading blanks, texts, ids, numbers, flags and moments leniently where Cin7 is loose, and refusing what
would do harm. What does not: which record has which field (``models.py``).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import BeforeValidator, Field

_ABSURD = Decimal(10) ** 12
_ABSURD_RATE = Decimal(10) ** 9
_FRACTION = re.compile(r"(\.\d{6})\d+")


def _blank(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _text(value: object) -> object:
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool):
        raise ValueError("should be text")
    return str(value) if isinstance(value, int | float | Decimal) else value


def _guid(value: object) -> object:
    text = _text(value)
    return text.lower() if isinstance(text, str) else text


def _decimal(value: object) -> object:
    if type(value) is int and -1_000_000 < value < 1_000_000:  # by far the most frequent
        return Decimal(value)
    value = _blank(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("should be a number")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError("should be a number") from None
    if not number.is_finite() or abs(number) > _ABSURD:
        raise ValueError("is an absurd number")
    return number


def _rate(value: object) -> object:
    number = _decimal(value)
    if isinstance(number, Decimal) and abs(number) > _ABSURD_RATE:
        raise ValueError("is an absurd number")
    return number


def _boolean(value: object) -> object:
    value = _blank(value)
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    return value


def _moment(value: object) -> object:
    moment = _told(value)
    if moment is None:
        return None
    if not 1990 <= moment.year <= 2100:
        raise ValueError("is an impossible date")
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _told(value: object) -> datetime | None:
    value = _blank(value)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("should be a date")
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", value.strip()).replace("Z", "+00:00"))
    except ValueError:
        raise ValueError("is not a date") from None
    return None if moment.year == 1 else moment  # the framework's "no date"


def _day(value: object) -> object:
    moment = _moment(value)
    return moment.date() if isinstance(moment, datetime) else moment


def _expiry(value: object) -> object:
    moment = _told(value)
    return moment.date() if moment and moment.year > 2100 else _day(value)  # what never expires is given some late year


def _side_day(value: object) -> object:
    try:
        return _day(value)
    except ValueError:
        return None


Text = Annotated[str | None, BeforeValidator(_text)]
Key = Annotated[str, BeforeValidator(_text), Field(min_length=1)]
Guid = Annotated[str, BeforeValidator(_guid), Field(min_length=1)]
GuidRef = Annotated[str | None, BeforeValidator(_guid)]
Number = Annotated[Decimal | None, BeforeValidator(_decimal)]
Rate = Annotated[Decimal | None, BeforeValidator(_rate), "DECIMAL(24,14)"]
Flag = Annotated[bool | None, BeforeValidator(_boolean)]
Moment = Annotated[datetime | None, BeforeValidator(_moment)]
Day = Annotated[date | None, BeforeValidator(_day)]
Expiry = Annotated[date | None, BeforeValidator(_expiry)]
SideDay = Annotated[date | None, BeforeValidator(_side_day)]  # decides nothing: a slip in it must not cost the record
KeyMoment = Annotated[datetime, BeforeValidator(_moment)]  # without it the record cannot be placed
KeyPart = Annotated[str, BeforeValidator(lambda value: _text(value) or "")]  # a blank is a part of the key as well
Units = Annotated[Decimal, BeforeValidator(lambda value: _decimal(value) or Decimal(0))]
Whole = Annotated[Annotated[int, Field(ge=-(2**31), lt=2**31)] | None, BeforeValidator(_blank)]


def one_of(*allowed: str) -> BeforeValidator:
    """Upper-cased status out of a closed list; anything else makes the record unusable, for it decides what counts."""

    def check(value: object) -> object:
        text = _text(value)
        if text is None:
            return None
        if not isinstance(text, str) or text.upper() not in allowed:
            raise ValueError("is a status we do not know")
        return text.upper()

    return BeforeValidator(check)


SaleStatus = Annotated[
    str | None,
    one_of(
        "DRAFT", "ESTIMATING", "ESTIMATED", "ORDERING", "ORDERED", "BACKORDERED", "PICKING", "PICKED", "PACKING",
        "PACKED", "SHIPPING", "INVOICING", "INVOICED", "CREDITED", "COMPLETED", "VOIDED",
    ),
]  # fmt: skip
OrderState = Annotated[
    str | None,
    one_of("NOT AVAILABLE", "DRAFT", "AUTHORISED", "VOIDED", "AUTH_NO_ALLOC", "FULFILLED", "CLOSED"),
]
DocumentStatus = Annotated[str | None, one_of("NOT AVAILABLE", "DRAFT", "AUTHORISED", "VOIDED", "PAID")]
StepStatus = Annotated[str | None, one_of("NOT AVAILABLE", "DRAFT", "AUTHORISED", "PARTIALLY AUTHORISED", "VOIDED")]
