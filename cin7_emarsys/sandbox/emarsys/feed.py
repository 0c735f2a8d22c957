"""How the product file gets in: Emarsys downloads it from a URL, or somebody pushes it to the upload."""

import asyncio
import base64
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as Call
from starlette.responses import PlainTextResponse, Response

from cin7_emarsys.sandbox.emarsys.account import Account
from cin7_emarsys.sandbox.emarsys.auth import CREDENTIALS, upload_refused
from cin7_emarsys.sandbox.emarsys.catalogue import parsed
from cin7_emarsys.sandbox.emarsys.sales import unpacked

TIMEOUT = 60
"""Seconds for the download."""


class _NoRedirect(HTTPRedirectHandler):
    """Credentials are in the headers, so a redirect is an error."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


class Feed:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._etags: dict[str, str] = {}
        self._one_at_a_time = asyncio.Lock()

    async def pull(self, url: str, user: str | None = None, password: str | None = None) -> dict[str, Any]:
        """`{"status": "imported"|"unchanged"|"rejected", "version", "rows", "errors", "tactics": report or null}`."""
        async with self._one_at_a_time:
            catalogue = self._account.catalogue
            try:
                body, etag = await run_in_threadpool(
                    fetch, url, user or CREDENTIALS["FEED_USER"], password or CREDENTIALS["FEED_PASSWORD"],
                    self._etags.get(url),
                )  # fmt: skip
            except HTTPError as error:
                error.close()
                if error.code == 304:
                    return {**catalogue.report("unchanged", [], url), "tactics": None}
                return {**catalogue.report("rejected", [f"HTTP {error.code}"], url), "tactics": None}
            except (OSError, HTTPException, ValueError) as error:
                return {**catalogue.report("rejected", [f"download failed: {error}"], url), "tactics": None}
            answer = await self._import(body, url, feeds_tactics=True)
            if answer["status"] == "imported":
                self._etags.pop(url, None)
                if etag:
                    self._etags[url] = etag
            return answer

    async def upload(self, request: Call) -> Response:
        """`POST /hapi/merchant/{merchant}/catalog/api`: the same file, pushed."""
        if (refused := upload_refused(request)) is not None:
            return refused
        try:
            if not request.headers.get("content-type", "").startswith("text/csv"):
                raise ValueError("the content type is not text/csv")
            body = unpacked(await request.body(), request.headers.get("content-encoding", "identity"))
        except ValueError as error:
            return PlainTextResponse(f"Upload refused: {error}\n", 400)
        async with self._one_at_a_time:
            answer = await self._import(body, "upload", self._account.switches().push_feeds_tactics)
        if answer["status"] == "rejected":
            return PlainTextResponse(f"Upload refused: {'; '.join(answer['errors'])}\n", 400)
        return PlainTextResponse("Upload accepted\n")

    async def _import(self, body: bytes, source: str, feeds_tactics: bool) -> dict[str, Any]:
        catalogue, switches = self._account.catalogue, self._account.switches()
        items, errors = await run_in_threadpool(parsed, body, switches.catalogue_bom)
        if errors:
            return {**catalogue.report("rejected", errors, source), "tactics": None}
        answer = catalogue.replace(items, source)
        tactics = None
        if not feeds_tactics:
            catalogue.skip_check()
        elif switches.tactic_check == "auto":
            tactics = self._account.tactics.check()
        return {**answer, "tactics": tactics}


def fetch(url: str, user: str, password: str, etag: str | None) -> tuple[bytes, str | None]:
    """Downloads with basic auth. Raises HTTPError for every status but 200, 304 included."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"not an HTTP URL: {url}")
    credential = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {credential}", "Accept": "text/csv", "User-Agent": "emarsys-sandbox"}
    if etag:
        headers["If-None-Match"] = etag
    opener = build_opener(ProxyHandler({}), _NoRedirect())
    with opener.open(Request(url, headers=headers), timeout=TIMEOUT) as response:  # noqa: S310
        if response.status != 200:
            raise ValueError(f"HTTP {response.status}")
        return response.read(), response.headers.get("ETag")
