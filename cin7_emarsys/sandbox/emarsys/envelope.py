"""The JSON envelope of the Core API, its refusals, and the reading of request bodies.

Every answer: `{"replyCode": int, "replyText": str, "data": …}`; 0 = success; `data` is `""` on errors.
"""

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cin7_emarsys.sandbox.emarsys.switches import Switches

MEGABYTE = 1024 * 1024
VIENNA = ZoneInfo("Europe/Vienna")


class Refusal(Exception):
    """The whole call is refused: HTTP `status`, `code` in the envelope. Code None: no envelope."""

    def __init__(self, code: int | None, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.code, self.text, self.status = code, text, status

    def response(self) -> Response:
        if self.code is None and not self.text:
            return Response(status_code=self.status)
        if self.code is None:
            return JSONResponse({"message": self.text}, status_code=self.status)
        return envelope("", self.code, self.text, self.status)


class RowRefusal(Exception):
    """One row of a batch is refused."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def envelope(data: Any, code: int = 0, text: str = "OK", status: int = 200) -> JSONResponse:
    return JSONResponse({"replyCode": code, "replyText": text, "data": data}, status_code=status)


def local_time(at: datetime) -> str:
    """As Emarsys writes times: `YYYY-MM-DD HH:MM:SS` in Vienna, without a zone."""
    return at.astimezone(VIENNA).strftime("%Y-%m-%d %H:%M:%S")


@dataclass(slots=True)
class Call:
    """One authorised call: the request, and its JSON body ({} for GET)."""

    request: Request
    body: dict[str, Any]


Handler = Callable[[Call], Awaitable[Any]]


def core(
    switches: Callable[[], Switches],
    method: str,
    path: str,
    handler: Handler,
    *permissions: str,
    max_bytes: int = 10 * MEGABYTE,
) -> Route:
    """A route under `/api/v3`. `handler` returns `data`, or raises Refusal."""

    async def endpoint(request: Request) -> Response:
        try:
            require(switches(), permissions)
            body = {} if method == "GET" else _object(await request.body(), max_bytes, switches().oversize_status)
            answer: Response = envelope(await handler(Call(request, body)))
        except Refusal as refusal:
            answer = refusal.response()
        return answer

    return Route(f"/api/v3{path}", endpoint, methods=[method])


def require(switches: Switches, permissions: Iterable[str]) -> None:
    """A missing permission is 403 without a replyCode."""
    if not all(switches.permissions.get(name, True) for name in permissions):
        raise Refusal(None, "Forbidden" if switches.forbidden_body else "", 403)


def _object(body: bytes, max_bytes: int, oversize_status: int) -> dict[str, Any]:
    if len(body) > max_bytes:
        raise Refusal(None if oversize_status == 413 else 10001, "Request size limit exceeded", oversize_status)
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except ValueError:
        raise Refusal(1010, "The request body is not valid JSON") from None
    if not isinstance(value, dict):
        raise Refusal(10001, "The request body must be an object")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def only(mapping: Iterable[str], known: tuple[str, ...], key_name: str | None = None) -> None:
    """Refuses keys that the call does not have. A misspelt key name (`keyID`) is read as an empty key field."""
    for name in mapping:
        if name not in known:
            if key_name and name.replace("_", "").lower() == "keyid":
                raise Refusal(2004, "Invalid key field id: ")
            raise Refusal(10001, f"Invalid parameter: {name}")
