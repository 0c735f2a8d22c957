"""Old, finished sales made on demand from the seed: each number has a fate (completed, returned, voided, …).

They hold no stock: what they shipped left long before the stock book was opened.
"""

from array import array
from copy import deepcopy
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

from cin7_emarsys.sandbox.merchant import documents
from cin7_emarsys.sandbox.merchant.catalogue import Catalogue
from cin7_emarsys.sandbox.merchant.ids import DAY_MS, Kind, draw, guid, local_date, mix
from cin7_emarsys.sandbox.merchant.model import ZERO, Charge, Customer, Line, Lot, Sale, Taken
from cin7_emarsys.sandbox.merchant.people import People
from cin7_emarsys.sandbox.merchant.places import MAIN, SHOP, THIRD_PARTY

GST = Decimal("0.1")
SHARED_MS_SALES = 200
"""So many of the last old sales carry the same `Updated` millisecond, as after a bulk job of the platform."""

# Upper bounds of one random byte.
_FATES = (
    (200, "completed"), (208, "voided"), (220, "returned"), (226, "refunded"), (234, "unpaid"), (244, "advanced"),
    (248, "service"), (252, "pos"), (253, "fulfilled"), (254, "closed"), (255, "draft"), (256, "estimated"),
)  # fmt: skip
_FATE = [next(name for bound, name in _FATES if byte < bound) for byte in range(256)]


class SeedSource:
    """Sales of the last `days` days before the anchor (ms), one after the other.

    Old documents do not change when a price, a customer or the catalogue does: they are made from what was at first.
    """

    def __init__(
        self, catalogue: Catalogue, people: People, seed: int, count: int, anchor: int, zone: ZoneInfo, days: int = 540
    ) -> None:
        self.people, self.seed, self.count, self.zone = people, seed, count, zone
        self.anchor = anchor
        self.start = anchor - days * DAY_MS
        self.step = max(1, (days - 3) * DAY_MS // max(1, count))
        self.fates = draw(seed, Kind.OTHER, 1).randbytes(count)
        self.service = next(p.n for p in catalogue.products if p.type == "Service")
        self.prices = [p.prices for p in catalogue.products]
        self.popular = tuple(catalogue.popular)
        self.buyers = len(people)
        self.specials = deepcopy(people.kept)
        first = max(0, count - SHARED_MS_SALES - 20)
        self.shared = range(first, min(first + SHARED_MS_SALES, count))
        self._updated = self._stamps()

    def created(self, n: int) -> int:
        return self.start + n * self.step + mix(n) % self.step

    def updated(self) -> "array[int]":
        return array("q", self._updated)

    def _stamps(self) -> "array[int]":
        limit, start, step, fates = self.anchor - 3 * DAY_MS // 2, self.start + 60_000, self.step, self.fates
        stamps = array(
            "q",
            (
                min(start + (n + 1) * step + (fates[n] * 40_503_987 + n * 7919) % (12 * DAY_MS), limit - n % 86_400)
                for n in range(self.count)
            ),
        )
        for n in self.shared:
            stamps[n] = self.anchor - 2 * DAY_MS - 4_321_017
        return stamps

    def listed(self, n: int) -> bool:
        return True

    def credited(self, n: int) -> bool:
        return _FATE[self.fates[n]] in ("returned", "refunded")

    def find_number(self, number: str) -> int | None:
        digits = number.removeprefix("SO-")
        n = int(digits) - 1 if digits.isdigit() else -1
        return n if 0 <= n < self.count else None

    def brief(self, n: int) -> Sale:
        return self.make(n)

    def make(self, n: int) -> Sale:
        rng = draw(self.seed, Kind.SALE, n)
        fate = _FATE[self.fates[n]]
        created = self.created(n)
        buyer = int(self.buyers * rng.random() ** 1.6)
        customer = self.specials.get(buyer) or self.people.original(buyer)
        lines = self._lines(rng, customer, fate)
        charges = [] if customer.tier == "Wholesale" or fate in ("service", "pos") else _charges(rng)
        location = SHOP if fate == "pos" else THIRD_PARTY if rng.random() < 0.1 else MAIN
        sale = self._head(n, created, customer, fate, lines, charges, location)
        if fate == "draft":
            sale.order_status = "DRAFT"
        elif fate == "estimated":
            sale.order_status, sale.quote_status = "NOT AVAILABLE", "AUTHORISED"
        else:
            self._finish(sale, fate, rng)
        return sale

    def _head(
        self,
        n: int,
        created: int,
        customer: Customer,
        fate: str,
        lines: list[Line],
        charges: list[Charge],
        location: int,
    ) -> Sale:
        contact, pos, wholesale = customer.contact, fate == "pos", customer.tier == "Wholesale"
        return Sale(
            n=n,
            id=guid(Kind.SALE, n, self.seed),
            number=f"SO-{n + 1:05d}",
            customer=customer.n,
            customer_name=customer.name,
            email=contact.email if contact else None,
            contact=contact.name if contact else None,
            date=local_date(created, self.zone),
            created=created,
            modified=self._updated[n],
            lines=lines,
            charges=charges,
            order_status="AUTHORISED",
            location=location,
            tier=customer.tier,
            inclusive=not wholesale,
            channel="POS" if pos else "B2B" if wholesale else "Shopify",
            reference="" if pos else f"#{1000 + n}",
        )

    def _lines(self, rng: Random, customer: Customer, fate: str) -> list[Line]:
        if fate == "service":
            return [Line(self.service, Decimal(1), self.prices[self.service][0], GST)]
        popular = self.popular
        wholesale = customer.tier == "Wholesale"
        lines = []
        for _ in range(rng.choice((2, 3, 5) if wholesale else (1, 1, 1, 2, 2, 3))):
            product = popular[int(len(popular) * rng.random() ** 2)]
            quantity = Decimal(rng.choice((6, 12, 24)) if wholesale else rng.choice((1, 1, 1, 2, 3)))
            price = self.prices[product][1 if wholesale else 0]
            lines.append(Line(product, quantity, price, GST, Decimal(rng.choice((0, 0, 0, 0, 5, 10)))))
        return lines

    def _finish(self, sale: Sale, fate: str, rng: Random) -> None:
        """The documents that the fate calls for: shipped, invoiced, paid, credited or voided."""
        day = sale.date + timedelta(days=rng.randrange(3))
        quantities = [line.quantity for line in sale.lines]
        lot = Lot(sale.location, "A-01-01" if sale.location == MAIN else None)
        if fate == "service":
            sale.type, sale.order_status = "Service Sale", ""
            documents.add_invoice(sale, day, sale.lines, sale.charges, fulfilment=None)
        elif fate == "advanced":
            self._in_two_parts(sale, day, quantities, lot)
        elif fate != "voided":
            documents.add_fulfilment(sale, day, quantities, lot, tracking=f"TRK{sale.n:08d}")
            documents.add_invoice(sale, day, sale.lines, sale.charges)
        if fate == "voided":
            sale.voided = True
            return
        for invoice in sale.invoices:
            if fate != "unpaid":
                documents.pay_invoice(sale, invoice, day, sale.created + DAY_MS)
        if fate in ("fulfilled", "closed"):
            sale.order_status = fate.upper()
        if fate in ("returned", "refunded"):
            self._credit(sale, day + timedelta(days=7), lot, whole=fate == "refunded")

    def _in_two_parts(self, sale: Sale, day: date, quantities: list[Decimal], lot: Lot) -> None:
        sale.type = "Advanced Sale"
        first = [max(Decimal(1), q // 2) for q in quantities]
        rest = [q - f for q, f in zip(quantities, first, strict=True)]
        for part, charges, when in ((first, sale.charges, day), (rest, [], day + timedelta(days=2))):
            lines = [
                Line(line.product, q, line.price, line.rate, line.discount)
                for line, q in zip(sale.lines, part, strict=True)
                if q
            ]
            if lines:
                task = documents.add_fulfilment(sale, when, part, lot)
                documents.add_invoice(sale, when, lines, charges, fulfilment=task.number)

    def _credit(self, sale: Sale, day: date, lot: Lot, *, whole: bool) -> None:
        """A full refund without goods coming back, or one line returned to the shelf."""
        lines = sale.lines if whole else [sale.lines[0]]
        note = documents.add_credit(sale, day, lines, list(sale.charges) if whole else [])
        documents.refund_note(sale, note, day, sale.created + 9 * DAY_MS)
        if not whole:
            note.restock = [Taken(0, sale.lines[0].product, lot, sale.lines[0].quantity)]


def _charges(rng: Random) -> list[Charge]:
    charges = [Charge("Shipping - Standard", Decimal(rng.choice(("0", "9.95", "12.00"))), GST)]
    if rng.random() < 0.05:
        charges.append(Charge("Discount WELCOME10", Decimal(-10), GST))
    return [charge for charge in charges if charge.price != ZERO] or charges
