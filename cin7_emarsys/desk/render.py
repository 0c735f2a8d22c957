"""Turning a page's facts into HTML, and its rows into CSV.

What belongs here: the templates' environment, how values are written, where links lead. What does not: which facts.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from cin7_emarsys.desk.pages import LISTINGS, Listing
from cin7_emarsys.views.text import moment, money, units

FOLDER = Path(__file__).parent
STYLE = FOLDER / "desk.css"
_CODE = re.compile(r"`([^`]+)`")


class Links(Protocol):
    """Where the pages of a desk lead: to addresses when it is served, to files when it is written."""

    static: bool

    def page(self, name: str, **asked: object) -> str:
        """The page of this name; ``asked``: filter, search, page, q."""

    def csv(self, name: str, **asked: object) -> str:
        """The rows of a list as CSV."""


class Served:
    """Addresses below the root."""

    static = False

    def page(self, name: str, **asked: object) -> str:
        given = {key: value for key, value in asked.items() if value}
        return f"/{'' if name == 'index' else name}" + (f"?{urlencode(given)}" if given else "")

    def csv(self, name: str, **asked: object) -> str:
        return self.page(f"{name}.csv", **asked)


class Written:
    """Files beside each other. Searching and looking up need the served desk."""

    static = True

    def page(self, name: str, filter: object = None, **_: object) -> str:
        return f"{file_name(name, filter)}.html"

    def csv(self, name: str, filter: object = None, **_: object) -> str:
        return f"{file_name(name, filter)}.csv"


def file_name(name: str, filter: object) -> str:
    """Name of a written page without its ending; a list's first filter is the page itself."""
    first = next(iter(LISTINGS[name].filters)) if name in LISTINGS else None
    return f"{name}-{filter}".replace("_", "-") if filter and filter != first else name


def page(template: str, links: Links, **facts: Any) -> str:
    """One HTML page."""
    return _environment().get_template(f"{template}.html").render(links=links, listings=LISTINGS, **facts)


def rows_as_csv(listing: Listing, rows: Iterable[Mapping[str, Any]]) -> str:
    """The columns of a list; text that a spreadsheet would take for a formula is quoted."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(column.heading for column in listing.columns)
    for row in rows:
        writer.writerow(_cell(row[column.name]) for column in listing.columns)
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, Decimal):
        return units(value)
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value


def words(value: object) -> str:
    """A code as words."""
    return "" if value is None else str(value).replace("_", " ")


def code(text: object) -> Markup:
    """Text in which what stands between backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(str(text)))))  # noqa: S704 - escaped before


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"units": units, "moment": moment, "money": money, "words": words, "count": _count, "code": code}
    return made
