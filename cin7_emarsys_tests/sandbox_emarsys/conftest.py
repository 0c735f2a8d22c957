"""One HTTP server for the session; each test gets a fresh account behind it."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.emarsys import CREDENTIALS, create_app
from cin7_emarsys.sandbox.faults import Faults


class Swapped:
    """An ASGI app that forwards to the app of the running test."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Emarsys:
    """A client of the account: `call` the Core API with a token, `judge` and `control` the sandbox."""

    def __init__(self, http: httpx.Client, clock: Clock, faults: Faults) -> None:
        self.http, self.clock, self.faults = http, clock, faults
        self._token = ""

    def token(self) -> httpx.Response:
        basic = (CREDENTIALS["EMARSYS_CLIENT_ID"], CREDENTIALS["EMARSYS_CLIENT_SECRET"])
        return self.http.post("/oauth2/token", auth=basic, data={"grant_type": "client_credentials"})

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        self._token = self._token or self.token().json()["access_token"]
        headers = {"Authorization": f"Bearer {self._token}"}
        return self.http.request(method, f"/api/v3/{path}", json=body, headers=headers)

    def cloud(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """A call of the Engagement Cloud edition."""
        self._token = self._token or self.token().json()["access_token"]
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        sent = {"Authorization": f"Bearer {self._token}", "Content-Type": kind, **headers}
        return self.http.request(
            method, f"/ec/{path}", content=None if body is None else json.dumps(body), headers=sent
        )

    def data(self, method: str, path: str, body: Any = None) -> Any:
        """`data` of a call that must succeed."""
        answer = self.call(method, path, body)
        assert (answer.status_code, answer.json()["replyCode"]) == (200, 0), answer.text
        return answer.json()["data"]

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, int]:
        """HTTP status and replyCode of a call."""
        answer = self.call(method, path, body)
        return answer.status_code, answer.json().get("replyCode")

    def upsert(self, *rows: dict[str, Any], key_id: str = "3") -> Any:
        return self.data("PUT", "contact/?create_if_not_exists=1", {"key_id": key_id, "contacts": list(rows)})

    def sell(self, *lines: str, header: str = "item,price,order,timestamp,email,quantity") -> httpx.Response:
        return self.upload("sales-data", "\n".join([header, *lines]) + "\n")

    def upload(self, name: str, text: str | bytes, **headers: str) -> httpx.Response:
        body = text.encode() if isinstance(text, str) else text
        sent = {"Authorization": f"Bearer {CREDENTIALS['EMARSYS_SALES_TOKEN']}", "Content-Type": "text/csv", **headers}
        return self.http.post(
            f"/hapi/merchant/{CREDENTIALS['EMARSYS_MERCHANT_ID']}/{name}/api", content=body, headers=sent
        )

    def judge(self, name: str, **query: int) -> Any:
        answer = self.http.get(f"/_sandbox/{name}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def control(self, name: str, body: Any = None, method: str = "POST") -> Any:
        answer = self.http.request(method, f"/_sandbox/{name}", json=body or {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def contact(self, email: str) -> Any:
        """The judge's view of one contact's fields."""
        return next(row["fields"] for row in self.judge("contacts")["contacts"] if row["email"] == email)


class Shop:
    """A web server with one product file behind basic auth."""

    def __init__(self) -> None:
        self.text, self.etag, self.status, self.seen_etags = "", "", 200, list[str]()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/products.csv"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(shop) -> type[BaseHTTPRequestHandler]:
        expected = base64.b64encode(f"{CREDENTIALS['FEED_USER']}:{CREDENTIALS['FEED_PASSWORD']}".encode()).decode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body, etag = shop.text.encode(), self.headers.get("If-None-Match", "")
                shop.seen_etags.append(etag)
                status = shop.status
                if self.headers.get("Authorization") != f"Basic {expected}":
                    status = 401
                elif status == 200 and etag and etag == shop.etag:
                    status = 304
                self.send_response(status)
                if status in (301, 302):
                    self.send_header("Location", shop.url)
                if shop.etag:
                    self.send_header("ETag", shop.etag)
                self.send_header("Content-Length", str(len(body) if status == 200 else 0))
                self.end_headers()
                if status == 200:
                    self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[httpx.Client, Swapped]]:
    swapped = Swapped()
    config = uvicorn.Config(
        swapped, host="127.0.0.1", port=0, lifespan="off", ws="none", log_level="critical", date_header=False
    )  # fmt: skip
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as http:
        yield http, swapped
    running.should_exit = True
    thread.join(10)


NewEmarsys = Callable[..., Emarsys]


@pytest.fixture
def new_emarsys(server: tuple[httpx.Client, Swapped]) -> NewEmarsys:
    """Starts a fresh account, with a rate limit if wanted."""

    def start(calls_per_window: int | None = None, window_seconds: float = 60, edition: str = "emarsys") -> Emarsys:
        http, swapped = server
        clock, faults = Clock(), Faults()
        swapped.app = create_app(
            clock=clock,
            faults=faults,
            seed=1,
            calls_per_window=calls_per_window,
            window_seconds=window_seconds,
            control_routes=[],
            edition=edition,
        )
        return Emarsys(http, clock, faults)

    return start


@pytest.fixture
def emarsys(new_emarsys: NewEmarsys) -> Emarsys:
    return new_emarsys()


@pytest.fixture
def cloud(new_emarsys: NewEmarsys) -> Emarsys:
    """An account of the Engagement Cloud edition."""
    return new_emarsys(edition="engagement_cloud")


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.close()
