"""Serving the product data file to Emarsys, and noticing that it was fetched.

What belongs here: one file behind basic auth, with ETag and Last-Modified. What does not: making it (``catalogue.py``).
Run it behind a proxy that adds HTTPS; it listens on this machine only.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
import secrets
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from cin7_emarsys.emarsys.ledger import Ledger
from cin7_emarsys.settings import Settings

_PIECE = 64 * 1024


class _Whole(Response):
    """An answer whose task runs only when the client stayed to the end.

    A body sent in one piece counts as sent while it still waits in a buffer; so it goes in pieces, each once the one before
    has left, and the last one only to a client that is still there.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        content = bytes(self.body)
        last = max(len(content) - 1, 0) // _PIECE * _PIECE
        for start in range(0, last, _PIECE):
            await send({"type": "http.response.body", "body": content[start : start + _PIECE], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await asyncio.sleep(0.1)  # that a connection broke is told a moment after the writing stopped to wait for it
        if not await Request(scope, receive).is_disconnected():
            await send({"type": "http.response.body", "body": content[last:]})
            if self.background:
                await self.background()


def create_app(settings: Settings, ledger: Ledger) -> Starlette:
    """GET /<filename>: 200 with the whole file, 304 when the client has it, 401, or 404 before the first publication.

    A complete answer marks the version collected, after the last byte was handed over.
    """
    file = settings.paths.feed / settings.merchant.catalogue.filename

    async def serve(request: Request) -> Response:
        if not _allowed(request, settings):
            return PlainTextResponse("Unauthorized", 401, {"WWW-Authenticate": 'Basic realm="product data"'})
        try:
            content, changed = _read(file)
        except FileNotFoundError:
            return PlainTextResponse("Nothing has been published yet", 404)
        sha = hashlib.sha256(content).hexdigest()
        headers = {
            "ETag": f'"{sha}"',
            "Last-Modified": format_datetime(changed, usegmt=True),
            "Cache-Control": "no-cache",
        }
        if f'"{sha}"' in request.headers.get("If-None-Match", ""):
            return Response(status_code=304, headers=headers)
        if request.method == "HEAD":
            return Response(status_code=200, headers={**headers, "Content-Length": str(len(content))})
        note = BackgroundTask(ledger.collected, sha, datetime.now(UTC).replace(tzinfo=None))
        return _Whole(content, media_type="text/csv; charset=utf-8", headers=headers, background=note)

    return Starlette(routes=[Route(f"/{file.name}", serve, methods=["GET", "HEAD"])])


def _read(file: Path) -> tuple[bytes, datetime]:
    with file.open("rb") as handle:  # one handle: a rename beside us cannot mix two versions
        return handle.read(), datetime.fromtimestamp(os.fstat(handle.fileno()).st_mtime, UTC)


def _allowed(request: Request, settings: Settings) -> bool:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(value, validate=True)
    except binascii.Error:
        return False
    wanted = f"{settings.feed.user}:{settings.feed.password.get_secret_value()}".encode()
    return secrets.compare_digest(given, wanted)


def run(app: Starlette, port: int, ready: Callable[[int], None]) -> None:
    """Serves on this machine until SIGINT or SIGTERM. ``ready`` is told the port once it listens."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as problem:
            raise OSError(problem.errno, f"port {port} of 127.0.0.1 cannot be used: {problem.strerror}") from None
        listener.listen()
        ready(listener.getsockname()[1])
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])
