"""Speaking HTTP to a vendor; the one import of httpx.

What belongs here: Retry(RateLimit(HTTP)), the classes of error, redaction, tokens, the vendor's clock. What does not:
what a vendor's answer means beyond that (the clients), and the shared window itself (``rate.py``).
"""

from __future__ import annotations

import json as jsonlib
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache, cached_property
from typing import Any
from urllib.parse import urlencode

import httpx
from pydantic import SecretStr

from cin7_emarsys import crash
from cin7_emarsys.rate import RateWindow

_EMAIL = re.compile(r"[^\s\"'<>=&/?,;:]+(?:@|%40)[^\s\"'<>=&/?,;]+")
_SECRET = re.compile(r"(?i)((?:token|secret|password|applicationkey|accountid|authorization)[\"'=:\s]+)[^\s\"'&,;}]+")
_EXCERPT = 200
_CLOCK_MOVED = 60.0  # seconds; a vendor's machines differ by less
# No connection, or a header that cannot be written (a token with a line break): not a byte has left.
_NOTHING_LEFT = (
    httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError,
)  # fmt: skip
# Nothing was applied. Any other failure of a request that may not go twice leaves that open: a gateway that gave up on us
# (408, 499) may have passed it on, and so may one that redirects.
_REFUSED = (400, 401, 403, 404, 413, 422, 429)
# Half of a surrogate pair, as a vendor leaves it that cuts a text in the middle of an emoji.
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def redact(text: str) -> str:
    """The text without e-mail addresses and without values that look like credentials."""
    return _SECRET.sub(r"\1(hidden)", _EMAIL.sub("(address)", text))


def _whole(value: Any) -> Any:
    """The same JSON with halves of surrogate pairs replaced: no file and no database takes them."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return value


class TransportError(Exception):
    """A call that did not end well. The text says what was asked, what came, and what to do; it carries no secret.

    ``sent`` tells whether the request may have reached the vendor, ``doubted`` whether an earlier attempt of the same call
    may have been applied.
    """

    advice = ""
    doubted = False

    def __init__(
        self,
        vendor: str,
        method: str,
        path: str,
        detail: str,
        *,
        status: int | None = None,
        sent: bool = True,
        body: str = "",
    ) -> None:
        self.vendor, self.method, self.path, self.status, self.sent = vendor, method, redact(path), status, sent
        self.detail = redact(detail)
        self.body = redact(body)[:2000]
        said = f" – {redact(body)[:_EXCERPT].strip()}" if body else ""
        super().__init__(
            f"{vendor}: {method} {self.path}: {self.detail}{said}" + (f". {self.advice}" if self.advice else "")
        )

    def hide(self, secrets: Iterable[str]) -> None:
        """Takes these values out of every text, for a vendor may echo what it was sent."""
        for secret in secrets:
            for name in ("path", "detail", "body"):
                setattr(self, name, getattr(self, name).replace(secret, "(hidden)"))
            self.args = tuple(str(part).replace(secret, "(hidden)") for part in self.args)


class Transient(TransportError):
    """The vendor has trouble (5xx), or the connection broke, on a request that may be repeated."""

    advice = "It was repeated without success; run again later, what was read or sent so far is kept"


class Permanent(TransportError):
    """The vendor refuses this request and will refuse it again."""


class AuthFailed(Permanent):
    """The credentials are not accepted."""

    advice = "Check the credentials in the environment or .env, then `cin7-emarsys doctor`"


class PermissionMissing(Permanent):
    """The credentials are good and lack a permission for this call."""

    advice = "Switch the permission on for this API credential, then `cin7-emarsys doctor`"


class NotJson(TransportError):
    """An answer that should be JSON is not (an HTML page, a truncated body)."""


class RefusedBeforeSend(TransportError):
    """No connection: certainly nothing reached the vendor."""

    advice = "Check the address and the network"


class UnknownAfterSend(TransportError):
    """The request left and no trustworthy answer came: it may have been applied, or not."""


@dataclass(frozen=True)
class Answer:
    """What came: status, headers (any letter case), body, the vendor's time, and how long it took in seconds."""

    vendor: str
    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    at: datetime
    seconds: float

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON, whatever its content type says; read once. Raises `NotJson`."""
        return self._json

    @cached_property
    def _json(self) -> Any:
        try:
            content = jsonlib.loads(self.content)
            return _whole(content) if _HALF.search(self.content) else content
        except ValueError:
            size = f"{len(self.content)} bytes that are not JSON (HTTP {self.status})"
            raise NotJson(
                self.vendor, self.method, self.path, f"got {size}", status=self.status, body=self.text[:_EXCERPT]
            ) from None


class OAuth2:
    """Client credentials: one token for all threads, renewed a minute before it ends and once when it is refused."""

    def __init__(self, vendor: str, token_url: str, client_id: SecretStr, client_secret: SecretStr) -> None:
        self._vendor, self._url, self._id, self._secret = vendor, token_url, client_id, client_secret
        self._lock = threading.Lock()
        self._token: str | None = None
        self._ends = 0.0

    def header(self, client: httpx.Client) -> str:
        with self._lock:
            if self._token is None or time.monotonic() >= self._ends:
                self._token, lasts = self._fetch(client)
                self._ends = time.monotonic() + max(lasts - 60, lasts / 2)
            return f"Bearer {self._token}"

    def refused(self, header: str) -> None:
        """Forgets the token, unless another thread has renewed it meanwhile."""
        with self._lock:
            if header == f"Bearer {self._token}":
                self._token = None

    def _fetch(self, client: httpx.Client) -> tuple[str, float]:
        path = httpx.URL(self._url).path
        try:
            answer = client.post(
                self._url,
                data={"grant_type": "client_credentials"},
                auth=(self._id.get_secret_value(), self._secret.get_secret_value()),
                headers={"Accept": "application/json"},
            )
        except httpx.RequestError as error:
            raise RefusedBeforeSend(
                self._vendor, "POST", path, f"{type(error).__name__} when asking for access", sent=False
            ) from None
        if 400 <= answer.status_code < 500 and answer.status_code != 429:
            raise AuthFailed(
                self._vendor,
                "POST",
                path,
                f"HTTP {answer.status_code} when asking for access",
                status=answer.status_code,
                sent=False,
            )
        try:
            body = answer.json()
            return str(body["access_token"]), float(body.get("expires_in", 300))
        except (ValueError, KeyError, TypeError):
            raise Transient(
                self._vendor,
                "POST",
                path,
                f"HTTP {answer.status_code} when asking for access",
                status=answer.status_code,
                sent=False,
            ) from None


@cache
def _tls() -> ssl.SSLContext:
    """One for all clients of the process: reading the certificates takes longer than a call."""
    return httpx.create_ssl_context(trust_env=False)


def _left(event: str, _: object) -> None:
    if event == "http11.send_request_body.complete":
        crash.point("sent")


class Transport:
    """Calls to one vendor with one key: paced, repeated where that is safe, and judged.

    ``headers`` go with every call. ``throttled`` says from an answer how long to wait (seconds), or None when it is no
    throttle; ``check`` raises when a 200 is none. ``slow_down`` gives seconds to wait after a good answer.
    """

    attempts = 6

    def __init__(
        self,
        vendor: str,
        base_url: str,
        window: RateWindow,
        *,
        headers: Callable[[], Mapping[str, str]] | None = None,
        token: OAuth2 | None = None,
        throttled: Callable[[Answer], float | None],
        slow_down: Callable[[Answer], float | None] | None = None,
        timeout: float = 60,
        back_off: float = 1.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.vendor, self.window = vendor, window
        self._headers, self._token, self._throttled, self._slow_down = headers, token, throttled, slow_down
        self._back_off, self._sleep = back_off, sleep
        self._ahead: float | None = None  # what this client was told
        self._jump: float | None = None  # what one answer said against that
        self.calls = 0
        self._count = threading.Lock()
        self._client = httpx.Client(
            base_url=base_url.rstrip("/") + "/",
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
            verify=_tls(),
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=16),
        )

    def close(self) -> None:
        self._client.close()

    def now(self) -> datetime:
        """The vendor's time (UTC): our clock, corrected by the last `Date` it sent, be it to another client.

        A `Date` that contradicts what was known is believed when the next answer says the same: one machine whose clock is
        off must not make everything late, and a clock that has really moved says so twice.
        """
        return datetime.now(UTC) + timedelta(seconds=self.ahead or 0)

    def confirm_clock(self, ask: Callable[[], object]) -> None:
        """Makes one more call (``ask``) if the last answer's clock contradicted what was known."""
        if self._jump is not None:
            ask()

    @property
    def ahead(self) -> float | None:
        """Seconds by which the vendor's clock is ahead of ours, as last told; None when it never told."""
        return self.window.clock() if self._ahead is None else self._ahead

    def request(
        self,
        method: str,
        path: str,
        *,
        lane: str,
        repeatable: bool,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        check: Callable[[Answer], None] | None = None,
        on_connecting: Callable[[], None] | None = None,
    ) -> Answer:
        """One call, repeated as is safe. Raises a `TransportError`. A throttle is none: it only takes time.

        ``repeatable`` says that the same request twice does no harm. Where it is False, whatever happens after the
        first byte has left raises `UnknownAfterSend`.
        """
        body = content if content is not None else None if json is None else jsonlib.dumps(json).encode()
        failures = malformed = 0
        renewed = doubted = False
        used: str | None = None
        while True:
            try:
                answer, used = self._once(
                    method, path, lane, repeatable, params, body, json is not None, headers, on_connecting
                )
                wait = self._throttled(answer)
                if wait is not None and (repeatable or answer.status < 500):  # a 5xx may follow an applied write
                    doubted |= answer.status >= 500
                    self.window.cool_down(wait + random.uniform(0, min(5.0, wait * 0.1)))  # noqa: S311 - jitter
                    continue
                if answer.status == 401 and self._token and used and not renewed:
                    self._token.refused(used)
                    renewed = True
                    continue
                self._judge(answer, repeatable)
                if check:
                    check(answer)
                pause = self._slow_down(answer) if self._slow_down else None
                if pause:
                    self.window.cool_down(pause)
                return answer
            except TransportError as error:
                error.hide(self._secrets(headers, used))
                error.doubted = doubted
                doubted |= error.sent and not isinstance(error, Permanent)
                if isinstance(error, NotJson):
                    malformed += 1
                    if not repeatable or malformed > 2:
                        raise
                    failures = max(failures, malformed)
                elif isinstance(error, Transient | RefusedBeforeSend):
                    failures += 1
                    if failures >= self.attempts:
                        raise
                else:
                    raise
            self._sleep(random.uniform(0, min(self._back_off * 2**failures, 60)))  # noqa: S311 - full jitter

    def _secrets(self, headers: Mapping[str, str] | None, used: str | None) -> set[str]:
        own = {name: value for name, value in (headers or {}).items() if name.lower() == "authorization"}
        values = [*(self._headers() if self._headers else {}).values(), *own.values(), used or ""]
        return {value.rpartition(" ")[2] for value in values if value}

    def _once(
        self,
        method: str,
        path: str,
        lane: str,
        repeatable: bool,
        params: Mapping[str, str | int] | None,
        body: bytes | None,
        is_json: bool,
        headers: Mapping[str, str] | None,
        on_connecting: Callable[[], None] | None,
    ) -> tuple[Answer, str | None]:
        asked = path + ("?" + urlencode(dict(params)) if params else "")
        sent = {"Content-Type": "application/json", "Accept": "application/json"} if is_json or body is None else {}
        sent |= dict(self._headers() if self._headers else {}) | dict(headers or {})
        used = self._token.header(self._client) if self._token else None
        if used:
            sent["Authorization"] = used
        with self.window.permit(lane):
            started = time.perf_counter()
            if on_connecting:
                on_connecting()
            with self._count:
                self.calls += 1
            try:
                got = self._client.request(
                    method,
                    path.lstrip("/"),
                    params=dict(params) if params else None,
                    content=body,
                    headers=sent,
                    extensions={"trace": _left} if on_connecting and crash.armed("sent") else None,
                )
            except _NOTHING_LEFT as error:
                raise RefusedBeforeSend(
                    self.vendor, method, asked, f"no connection ({type(error).__name__})", sent=False
                ) from None
            except httpx.RequestError as error:
                kind = Transient if repeatable else UnknownAfterSend
                raise kind(self.vendor, method, asked, f"the connection broke ({type(error).__name__})") from None
        moment = self._clock(got.headers.get("Date"))
        answer = Answer(
            self.vendor, method, asked, got.status_code, got.headers, got.content, moment, time.perf_counter() - started
        )
        return answer, used

    def _clock(self, date: str | None) -> datetime:
        if date:
            try:
                told = parsedate_to_datetime(date)
                told = told if told.tzinfo else told.replace(tzinfo=UTC)
            except ValueError:
                told = None
            if told is not None:
                known = self.ahead
                ahead = (told - datetime.now(UTC)).total_seconds()
                if known is not None and abs(ahead - known) > _CLOCK_MOVED and not self._said_before(ahead):
                    self._jump = ahead
                    return self.now()
                # The header has whole seconds: within one of what we know there is nothing to correct.
                if abs(ahead - (known or 0)) <= 1.5:
                    ahead = known or 0.0
                if ahead != known:
                    self.window.keep_clock(ahead)
                self._ahead, self._jump = ahead, None
        return self.now()

    def _said_before(self, ahead: float) -> bool:
        return self._jump is not None and abs(ahead - self._jump) <= _CLOCK_MOVED

    def _judge(self, answer: Answer, repeatable: bool) -> None:
        status = answer.status
        if 200 <= status < 300:
            return
        if not repeatable and status not in _REFUSED:
            raise self._error(UnknownAfterSend, answer, f"HTTP {status} after it was sent")
        if 300 <= status < 400:
            raise self._error(Permanent, answer, f"HTTP {status}, a redirect, which is never followed")
        if status == 401:
            raise self._error(AuthFailed, answer, "HTTP 401, the credentials are not accepted")
        if status == 403 and "credential" in answer.text[:1000].lower():
            raise self._error(AuthFailed, answer, "HTTP 403, the credentials are not accepted")
        if status == 403:
            raise self._error(PermissionMissing, answer, "HTTP 403, not allowed")
        if status >= 500:
            raise self._error(Transient, answer, f"HTTP {status}")
        raise self._error(Permanent, answer, f"HTTP {status}")

    def _error(self, kind: type[TransportError], answer: Answer, detail: str) -> TransportError:
        return kind(answer.vendor, answer.method, answer.path, detail, status=answer.status, body=answer.text[:2000])
