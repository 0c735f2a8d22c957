"""What stands before every Core call: the token, the rate limit and the response headers; and the trailing slash."""

import time
from collections.abc import Callable
from math import ceil
from uuid import UUID

from starlette.responses import JSONResponse, PlainTextResponse, Response

from cin7_emarsys.sandbox.emarsys.auth import Tokens
from cin7_emarsys.sandbox.emarsys.envelope import envelope
from cin7_emarsys.sandbox.emarsys.limits import Standing, Windows
from cin7_emarsys.sandbox.emarsys.switches import Switches
from cin7_emarsys.sandbox.requests import ASGIApp, Message, Receive, Scope, Send, header

_ANONYMOUS = "anonymous"
_EDITION_PATHS = ("/api/v3/", "/hapi/")
"""Calls that only an account of the Emarsys edition has."""


class Gate:
    """Pure ASGI, between the faults and the routes."""

    def __init__(self, app: ASGIApp, tokens: Tokens, windows: Windows, switches: Callable[[], Switches]) -> None:
        self.app, self.tokens, self.windows, self.switches = app, tokens, windows, switches
        self._calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            scope = {**scope, "path": path.rstrip("/")}
        if path.startswith(_EDITION_PATHS) and self.switches().edition != "emarsys":
            await no_route()(scope, receive, send)
            return
        if not path.startswith("/api/v3/"):
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        credential = self.tokens.credential(header(scope, "authorization"))
        standing = self.windows.take(credential or _ANONYMOUS, self.switches())
        self._calls += 1
        number, html = self._calls, self.switches().content_type_html

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                if html:
                    headers = [(n, b"text/html; charset=utf-8" if n == b"content-type" else v) for n, v in headers]
                elapsed = ceil((time.perf_counter() - started) * 1000)
                headers += [
                    *(_rate_headers(standing) if self.switches().rate_headers else ()),
                    (b"X-Suite-Response-Time", str(elapsed).encode()),
                    (b"X-Emarsys-Request-Id", str(UUID(int=number)).encode()),
                ]
                message = {**message, "headers": headers}
            await send(message)

        app: ASGIApp = self.app
        if not standing.allowed:
            app = throttled(standing, self.switches())
        elif credential is None:
            app = envelope("", 1, "Unauthorized", 401)
        await app(scope, receive, with_headers)


def no_route() -> Response:
    """404 has no envelope."""
    return JSONResponse({"message": "no Route matched with those values"}, 404)


def throttled(standing: Standing, switches: Switches) -> Response:
    """The 429 of an exhausted window."""
    if switches.throttle_body == "bare":
        response: Response = JSONResponse({"message": "API rate limit exceeded"}, 429)
    else:
        response = envelope("", 7003, "Too many requests for this account and resource within the last minute", 429)
    if switches.retry_after:
        response.headers["Retry-After"] = str(max(1, ceil(standing.wait)))
    return response


def throttle_fault(name: str, windows: Windows, switches: Switches) -> Response:
    """The answers of the throttle faults: as if another program had used up the credential's calls."""
    if name == "throttle-503":
        return PlainTextResponse("Service temporarily unavailable\n", 503)
    standing = windows.take(_ANONYMOUS, switches, calls=0)
    standing.remaining = 0
    bare = switches.model_copy(update={"throttle_body": "bare"})
    response = throttled(standing, bare if name == "throttle-text" else switches)
    if switches.rate_headers:
        response.raw_headers.extend(_rate_headers(standing))
    return response


def _rate_headers(standing: Standing) -> list[tuple[bytes, bytes]]:
    return [
        (b"X-RateLimit-Limit", str(standing.limit).encode()),
        (b"X-Ratelimit-Remaining", str(standing.remaining).encode()),
        (b"X-RateLimit-Reset", str(standing.reset).encode()),
    ]
