"""Who may call: the fixed sandbox credentials, OAuth2 tokens for the Core API, the static token of the uploads."""

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from secrets import compare_digest
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from cin7_emarsys.sandbox.clock import Clock

CREDENTIALS: dict[str, str] = {
    "EMARSYS_CLIENT_ID": "sandbox-client",
    "EMARSYS_CLIENT_SECRET": "sandbox-not-a-secret",
    "EMARSYS_INTEGRATION_ID": "5a4db0c0-0000-4000-8000-000000000001",
    "EMARSYS_MERCHANT_ID": "5A4DB0C5A4DB0C00",
    "EMARSYS_SALES_TOKEN": "sandbox-sales-token",
    "FEED_USER": "sandbox-feed",
    "FEED_PASSWORD": "sandbox-feed-password",
}
"""Fixed and fake. The sales token also opens the catalogue upload; the integration is for engagement events."""


class Tokens:
    """OAuth2 client credentials: JWT-looking tokens, each bound to its client and valid until a sandbox time."""

    def __init__(self, clock: Clock, seed: int, lifetime: Callable[[], float]) -> None:
        self._clock, self._seed, self._lifetime = clock, seed, lifetime
        self._issued: dict[str, tuple[str, float]] = {}

    def credential(self, authorization: str) -> str | None:
        """The client of a valid `Bearer` header."""
        scheme, _, token = authorization.partition(" ")
        client, until = self._issued.get(token, ("", 0.0))
        if scheme.lower() != "bearer" or self._clock.now().timestamp() >= until:
            return None
        return client

    def revoke(self) -> int:
        """Ends all tokens; returns how many there were."""
        ended = len(self._issued)
        self._issued.clear()
        return ended

    async def endpoint(self, request: Request) -> Response:
        """`POST /oauth2/token`: HTTP Basic, `grant_type=client_credentials` as a form."""
        client = _basic(request.headers.get("authorization", ""))
        if client is None:
            return JSONResponse({"error": "invalid_client"}, 401, {"WWW-Authenticate": "Basic"})
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return JSONResponse({"error": "invalid_request"}, 400)
        form = parse_qs((await request.body()).decode("latin-1"), keep_blank_values=True)
        if form.get("grant_type") != ["client_credentials"]:
            wrong = "unsupported_grant_type" if "grant_type" in form else "invalid_request"
            return JSONResponse({"error": wrong}, 400)
        answer = {"access_token": self._new(client), "token_type": "bearer", "expires_in": int(self._lifetime())}
        return JSONResponse({**answer, "scope": ""}, headers={"Cache-Control": "no-store"})

    def _new(self, client: str) -> str:
        until = self._clock.now().timestamp() + self._lifetime()
        number = len(self._issued) + 1
        parts = [{"alg": "RS256", "typ": "JWT"}, {"sub": client, "exp": int(until), "jti": f"{self._seed}-{number}"}]
        text = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
        token = f"{text}.{_base64url(sha256(f'{self._seed}{text}{until}'.encode()).digest())}"
        self._issued[token] = (client, until)
        return token


def upload_refused(request: Request) -> Response | None:
    """The check of the uploads on `/hapi/merchant/{merchant}`: token first, then the merchant; any case of `Bearer`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not compare_digest(token.encode(), CREDENTIALS["EMARSYS_SALES_TOKEN"].encode()):
        return PlainTextResponse("Unauthorized\n", 401)
    if request.path_params["merchant"] != CREDENTIALS["EMARSYS_MERCHANT_ID"]:
        return PlainTextResponse("Unknown merchant\n", 404)
    return None


def _basic(authorization: str) -> str | None:
    scheme, _, text = authorization.partition(" ")
    try:
        client, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return None
    known = client == CREDENTIALS["EMARSYS_CLIENT_ID"] and secret == CREDENTIALS["EMARSYS_CLIENT_SECRET"]
    return client if known and scheme.lower() == "basic" else None


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
