"""How values are written: units, moments, tables, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text


def as_json(data: object) -> str:
    """One JSON document: decimals as numbers written in full, times as ISO 8601 in UTC."""

    def plain(value: object) -> object:
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else float(value)
        if isinstance(value, datetime):
            return value.isoformat() + ("Z" if value.tzinfo is None else "")
        if isinstance(value, date):
            return value.isoformat()
        return str(value)

    return json.dumps(data, default=plain, ensure_ascii=False)


def units(value: Decimal | int | None) -> str:
    """Units without needless decimals; an en dash for nothing known."""
    if value is None:
        return "–"
    text = f"{Decimal(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(number: int, noun: str) -> str:
    """So many of them."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def money(value: Decimal, *, signed: bool = False) -> str:
    """To the penny, rounded as it is at export."""
    cents = value.quantize(Decimal("0.01"), ROUND_HALF_UP) or Decimal("0.00")  # never -0.00
    return f"{cents:{'+' if signed else ''},}"


def moment(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if value else "–"


def span(minutes: int) -> str:
    """A length of time in the unit that a person would use."""
    count, unit = (minutes, "minute") if minutes < 120 else (minutes // 60, "hour")
    if count >= 48 and unit == "hour":
        count, unit = count // 24, "day"
    return f"{count:,} {unit}" + ("" if count == 1 else "s")


def grid(columns: Sequence[str], rows: Iterable[Sequence[object]], right: Iterable[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        figures = column in set(right)
        table.add_column(column, justify="right" if figures else "left", overflow="fold", no_wrap=figures)
    for row in rows:
        table.add_row(
            *(units(cell) if isinstance(cell, Decimal) else "" if cell is None else str(cell) for cell in row)
        )
    return table


def complain(console: Console, message: str) -> None:
    console.print(Text(message, style="red"))
