"""The record of every request a service received: the judge of what a client really called.

Page shape: `{"total": int, "requests": [{"method", "path", "status", "at", "key", "bytes", "t"}]}`, in order of
completion. `path` carries the query string as sent; `at` is the sandbox clock (ISO 8601, UTC); `key` is the first 8
characters of the SHA-256 of the credential header ("" when absent), never the credential; `bytes` is the size of the
response body; `t` is a monotonic time in seconds, to compute windows with. `status` 0: no answer was sent (a reset).
"""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from typing import Any

from cin7_emarsys.sandbox.clock import Clock

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def header(scope: Scope, name: str) -> str:
    """The value of a request header, "" when absent."""
    wanted = name.lower().encode()
    for key, value in scope["headers"]:
        if key == wanted:
            return str(value.decode("latin-1"))
    return ""


def full_path(scope: Scope) -> str:
    """The path as sent, with its query string."""
    path: str = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    query: bytes = scope.get("query_string", b"")
    return f"{path}?{query.decode('latin-1')}" if query else path


class RequestLog:
    """All requests of one service, kept as tuples in memory."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._rows: list[tuple[str, str, int, str, str, int, float]] = []
        self._keys: dict[str, str] = {"": ""}

    def add(self, method: str, path: str, status: int, credential: str, size: int) -> None:
        if credential not in self._keys:
            self._keys[credential] = sha256(credential.encode()).hexdigest()[:8]
        at = self._clock.now().isoformat(timespec="milliseconds")
        self._rows.append((method, path, status, at, self._keys[credential], size, time.monotonic()))

    def page(self, limit: int = 1000, offset: int = 0) -> dict[str, Any]:
        names = ("method", "path", "status", "at", "key", "bytes", "t")
        rows = self._rows[offset : offset + limit]
        return {"total": len(self._rows), "requests": [dict(zip(names, row, strict=True)) for row in rows]}


class RequestLogMiddleware:
    """Pure ASGI; goes outermost. Records each request of the service itself, nothing under `/_sandbox/`."""

    def __init__(self, app: ASGIApp, log: RequestLog, key_header: str) -> None:
        self.app, self.log, self.key_header = app, log, key_header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_sandbox"):
            await self.app(scope, receive, send)
            return
        status, size = 0, 0

        async def spy(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, spy)
        finally:
            self.log.add(scope["method"], full_path(scope), status, header(scope, self.key_header), size)
