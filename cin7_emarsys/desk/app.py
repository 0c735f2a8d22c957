"""The desk served on this machine: GET only, no script, no address from outside.

What belongs here: routes, what a bad question gets, headers. What does not: what a page shows (``pages.py``, ``lookup.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cin7_emarsys.desk import month, pages, render
from cin7_emarsys.desk.lookup import look_up
from cin7_emarsys.desk.source import Facts, NothingPublished, Published
from cin7_emarsys.merchant import Merchant

CSV_ROWS = 1_000_000
_LONGEST = 200  # characters of a question
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class _Sealed:
    """Every answer says that nothing from outside may be loaded and nothing kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, sealed)


def create_app(published: Published, merchant: Merchant) -> Starlette:
    """The pages over this copy of the warehouse. Only names of this machine are answered to."""
    links = render.Served()

    def page(template: str, here: str, facts: Facts, **shown: Any) -> HTMLResponse:
        return HTMLResponse(render.page(template, links, here=here, published_at=facts.published_at, **shown))

    def answering(answer: Callable[[Request, Facts], Response]) -> Callable[[Request], Response]:
        def endpoint(request: Request) -> Response:
            with published.read() as facts:
                return answer(request, facts)

        return endpoint

    def index(_: Request, facts: Facts) -> Response:
        now = datetime.now(UTC).replace(tzinfo=None)
        return page("index", "index", facts, **pages.overview(facts, merchant, now))

    def flows(_: Request, facts: Facts) -> Response:
        return page("flows", "flows", facts, **pages.flows(facts))

    def closed(request: Request, facts: Facts) -> Response:
        asked = request.query_params.get("month", "") or month.last_with_documents(facts)
        try:
            return page("month-close", "month-close", facts, asked=asked, month=month.close(facts, asked), wrong="")
        except month.NoSuchMonth as wrong:
            return page("month-close", "month-close", facts, asked=asked[:_LONGEST], month=None, wrong=str(wrong))

    def found(request: Request, facts: Facts) -> Response:
        asked = request.query_params.get("q", "")[:_LONGEST]
        return page("look-up", "look-up", facts, **look_up(facts, asked))

    def listed(listing: pages.Listing) -> tuple[Callable[[Request, Facts], Response], ...]:
        def asked(request: Request) -> dict[str, Any]:
            given = request.query_params
            number = given.get("page", "1")
            return {
                "filter": given.get("filter"),
                "search": given.get("search", "")[:_LONGEST],
                "page": int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 1,
            }

        def as_page(request: Request, facts: Facts) -> Response:
            return page(listing.template, listing.name, facts, shown=pages.show(facts, listing, **asked(request)))

        def as_csv(request: Request, facts: Facts) -> Response:
            shown = pages.show(facts, listing, **asked(request) | {"page": 1}, limit=CSV_ROWS)
            named = f'attachment; filename="{render.file_name(listing.name, shown.filter)}.csv"'
            return Response(
                render.rows_as_csv(listing, shown.rows),
                media_type="text/csv; charset=utf-8",
                headers={"Content-Disposition": named},
            )

        return as_page, as_csv

    def problem(status: int, headline: str, says: str) -> HTMLResponse:
        shown = {"here": "", "published_at": None, "headline": headline, "says": says}
        return HTMLResponse(render.page("problem", links, **shown), status)

    def nothing_published(_: Request, error: Exception) -> Response:
        return problem(503, "Nothing to show yet", str(error))

    def refused(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return problem(status, "There is no such page" if status == 404 else "That cannot be done here", "")

    routes = [
        Route("/", answering(index)),
        Route("/flows", answering(flows)),
        Route("/month-close", answering(closed)),
        Route("/look-up", answering(found)),
        Route("/desk.css", lambda _: FileResponse(render.STYLE, media_type="text/css")),
    ]
    for listing in pages.LISTINGS.values():
        as_page, as_csv = listed(listing)
        routes += [
            Route(f"/{listing.name}", answering(as_page), name=listing.name),
            Route(f"/{listing.name}.csv", answering(as_csv), name=f"{listing.name}.csv"),
        ]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(_Sealed),
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"]),
        ],
        exception_handlers={NothingPublished: nothing_published, HTTPException: refused},
    )
