"""What stands before every Engagement Cloud call: the account's edition, the prefixes, the token."""

from collections.abc import Callable, Mapping

from cin7_emarsys.sandbox.emarsys.auth import Tokens
from cin7_emarsys.sandbox.emarsys.gate import no_route
from cin7_emarsys.sandbox.emarsys.switches import Switches
from cin7_emarsys.sandbox.engagement_cloud.answers import GENERIC, PREFIX, refused
from cin7_emarsys.sandbox.requests import ASGIApp, Receive, Scope, Send, header


class Gate:
    """Pure ASGI, between the faults and the routes. No call limit is documented for this edition."""

    def __init__(self, app: ASGIApp, tokens: Tokens, switches: Callable[[], Switches]) -> None:
        self.app, self.tokens, self.switches = app, tokens, switches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        switches = self.switches()
        path = canonical(scope["path"].removeprefix(f"{PREFIX}/").rstrip("/"), switches.service_prefixes)
        if switches.edition != "engagement_cloud" or path is None:
            await no_route()(scope, receive, send)
        elif self.tokens.credential(header(scope, "authorization")) is None:
            await refused(401, "Unauthorized", GENERIC)(scope, receive, send)
        else:
            await self.app({**scope, "path": f"{PREFIX}/{path}"}, receive, send)


def canonical(path: str, prefixes: Mapping[str, str]) -> str | None:
    """The path without its service prefix, where the account may have one; None when it has another one."""
    for name, prefix in prefixes.items():
        full = f"{prefix}/{name}".strip("/")
        if path == full or path.startswith(f"{full}/"):
            return path.removeprefix(prefix).lstrip("/")
        if path == name or path.startswith(f"{name}/"):
            return None
    return path
