"""Engagement Cloud: PUT productItems. Items are added or changed; what is left out of an item stays; none goes away.

`{"items": [{"itemId", "eventTime", PROPERTY: {"default": value, "locales"?: {"xx_YY": value}}, "customs": {NAME: same}}]}`
→ 202 `{"success": …}`. One wrong item refuses the call. An item older than the stored one is ignored. Nothing reads back.
"""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cin7_emarsys.sandbox.emarsys.account import Account
from cin7_emarsys.sandbox.emarsys.catalogue import REQUIRED, Item, item_errors
from cin7_emarsys.sandbox.emarsys.contact_writes import rejected
from cin7_emarsys.sandbox.engagement_cloud.answers import (
    PREFIX,
    Path,
    Problem,
    an_object,
    body_of,
    error,
    is_instant,
    is_number,
    number_text,
    only,
    route,
    some_rows,
)
from cin7_emarsys.sandbox.requests import full_path

_TEXTS = {
    "title": "title",
    "link": "link",
    "image": "image",
    "zoomImage": "zoom_image",
    "category": "category",
    "brand": "brand",
    "description": "description",
    "groupId": "group_id",
}
"""Property → column of the catalogue."""
_NUMBERS = ("price", "msrp")
_KNOWN = ("itemId", "eventTime", "available", "customs", *_TEXTS, *_NUMBERS)
_LOCALE = re.compile(r"[a-z]{2}_[A-Z]{2}")
_CUSTOM = re.compile(r"[A-Za-z0-9_]+")


def routes(account: Account) -> list[Route]:
    return [route("PUT", "/productItems", ProductItems(account).put)]


class ProductItems:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._times: dict[str, str] = {}
        """Item → eventTime of its last accepted change."""

    async def put(self, request: Request) -> Response:
        switches = self._account.switches()
        try:
            rows = some_rows(await body_of(request, switches.max_bytes), "items", switches.max_items, 400)
            changes = [_columns(row, ("items", place)) for place, row in enumerate(rows)]
            lost = self._rejected(request, len(rows))
            items = self._merged(rows, changes, lost)
        except Problem as problem:
            target = request.url.path.removeprefix(PREFIX)
            shown = {**error(problem, target), "status": problem.status}
            return JSONResponse({"error": {**shown, "details": [shown]}}, problem.status)
        catalogue = self._account.catalogue
        if items is not None:
            catalogue.replace(items, "productItems")
            if switches.tactic_check == "auto":
                self._account.tactics.check()
        return JSONResponse({"success": "Product Catalog processed successfully."}, 202)

    def _merged(self, rows: list[dict[str, Any]], changes: list[Item], lost: set[int]) -> dict[str, Item] | None:
        """The catalogue after the call, or None when it changes nothing. Raises Problem before anything is kept."""
        current, stale_applied = self._account.catalogue.items, self._account.switches().stale_items == "applied"
        items, times = dict(current), dict[str, str]()
        for place, (row, change) in enumerate(zip(rows, changes, strict=True)):
            sku, time = change["item"], row["eventTime"]
            if sku in times:
                raise Problem(400, f"Duplicate itemId {sku}", path=("items", place, "itemId"))
            times[sku] = self._times.get(sku, "")
            new = {**dict.fromkeys(REQUIRED, ""), **current.get(sku, {}), **change}
            if wrong := item_errors(new):
                raise Problem(400, wrong[0], path=("items", place))
            if place not in lost and (stale_applied or time >= times[sku]):
                items[sku], times[sku] = new, time
        self._times.update(times)
        return items if items != current else None

    def _rejected(self, request: Request, total: int) -> set[int]:
        """partial-reject: 400 for the call, or (mode "silent") a 202 that leaves some items out."""
        fault = self._account.faults.hit("partial-reject", "emarsys", full_path(request.scope))
        if fault is None:
            return set()
        places = rejected(fault.get("count", 1), fault.get("row"), total, fault.firing)
        if fault.get("mode") != "silent":
            raise Problem(400, str(fault.get("message", "Invalid value")), path=("items", min(places)))
        return places


def _columns(row: dict[str, Any], path: Path) -> Item:
    """An item as columns of the catalogue (text); locales are checked and not kept. Raises Problem."""
    only(row, _KNOWN, path)
    sku = row.get("itemId")
    if not isinstance(sku, str) or not sku.strip():
        raise Problem(400, "itemId is required", path=(*path, "itemId"))
    if not is_instant(row.get("eventTime")):
        raise Problem(400, "eventTime must be YYYY-MM-DDThh:mm:ss.mmmZ", path=(*path, "eventTime"))
    columns = {"item": sku}
    for name, value in row.items():
        if name in _TEXTS:
            columns[_TEXTS[name]] = _value(value, (*path, name), str)
        elif name in _NUMBERS:
            columns[name] = _value(value, (*path, name), float)
        elif name == "available":
            columns[name] = _value(value, (*path, name), bool)
        elif name == "customs":
            for custom, form in an_object(value, (*path, name)).items():
                if not _CUSTOM.fullmatch(custom):
                    raise Problem(400, "Invalid name", path=(*path, name, custom))
                columns[f"c_{custom}"] = _value(form, (*path, name, custom), None)
    return columns


def _value(value: Any, path: Path, kind: type | None) -> str:
    """The default as text; `kind` None: text, number or boolean."""
    form = an_object(value, path)
    only(form, ("default", "locales"), path)
    if "default" not in form:
        raise Problem(400, "default is required", path=(*path, "default"))
    for locale, text in an_object(form.get("locales", {}), (*path, "locales")).items():
        if not _LOCALE.fullmatch(locale):
            raise Problem(400, "Invalid locale", path=(*path, "locales", locale))
        _text(text, (*path, "locales", locale), kind)
    return _text(form["default"], (*path, "default"), kind)


def _text(value: Any, path: Path, kind: type | None) -> str:
    if isinstance(value, bool) and kind in (bool, None):
        return "true" if value else "false"
    if is_number(value) and kind in (float, None):
        return number_text(value)
    if isinstance(value, str) and kind in (str, None):
        return value
    raise Problem(400, "Value has the wrong type", path=path)
