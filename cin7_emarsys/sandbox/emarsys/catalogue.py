"""The product catalogue: the check of a product file, and the versions. A file replaces everything, or nothing."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.emarsys.csv_text import records

REQUIRED = ("item", "title", "link", "image", "category", "available", "price")
OPTIONAL = ("msrp", "brand", "description", "zoom_image", "album", "actor", "artist", "author", "year", "group_id")
TRUE, FALSE = ("true", "TRUE"), ("false", "FALSE")
MAX_ERRORS = 100

_PRICE = re.compile(r"\d+(\.\d+)?")
_URL = re.compile(r"https?://[^\s/]+\S*")
_CUSTOM = re.compile(r"c_[A-Za-z0-9_]+")
_FOUR_BYTES = re.compile("[\U00010000-\U0010ffff]")

Item = dict[str, str]


@dataclass(slots=True)
class Catalogue:
    """`items` by id, in the order of the file. `checked` is what the tactics saw last (None before the first import);
    `first_seen` is the version in which each id appeared for the first time; `imports` reports every attempt."""

    clock: Clock
    version: int = 0
    fetched_at: datetime | None = None
    items: dict[str, Item] = field(default_factory=dict)
    checked: dict[str, Item] | None = None
    checked_version: int = 0
    first_seen: dict[str, int] = field(default_factory=dict)
    imports: list[dict[str, Any]] = field(default_factory=list)

    def replace(self, items: dict[str, Item], source: str) -> dict[str, Any]:
        """Makes `items` the new version. The first one is what the tactics compare with later."""
        self.version += 1
        self.fetched_at = self.clock.now()
        self.items = items
        for sku in items:
            self.first_seen.setdefault(sku, self.version)
        if self.checked is None:
            self.skip_check()
        return self.report("imported", [], source)

    def skip_check(self) -> None:
        """The current version counts as checked, without mails."""
        self.checked, self.checked_version = self.items, self.version

    def report(self, status: str, errors: list[str], source: str) -> dict[str, Any]:
        answer = {"status": status, "version": self.version, "rows": len(self.items), "errors": errors}
        self.imports.append({**answer, "source": source, "at": self.clock.now().isoformat(timespec="milliseconds")})
        return answer


def parsed(body: bytes, bom: str) -> tuple[dict[str, Item], list[str]]:
    """The items of a product file, and what is wrong with it (the first 100). Any error refuses the file."""
    if body.startswith(b"\xef\xbb\xbf"):
        if bom == "reject":
            return {}, ["the file begins with a byte order mark"]
        body = body[3:]
    try:
        rows = records(body.decode("utf-8"))
        _, columns = next(rows, (1, []))
        errors = _column_errors(columns)
        if errors:
            return {}, errors
        items: dict[str, Item] = {}
        for number, cells in rows:
            if len(errors) >= MAX_ERRORS:
                break
            if len(cells) != len(columns):
                errors.append(f"line {number}: {len(cells)} cells instead of {len(columns)}")
                continue
            item = dict(zip(columns, cells, strict=True))
            errors += [f"line {number} ({item['item']}): {error}" for error in item_errors(item)]
            if item["item"] in items:
                errors.append(f"line {number}: duplicate item {item['item']}")
            items[item["item"]] = item
    except UnicodeDecodeError:
        return {}, ["the file is not UTF-8"]
    except ValueError as error:
        return {}, [str(error)]
    return items, errors


def _column_errors(columns: list[str]) -> list[str]:
    if not columns:
        return ["the file is empty"]
    errors = [f"missing column {name}" for name in REQUIRED if name not in columns]
    errors += [f"duplicate column {name}" for name in sorted({name for name in columns if columns.count(name) > 1})]
    known = (*REQUIRED, *OPTIONAL)
    return errors + [f"unknown column {name}" for name in columns if name not in known and not _CUSTOM.fullmatch(name)]


def item_errors(item: Item) -> list[str]:
    """What is wrong with one item; it has all required columns."""
    errors = [f"{name} is empty" for name in REQUIRED if name != "price" and not item[name].strip()]
    if item["available"] and item["available"] not in (*TRUE, *FALSE):
        errors.append("available is neither true nor false")
    if item["price"] == "" and item["available"] in TRUE:
        errors.append("price is empty although the item is available")
    errors += [
        f"{name} is not a price" for name in ("price", "msrp") if item.get(name) and not _PRICE.fullmatch(item[name])
    ]
    for name in ("link", "image", "zoom_image"):
        if item.get(name) and not _URL.fullmatch(item[name]):
            errors.append(f"{name} is not an absolute URL")
    if item["image"].lower().partition("?")[0].endswith(".webp"):
        errors.append("image is WEBP")
    if item.get("year") and not item["year"].isdecimal():
        errors.append("year is not an integer")
    for name, value in item.items():
        if not value.isascii() and _FOUR_BYTES.search(value):
            errors.append(f"{name} has a 4-byte character")
        if value[:1].isspace() and value.lstrip().startswith('"'):
            errors.append(f"{name} has a space before the quote")
        if "\r" in value or "\n" in value:
            errors.append(f"{name} has a newline")
    return errors
