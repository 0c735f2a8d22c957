"""External events: their list, and the log of triggers. The routes are in `event_routes`."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

FIRST_ID = 2001
SCHEMA_KINDS = ("string", "number", "boolean", "object", "array")


@dataclass(slots=True)
class Event:
    """For engagement events: `schema` (property → kind; empty = anything), `contact` (the property with the e-mail)."""

    id: int
    name: str
    created: datetime
    schema: dict[str, str] = field(default_factory=dict)
    contact: str = "email"

    @property
    def configuration_id(self) -> str:
        return str(UUID(int=self.id))


@dataclass(slots=True)
class Events:
    """`log` is the judge's: `{"event", "email", "trigger_id", "received_at", "data", "deduplicated"}`."""

    by_id: dict[int, Event] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    seen: dict[str, datetime] = field(default_factory=dict)
    """When each trigger id was first accepted."""

    def by_name(self, name: str) -> Event | None:
        return next((event for event in self.by_id.values() if event.name == name), None)

    def create(self, name: str, at: datetime) -> Event:
        event = Event(FIRST_ID + len(self.by_id), name, at)
        self.by_id[event.id] = event
        return event

    def add(
        self, event: Event, email: str, trigger_id: str | None, at: datetime, data: dict[str, Any], *, repeated: bool
    ) -> None:
        self.log.append(
            {
                "event": event.name,
                "email": email,
                "trigger_id": trigger_id,
                "received_at": at.isoformat(timespec="milliseconds"),
                "data": data,
                "deduplicated": repeated,
            }
        )

    def repeated(self, trigger_id: str | None, now: datetime, memory: float) -> bool:
        """Whether this trigger id was accepted within the last `memory` seconds; remembers it."""
        if trigger_id is None:
            return False
        first = self.seen.get(trigger_id)
        if first is not None and (now - first).total_seconds() < memory:
            return True
        self.seen[trigger_id] = now
        return False
