"""The controls under `/_sandbox/` that both ports share: the clock, the faults, the merchant. No vendor has these."""

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.faults import Faults

Act = Callable[[dict[str, Any]], dict[str, Any]]


def control_routes(clock: Clock, faults: Faults, act: Act) -> list[Route]:
    """`act` does one merchant action and says what it did; a ValueError of any of them is answered as 400."""

    async def clock_route(request: Request) -> Response:
        return await _guarded(request, dict, lambda body: _advance(clock, body))

    async def faults_route(request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse(faults.list())

        def put(body: list[dict[str, Any]]) -> Any:
            faults.set(body)
            return faults.list()

        return await _guarded(request, list, put)

    async def merchant_route(request: Request) -> Response:
        return await _guarded(request, dict, act)

    return [
        Route("/_sandbox/clock", clock_route, methods=["POST"]),
        Route("/_sandbox/faults", faults_route, methods=["GET", "PUT"]),
        Route("/_sandbox/merchant", merchant_route, methods=["POST"]),
    ]


def _advance(clock: Clock, body: dict[str, Any]) -> dict[str, Any]:
    seconds = body.get("advance")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or set(body) != {"advance"}:
        raise ValueError('the clock takes {"advance": seconds}')
    clock.advance(seconds)
    return {"now": clock.now().isoformat(timespec="milliseconds")}


async def _guarded(request: Request, kind: type, do: Callable[[Any], Any]) -> Response:
    try:
        body = json.loads(await request.body() or b"null")
        if not isinstance(body, kind):
            raise ValueError(f"expected a JSON {'array' if kind is list else 'object'}")
        return JSONResponse(do(body))
    except ValueError as problem:
        return JSONResponse({"error": str(problem)}, status_code=400)
