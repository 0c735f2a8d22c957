"""GUIDs that can be read back, seeded draws, and time helpers. No state, no business.

A GUID is a bijection of (kind, number, seed), so a million sales need no table of ids.
"""

import random
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

_MASK = (1 << 64) - 1
_ODD = 0x9E3779B97F4A7C15
_INVERSE = pow(_ODD, -1, 1 << 64)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_MS = 86_400_000


class Kind(IntEnum):
    PRODUCT = 1
    FAMILY = 2
    CUSTOMER = 3
    SALE = 4
    LOCATION = 5
    BIN = 6
    CATEGORY = 7
    BRAND = 8
    CONTACT = 9
    ADDRESS = 10
    TASK = 11
    PAYMENT = 12
    ATTACHMENT = 13
    OTHER = 14


def mix(value: int) -> int:
    """SplitMix64: 64 well-spread bits of an integer."""
    value = (value + _ODD) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def guid(kind: int, number: int, seed: int) -> str:
    low = ((number + 1) * _ODD + seed * 0xD1B54A32D192ED03) & _MASK
    text = f"{mix(low ^ (kind << 56)):016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def number_of(kind: int, text: str, seed: int) -> int | None:
    """The number behind a GUID of that kind, in any case; None when it is none of ours."""
    try:
        low = int(text.replace("-", "")[16:], 16)
    except ValueError:
        return None
    number = (((low - seed * 0xD1B54A32D192ED03) * _INVERSE) & _MASK) - 1
    return number if guid(kind, number, seed) == text.lower() else None


def draw(seed: int, kind: int, number: int) -> random.Random:
    """A generator of its own for one thing, so that it can be made alone and out of order."""
    return random.Random((seed << 48) ^ (kind << 40) ^ number)  # noqa: S311


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970, exact."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_ms(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def local_date(ms: int, zone: ZoneInfo) -> date:
    """The merchant's calendar date at that moment."""
    return from_ms(ms).astimezone(zone).date()
