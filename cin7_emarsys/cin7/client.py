"""Cin7 Core's read endpoints: parameters, envelopes, paging, and what an answer that is none looks like.

What belongs here: how Cin7 is asked and how its pages are put together. What does not: what a record means (``models.py``)
and where it goes (``landing.py``). This project never writes to Cin7.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Self

from cin7_emarsys.rate import RateWindow
from cin7_emarsys.settings import Settings
from cin7_emarsys.transport import Answer, NotJson, Permanent, Transient, Transport, TransportError

# The most urgent first: a stock tick overtakes whatever else is being read at the next call.
LANES = ("stock", "sale_headers", "products", "sale_details", "customers", "full")
_THROTTLE_TEXT = re.compile(r"reached 60 calls per (60 seconds|minute)", re.IGNORECASE)

Row = dict[str, Any]


class BadPage(TransportError):
    """A page that is JSON and yet cannot be used: without its list, or with rows a filter should have left out."""


@dataclass(frozen=True)
class Page:
    """One page of a list: its rows as received, and how many rows Cin7 says there are in all (None: it never says)."""

    number: int
    rows: list[Row]
    total: int | None


@dataclass(frozen=True)
class Endpoint:
    """One list endpoint: its path, the key of its array, rows asked for in one page, and whether it tells a total."""

    path: str
    array: str
    limit: int
    lane: str
    parameters: Mapping[str, str]
    id_fields: tuple[str, ...] = ("ID",)
    paged: bool = True


LOCATIONS = Endpoint("ref/location", "LocationList", 500, "products", {})
CATEGORIES = Endpoint("ref/category", "CategoryList", 1000, "products", {})
BRANDS = Endpoint("ref/brand", "BrandList", 1000, "products", {})
PRICE_TIERS = Endpoint("ref/priceTier", "PriceTiers", 1000, "products", {}, ("Code",), paged=False)
PRODUCTS = Endpoint(
    "product",
    "Products",
    500,  # with bills of material Cin7 delivers no more than this in one page
    "products",
    {"IncludeDeprecated": "true", "IncludeBOM": "true", "IncludeAttachments": "true"},
)
FAMILIES = Endpoint("productFamily", "ProductFamilies", 1000, "products", {})
CUSTOMERS = Endpoint("customer", "CustomerList", 1000, "customers", {"IncludeDeprecated": "true"})
SALES = Endpoint("saleList", "SaleList", 1000, "sale_headers", {}, ("SaleID",))
CREDIT_NOTES = Endpoint("saleCreditNoteList", "SaleList", 1000, "sale_headers", {}, ("SaleID", "CreditNoteNumber"))
AVAILABILITY = Endpoint(
    "ref/productavailability",
    "ProductAvailabilityList",
    1000,
    "stock",
    {},
    ("ID", "Location", "Bin", "Batch", "ExpiryDate"),
)


def naive(moment: datetime) -> str:
    """A date parameter as Cin7 takes it everywhere: UTC, whole seconds, no zone."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def _throttled(window_seconds: float) -> Callable[[Answer], float | None]:
    def wait(answer: Answer) -> float | None:
        text = answer.text[:1000] if answer.status >= 400 or len(answer.content) < 1000 else ""
        if answer.status not in (429, 503) and not _THROTTLE_TEXT.search(text):
            return None
        told = re.search(r"\d+", answer.headers.get("Retry-After", ""))
        return float(told[0]) if told else window_seconds

    return wait


def _check(answer: Answer) -> None:
    """A 200 with an error in its body, or with an HTML page, is no answer."""
    content = answer.json()
    first = content[0] if isinstance(content, list) and content else content
    if isinstance(first, dict) and "ErrorCode" in first:
        kind = Transient if str(first["ErrorCode"]).startswith("5") else Permanent
        raise kind(
            answer.vendor,
            answer.method,
            answer.path,
            f"HTTP {answer.status} with error {first['ErrorCode']}",
            status=answer.status,
            body=str(first.get("Exception", "")),
        )


class Cin7:
    """Reads one Cin7 Core account. Use as a context manager."""

    def __init__(self, settings: Settings) -> None:
        account = settings.cin7
        key = account.application_key.get_secret_value()
        self._window = RateWindow(
            settings.paths.rate, f"cin7:{key}", account.calls_per_minute, account.window_seconds, LANES
        )
        self._headers = {"api-auth-accountid": account.account_id.get_secret_value(), "api-auth-applicationkey": key}
        self.calls_per_minute = account.calls_per_minute
        self.transport = Transport(
            "Cin7",
            account.base_url,
            self._window,
            headers=lambda: self._headers,
            throttled=_throttled(account.window_seconds),
            back_off=min(1.0, account.window_seconds / 20),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.transport.close()

    @property
    def calls(self) -> int:
        return self.transport.calls

    def now(self) -> datetime:
        """Cin7's clock, naive UTC, whole seconds kept as told."""
        return self.transport.now().replace(tzinfo=None)

    def stopwatch(self, lane: str) -> Callable[[], datetime]:
        """Tells, when called after the first answer, what Cin7's clock showed now – also when it had not told its time yet.

        A watermark an hour ahead would skip records, so a time that contradicts what was known is asked for again, in the
        lane of the read. What is told first stays: the clock may jump, or this computer sleep, before the read ends.
        """
        begun = time.monotonic()

        @cache
        def then() -> datetime:
            self.transport.confirm_clock(lambda: self.get("me", lane))
            return self.now() - timedelta(seconds=time.monotonic() - begun)

        return then

    def lease(self, lane: str) -> Any:
        return self._window.lease(lane)

    def get(self, path: str, lane: str, parameters: Mapping[str, str | int] | None = None) -> Any:
        """One GET; the body as JSON. Raises a `TransportError` that names what was asked and what came."""
        answer = self.transport.request("GET", path, lane=lane, repeatable=True, params=parameters or {}, check=_check)
        return answer.json()

    def me(self) -> Row:
        """Cin7: GET me. Company, base currency, time zone."""
        content = self.get("me", "products")
        if not isinstance(content, dict):
            raise BadPage("Cin7", "GET", "me", "got a list instead of an account")
        return content

    def pages(self, endpoint: Endpoint, lane: str | None = None, **filters: str) -> Iterator[Page]:
        """All pages of a list, each as received.

        Goes on until as many rows have come as Cin7 says there are, or a page is empty: Cin7 may cut a page short without
        saying so, so a short page alone proves nothing. Raises `BadPage` when a page has no list.
        """
        seen, number = 0, 1
        while True:
            asked: dict[str, str | int] = {**endpoint.parameters, **filters}
            if endpoint.paged:
                asked |= {"Page": number, "Limit": endpoint.limit}
            content = self.get(endpoint.path, lane or endpoint.lane, asked)
            if not isinstance(content, dict):
                raise BadPage("Cin7", "GET", endpoint.path, f"page {number} is not an object")
            rows = content.get(endpoint.array)
            if rows is None and endpoint.array not in content and "Total" not in content:
                raise BadPage("Cin7", "GET", endpoint.path, f"page {number} has no {endpoint.array}")
            rows = rows or []
            total = None if content.get("Total") in (None, "") else content["Total"]
            if not isinstance(rows, list) or not isinstance(total, int | None):
                raise BadPage("Cin7", "GET", endpoint.path, f"page {number} has no list of rows with its total")
            seen += len(rows)
            yield Page(number, rows, total)
            if not rows or not endpoint.paged:
                return
            if seen >= total if total is not None else len(rows) < endpoint.limit:
                return
            number += 1

    def sale(self, sale_id: str, lane: str = "sale_details") -> Row:
        """Cin7: GET sale?ID=. One sale with all its documents; movements are left out."""
        content = self.get("sale", lane, {"ID": sale_id, "HideInventoryMovements": "true", "CountryFormat": "Code2"})
        if not isinstance(content, dict):
            raise BadPage("Cin7", "GET", "sale", "got a list instead of one sale")
        return content

    def credit_notes_of(self, sale_id: str) -> Row:
        """Cin7: GET sale/creditnote?SaleID=."""
        content = self.get("sale/creditnote", "sale_details", {"SaleID": sale_id})
        if not isinstance(content, dict):
            raise BadPage("Cin7", "GET", "sale/creditnote", "got a list instead of one sale's credit notes")
        return content


__all__ = ["Cin7", "Endpoint", "NotJson", "Page", "naive"]
