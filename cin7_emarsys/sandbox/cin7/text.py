"""How Cin7 Core writes values: JSON fragments as text, because text is what makes a page of 1,000 rows quick.

Audit times carry `Z` and 1–3 fractional digits, payments' DateCreated 7, business dates are a naive midnight.
Empty text comes as null, as "" or not at all, by a seeded choice.
"""

from datetime import date
from decimal import Decimal
from json.encoder import encode_basestring as quote

from cin7_emarsys.sandbox.merchant.ids import from_ms, mix

__all__ = ["audit", "blank", "boolean", "day", "number", "number_padded", "precise", "quote", "text"]

_BLANKS: dict[str, tuple[str, str, str, str]] = {}


def audit(ms: int) -> str:
    """`"2018-01-24T05:07:23.917Z"`, trailing zeros of the fraction dropped but for one."""
    text, fraction = from_ms(ms).isoformat(timespec="milliseconds")[:23].split(".")
    return f'"{text}.{fraction.rstrip("0") or "0"}Z"'


def precise(ms: int) -> str:
    """`"2017-11-28T05:08:30.6407568Z"`: seven digits."""
    return f'"{from_ms(ms):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}{mix(ms) % 10_000:04d}Z"'


def day(value: date | None) -> str:
    return f'"{value.isoformat()}T00:00:00"' if value else "null"


def boolean(value: bool) -> str:
    return "true" if value else "false"


def text(value: str | None) -> str:
    return "null" if value is None else quote(value)


def number(value: Decimal) -> str:
    return str(value)


def number_padded(value: Decimal, style: int) -> str:
    """The same number as `0`, `0.0` or `497.0000`."""
    if value == value.to_integral_value():
        return f"{value:.0f}{('', '.0', '.0000')[style % 3]}"
    return str(value)


def blank(key: str, choice: int) -> str:
    """An empty member with its comma: `"Note":"",` or `"Note":null,` or nothing."""
    known = _BLANKS.get(key)
    if known is None:
        known = _BLANKS[key] = (f'"{key}":"",', f'"{key}":null,', "", f'"{key}":"",')
    return known[choice & 3]
