"""Emarsys: the external events and POST event/{id}/trigger. A trigger is a send order; consent is not asked."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.routing import Route

from cin7_emarsys.sandbox.emarsys.account import Account
from cin7_emarsys.sandbox.emarsys.contact_writes import rejected
from cin7_emarsys.sandbox.emarsys.contacts import Contact
from cin7_emarsys.sandbox.emarsys.envelope import Call, Refusal, RowRefusal, core, local_time, only
from cin7_emarsys.sandbox.emarsys.events import Event
from cin7_emarsys.sandbox.requests import full_path

MAX_CONTACTS = 1000
MAX_DATA = 1_000_000
"""Bytes of one contact's data."""
WARN_DATA = 100_000
"""Above this Interactions programs do not get the data."""
_ROW = ("external_id", "trigger_id", "event_time", "data", "attachment")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")


@dataclass(slots=True)
class Trigger:
    external_id: Any
    trigger_id: str | None
    data: dict[str, Any]


def routes(account: Account) -> list[Route]:
    events = EventRoutes(account)
    switches = account.switches
    return [
        core(switches, "GET", "/event", events.listed, "externalevent.list"),
        core(switches, "POST", "/event", events.create, "externalevent.create"),
        core(switches, "GET", "/event/{id}", events.get, "externalevent.get"),
        core(switches, "GET", "/event/{id}/usages", events.usages, "externalevent.usages"),
        core(switches, "POST", "/event/{id}/trigger", events.trigger, "externalevent.trigger"),
    ]


class EventRoutes:
    def __init__(self, account: Account) -> None:
        self._account = account

    async def listed(self, call: Call) -> list[dict[str, Any]]:
        return [_shown(event) for event in self._account.events.by_id.values()]

    async def get(self, call: Call) -> list[dict[str, Any]]:
        return [_shown(self._event(call))]

    async def create(self, call: Call) -> dict[str, Any]:
        only(call.body, ("name",))
        name = call.body.get("name")
        if not isinstance(name, str) or not name.strip():
            raise Refusal(5002, "The event name is missing")
        if self._account.events.by_name(name):
            raise Refusal(5003, "An event with this name already exists")
        event = self._account.events.create(name, self._account.clock.now())
        return {"id": event.id, "name": event.name}

    async def usages(self, call: Call) -> dict[str, list[int]]:
        event = self._event(call)
        listener = [event.id * 10] if self._listened(event) else []
        program = event.name in self._account.switches().program_events
        return {
            "program_ids": listener if program else [],
            "email_ids": [] if program else listener,
            "interactions_program_ids": [],
        }

    async def trigger(self, call: Call) -> dict[str, Any]:
        event = self._event(call)
        batch = "contacts" in call.body
        triggers = _triggers(call.body, batch)
        sent = call.body.get("key_id", "")
        key_field = self._account.contacts.key_field(sent)
        if key_field is None:
            raise Refusal(2004, f"Invalid key field id: {sent}")
        interactions, listened = self._account.switches().interactions, self._listened(event)
        if not listened and not interactions:
            raise Refusal(5005, "No program or campaign is triggered.")
        ids, errors = self._sent(call, event, key_field, triggers)
        if errors and not batch:
            code, text = next(iter(next(iter(errors.values())).items()))
            raise Refusal(int(code), text)
        data: dict[str, Any] = {"ids": ids} if batch else {}
        shape = self._account.switches().errors_empty_shape
        if batch and (errors or shape != "absent"):
            data["errors"] = errors or ([] if shape == "array" else {})
        if interactions:
            program = event.name in self._account.switches().program_events
            connected = {"email": not program, "acProgram": program, "interactionsProgram": False}
            data["connectedTo"] = connected if listened else False
            if any(len(json.dumps(each.data).encode()) > WARN_DATA for each in triggers):
                data["warnings"] = ["The event data is too big for Interactions programs"]
        return data

    def _sent(
        self, call: Call, event: Event, key_field: str, triggers: list[Trigger]
    ) -> tuple[list[str], dict[str, dict[str, str]]]:
        fault = self._account.faults.hit("partial-reject", "emarsys", full_path(call.request.scope))
        places: set[int] = set()
        if fault is not None:
            places = rejected(fault.get("count", 1), fault.get("row"), len(triggers), fault.firing)
        ids: list[str] = []
        errors: dict[str, dict[str, str]] = {}
        for place, each in enumerate(triggers):
            try:
                contact = self._account.contacts.one(key_field, each.external_id)
                if fault is not None and place in places:
                    code = int(fault.get("code", 2008 if fault.firing % 2 else 2012))
                    text = "No contact found with the external id" if code == 2008 else "Invalid contact id"
                    raise RowRefusal(code, str(fault.get("message", f"{text}: {key_field} - {each.external_id}")))
                self._record(event, contact, each)
                ids.append(str(contact.id))
            except RowRefusal as refusal:
                errors[str(each.external_id)] = {str(refusal.code): refusal.text}
        return ids, errors

    def _record(self, event: Event, contact: Contact, each: Trigger) -> None:
        now, events = self._account.clock.now(), self._account.events
        switches = self._account.switches()
        repeated = events.repeated(each.trigger_id, now, switches.trigger_memory)
        if not switches.campaign_deduplication and event.name not in switches.program_events:
            repeated = False
        events.add(event, contact.email, each.trigger_id, now, each.data, repeated=repeated)
        if not repeated and self._listened(event):
            self._account.mail("triggered", event.name, contact)

    def _event(self, call: Call) -> Event:
        sent = call.request.path_params["id"]
        if not sent.isdecimal():
            raise Refusal(5004, f"Invalid event id: {sent}")
        event = self._account.events.by_id.get(int(sent))
        if event is None:
            raise Refusal(5001, f"The event does not exist: {sent}")
        return event

    def _listened(self, event: Event) -> bool:
        listeners = self._account.switches().event_listeners
        return listeners is None or event.name in listeners


def _shown(event: Event) -> dict[str, Any]:
    return {"id": event.id, "name": event.name, "created": local_time(event.created)}


def _triggers(body: dict[str, Any], batch: bool) -> list[Trigger]:
    """Any fault in time or data refuses the whole call, and nothing is triggered."""
    if not batch:
        only(body, ("key_id", *_ROW), key_name="key_id")
        return [_trigger({name: value for name, value in body.items() if name != "key_id"})]
    only(body, ("key_id", "contacts"), key_name="key_id")
    rows = body["contacts"]
    if not isinstance(rows, list) or not rows or any(not isinstance(row, dict) for row in rows):
        raise Refusal(10001, "Value must be an array.")
    if len(rows) > MAX_CONTACTS:
        raise Refusal(1000, "The maximum batch size of 1,000 contacts is exceeded")
    for row in rows:
        only(row, _ROW)
    return [_trigger(row) for row in rows]


def _trigger(row: dict[str, Any]) -> Trigger:
    time, trigger_id, data = row.get("event_time"), row.get("trigger_id"), row.get("data", {})
    if time is not None and not (isinstance(time, str) and _TIME.fullmatch(time) and _is_time(time)):
        raise Refusal(5010, "Invalid event_time: expected YYYY-MM-DDThh:mm:ssZ")
    if isinstance(data, str):
        raise Refusal(5009, "The event data is not valid JSON")
    if not isinstance(data, dict) or not isinstance(data.get("global", {}), dict):
        raise Refusal(5011, "The event data must be an object")
    if len(json.dumps(data, ensure_ascii=False).encode()) > MAX_DATA:
        raise Refusal(5008, "The event data is too big")
    if trigger_id is not None and (not isinstance(trigger_id, str) or not trigger_id):
        raise Refusal(10001, "Invalid parameter: trigger_id")
    if "attachment" in row and not isinstance(row["attachment"], list):
        raise Refusal(10001, "Invalid parameter: attachment")
    return Trigger(row.get("external_id"), trigger_id, data)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
