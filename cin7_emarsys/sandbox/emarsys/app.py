"""The service put together: the middleware in its order, and all routes."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from cin7_emarsys.sandbox import engagement_cloud
from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.emarsys import (
    contact_reads,
    contact_writes,
    control,
    event_routes,
    field_routes,
    judge,
)
from cin7_emarsys.sandbox.emarsys.account import Account
from cin7_emarsys.sandbox.emarsys.auth import Tokens
from cin7_emarsys.sandbox.emarsys.envelope import envelope
from cin7_emarsys.sandbox.emarsys.feed import Feed
from cin7_emarsys.sandbox.emarsys.gate import Gate, no_route, throttle_fault
from cin7_emarsys.sandbox.emarsys.limits import Windows
from cin7_emarsys.sandbox.emarsys.switches import Switches
from cin7_emarsys.sandbox.faults import FaultMiddleware, Faults
from cin7_emarsys.sandbox.requests import RequestLog, RequestLogMiddleware


def create_app(
    *,
    clock: Clock,
    faults: Faults,
    seed: int,
    calls_per_window: int | None,
    window_seconds: float,
    control_routes: list[Route],
    edition: str = "emarsys",
) -> Starlette:
    """The Emarsys service with a fresh account of `edition` (see `Switches.edition`); both editions' paths are there.
    `control_routes` (clock, faults, merchant) are mounted as they are.

    Of two routes of the same path the more general one comes later. The server must not add a `Date` of its own.
    """
    fresh = {"rate_limit": calls_per_window, "rate_window": window_seconds, "edition": edition}
    account = Account(clock, faults, seed, Switches.model_validate(fresh))
    tokens = Tokens(clock, seed, lambda: account.switches().token_lifetime)
    windows, feed, log = Windows(clock), Feed(account), RequestLog(clock)

    def throttle(name: str) -> Response:
        return throttle_fault(name, windows, account.switches())

    routes = [
        Route("/healthcheck", _healthcheck, methods=["GET"]),
        Route("/oauth2/token", tokens.endpoint, methods=["POST"]),
        *contact_reads.routes(account),
        *contact_writes.routes(account),
        *field_routes.routes(account),
        *event_routes.routes(account),
        Route("/hapi/merchant/{merchant}/sales-data/api", account.sales.upload, methods=["POST"]),
        Route("/hapi/merchant/{merchant}/catalog/api", feed.upload, methods=["POST"]),
        *judge.routes(account, log),
        *control.routes(account, tokens, feed),
        *control_routes,
    ]
    core = Starlette(
        routes=routes,
        middleware=[
            Middleware(FaultMiddleware, faults=faults, service="emarsys", clock=clock, throttle_response=throttle),
            Middleware(Gate, tokens=tokens, windows=windows, switches=account.switches),
        ],
        exception_handlers={HTTPException: _unrouted},
    )
    core.router.redirect_slashes = False
    cloud = engagement_cloud.create_app(account, tokens, clock=clock, faults=faults)
    return Starlette(
        routes=[Mount(engagement_cloud.PREFIX, app=cloud), Mount("", app=core)],
        middleware=[Middleware(RequestLogMiddleware, log=log, key_header="authorization")],
    )


async def _healthcheck(request: Request) -> Response:
    return PlainTextResponse("OK")


async def _unrouted(request: Request, error: Exception) -> Response:
    """A wrong method on the Core API has an envelope."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return no_route()
    if status == 405 and request.url.path.startswith("/api/v3/"):
        return envelope("", 1009, "Invalid HTTP method", 400)
    return JSONResponse({"message": "error"}, status)
