"""The simulated account: everything that Emarsys would remember, and what the routes share."""

import random
from typing import Any

from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.emarsys.catalogue import Catalogue
from cin7_emarsys.sandbox.emarsys.contacts import Contact, Contacts
from cin7_emarsys.sandbox.emarsys.events import Events
from cin7_emarsys.sandbox.emarsys.fields import Fields
from cin7_emarsys.sandbox.emarsys.sales import Sales
from cin7_emarsys.sandbox.emarsys.switches import Switches
from cin7_emarsys.sandbox.emarsys.tactics import Tactics
from cin7_emarsys.sandbox.faults import Faults


class Account:
    """A fresh one has the system fields, and no contacts, events, sales or products."""

    def __init__(self, clock: Clock, faults: Faults, seed: int, switches: Switches) -> None:
        self.clock, self.faults, self.seed = clock, faults, seed
        self._switches = switches
        self.random = random.Random(seed)  # noqa: S311
        self.mails: list[dict[str, Any]] = []
        self.fields = Fields(self.switches)
        self.contacts = Contacts(clock, self.fields, seed, self.switches)
        self.events = Events()
        self.sales = Sales(clock, self.contacts, self.switches)
        self.catalogue = Catalogue(clock)
        self.tactics = Tactics(self.catalogue, self.contacts, self.switches, self.mail)

    def switches(self) -> Switches:
        return self._switches

    def switch(self, patch: dict[str, Any]) -> Switches:
        """Raises ValueError that names what is wrong."""
        self._switches = self._switches.changed(patch)
        self.contacts.reindex()
        return self._switches

    def mail(self, kind: str, about: str, contact: Contact | None) -> None:
        """Records a mail that would go out now; `about` is a sku, or the event's name for a triggered mail."""
        self.mails.append(
            {
                "kind": kind,
                "event" if kind == "triggered" else "sku": about,
                "email": contact.email if contact else "subscriber@example.com",
                "sent_at": self.clock.now().isoformat(timespec="milliseconds"),
                "opt_in": contact.opt_in if contact else None,
            }
        )
