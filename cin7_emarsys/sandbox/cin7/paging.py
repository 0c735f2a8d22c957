"""The list envelope `{"Total", "Page", "<Key>": [...]}`, silent caps, and what can go wrong with a list.

Offsets are computed on the live set at each call, so rows shift between pages when the merchant works meanwhile.
Faults of lists: incomplete-snapshot and shifted-page last for one reading (from a Page=1 to the next), the others for
one page. Corrupted records (`{"do": "corrupt"}`) stay until healed.

- incomplete-snapshot: a `share` (0.2) of all rows, at least one, is missing while Total is right; with `mode`
  "total-drop", Total lacks them too, so that the answer looks complete.
- shifted-page: a row came in at the front after page 1: every later page starts with the last row of the one before
  and the last row of all is never shown. On a single page: first row twice, last row missing. Total stays.
- duplicate-row: the last row of the page before comes again with another number in `field`.
- schema-change: an unknown member in every row, and `field` of row `row` (2nd) has another type.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cin7_emarsys.sandbox.faults import Fault, Faults

CHANGED_FIELD = {
    "Products": "PriceTier1",
    "ProductAvailabilityList": "OnHand",
    "CustomerList": "Contacts",
    "SaleList": "Updated",
    "ProductFamilies": "Products",
    "LocationList": "Bins",
}
_PAGING = re.compile(r"(?i)[?&](page|limit)=[^&]*")
_FIGURES = ("OnHand", "PriceTier1", "InvoiceAmount", "CreditLimit")


@dataclass(slots=True)
class Listing:
    """A list ready to be cut into pages: `render(item)` gives the JSON text of one row."""

    key: str
    items: Sequence[Any]
    render: Callable[[Any], str]
    cap: int = 1000
    has_total: bool = True


class Pager:
    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._reading: dict[tuple[str, str], Fault | None] = {}

    def page(self, listing: Listing, page: int, limit: int, path: str, null_when_empty: bool) -> str:
        limit = min(limit, listing.cap)
        offset, total = (page - 1) * limit, len(listing.items)
        missing, shifted = (self._sticky(name, path, page) for name in ("incomplete-snapshot", "shifted-page"))
        if shifted and (page > 1 or total <= limit):
            items = [*listing.items[:1], *listing.items[:-1]][offset : offset + limit]
        else:
            items = list(listing.items[offset : offset + limit])
        rows = [listing.render(item) for item in items]
        if missing:
            every = max(2, round(1 / float(missing.get("share", 0.2))))
            gone = range(min(every, total) - 1, total, every)
            rows = [row for i, row in enumerate(rows, offset) if i not in gone]
            total -= len(gone) if missing.get("mode") == "total-drop" else 0
        double = self._faults.hit("duplicate-row", "cin7", path)
        if double and listing.items:
            again = listing.render(listing.items[max(0, min(offset, total) - 1)] if page > 1 else items[-1])
            rows = [_other_figures(again, double), *rows] if page > 1 else [*rows, _other_figures(again, double)]
        change = self._faults.hit("schema-change", "cin7", path)
        if change and rows:
            rows = _changed_schema(rows, listing.key, change)
        body = "null" if not rows and null_when_empty else f"[{','.join(rows)}]"
        if not listing.has_total:
            return f'{{"{listing.key}":{body}}}'
        return f'{{"Total":{total},"Page":{page},"{listing.key}":{body}}}'

    def _sticky(self, name: str, path: str, page: int) -> Fault | None:
        """The fault of this reading: decided on its first page."""
        key = (name, _PAGING.sub("", path).lower())
        if page == 1:
            self._reading[key] = self._faults.hit(name, "cin7", path)
        return self._reading.get(key)


def _other_figures(row: str, fault: Fault) -> str:
    data = json.loads(row)
    field = fault.get("field") or next((f for f in _FIGURES if f in data), None)
    if field in data and isinstance(data[field], (int, float)):
        data[field] += 7
        if "Available" in data:
            data["Available"] = data["OnHand"] - data["Allocated"]
    return json.dumps(data)


def _changed_schema(rows: list[str], key: str, fault: Fault) -> list[str]:
    extra = '{"VendorAddition":{"Since":"2026","Values":[1,null]},'
    rows = [extra + row[1:] for row in rows]
    index = min(int(fault.get("row", 2)), len(rows)) - 1
    data, field = json.loads(rows[index]), fault.get("field", CHANGED_FIELD.get(key, "Name"))
    old = data.get(field)
    data[field] = f"{old} each" if isinstance(old, (int, float)) else {"Value": old} if isinstance(old, list) else 12345
    rows[index] = json.dumps(data)
    return rows
