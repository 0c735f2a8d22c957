"""Emarsys: the sales data upload. It adds and never compares: a file that arrives twice counts twice.

A file is checked when it arrives (200 or 400 as text) and loaded later; the load looks its customers up.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.emarsys.auth import upload_refused
from cin7_emarsys.sandbox.emarsys.contacts import Contacts
from cin7_emarsys.sandbox.emarsys.csv_text import records
from cin7_emarsys.sandbox.emarsys.switches import Switches

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d))?")


@dataclass(slots=True)
class Batch:
    """One accepted file; `received_at` as the judge shows it."""

    number: int
    header: tuple[str, ...]
    received_at: str
    rows: list[list[str]]


class Sales:
    """`lines` in order of arrival: the batch and the cells."""

    def __init__(self, clock: Clock, contacts: Contacts, switches: Callable[[], Switches]) -> None:
        self._clock, self._contacts, self._switches = clock, contacts, switches
        self.lines: list[tuple[Batch, list[str]]] = []
        self._batches = 0
        self._waiting: list[tuple[datetime, Batch]] = []

    async def upload(self, request: Request) -> Response:
        """`POST /hapi/merchant/{merchant}/sales-data/api`."""
        if (refused := upload_refused(request)) is not None:
            return refused
        try:
            if not request.headers.get("content-type", "").startswith("text/csv"):
                raise ValueError("the content type is not text/csv")
            body = unpacked(await request.body(), request.headers.get("content-encoding", "identity"))
            header = tuple(self._switches().sales_header)
            rows = await run_in_threadpool(parsed, body, header)
        except ValueError as error:
            return PlainTextResponse(f"Upload refused: {error}\n", 400)
        self.accept(header, rows)
        return PlainTextResponse("Upload accepted\n")

    def accept(self, header: tuple[str, ...], rows: list[list[str]]) -> None:
        """Takes the lines of one call, by then checked."""
        now = self._clock.now()
        self._batches += 1
        batch = Batch(self._batches, header, now.isoformat(timespec="milliseconds"), rows)
        if self._switches().sales_mode == "replace":
            replaced = {_transaction(header, row) for row in rows}
            self.lines = [(old, row) for old, row in self.lines if _transaction(old.header, row) not in replaced]
        self.lines.extend((batch, row) for row in rows)
        self._waiting.append((now + timedelta(seconds=self._switches().load_delay), batch))
        self.load()

    def load(self) -> None:
        """Loads the files whose time has come, in order of arrival."""
        now = self._clock.now()
        due = [batch for at, batch in self._waiting if at <= now]
        self._waiting = [(at, batch) for at, batch in self._waiting if at > now]
        for batch in due:
            column = "email" if "email" in batch.header else "customer"
            place = batch.header.index(column)
            for customer in dict.fromkeys(row[place] for row in batch.rows):
                self._contacts.customer(column, customer)

    def shown(self, limit: int, offset: int) -> list[dict[str, Any]]:
        """The judge's lines; price and quantity as numbers."""
        return [_shown(batch, row) for batch, row in self.lines[offset : offset + limit]]

    def orders(self) -> list[dict[str, Any]]:
        """`{"order", "lines", "revenue"}`, revenue = the exact sum of the line totals, as text."""
        totals: dict[str, tuple[int, Decimal]] = {}
        for batch, row in self.lines:
            order, price = row[batch.header.index("order")], Decimal(row[batch.header.index("price")])
            lines, revenue = totals.get(order, (0, Decimal()))
            totals[order] = (lines + 1, revenue + price)
        return [{"order": order, "lines": lines, "revenue": str(sum_)} for order, (lines, sum_) in totals.items()]


def unpacked(body: bytes, encoding: str) -> bytes:
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise ValueError(f"unknown content encoding {encoding}")
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        raise ValueError("the body is not gzip") from None


def parsed(body: bytes, header: Sequence[str]) -> list[list[str]]:
    """The rows of a file. Raises ValueError for the first fault; then nothing of the file counts."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8") from None
    rows = records(text)
    _, sent = next(rows, (1, []))
    if sent != list(header):
        raise ValueError(f"expected the columns {','.join(header)}")
    width, price, quantity = len(header), header.index("price"), header.index("quantity")
    timestamp = header.index("timestamp")
    required = [place for place, name in enumerate(header) if name in ("item", "order", "email", "customer")]
    lines = []
    for number, cells in rows:
        if len(cells) != width:
            raise ValueError(f"line {number}: {len(cells)} cells instead of {width}")
        for place in required:
            if not cells[place].strip():
                raise ValueError(f"line {number}: {header[place]} is missing")
        for place in (price, quantity):
            if not _NUMBER.fullmatch(cells[place]):
                raise ValueError(f"line {number}: {header[place]} is not a number")
        if not _is_timestamp(cells[timestamp]):
            raise ValueError(f"line {number}: timestamp is not ISO 8601 with a zone")
        lines.append(cells)
    return lines


def _is_timestamp(text: str) -> bool:
    if not _TIMESTAMP.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _transaction(header: Sequence[str], row: Sequence[str]) -> tuple[str, bool]:
    """Order or refund of one id."""
    name = "transaction" if "transaction" in header else "order"
    return row[header.index(name)], row[header.index("quantity")].startswith("-")


def _shown(batch: Batch, row: list[str]) -> dict[str, Any]:
    line: dict[str, Any] = {"email": "", **dict(zip(batch.header, row, strict=True))}
    line["price"], line["quantity"] = _json_number(line["price"]), _json_number(line["quantity"])
    return {**line, "received_at": batch.received_at, "batch": batch.number}


def _json_number(text: str) -> int | float:
    return float(text) if "." in text else int(text)
