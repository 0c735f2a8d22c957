"""External events: their list, and the log of triggers. The routes are in `event_routes`."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FIRST_ID = 2001


@dataclass(slots=True)
class Event:
    id: int
    name: str
    created: datetime


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

    def repeated(self, trigger_id: str | None, now: datetime, memory: float) -> bool:
        """Whether this trigger id was accepted within the last `memory` seconds; remembers it."""
        if trigger_id is None:
            return False
        first = self.seen.get(trigger_id)
        if first is not None and (now - first).total_seconds() < memory:
            return True
        self.seen[trigger_id] = now
        return False
