"""The mails that Emarsys sends by itself after a change of the catalogue: back in stock, low in stock, price drop.

A check compares the current version with the one at the previous check, and records the mails that would go out.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from hashlib import sha256
from typing import Any

from cin7_emarsys.sandbox.emarsys.catalogue import TRUE, Catalogue, Item
from cin7_emarsys.sandbox.emarsys.contacts import Contact, Contacts
from cin7_emarsys.sandbox.emarsys.switches import Switches

MAX_PRODUCTS = 10
"""Per contact and program in one check; the dearest first."""
MAX_INTERESTED = 3
KINDS = ("back_in_stock", "low_stock", "price_drop")

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
Mail = Callable[[str, str, Contact | None], None]


class Tactics:
    def __init__(self, catalogue: Catalogue, contacts: Contacts, switches: Callable[[], Switches], mail: Mail) -> None:
        self._catalogue, self._contacts, self._switches, self._mail = catalogue, contacts, switches, mail

    def check(self) -> dict[str, Any]:
        """`{"compared": [version then, version now], "mails": {kind: number}, "errors": [text]}`."""
        catalogue = self._catalogue
        then, now = catalogue.checked, catalogue.items
        compared = [catalogue.checked_version, catalogue.version]
        catalogue.skip_check()
        counts, errors = dict.fromkeys(KINDS, 0), []
        if then is not None and then is not now:
            changed = [item for sku, item in now.items() if then.get(sku) != item]
            errors = self._low_stock_errors(now.values())
            low = [] if errors else [item for item in changed if self._became_low(then.get(item["item"]), item)]
            audience = list(self._contacts.by_id.values())
            back = filter(self._is_back(then, compared[0]), changed)
            cheaper = filter(self._is_cheaper(then), changed)
            found = zip(KINDS, (back, low, cheaper), strict=True)
            counts = {kind: self._send(kind, items, audience) for kind, items in found}
        return {"compared": compared, "mails": counts, "errors": errors}

    def _is_back(self, then: dict[str, Item], version: int) -> Callable[[Item], bool]:
        """Off at the check of `version` and on now; or away then, on now, and seen before."""

        def is_back(item: Item) -> bool:
            if item["available"] not in TRUE:
                return False
            old = then.get(item["item"])
            if old is None:
                return self._catalogue.first_seen[item["item"]] <= version
            return old["available"] not in TRUE

        return is_back

    def _low_stock_errors(self, items: Iterable[Item]) -> list[str]:
        """One blank or text cell makes the whole calculation fail."""
        name = self._switches().low_stock_field
        wrong = [item["item"] for item in items if name in item and not _NUMBER.fullmatch(item[name])]
        return [f"low stock: {name} is not a number for {len(wrong)} items, e.g. {wrong[0]}"] if wrong else []

    def _became_low(self, old: Item | None, item: Item) -> bool:
        name, threshold = self._switches().low_stock_field, self._switches().low_stock_threshold
        if old is None or name not in item or not _NUMBER.fullmatch(old.get(name, "")):
            return False
        return Decimal(old[name]) >= threshold > Decimal(item[name])

    def _is_cheaper(self, then: dict[str, Item]) -> Callable[[Item], bool]:
        percent = Decimal(str(self._switches().price_drop_percent))

        def is_cheaper(item: Item) -> bool:
            old = then.get(item["item"])
            if old is None or item["available"] not in TRUE or not old["price"] or not Decimal(old["price"]):
                return False
            before = Decimal(old["price"])
            return (before - Decimal(item["price"])) * 100 >= before * percent

        return is_cheaper

    def _send(self, kind: str, items: Iterable[Item], audience: list[Contact]) -> int:
        got: Counter[int] = Counter()
        sent = 0
        for item in sorted(items, key=lambda item: Decimal(item["price"] or 0), reverse=True):
            for contact in _interested(item["item"], audience):
                number = contact.id if contact else 0
                if got[number] < MAX_PRODUCTS:
                    got[number] += 1
                    sent += 1
                    self._mail(kind, item["item"], contact)
        return sent


def _interested(sku: str, audience: list[Contact]) -> list[Contact | None]:
    """One to three contacts, always the same for the same audience; None stands for somebody we do not know."""
    if not audience:
        return [None]
    hashed = int.from_bytes(sha256(sku.encode()).digest()[:8])
    wanted = min(1 + hashed % MAX_INTERESTED, len(audience))
    return [audience[(hashed // MAX_INTERESTED + step) % len(audience)] for step in range(wanted)]
