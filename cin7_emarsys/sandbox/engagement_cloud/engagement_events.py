"""Engagement Cloud: POST engagementevent/v1/integrations/{id}/eventConfigurations/{id}/events, one event per call.

The body is free JSON that fits the schema which somebody configured; 202 without a body. Nothing de-duplicates: each call
is an event, and each event of a known contact is a mail. `draft=true` is a test event, which leaves no trace.
"""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cin7_emarsys.sandbox.emarsys.account import Account
from cin7_emarsys.sandbox.emarsys.auth import CREDENTIALS
from cin7_emarsys.sandbox.emarsys.events import Event
from cin7_emarsys.sandbox.emarsys.fields import EMAIL
from cin7_emarsys.sandbox.engagement_cloud.answers import NOT_FOUND, Problem, body_of, is_number, only, route
from cin7_emarsys.sandbox.requests import full_path

_IS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": is_number,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
}


def routes(account: Account) -> list[Route]:
    path = "/integrations/{integration}/eventConfigurations/{configuration}/events"
    return [route("POST", path, EngagementEvents(account).post)]


class EngagementEvents:
    def __init__(self, account: Account) -> None:
        self._account = account

    async def post(self, request: Request) -> Response:
        event, draft = self._event(request), request.query_params.get("draft", "false")
        only(request.query_params, ("draft",), ())
        if draft not in ("true", "false"):
            raise Problem(400, "draft must be true or false")
        data = await body_of(request, self._account.switches().max_bytes, fractions=float)
        for name, kind in event.schema.items():
            if name not in data or not _IS[kind](data[name]):
                raise Problem(422, f"{name} must be a {kind}", path=(name,))
        if event.schema:
            only(data, event.schema, (), 422)
        email = data.get(event.contact)
        if not isinstance(email, str) or not email:
            raise Problem(422, f"{event.contact} is required", path=(event.contact,))
        fault = self._account.faults.hit("partial-reject", "emarsys", full_path(request.scope))
        if fault is not None:
            raise Problem(422, str(fault.get("message", "Invalid value")), path=(event.contact,))
        if draft == "false":
            self._record(event, email, data)
        return Response(status_code=202)

    def _record(self, event: Event, email: str, data: dict[str, Any]) -> None:
        self._account.events.add(event, email, None, self._account.clock.now(), data, repeated=False)
        listeners, found = self._account.switches().event_listeners, self._account.contacts.find(EMAIL, email)
        if found and (listeners is None or event.name in listeners):
            self._account.mail("triggered", event.name, found[0])

    def _event(self, request: Request) -> Event:
        """Raises Problem 404."""
        wanted = request.path_params["configuration"]
        for event in self._account.events.by_id.values():
            if event.configuration_id == wanted:
                if request.path_params["integration"] == CREDENTIALS["EMARSYS_INTEGRATION_ID"]:
                    return event
                break
        raise Problem(404, "The requested event configuration was not found.", NOT_FOUND)
