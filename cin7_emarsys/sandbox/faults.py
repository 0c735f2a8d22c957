"""The fault engine: what goes wrong, where, when and how often; and the transport faults as pure ASGI.

A spec: `{"name": NAME, "service"?: "cin7"|"emarsys", "path"?: text, "nth"?: int, "every"?: int, "probability"?: float,
"seed"?: int, "times"?: int, "method"?: "PUT", …extras}`; "fault" is accepted for "name". `path` is looked for, ignoring
case, in the path as sent followed by "?" and the query (so "/sale?" means the detail and not saleList); `method` counts
for transport faults only. Of the calls that match:
`nth` fires at the nth and, with `times`, at the following ones; `every` at each such multiple; `probability` by a
seeded draw; none of them at every call. `times` is a ceiling: 1 for `nth`, else unlimited.
Specs are asked in the order given; once one has ended a request, later ones do not see that call.

| fault | what the client sees | applied by the service? |
|---|---|---|
| throttle-429 / -503 / -text | `throttle_response(name)` of the service | no |
| server-error | 500, HTML | no |
| html-200 | 200, HTML page | no |
| error-200 | 200, the service's error body | no |
| auth-expired | 403 (Cin7) or 401 (Emarsys) once | no |
| slow | the right answer after `seconds` (2) | yes |
| truncated | the right answer cut in the middle, with a matching Content-Length | yes |
| reset-before / reset-after | the connection is closed without an answer | no / yes |
| applied-then-503 | 503, HTML | yes |
| clock-skew | the right answer, `Date` off by `seconds` (360) | yes |
"""

import asyncio
import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response

from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.requests import ASGIApp, Message, Receive, Scope, Send, full_path

THROTTLES = ("throttle-429", "throttle-503", "throttle-text")
TRANSPORT = (
    *THROTTLES,
    "server-error",
    "html-200",
    "error-200",
    "truncated",
    "slow",
    "reset-before",
    "reset-after",
    "applied-then-503",
    "auth-expired",
    "clock-skew",
)
SEMANTIC = ("partial-reject", "incomplete-snapshot", "shifted-page", "duplicate-row", "schema-change")
NAMES = (*TRANSPORT, *SEMANTIC)
SERVICES = ("cin7", "emarsys")

_KEYS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "service": (str,),
    "path": (str,),
    "method": (str,),
    "nth": (int,),
    "every": (int,),
    "probability": (int, float),
    "seed": (int,),
    "times": (int,),
    # extras, read by the fault itself
    "seconds": (int, float),
    "share": (int, float),
    "count": (int,),
    "mode": (str,),
    "field": (str,),
    "row": (int,),
    "code": (int, str),
    "message": (str,),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One firing. `firing` is 1 the first time its spec fires; `get` reads the spec's extras."""

    name: str
    spec: Mapping[str, Any]
    firing: int

    def get(self, key: str, default: Any = None) -> Any:
        return self.spec.get(key, default)


class _Counter:
    """One spec and how often it has been asked and has fired."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        self.path = spec.get("path", "").lower()
        self.times: int | None = spec.get("times", 1 if "nth" in spec else None)
        self.draw = random.Random(spec.get("seed", 0))  # noqa: S311
        self.calls = 0
        self.fired = 0

    def matches(self, service: str, path: str, method: str | None = None) -> bool:
        if self.spec.get("service", service) != service:
            return False
        if method is not None and self.spec.get("method", method).upper() != method:
            return False
        return not self.path or self.path in path.lower() or ("?" not in path and self.path in f"{path.lower()}?")

    def fires(self) -> bool:
        self.calls += 1
        if self.times is not None and self.fired >= self.times:
            return False
        spec = self.spec
        if (
            ("nth" in spec and self.calls < spec["nth"])
            or ("every" in spec and self.calls % spec["every"])
            or ("probability" in spec and self.draw.random() >= spec["probability"])
        ):
            return False
        self.fired += 1
        return True


class Faults:
    """The faults in force, for both services."""

    def __init__(self, specs: Iterable[dict[str, Any]] = ()) -> None:
        self._counters: list[_Counter] = []
        self.set(list(specs))

    def set(self, specs: list[dict[str, Any]]) -> None:
        """Replaces all. Raises ValueError that names the wrong key or value and lists the known ones."""
        self._counters = [_Counter(_checked(spec)) for spec in specs]

    def list(self) -> list[dict[str, Any]]:
        """Each spec with "calls" (that matched it) and "fired"."""
        return [{**counter.spec, "calls": counter.calls, "fired": counter.fired} for counter in self._counters]

    def hit(self, name: str, service: str, path: str) -> Fault | None:
        """Counts this call for the specs of that name and says whether one fires now."""
        for counter in self._counters:
            if counter.name == name and counter.matches(service, path) and counter.fires():
                return Fault(name, counter.spec, counter.fired)
        return None

    def transport(self, service: str, method: str, path: str, ending: Iterable[str]) -> "list_[Fault]":
        """The transport faults that fire for this call; the search stops at the first one whose name is in `ending`."""
        found: list_[Fault] = []
        for counter in self._counters:
            if counter.name in TRANSPORT and counter.matches(service, path, method) and counter.fires():
                found.append(Fault(counter.name, counter.spec, counter.fired))
                if counter.name in ending:
                    break
        return found


list_ = list  # `Faults.list` hides the type inside the class


def _checked(spec: Any) -> dict[str, Any]:
    if not isinstance(spec, dict):
        raise ValueError(f"a fault is an object, not {spec!r}; known keys: {', '.join(_KEYS)}")
    checked: dict[str, Any] = dict(spec)
    if "fault" in checked:
        checked.setdefault("name", checked.pop("fault"))
    value: Any
    for key, value in checked.items():
        if key not in _KEYS:
            raise ValueError(f"unknown key {key!r} in a fault; known keys: {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]) or isinstance(value, bool):
            kinds = " or ".join(kind.__name__ for kind in _KEYS[key])
            raise ValueError(f"{key!r} of a fault is {kinds}, not {value!r}")
        if key in ("nth", "every") and checked[key] < 1:
            raise ValueError(f"{key!r} of a fault counts from 1, not {value!r}")
    if checked.get("name") not in NAMES:
        raise ValueError(f"unknown fault {checked.get('name')!r}; known faults: {', '.join(NAMES)}")
    if checked.get("service", SERVICES[0]) not in SERVICES:
        raise ValueError(f"unknown service {checked['service']!r} in a fault; known services: {', '.join(SERVICES)}")
    return checked


# Where a fault makes sense in one small sync: reads of Cin7, writes of Emarsys.
_READS = ("/product?", "/customer?", "/salelist?", "/sale?", "/ref/productavailability?")
_CLOUD_WRITES = ("/contact/v1/", "/productItems", "/transactions", "/eventConfigurations/")
_API_WRITES = ("/contact", "/trigger", *_CLOUD_WRITES)
_WRITES = (*_API_WRITES, "/sales-data")
_WRITE_ONLY = ("reset-after", "applied-then-503", "partial-reject", "auth-expired")
_CIN7_ONLY = ("throttle-text",)


def default_specs(names: Iterable[str]) -> list[dict[str, Any]]:
    """Specs for `--faults NAME…`: each fires in one small sync on every path where it makes sense, and then stops.

    A path that is called many times (one sale each) gets its faults spread out; one that is called once gets them one
    after another, fewer of each the more names there are, so that a client with a handful of attempts gets through.
    """
    chosen = list(dict.fromkeys(names))
    _ = [_checked({"name": name}) for name in chosen]
    times = 2 if len(chosen) <= 2 else 1
    specs: list[dict[str, Any]] = []
    for turn, name in enumerate(chosen):
        if name in ("incomplete-snapshot", "shifted-page", "duplicate-row", "schema-change"):
            specs.append({"name": name, "service": "cin7", "path": "/ref/productavailability?", "nth": 1, "times": 2})
            if name in ("shifted-page", "duplicate-row"):
                paths = ("/product?", "/customer?", "/salelist?")
                specs += [{"name": name, "service": "cin7", "path": path, "nth": 1, "times": 1} for path in paths]
            continue
        places = [("cin7", path) for path in _READS if name not in _WRITE_ONLY]
        writes = _API_WRITES if name in ("auth-expired", "partial-reject") else _WRITES
        places += [("emarsys", path) for path in writes if name not in _CIN7_ONLY]
        for service, path in places:
            spec: dict[str, Any] = {"name": name, "service": service, "path": path, "nth": 1, "times": times}
            if path == "/contact":
                spec["method"] = "PUT"
            if path == "/sale?":
                spec |= {"nth": 2 + 3 * turn, "times": 2}
            if name == "slow":
                spec["seconds"] = 1.0
            specs.append(spec)
    return specs


# The transport faults.

ABORT = "sandbox_abort"
"""Key of `scope["state"]` under which the server's protocol puts a function that closes the connection at once."""

_BEFORE = (*THROTTLES, "server-error", "html-200", "error-200", "auth-expired", "reset-before")
_AFTER = ("truncated", "reset-after", "applied-then-503")
_HTML = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"

Answer = Callable[[], Response]


def _json(content: Any, status: int) -> Answer:
    return lambda: JSONResponse(content, status_code=status)


_ANSWERS: dict[str, dict[str, Answer]] = {
    "cin7": {
        "error-200": _json([{"ErrorCode": 500, "Exception": "An unexpected error has occurred."}], 200),
        "auth-expired": _json([{"ErrorCode": 403, "Exception": "Incorrect credentials!"}], 403),
    },
    "emarsys": {
        "error-200": _json({"replyCode": 1, "replyText": "Unable to process request", "data": ""}, 200),
        "auth-expired": _json({"replyCode": 1, "replyText": "Unauthorized", "data": ""}, 401),
    },
}


class FaultMiddleware:
    """Wraps one service; never touches `/_sandbox/`. Sets `Date` from the sandbox clock on every answer that has none.
    `throttle_response` gets the fault's name (throttle-429, throttle-503, throttle-text);
       `answers` may replace the bodies of "error-200", "auth-expired", "server-error" and "html-200"."""

    def __init__(
        self,
        app: ASGIApp,
        faults: Faults,
        service: str,
        clock: Clock,
        throttle_response: Callable[[str], Response],
        answers: Mapping[str, Answer] | None = None,
    ) -> None:
        self.app, self.faults, self.service, self.clock = app, faults, service, clock
        self.throttle_response = throttle_response
        self.answers: dict[str, Answer] = {
            "server-error": lambda: HTMLResponse(_HTML.format("Server Error"), status_code=500),
            "html-200": lambda: HTMLResponse(_HTML.format("Page not found")),
            "applied-then-503": lambda: HTMLResponse(_HTML.format("Service Unavailable"), status_code=503),
            **_ANSWERS[service],
            **(answers or {}),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_sandbox"):
            await self.app(scope, receive, send)
            return
        path = full_path(scope)
        found = self.faults.transport(self.service, scope["method"], path, (*_BEFORE, *_AFTER))
        skew = sum(float(fault.get("seconds", 360)) for fault in found if fault.name == "clock-skew")
        dated = self._dated(send, skew)
        for fault in found:
            if fault.name == "slow":
                await asyncio.sleep(float(fault.get("seconds", 2)))
        last = found[-1] if found else None
        if last is not None and last.name in _BEFORE:
            await self._instead(last, scope, receive, dated)
        elif last is not None and last.name in _AFTER:
            await self._afterwards(last, scope, receive, dated)
        else:
            await self.app(scope, receive, dated)

    def _dated(self, send: Send, skew: float) -> Send:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                if skew or not any(name.lower() == b"date" for name, _ in headers):
                    headers = [pair for pair in headers if pair[0].lower() != b"date"]
                    headers.append((b"date", self.clock.http_date(skew).encode()))
                message = {**message, "headers": headers}
            await send(message)

        return dated

    async def _instead(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.name == "reset-before":
            await _abort(scope, receive)
            return
        await _drain(receive)
        make = self.answers.get(fault.name)
        response = make() if make else self.throttle_response(fault.name)
        await response(scope, receive, send)

    async def _afterwards(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        status, headers, body = 500, [], b""

        async def keep(message: Message) -> None:
            nonlocal status, headers, body
            if message["type"] == "http.response.start":
                status, headers = message["status"], list(message.get("headers", []))
            else:
                body += message.get("body", b"")

        await self.app(scope, receive, keep)
        if fault.name == "reset-after":
            await _abort(scope, receive)
        elif fault.name == "applied-then-503":
            await self.answers["applied-then-503"]()(scope, receive, send)
        else:
            body = _cut(body)
            headers = [pair for pair in headers if pair[0].lower() != b"content-length"]
            headers.append((b"content-length", str(len(body)).encode()))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})


def _cut(body: bytes) -> bytes:
    """The first half, or less, such that it is not JSON by accident ("12" → "1")."""
    end = len(body) // 2
    while end:
        try:
            json.loads(body[:end])
        except ValueError:
            return body[:end]
        end -= 1
    return b"{"


async def _drain(receive: Receive) -> None:
    """Reads the request to its end, as a server does that answers without looking at the body."""
    while True:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            return


async def _abort(scope: Scope, receive: Receive) -> None:
    """Closes the connection without an answer; under a server without our protocol it raises instead."""
    abort = scope.get("state", {}).get(ABORT)
    if abort is None:
        raise ConnectionResetError("the sandbox closed the connection")
    abort()
    while (await receive())["type"] != "http.disconnect":
        pass
