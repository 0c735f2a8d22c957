"""The error form of the newer services, and the reading of their request bodies.

`{"error": {"code", "message", "target", "details"?, "innererror"?: {"path": […]}, "status"?}}`, with "requestId" beside
"error" where the call has one. There is no envelope; the HTTP status decides.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PREFIX = "/ec"
"""Where the edition is mounted."""
INVALID = "invalid-request"
NOT_FOUND = "not-found-error"
GENERIC = "GENERIC_ERROR"
JSON_TYPE = "application/json"

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
Path = tuple[str | int, ...]


class Problem(Exception):
    """The call is refused; `path` leads to the place in the body."""

    def __init__(self, status: int, message: str, code: str = INVALID, path: Path = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.path = status, message, code, path


def error(problem: Problem, target: str) -> dict[str, Any]:
    """The object under "error"."""
    shown: dict[str, Any] = {"code": problem.code, "message": problem.message, "target": target}
    if problem.path:
        shown["innererror"] = {"path": list(problem.path)}
    return shown


def refused(status: int, message: str, code: str = GENERIC, target: str = "") -> JSONResponse:
    return JSONResponse({"error": error(Problem(status, message, code), target)}, status)


Handler = Callable[[Request], Awaitable[Response]]


def route(method: str, path: str, handler: Handler) -> Route:
    """A route of this edition. A Problem that `handler` raises is answered in the error form."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            return JSONResponse({"error": error(problem, request.url.path.removeprefix(PREFIX))}, problem.status)

    return Route(path, endpoint, methods=[method])


async def body_of(
    request: Request,
    max_bytes: int,
    content_type: str = JSON_TYPE,
    status: int = 400,
    fractions: Callable[[str], Any] = Decimal,
) -> dict[str, Any]:
    """The JSON object that was sent; `fractions` reads numbers with a point. Raises Problem."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != content_type:
        raise Problem(status, f"Content-Type must be {content_type}")
    raw = await request.body()
    if len(raw) > max_bytes:
        raise Problem(413, "Request size limit exceeded")
    try:
        value = json.loads(raw, parse_float=fractions, parse_constant=_no_constant)
    except ValueError:
        raise Problem(status, "Request has invalid format") from None
    return an_object(value, (), status)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def an_object(value: Any, path: Path, status: int = 400) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Problem(status, "Object expected", path=path)
    return value


def only(value: Iterable[str], known: Iterable[str], path: Path, status: int = 400) -> None:
    """Refuses names that the vendor does not have."""
    known = tuple(known)
    for name in value:
        if name not in known:
            raise Problem(status, f"Unknown property {name}", path=(*path, name))


def some_rows(body: dict[str, Any], name: str, most: int, status: int) -> list[dict[str, Any]]:
    """The rows of `{name: [{…}]}`, one to `most` of them."""
    only(body, (name,), (), status)
    rows = body.get(name)
    if not isinstance(rows, list) or not rows:
        raise Problem(status, f"{name} must be an array with entries", path=(name,))
    if len(rows) > most:
        raise Problem(status, f"{name} must have at most {most} entries", path=(name,))
    for place, row in enumerate(rows):
        an_object(row, (name, place), status)
    return rows


def is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def is_instant(value: Any) -> bool:
    """ISO 8601 with milliseconds, in UTC."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def number_text(value: int | Decimal) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)
