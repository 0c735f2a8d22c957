"""Orders, edits, undos, voids, late refunds, re-issued invoices, changed addresses; and what Emarsys must have heard of it.

What should have happened is told by the merchant alone: what its documents say, asked of Cin7 without our client, whenever
the line has just read; and the arithmetic of this file. What did happen, Emarsys' judge tells. Knows no table of ours.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from benchmarks import trial
from benchmarks.calls import ask_cin7
from benchmarks.month import HOUR, Sandbox
from cin7_emarsys.settings import Settings, load_settings
from cin7_emarsys_tests.end_to_end.conftest import Place

Body = dict[str, Any]
UNREAD = {"DRAFT", "ESTIMATING", "ESTIMATED", "ORDERING", "VOIDED"}
MARKETING = {"cin7_first_purchase", "cin7_repeat_purchase"}
MAILABLE = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
STILL_NEW = timedelta(hours=48)
"""So long a purchase may still be told once the person agrees."""


def goods(document: Body, *, inclusive: bool) -> Decimal:
    """What a document counts: its lines and order-level discounts, without tax."""
    parts = [*document["Lines"], *(each for each in document["AdditionalCharges"] if each["Price"] < 0)]
    total = Decimal(0)
    for part in parts:
        numbers = [Decimal(str(part[name] or 0)) for name in ("Quantity", "Price", "Discount", "Tax")]
        amount = numbers[0] * numbers[1] * (100 - numbers[2]) / 100
        total += amount - (numbers[3] if inclusive else 0)
    return total


@dataclass
class Papers:
    """One sale as Cin7 shows it: what it is worth, and what has happened to it."""

    worth: Decimal = Decimal(0)
    email: str | None = None
    status: str = ""
    changed: datetime | None = None
    facts: set[str] = field(default_factory=set)


def papers(sale: Body) -> Papers:
    ident, inclusive = sale["ID"].lower(), sale["TaxCalculation"] == "Inclusive"
    address = (sale["Email"] or "").strip().lower()
    found = Papers(email=address if MAILABLE.fullmatch(address) else None, status=sale["Status"])
    found.changed = datetime.fromisoformat(sale["LastModifiedOn"])
    if sale["Status"] == "VOIDED":
        return found
    rate = Decimal(str(sale["CurrencyRate"] or 1))
    bills = [each for each in sale["Invoices"] if each["Status"] in ("AUTHORISED", "PAID")]
    notes = [each for each in sale["CreditNotes"] if each["Status"] == "AUTHORISED"]
    billed = [goods(each, inclusive=inclusive) for each in bills]
    returned = [goods(each, inclusive=inclusive) for each in notes]
    found.worth = sum(
        (
            sign * amount * Decimal(str(each[name] or rate))
            for sign, name, documents, amounts in (
                (1, "CurrencyConversionRate", bills, billed),
                (-1, "CreditNoteConversionRate", notes, returned),
            )
            for each, amount in zip(documents, amounts, strict=True)
        ),
        Decimal(0),
    )
    if any(amount > 0 for amount in billed) and sum(returned) < sum(billed):
        found.facts.add(f"purchase:{ident}")
    found.facts |= {
        f"order_shipped:{ident}:{task['FulfillmentNumber']}"
        for task in sale["Fulfilments"]
        if task["Ship"]["Status"] == "AUTHORISED"
    }
    found.facts |= {
        f"refund_issued:{note['TaskID'].lower()}" for note, amount in zip(notes, returned, strict=True) if amount > 0
    }
    if sale["Status"] == "BACKORDERED":
        found.facts.add(f"order_backordered:{ident}")
    return found


class Business:
    """What happens at the merchant, by chance. `touched`: order numbers of the sales that something happened to, by id;
    `fresh`: those of them that nobody has looked at since, and whether they are notes that stand alone."""

    def __init__(self, sandbox: Sandbox, dice: random.Random, history: list[Body], people: list[str]) -> None:
        self.sandbox, self.dice, self.people = sandbox, dice, people
        self.goods = sorted(sku for sku, units in sandbox.truth().items() if units >= 3)
        self.sales = [sale["SaleID"].lower() for sale in history]
        self.touched: dict[str, str] = {}
        self.fresh: dict[str, bool] = {}
        self.done: Counter[str] = Counter()
        self.agreed: set[str] = set()

    def happens(self) -> None:
        """One thing; what the merchant refuses has not happened."""
        names = [name for name, weight in _DEEDS.items() for _ in range(weight)]
        name = self.dice.choice(names)
        body = getattr(self, f"_{name}", lambda: self._to_a_sale(name))()
        try:
            told = self.sandbox.do({"do": name, **body})
        except ValueError:
            return
        self.done[name] += 1
        if "sale_id" in told:
            ident = told["sale_id"].lower()
            self.touched[ident] = told["order_number"]
            self.fresh[ident] = name == "credit_note"
            if name == "order":
                self.sales.append(ident)

    def agrees(self, emails: list[str]) -> None:
        """Some of these contacts change their mind about marketing at Emarsys."""
        for email in self.dice.sample(sorted(emails), min(12, len(emails))):
            says = email not in self.agreed
            self.sandbox.ask("EMARSYS", "contacts", {"email": email, "fields": {"optin": "1" if says else "2"}})
            (self.agreed.add if says else self.agreed.discard)(email)

    def _chance(self, share: float) -> bool:
        return self.dice.random() < share

    def _who(self) -> Body:
        if self._chance(0.1):
            return {"tier": "Wholesale"}
        guest = f"guest{self.dice.randrange(9)}@example.com"
        return {"email": guest if self._chance(0.3) else self.dice.choice(self.people)}

    def _lines(self) -> list[Body]:
        return [
            {
                "sku": self.dice.choice(self.goods),
                "quantity": self.dice.randint(1, 3),
                "price": self.dice.randint(100, 9999) / 100,
                "discount": self.dice.choice([0, 0, 0, 10, 12.5]),
            }
            for _ in range(self.dice.randint(1, 3))
        ]

    def _order(self) -> Body:
        body: Body = {
            "lines": self._lines(),
            "inclusive": self._chance(0.5),
            "advanced": self._chance(0.3),
            **self._who(),
        }
        body |= {"allocate": self._chance(0.8), "draft": self._chance(0.1)}
        body |= {"shipping": 9.95} if self._chance(0.5) else {}
        body |= {"order_discount": self.dice.randint(10, 90) / 100} if self._chance(0.3) else {}
        return body | ({"currency": "USD", "currency_rate": 1.5372} if self._chance(0.1) else {})

    def _credit_note(self) -> Body:
        return {"lines": self._lines()[:1], "email": self.dice.choice(self.people)}

    def _change_email(self) -> Body:
        old, new = self.dice.choice(self.people), f"moved{self.dice.randrange(10**6)}@example.com"
        return {"email": old, "to": new}

    def _consent(self) -> Body:
        return {"email": self.dice.choice(self.people), "consent": self.dice.randrange(4)}

    def _new_customer(self) -> Body:
        return {}

    def _touch(self) -> Body:
        return {"count": 60}

    def _to_a_sale(self, name: str) -> Body:
        recent = self.sales[-25:] if self._chance(0.8) else self.sales
        body: Body = {"sale_id": self.dice.choice(recent)}
        if name in ("ship", "pick", "invoice") and self._chance(0.4):
            body["quantity"] = 1
        if name == "void_invoice":
            body["reissue"] = self._chance(0.8)
        if name == "refund":
            body |= {"quantity": 1} if self._chance(0.6) else {}
            body |= {"restock": self._chance(0.3), "draft": self._chance(0.1)}
        if name == "edit":
            body |= self.dice.choice(
                [{"quantity": 2}, {"price": 17.25}, {"discount": 5}, {"email": self.dice.choice(self.people)}]
            )
        return body


_DEEDS = {
    "order": 14, "allocate": 3, "pick": 2, "ship": 9, "invoice": 14, "pay": 4, "void_invoice": 4, "refund": 6, "void": 2,
    "undo": 2, "edit": 5, "credit_note": 2, "change_email": 1, "consent": 1, "new_customer": 1, "touch": 1,
}  # fmt: skip


class Expected:
    """What must have been told, worked out from the papers at each reading."""

    def __init__(self, first: dict[str, Papers]) -> None:
        self.known = {ident: set(sale.facts) for ident, sale in first.items()}
        self.unread = {ident for ident, sale in first.items() if sale.status in UNREAD}
        self.announced: set[str] = set()
        self.waiting: dict[str, tuple[str, datetime]] = {}
        """Purchases that nobody was told of for want of consent: their sale, and when they happened."""
        self.told: dict[str, str] = {}
        """Each fact that an event must have told, and to whom."""

    def read(self, now: datetime, sales: dict[str, Papers], agreed: set[str]) -> None:
        for ident, sale in sales.items():
            known = self.known.setdefault(ident, set())
            if sale.status == "VOIDED" and ident in self.announced:
                sale.facts.add(f"order_cancelled:{ident}")
            fresh = sale.facts - known
            known |= fresh
            if ident in self.unread:  # a draft of before the first reading shows its past silently
                if sale.status in UNREAD:
                    known -= fresh
                else:
                    self.unread.discard(ident)
                continue
            for fact in fresh:
                self.announced.add(ident)
                if fact.startswith("purchase:"):
                    self.waiting[fact] = (ident, sale.changed or now)
                elif sale.email:
                    self.told[fact] = sale.email
        for fact, (ident, since) in list(self.waiting.items()):
            email, still = sales[ident].email, fact in sales[ident].facts
            if email in agreed and still and now - since < STILL_NEW:
                self.told[fact] = email
            if fact in self.told or now - since >= STILL_NEW:
                del self.waiting[fact]


def lived_through(place: Place, seed: int, *, half_days: int, busy: int) -> Counter[str]:
    """So many half days with so many occasions each and a sync at the end, and after it a look at what Emarsys holds; the
    place has had its first sync. Returns what happened, by kind."""
    dice = random.Random(seed)
    sandbox = Sandbox(place.environment)
    with place.entered():
        settings = load_settings()
    before, heard = _lines(place), len(_events(place))
    history: list[Body] = ask_cin7(settings, "saleList", Page=1, Limit=400)["SaleList"]
    some = dice.sample(sorted(history, key=lambda header: header["SaleID"]), 25)
    contacts = [row["email"] for row in place.ask("EMARSYS", "/_sandbox/contacts?limit=1000")["contacts"]]
    business = Business(sandbox, dice, some, dice.sample(sorted(contacts), 40))
    first = {sale["SaleID"].lower(): papers(ask_cin7(settings, "sale", ID=sale["SaleID"])) for sale in some}
    expected = Expected(first)
    sales = dict(first)
    for _ in range(half_days):
        for _ in range(busy):
            sandbox.ask("CIN7", "clock", {"advance": dice.uniform(0, 24 * HOUR / busy)})
            business.happens()
        business.agrees(business.people)
        with place.entered():  # what the jobs do, without their history: it costs more than they do
            trial.read_and_build(settings)
            for flow in ("contacts", "sales", "events"):
                report = trial.deliver(settings, flow)
                assert (report.refused, report.rejected, report.unknown, report.frozen) == ([], 0, 0, 0), flow
        for ident, alone in business.fresh.items():
            sales[ident] = note_alone(settings, ident) if alone else papers(ask_cin7(settings, "sale", ID=ident))
        business.fresh.clear()
        expected.read(sandbox.now(), sales, business.agreed)
        events = _events(place)[heard:]
        told = Counter((event["trigger_id"], event["email"]) for event in events)
        right = Counter(expected.told.items())
        assert (told - right, right - told) == (Counter(), Counter())  # doubled or wrong, and missing
        held: dict[str, Decimal] = {}
        for order, _, price, *_ in _lines(place).elements():
            held[order] = held.get(order, Decimal(0)) + Decimal(str(price))
        for ident, number in business.touched.items():
            if sales[ident].email:
                assert abs(held.get(number, Decimal(0)) - sales[ident].worth) < Decimal("0.005"), number
    _agreed_to(place, [event for event in events if event["event"] in MARKETING])
    numbers = set(business.touched.values())
    untouched = [
        Counter({row: times for row, times in rows.items() if row[0] not in numbers})
        for rows in (before, _lines(place))
    ]
    assert untouched[0] == untouched[1]
    return business.done


def note_alone(settings: Settings, ident: str) -> Papers:
    """Its papers name nobody: it goes to the default contact of its customer."""
    (note,) = ask_cin7(settings, "sale/creditnote", SaleID=ident)["CreditNotes"]
    inclusive = abs(goods(note, inclusive=False) - Decimal(str(note["Total"]))) < 1
    worth = -goods(note, inclusive=inclusive)
    customer = ask_cin7(settings, "sale", ID=ident)["CustomerID"]
    (account,) = ask_cin7(settings, "customer", ID=customer, Page=1, Limit=1)["CustomerList"]
    mailable = [each["Email"].strip().lower() for each in account["Contacts"] if each["Default"] and each["Email"]]
    email = next((address for address in mailable if MAILABLE.fullmatch(address)), None)
    return Papers(worth, email, "COMPLETED", facts={f"refund_issued:{note['TaskID'].lower()}"})


def _lines(place: Place) -> Counter[tuple[Any, ...]]:
    lines = place.ask("EMARSYS", "/_sandbox/sales?limit=1000000")["lines"]
    return Counter((s["order"], s["item"], s["price"], s["quantity"], s["email"], s["timestamp"]) for s in lines)


def _events(place: Place) -> list[Body]:
    events: list[Body] = place.ask("EMARSYS", "/_sandbox/events?limit=1000000")["events"]
    return events


def _agreed_to(place: Place, events: list[Body]) -> None:
    """Each of these events went to a contact that had said yes by then, and not taken it back."""
    assert events
    consents = place.ask("EMARSYS", "/_sandbox/consents?limit=1000000")["consents"]
    for event in events:
        said = [each for each in consents if each["email"] == event["email"] and each["at"] <= event["received_at"]]
        assert said and said[-1]["to"] == "1", event
