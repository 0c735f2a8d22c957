"""The stock book: on hand and allocated per product and lot, as the warehouse system counts them.

A lot is location × bin × batch × expiry. Units allocated but not picked sit on the lot without bin and batch of the
order's location; picking moves them to the picked lot; shipping takes them off. Every change marks its product.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from cin7_emarsys.sandbox.merchant.ids import mix
from cin7_emarsys.sandbox.merchant.model import ZERO, Lot, Product
from cin7_emarsys.sandbox.merchant.places import BLOCKED_BINS, MAIN, THIRD_PARTY

MIN_SHELF_LIFE = timedelta(days=14)


@dataclass(slots=True)
class Row:
    """Units of one product in one lot. `picked` is the part of `allocated` that is picked from this very lot."""

    on_hand: Decimal = ZERO
    allocated: Decimal = ZERO
    picked: Decimal = ZERO
    on_order: Decimal = ZERO
    in_transit: Decimal = ZERO
    due: date | None = None

    @property
    def is_zero(self) -> bool:
        return not (self.on_hand or self.allocated or self.on_order or self.in_transit)


class StockBook:
    """`today` gives the merchant's date: batches with less shelf life than MIN_SHELF_LIFE are not picked any more."""

    def __init__(self, shelves: tuple[str, ...], today: Callable[[], date]) -> None:
        self.shelves, self.today = shelves, today
        self.rows: dict[int, dict[Lot, Row]] = {}
        self.version = 0
        self.touched: set[int] = set()

    def of(self, product: int) -> dict[Lot, Row]:
        return self.rows.get(product, {})

    def change(
        self,
        product: int,
        lot: Lot,
        *,
        on_hand: Decimal = ZERO,
        allocated: Decimal = ZERO,
        picked: Decimal = ZERO,
    ) -> Row:
        row = self.rows.setdefault(product, {}).setdefault(lot, Row())
        row.on_hand += on_hand
        row.allocated += allocated
        row.picked += picked
        self.version += 1
        self.touched.add(product)
        return row

    def available(self, product: int, location: int) -> Decimal:
        """On hand − allocated of one location, all bins; below zero when oversold."""
        return sum((r.on_hand - r.allocated for lot, r in self.of(product).items() if lot.location == location), ZERO)

    def pick_list(self, product: int, location: int) -> list[tuple[Lot, Decimal]]:
        """Lots a picker takes from, with what is left in each: soonest expiry first; never a damaged or staging bin."""
        fresh = self.today() + MIN_SHELF_LIFE
        found = [
            (lot, row.on_hand - row.picked)
            for lot, row in self.of(product).items()
            if lot.location == location
            and lot.bin not in BLOCKED_BINS
            and row.on_hand > row.picked
            and (lot.expiry is None or lot.expiry >= fresh)
        ]
        return sorted(found, key=lambda pair: (pair[0].expiry or date.max, pair[0].bin or "", pair[0].batch or ""))

    def home(self, product: int, location: int) -> Lot:
        """Where goods are put away: the lot they are in already, else a bin of their own."""
        for lot in self.of(product):
            if lot.location == location and lot.bin not in BLOCKED_BINS and (lot.bin or location not in (0, 3)):
                return lot
        if location == MAIN:
            return Lot(MAIN, self.shelves[mix(product) % len(self.shelves)])
        return Lot(location, "P-01" if location == THIRD_PARTY else None)

    def take(self, product: int, location: int, quantity: Decimal) -> list[tuple[Lot, Decimal]]:
        """Picks up to `quantity` from the location without marking anything: (lot, units)."""
        found = []
        for lot, left in self.pick_list(product, location):
            units = min(left, quantity)
            if units > 0:
                found.append((lot, units))
                quantity -= units
        return found

    def served(self, products: list[Product]) -> Iterator[tuple[Product, Lot, Row]]:
        """The rows that the API shows: stock products that are not deprecated; of the zero rows about half."""
        for product in products:
            lots = self.rows.get(product.n)
            if lots and product.is_stock and product.status != "Deprecated":
                for lot, row in lots.items():
                    if not row.is_zero or _kept(product.n, lot):
                        yield product, lot, row


def _kept(product: int, lot: Lot) -> bool:
    return mix(product * 31 + lot.location * 7 + sum(map(ord, lot.bin or ""))) % 2 == 0
