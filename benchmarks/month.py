"""A month at the sandbox merchant: what happens, when, and what could be sold at each moment.

What belongs here: making the month up once, from a seed and the judge's answers, as a list of business events that can be
done again at other sandboxes of the same seed. What does not: reading Cin7, publishing, and verdicts.

Times are seconds since the month began. Business comes four times a day, in a quarter of an hour around 07:00, 11:00, 16:00
and 20:00; so events fall before, between and after the readings of stock, and just before Emarsys fetches.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

HOUR, DAY = 3600.0, 86400.0
BUSY = (7, 11, 16, 20)
BEFORE, AFTER = 600, 300
"""Business begins so many seconds before the full hour, and ends so many after it."""
FULL_DAYS = 30
_MIDNIGHT = (13, 14)
"""UTC hours at which a day begins in the merchant's calendar, in summer and in winter."""

Body = dict[str, Any]
Deed = Callable[[float], "Body | None"]
"""Gives the body of an action at that time, or None when there is no occasion for it."""


class Sandbox:
    """The controls and the judge of a running sandbox; no vendor has these."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._roots = {name: "/".join(environment[f"{name}_BASE_URL"].split("/")[:3]) for name in ("CIN7", "EMARSYS")}

    def ask(self, vendor: str, path: str, body: object = None, method: str | None = None) -> Any:
        """Raises ValueError with the sandbox's words when it refuses."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        try:
            with urlopen(Request(f"{self._roots[vendor]}/_sandbox/{path}", data, headers, method=method)) as answer:
                return json.load(answer)
        except HTTPError as refused:
            raise ValueError(refused.read().decode()) from None

    def now(self) -> datetime:
        return datetime.fromisoformat(self.ask("CIN7", "clock", {"advance": 0})["now"])

    def advance_to(self, moment: datetime) -> None:
        """Sets the clock forward; it never goes back."""
        ahead = (moment - self.now()).total_seconds()
        if ahead > 0:
            self.ask("CIN7", "clock", {"advance": ahead})

    def do(self, body: Body) -> Any:
        return self.ask("CIN7", "merchant", body)

    def truth(self) -> dict[str, int]:
        """Units of each SKU that could be sold to a new web order now."""
        rows = self.ask("CIN7", "ledger?limit=100000")["rows"]
        return {row["sku"].strip(): int(row["sellable_truth"]) for row in rows}


@dataclass(frozen=True)
class Event:
    at: float
    body: Body


@dataclass
class Month:
    """`opening` happens before the first load. `faults`: what ails Cin7 during the reading that begins at that time."""

    days: int
    begins: datetime
    opening: list[Body] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    faults: dict[float, list[Body]] = field(default_factory=dict)
    courses: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    closing: dict[str, int] = field(default_factory=dict)

    @property
    def end(self) -> float:
        return self.days * DAY

    def moment(self, at: float) -> datetime:
        return self.begins + timedelta(seconds=at)


def make(sandbox: Sandbox, days: int, seed: int) -> Month:
    """Lives through the month once, at a sandbox of its own."""
    tomorrow = (sandbox.now() + timedelta(days=1)).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    month = Month(days, tomorrow)
    _Merchant(sandbox, month, random.Random(seed)).live()
    return month


_FAULTS: tuple[list[Body], ...] = (
    [{"name": "incomplete-snapshot", "path": "/ref/productavailability?", "nth": 1, "times": 9}],
    [{"name": "duplicate-row", "path": "/ref/productavailability?", "nth": 1}],
    [{"name": "throttle-429", "path": "/ref/productavailability?", "nth": 1, "times": 2}],
    [
        {
            "name": "incomplete-snapshot",
            "path": "/ref/productavailability?",
            "nth": 1,
            "share": 0.1,
            "mode": "total-drop",
        }
    ],
    [{"name": "schema-change", "path": "/ref/productavailability?", "nth": 1}],
    [{"name": "html-200", "path": "/salelist?", "nth": 1, "times": 9}],
    [{"name": "incomplete-snapshot", "path": "/ref/productavailability?", "nth": 1}],
    [{"name": "shifted-page", "path": "/ref/productavailability?", "nth": 1, "times": 9}],
    [{"name": "truncated", "path": "/ref/productavailability?", "nth": 1}],
    [
        {
            "name": "incomplete-snapshot",
            "path": "/ref/productavailability?",
            "nth": 1,
            "share": 0.5,
            "mode": "total-drop",
        }
    ],
    [{"name": "server-error", "path": "/sale?", "nth": 1, "times": 9}],
    [{"name": "reset-before", "path": "/ref/productavailability?", "nth": 1}],
    [{"name": "clock-skew", "path": "/", "seconds": 240}],
    [{"name": "auth-expired", "path": "/ref/productavailability?", "nth": 1}],
)


class _Merchant:
    """Decides what happens next."""

    def __init__(self, sandbox: Sandbox, month: Month, dice: random.Random) -> None:
        self.sandbox, self.month, self.dice = sandbox, month, dice
        self.truth: dict[str, int] = {}
        self.goods: list[str] = []
        self.kits: list[str] = []
        self.gone: dict[str, float] = {}
        self.kept_out: list[tuple[str, str, str | None]] = []
        """(SKU, location, bin) of goods that came in where nobody may sell them, or were moved there."""
        self.unshipped: list[tuple[float, str]] = []
        self.shipped: list[str] = []
        self.holds: list[tuple[float, int, str, int]] = []

    def live(self) -> None:
        self._open()
        month = self.month
        self._observe(0.0)
        for day in range(month.days):
            for hour in range(24):
                at = day * DAY + hour * HOUR
                if day < month.days - 1 or hour < BUSY[0]:  # the last day is quiet: what was said can arrive
                    for moment, deed in self._business(day, hour, at):
                        self._happens(moment, deed)
                if hour in _MIDNIGHT:
                    self.sandbox.advance_to(month.moment(at))
                    self._observe(at)  # a batch grows too old without an event
        self._observe(month.end)
        month.closing = dict(self.truth)
        for turn, faults in enumerate(_FAULTS * (month.days // 7)):
            at = (turn * 2 + 1) % (month.days - 1) * DAY + BUSY[turn % 4] * HOUR
            month.faults[at + (900 if turn % 3 == 2 else 0)] = faults

    def _open(self) -> None:
        start = self.sandbox.truth()
        odd = {"NO-PRICE"}  # never on offer, whoever pushes what
        self.goods = sorted(
            sku for sku, units in start.items() if units and sku not in odd and not sku.startswith("KIT")
        )
        for number in range(6):
            parts = self.dice.sample([sku for sku in self.goods if start[sku] >= 5], 2)
            body: Body = {
                "do": "new_product", "sku": f"SET-{number}", "title": f"Set number {number}", "price": 60 + number,
                "components": [{"sku": sku, "quantity": 1 + place} for place, sku in enumerate(parts)],
            }  # fmt: skip
            self.sandbox.do(body)
            self.month.opening.append(body)
        start = self.sandbox.truth()
        self.kits = sorted(sku for sku, units in start.items() if units and sku.startswith(("KIT", "SET")))
        self.sandbox.advance_to(self.month.begins)

    def _observe(self, at: float) -> None:
        self.truth = self.sandbox.truth()
        for sku, units in self.truth.items():
            course = self.month.courses.setdefault(sku, [])
            if not course or course[-1][1] != units:
                course.append((at, units))
            if units:
                self.gone.pop(sku, None)
            else:
                self.gone.setdefault(sku, at)

    def _happens(self, at: float, deed: Deed) -> None:
        self.sandbox.advance_to(self.month.moment(at))
        body = deed(at)
        if body is None:
            return
        try:
            done = self.sandbox.do(body)
        except ValueError:  # nothing lies there any more, or the order is past it
            return
        self.month.events.append(Event(at, body))
        if body["do"] in ("order", "sell_out"):
            self.unshipped.append((at, done["order_number"]))
        if body["do"] == "hold":
            self.holds.append((at, done["hold"], body["sku"], body["quantity"]))
        if body["do"] == "close":
            self.kept_out += [(moved["sku"], body["to"], None) for moved in done["moved"]]
        self._observe(at)

    def _business(self, day: int, hour: int, at: float) -> list[tuple[float, Deed]]:
        chance = self.dice.random
        deeds: list[Deed] = []
        if hour == 7:
            deeds += [self.delivery] * 4 + [self.ship] * 8 + [self.invoice] * 2
            deeds += [self.quarantine_in, self.cleared, self.returned, self.cancelled]
            deeds += [self.staged] if chance() < 0.5 else [self.damaged]
            deeds += [self.short_delivery] if chance() < 0.7 else []
            deeds += [self.hold_ends] if chance() < 0.6 else []
        elif hour == 11:
            deeds += [self.order] * 4 + [self.unallocated_sell_out, self.ship, self.kit_order]
            deeds += [self.wholesale_order] if chance() < 0.7 else []
        elif hour == 16:
            deeds += [self.order] * 2 + [self.sell_out, self.to_shop if chance() < 0.6 else self.from_shop, self.to_3pl]
            deeds += [self.assembly] if chance() < 0.4 else [self.unallocated_sell_out]
            deeds += [self.cleared] if chance() < 0.5 else [self.allocation]
        elif hour == 20:
            deeds += [self.order] * 3 + [self.sell_out, self.kit_order, self.part_sell_out]
            deeds += [self.hold] if chance() < 0.5 else [self.delivery]
        self.dice.shuffle(deeds)
        deeds += self._once(day, hour)
        times = sorted(at + self.dice.randrange(-BEFORE, AFTER) + 0.5 for _ in deeds)
        return list(zip(times, deeds, strict=True))

    def _once(self, day: int, hour: int) -> list[Deed]:
        """A warehouse closes and opens again; goods are called back for inspection, and are found good."""
        third = max(1, self.month.days // 4)
        if (day, hour) == (third, 7):
            return [lambda _: {"do": "close", "location": "3PL", "to": "Quarantine"}]
        if (day, hour) == (third + 2, 7):
            return [self._back("Quarantine", "3PL")] * self._waiting("Quarantine")
        if (day, hour) == (2 * third, 11):
            return [self._recall] * 28
        if (day, hour) == (2 * third + 1, 7):
            return [self._back("Quarantine", "Main Warehouse")] * self._waiting("Quarantine")
        return []

    # What the customers do.

    def _some(self, least: int = 1, most: int = 10**6, among: list[str] | None = None) -> str | None:
        found = [sku for sku in among or self.goods if least <= self.truth.get(sku, 0) <= most]
        return self.dice.choice(found) if found else None

    def _guest(self) -> str:
        return f"month.guest{self.dice.randrange(60)}@example.com"

    def _ordered(self, sku: str | None, units: int, *, allocate: bool, tier: str | None = None) -> Body | None:
        if sku is None:
            return None
        who: Body = {"tier": tier} if tier else {"email": self._guest()}
        return {"do": "order", "sku": sku, "quantity": units, "allocate": allocate, **who}

    def order(self, _: float) -> Body | None:
        return self._ordered(self._some(), 1, allocate=self.dice.random() < 0.7)

    def _all_of(self, *, allocate: bool, leaving: int = 0) -> Body | None:
        sku = self._some(1 + leaving, 30)
        return self._ordered(sku, self.truth[sku] - leaving, allocate=allocate) if sku else None

    def sell_out(self, _: float) -> Body | None:
        return self._all_of(allocate=True)

    def unallocated_sell_out(self, _: float) -> Body | None:
        return self._all_of(allocate=False)

    def part_sell_out(self, _: float) -> Body | None:
        return self._all_of(allocate=self.dice.random() < 0.5, leaving=self.dice.randrange(1, 5))

    def wholesale_order(self, _: float) -> Body | None:
        """A wholesale order that waits, authorised without allocation, for all that is there and more."""
        sku = self._some(3, 60)
        return self._ordered(sku, self.truth[sku] + 2, allocate=False, tier="Wholesale") if sku else None

    def kit_order(self, _: float) -> Body | None:
        sku = self._some(1, 40, self.kits)
        units = self.truth[sku] if sku and self.dice.random() < 0.4 else 1
        return self._ordered(sku, units, allocate=self.dice.random() < 0.5)

    def cancelled(self, at: float) -> Body | None:
        return self._to_order("void", at)

    def returned(self, _: float) -> Body | None:
        if not self.shipped:
            return None
        number = self.shipped.pop(self.dice.randrange(len(self.shipped)))
        return {"do": "refund", "order_number": number, "restock": True}

    # What the warehouse does.

    def _to_order(self, action: str, at: float, keep: bool = False) -> Body | None:
        """Something done to an order that was placed on an earlier day."""
        old = [pair for pair in self.unshipped if at - pair[0] > DAY / 2]
        if not old:
            return None
        pair = self.dice.choice(old)
        if not keep:
            self.unshipped.remove(pair)
        return {"do": action, "order_number": pair[1]}

    def ship(self, at: float) -> Body | None:
        body = self._to_order("ship", at)
        self.shipped += [body["order_number"]] if body else []
        return body

    def invoice(self, _: float) -> Body | None:
        return {"do": "invoice", "order_number": self.dice.choice(self.shipped)} if self.shipped else None

    def allocation(self, at: float) -> Body | None:
        return self._to_order("allocate", at, keep=True)

    def _missing(self, at: float) -> str | None:
        found = sorted(sku for sku in self.goods if sku in self.gone and at - self.gone[sku] > 6 * HOUR)
        return self.dice.choice(found) if found else None

    def delivery(self, at: float, **where: str) -> Body | None:
        sku = self._missing(at)
        return {"do": "receive", "sku": sku, "quantity": self.dice.randrange(4, 40), **where} if sku else None

    def short_delivery(self, at: float) -> Body | None:
        """Fewer units than are waited for, as a rule."""
        body = self.delivery(at)
        return {**body, "quantity": 1} if body else None

    def _aside(self, at: float, location: str, bin_name: str | None) -> Body | None:
        body = self.delivery(at, location=location, **({"bin": bin_name} if bin_name else {}))
        if body:
            self.kept_out.append((body["sku"], location, bin_name))
        return body

    def quarantine_in(self, at: float) -> Body | None:
        return self._aside(at, "Quarantine", None)

    def staged(self, at: float) -> Body | None:
        return self._aside(at, "Main Warehouse", "STAGING")

    def damaged(self, at: float) -> Body | None:
        return self.delivery(at, location="Main Warehouse", bin="DAMAGED")

    def cleared(self, _: float) -> Body | None:
        """Goods leave quarantine or the staging bin for the shelf."""
        if not self.kept_out:
            return None
        sku, location, bin_name = self.kept_out.pop(self.dice.randrange(len(self.kept_out)))
        bins = {"bin": bin_name} if bin_name else {}
        return {"do": "transfer", "sku": sku, "from": location, "to": "Main Warehouse", **bins}

    def _moved(self, sku: str | None, source: str, to: str) -> Body | None:
        return {"do": "transfer", "sku": sku, "from": source, "to": to} if sku else None

    def to_shop(self, _: float) -> Body | None:
        sku = self._some(1, 12)
        if sku:
            self.kept_out.append((sku, "Shop Floor", None))
        return self._moved(sku, "Main Warehouse", "Shop Floor")

    def from_shop(self, _: float) -> Body | None:
        return self._moved(self._some(), "Shop Floor", "Main Warehouse")

    def to_3pl(self, _: float) -> Body | None:
        return self._moved(self._some(2), "Main Warehouse", "3PL")

    def _recall(self, _: float) -> Body | None:
        sku = self._some(1, 45)
        if sku:
            self.kept_out.append((sku, "Quarantine", None))
        return self._moved(sku, "Main Warehouse", "Quarantine")

    def _waiting(self, location: str) -> int:
        return sum(entry[1] == location for entry in self.kept_out)

    def _back(self, source: str, to: str) -> Deed:
        def back(_: float) -> Body | None:
            waiting = [entry for entry in self.kept_out if entry[1] == source]
            if not waiting:
                return None
            self.kept_out.remove(waiting[0])
            return self._moved(waiting[0][0], source, to)

        return back

    def assembly(self, _: float) -> Body | None:
        sku = self._some(1, 40, self.kits)
        return {"do": "assemble", "sku": sku, "quantity": 1} if sku else None

    def hold(self, _: float) -> Body | None:
        """All that is there is set aside for wholesale."""
        sku = self._some(2, 40)
        return {"do": "hold", "sku": sku, "quantity": self.truth[sku], "tier": "Wholesale"} if sku else None

    def hold_ends(self, at: float) -> Body | None:
        """It is drawn on by a wholesale order, or let go."""
        old = [entry for entry in self.holds if at - entry[0] > DAY]
        if not old:
            return None
        entry = self.dice.choice(old)
        if self.dice.random() < 0.5:
            return self._ordered(entry[2], max(1, entry[3] // 2), allocate=True, tier="Wholesale")
        self.holds.remove(entry)
        return {"do": "release_hold", "hold": entry[1]}
