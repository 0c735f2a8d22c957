"""Cin7 Core over HTTP: which paths exist, who may call, how often, and how errors look."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from cin7_emarsys.sandbox.cin7.paging import Pager
from cin7_emarsys.sandbox.cin7.params import BadRequest, Params
from cin7_emarsys.sandbox.cin7.routes import Routes
from cin7_emarsys.sandbox.cin7.switches import Switches
from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.faults import FaultMiddleware, Faults
from cin7_emarsys.sandbox.limits import Limiter
from cin7_emarsys.sandbox.merchant.world import Merchant
from cin7_emarsys.sandbox.requests import Receive, RequestLog, RequestLogMiddleware, Scope, Send, full_path, header

CREDENTIALS = {
    "CIN7_ACCOUNT_ID": "5a4db0c5-0000-4000-8000-00000000c1a7",
    "CIN7_APPLICATION_KEY": "5a4db0c5-1111-4111-8111-5eed5eed5eed",
}
"""Fixed and worthless outside the sandbox."""

PREFIX = "/externalapi/v2/"
_ACCOUNT, _KEY = "api-auth-accountid", "api-auth-applicationkey"
_NOT_FOUND = (
    "<!DOCTYPE html>\n<html><head><title>Page not found</title></head><body><h1>Page not found</h1></body></html>"
)
_MESSAGE = "You have reached 60 calls per 60 seconds API limit."


def error(status: int, message: str, code: int | None = None, headers: dict[str, str] | None = None) -> Response:
    """`[{"ErrorCode": …, "Exception": …}]`; the code is not always the status."""
    body = [{"ErrorCode": status if code is None else code, "Exception": message}]
    return JSONResponse(body, status_code=status, headers=headers)


class Cin7Service:
    """The ASGI application behind `/ExternalApi/v2/`."""

    def __init__(self, merchant: Merchant, faults: Faults, limiter: Limiter) -> None:
        self.switches = Switches()
        self.limiter = limiter
        self.routes = Routes(merchant, self.switches, Pager(faults))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.answer(scope)(scope, receive, send)

    def answer(self, scope: Scope) -> Response:
        path = scope["path"].lower()
        endpoint = self.routes.table.get(path.removeprefix(PREFIX).rstrip("/")) if path.startswith(PREFIX) else None
        if endpoint is None:
            return HTMLResponse(_NOT_FOUND, status_code=404 if self.switches.unknown_route_404 else 200)
        account, key = header(scope, _ACCOUNT), header(scope, _KEY)
        if account.lower() != CREDENTIALS["CIN7_ACCOUNT_ID"] or key.lower() != CREDENTIALS["CIN7_APPLICATION_KEY"]:
            return error(403, "Incorrect credentials!")
        if not self.limiter.take(key.lower()):
            return self.throttle(f"throttle-{self.switches.throttle_mode}", key.lower())
        if scope["method"] != "GET":
            return error(405, f"The requested resource does not support http method '{scope['method']}'.")
        try:
            params = Params(scope.get("query_string", b""), reject_z=self.switches.reject_z)
            body = endpoint(params, full_path(scope))
        except BadRequest as problem:
            return error(400, str(problem), problem.code)
        return Response(body.encode(), media_type="application/json")

    def throttle(self, kind: str, key: str = "") -> Response:
        """429 with headers, 503 without, or 400 with the message only."""
        if kind == "throttle-503":
            return error(503, _MESSAGE)
        if kind != "throttle-429":
            return error(400, _MESSAGE)
        headers = {
            "Retry-After": self.limiter.retry_after,
            "x-ratelimit-limit": str(self.limiter.calls or 60),
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": str(round(self.limiter.reset_in(key))),
        }
        return error(429, _MESSAGE, headers=headers)


def create_app(
    merchant: Merchant,
    *,
    clock: Clock,
    faults: Faults,
    calls_per_window: int | None,
    window_seconds: float,
    control_routes: Sequence[Route] = (),
) -> Starlette:
    """`calls_per_window` None: no limit; throttle faults then name `window_seconds` as the time to wait."""
    service = Cin7Service(merchant, faults, Limiter(calls_per_window, window_seconds))
    log = RequestLog(clock)

    async def ledger(request: Request) -> Response:
        return _judged(request, lambda limit, offset: merchant.ledger(limit, offset, _moment(request)))

    async def requests(request: Request) -> Response:
        return _judged(request, log.page)

    async def switches(request: Request) -> Response:
        try:
            changes = json.loads(await request.body() or b"{}")
            if not isinstance(changes, dict):
                raise ValueError("switches are an object: {name: value}")
            values = service.switches.update(changes)
        except ValueError as problem:
            return JSONResponse({"error": str(problem)}, status_code=400)
        service.limiter.fixed = service.switches.fixed_window
        return JSONResponse(values)

    return Starlette(
        routes=[
            Route("/_sandbox/ledger", ledger, methods=["GET"]),
            Route("/_sandbox/requests", requests, methods=["GET"]),
            Route("/_sandbox/switches", switches, methods=["POST"]),
            *control_routes,
            Route("/{path:path}", endpoint=service),
        ],
        middleware=[
            Middleware(RequestLogMiddleware, log=log, key_header=_KEY),
            Middleware(
                FaultMiddleware,
                faults=faults,
                service="cin7",
                clock=clock,
                throttle_response=service.throttle,
            ),
        ],
    )


def _judged(request: Request, page: Callable[[int, int], dict[str, Any]]) -> Response:
    """A page of a judge: `?limit=` (1,000) and `?offset=` (0)."""
    try:
        limit, offset = (int(request.query_params.get(n, d)) for n, d in (("limit", 1000), ("offset", 0)))
        return JSONResponse(page(limit, offset))
    except ValueError as problem:
        return JSONResponse({"error": str(problem)}, status_code=400)


def _moment(request: Request) -> datetime | None:
    """`?at=` in ISO 8601; UTC unless it says otherwise."""
    at = request.query_params.get("at", "").replace(" ", "+")
    if not at:
        return None
    moment = datetime.fromisoformat(at)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
