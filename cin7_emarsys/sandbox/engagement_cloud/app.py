"""The Engagement Cloud service put together: the middleware in its order, and all routes."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.emarsys.account import Account
from cin7_emarsys.sandbox.emarsys.auth import Tokens
from cin7_emarsys.sandbox.emarsys.gate import no_route
from cin7_emarsys.sandbox.engagement_cloud import contacts, engagement_events, product_items, transactions
from cin7_emarsys.sandbox.engagement_cloud.answers import GENERIC, refused
from cin7_emarsys.sandbox.engagement_cloud.gate import Gate
from cin7_emarsys.sandbox.faults import FaultMiddleware, Faults


def create_app(account: Account, tokens: Tokens, *, clock: Clock, faults: Faults) -> Starlette:
    """The service over `account`. Its faults are those of "emarsys", in this edition's error form."""
    answers = {
        "error-200": lambda: refused(200, "Internal error"),
        "auth-expired": lambda: refused(401, "Unauthorized"),
    }
    app = Starlette(
        routes=[
            *contacts.routes(account),
            *product_items.routes(account),
            *transactions.routes(account),
            *engagement_events.routes(account),
        ],
        middleware=[
            Middleware(
                FaultMiddleware,
                faults=faults,
                service="emarsys",
                clock=clock,
                throttle_response=_throttled,
                answers=answers,
            ),
            Middleware(Gate, tokens=tokens, switches=account.switches),
        ],
        exception_handlers={HTTPException: _unrouted},
    )
    app.router.redirect_slashes = False
    return app


def _throttled(name: str) -> Response:
    """A 429 of this edition is not described: the error form, or the gateway's bare text."""
    if name == "throttle-503":
        return refused(503, "Service temporarily unavailable")
    response: Response = refused(429, "Too many requests", GENERIC)
    if name == "throttle-text":
        response = PlainTextResponse("API rate limit exceeded\n", 429)
    response.headers["Retry-After"] = "1"
    return response


async def _unrouted(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        return refused(405, "Method not allowed")
    return no_route()
