"""The `Merchant`: holds products, people, stock book, order book and promises, and keeps them one story.

Every change ends with `commit`, which stamps what changed, forgets stale verdicts and writes the judge's journal.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cin7_emarsys.sandbox.clock import Clock
from cin7_emarsys.sandbox.merchant import oddities
from cin7_emarsys.sandbox.merchant.catalogue import Catalogue, fill
from cin7_emarsys.sandbox.merchant.ids import DAY_MS, Kind, guid, local_date, to_ms
from cin7_emarsys.sandbox.merchant.lifecycle import Warehouse
from cin7_emarsys.sandbox.merchant.model import ZERO, Charge, Customer, Line, Product, Sale
from cin7_emarsys.sandbox.merchant.odd_sales import add_sales
from cin7_emarsys.sandbox.merchant.opening import open_book
from cin7_emarsys.sandbox.merchant.orders import SaleBook, Source
from cin7_emarsys.sandbox.merchant.people import People
from cin7_emarsys.sandbox.merchant.places import LOCATIONS, MAIN, places
from cin7_emarsys.sandbox.merchant.seeded_sales import GST, SeedSource
from cin7_emarsys.sandbox.merchant.stock import StockBook
from cin7_emarsys.sandbox.merchant.truth import Hold, can_ship

LedgerRow = tuple[str | None, str | None, Decimal, Decimal]
"""(location, bin, on hand, allocated), batches summed."""


@dataclass(frozen=True)
class Scale:
    products: int
    customers: int
    sales: int
    open_sales: int
    shelves: int


SCALES = {
    "small": Scale(300, 200, 400, 45, 20),
    "store": Scale(5_000, 10_000, 20_000, 400, 600),
    "chain": Scale(50_000, 200_000, 1_000_000, 2_000, 600),
}


@dataclass
class Journal:
    """What the judge would have said of one product, by time (ms); the first entry is the opening."""

    times: list[int] = field(default_factory=list)
    states: list[tuple[int, list[LedgerRow]]] = field(default_factory=list)

    def at(self, ms: int) -> tuple[int, list[LedgerRow]]:
        found = 0
        for index, time in enumerate(self.times):
            if time <= ms:
                found = index
        return self.states[found]


class Merchant:
    """`history` (a parquet file of retail lines) replaces the scale's people, products and sales."""

    def __init__(self, clock: Clock, *, seed: int = 1, scale: str = "small", history: Path | None = None) -> None:
        if scale not in SCALES:
            raise ValueError(f"unknown scale {scale!r}; known: {', '.join(SCALES)}")
        self.clock, self.seed, self.size = clock, seed, SCALES[scale]
        self.zone = ZoneInfo("Europe/London" if history else "Australia/Sydney")
        self.currency = "GBP" if history else "AUD"
        self.country = "United Kingdom" if history else "Australia"
        self.company = "Retail History Ltd" if history else "Sandbox Outfitters Pty"
        self.anchor = to_ms(clock.now()) // DAY_MS * DAY_MS
        self.places = places(self.size.shelves)
        self._location_ids = tuple(guid(Kind.LOCATION, place.n, seed) for place in self.places)
        self.catalogue = Catalogue(seed)
        self.book = StockBook(self.places[MAIN].bins[:-2], self.today)
        self.holds: list[Hold] = []
        self.corrupt: dict[str, dict[str, str]] = {}
        self.tier_names: list[str] = []
        self.journal: dict[int, Journal] = {}
        self._opened = False
        self._verdicts: dict[int, tuple[date, int]] = {}
        self._kits_of: dict[int, set[int]] = {}
        self.version = 0
        if history:
            from cin7_emarsys.sandbox.merchant.history import replay

            source: Source
            self.people, source = replay(history, self.catalogue, self.book, seed, self.anchor, self.zone)
        else:
            oddities.add_products(self.catalogue, self.anchor)
            fill(self.catalogue, self.size.products, self.anchor)
            self.people = People(seed, self.size.customers, self.anchor)
            oddities.add_customers(self.people)
            open_book(self.book, self.catalogue, seed, self.today())
            old = self.size.sales - self.size.open_sales
            source = SeedSource(self.catalogue, self.people, seed, old, self.anchor, self.zone)
        self.is_history = history is not None
        self.sales = SaleBook(source, seed)
        self.warehouse = Warehouse(self.book, self.products)
        for product in self.products:
            self.learn_kit(product)
        if not history:
            add_sales(self, self.size.open_sales)
        self.book.touched.clear()

    # What everyone asks.

    @property
    def products(self) -> list[Product]:
        return self.catalogue.products

    def now(self) -> int:
        return to_ms(self.clock.now())

    def today(self) -> date:
        return local_date(self.now(), self.zone)

    def location_id(self, n: int) -> str:
        return self._location_ids[n]

    def task_id(self, n: int) -> str:
        return guid(Kind.TASK, n, self.seed)

    # Documents.

    def new_sale(
        self,
        customer: Customer,
        lines: list[Line],
        *,
        charges: list[Charge] | None = None,
        email: str | None = None,
        at: int | None = None,
        **rest: Any,
    ) -> Sale:
        """A draft order with the next number; not yet stored. Prices of the lines are taken as they are."""
        n, ident, number = self.sales.next_number()
        moment = self.now() if at is None else at
        contact = customer.contact
        fields: dict[str, Any] = {
            "email": email if email is not None else (contact.email if contact else None),
            "contact": contact.name if contact else None,
            "date": local_date(moment, self.zone),
            "tier": customer.tier,
            "currency": self.currency if self.is_history else customer.currency,
            "inclusive": customer.tier != "Wholesale" and not self.is_history,
            "channel": "B2B" if customer.tier == "Wholesale" else "Shopify",
            "tax_rule": "Tax Exempt" if self.is_history else "GST on Income",
            "reference": f"#{1000 + n}",
        }
        fields.update({key: value for key, value in rest.items() if value is not None})
        return Sale(
            n=n,
            id=ident,
            number=number,
            customer=customer.n,
            customer_name=customer.name,
            created=moment,
            modified=moment,
            lines=lines,
            charges=charges or [],
            **fields,
        )

    def line(self, product: Product, quantity: Decimal, tier: str = "Retail", **rest: Any) -> Line:
        """An order line at the tier's price; goods of our own unless told otherwise."""
        price = rest.pop("price", None)
        if price is None:
            price = (product.prices[1] if tier == "Wholesale" else ZERO) or product.prices[0]
        return Line(product.n, quantity, price, ZERO if self.is_history else GST, **rest)

    def keep_sale(self, sale: Sale, at: int | None = None) -> None:
        """Stores a sale and stamps it. Its lines are promises while it is authorised and not shipped."""
        waiting = set()
        if not sale.voided and sale.order_status in ("AUTHORISED", "AUTH_NO_ALLOC"):
            shipped: dict[int, Decimal] = {}
            for task in sale.fulfilments:
                for taken in task.picks if task.ship == "AUTHORISED" else ():
                    shipped[taken.line] = shipped.get(taken.line, ZERO) + taken.quantity
            goods = self.warehouse.goods(sale)
            waiting = {
                line.product
                for index, line in enumerate(sale.lines)
                if goods[index] and shipped.get(index, ZERO) < line.quantity
            }
        self.sales.keep(sale, self.now() if at is None else at, waiting)
        self.book.touched.update(line.product for line in sale.lines)

    # Promises to a price tier.

    def draw_holds(self, sale: Sale) -> None:
        """A new order of a tier that has holds draws on them, the oldest first."""
        sale.held = []
        for line in sale.lines:
            units = line.quantity
            for hold in self.holds:
                if hold.tier == sale.tier and hold.product == line.product and (drawn := min(units, hold.left)) > 0:
                    hold.drawn += drawn
                    units -= drawn
                    sale.held.append((hold.n, drawn))

    def return_holds(self, sale: Sale) -> None:
        """The order is gone: what it drew is held again."""
        for number, units in sale.held:
            self.holds[number].drawn -= units
        sale.held = []

    # The judge.

    def learn_kit(self, product: Product) -> None:
        for part in product.components:
            self._kits_of.setdefault(part.product, set()).add(product.n)
            self._kits_of.setdefault(product.n, set())

    def group(self, product: int) -> set[int]:
        """The product and everything connected to it through bills of material."""
        if product not in self._kits_of:
            return {product}
        found, todo = {product}, [product]
        while todo:
            n = todo.pop()
            near = self._kits_of.get(n, set()) | {part.product for part in self.products[n].components}
            todo += near - found
            found |= near
        return found

    def sellable_truth(self, n: int) -> int:
        """Whole units of the product that the merchant would accept and ship for a new web order now."""
        today = self.today()
        known = self._verdicts.get(n)
        if known and known[0] == today:
            return known[1]
        group = self.group(n)
        verdict = can_ship(self.products[n], group, self.products, self.book, self.sales.open_sales(group), self.holds)
        self._verdicts[n] = (today, verdict)
        return verdict

    def ledger_rows(self, n: int) -> list[LedgerRow]:
        """On hand and allocated per location and bin; one empty row for a stock product that never moved."""
        rows: dict[tuple[str, str | None], list[Decimal]] = {}
        for lot, row in self.book.of(n).items():
            cell = rows.setdefault((LOCATIONS[lot.location], lot.bin), [ZERO, ZERO])
            cell[0] += row.on_hand
            cell[1] += row.allocated
        return [(*key, cell[0], cell[1]) for key, cell in rows.items()] or [(None, None, ZERO, ZERO)]

    def open_journal(self) -> None:
        """Writes the opening of every product down, before the first event changes anything."""
        if not self._opened:
            self._opened = True
            for product in self.products:
                if product.is_stock:
                    self._note(product.n, 0)

    def _note(self, n: int, ms: int) -> None:
        entry = self.journal.setdefault(n, Journal())
        entry.times.append(ms)
        entry.states.append((self.sellable_truth(n), self.ledger_rows(n)))

    def commit(self, also: Iterable[int] = ()) -> None:
        """Ends an event: verdicts on everything it touched are made anew and written into the journal."""
        affected: set[int] = set()
        for n in self.book.touched.union(also):
            affected |= self.group(n)
        self.book.touched.clear()
        for n in affected:
            self._verdicts.pop(n, None)
        now = self.now()
        for n in sorted(affected):
            if self.products[n].is_stock:
                self._note(n, now)
        self.version += 1

    def ledger(self, limit: int, offset: int, at: datetime | None = None) -> dict[str, Any]:
        """The judge's page: `{"total", "rows": [{"sku", "location", "bin", "on_hand", "allocated", "sellable_truth",
        "at"}]}`; now, or as it was at a past moment (verdicts as of the last event before it)."""
        moment = at or self.clock.now()
        stamp, ms = moment.isoformat(timespec="milliseconds"), to_ms(moment)
        total, rows = 0, []
        for product in self.products:
            if not product.is_stock:
                continue
            past = self.journal.get(product.n) if at else None
            if past and past.times[0] > ms:
                continue  # it did not exist yet
            lots = past.at(ms)[1] if past else self.ledger_rows(product.n)
            for location, bin_name, on_hand, allocated in lots:
                if offset <= total < offset + limit:
                    truth = past.at(ms)[0] if past else self.sellable_truth(product.n)
                    row = (product.sku, location, bin_name, float(on_hand), float(allocated), truth, stamp)
                    names = ("sku", "location", "bin", "on_hand", "allocated", "sellable_truth", "at")
                    rows.append(dict(zip(names, row, strict=True)))
                total += 1
        return {"total": total, "rows": rows}
