"""The judge: how many units of a SKU the merchant would accept and ship for a new web order now.

Found by trying, from the order book and the shelves, not from the Allocated figures: every promise (each open order's
unshipped units, allocated or not, and each hold) is served first, then units are picked for the new order until the
picker comes back with empty hands. What a picker may use: shelf bins of Main Warehouse and 3PL, at least 14 days of
shelf life. Orders of other locations are served there and nowhere else. Picked units of an order are its own.
A kit that lacks stock is built run by run from components of one location.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from cin7_emarsys.sandbox.merchant.documents import units
from cin7_emarsys.sandbox.merchant.model import ONE, ZERO, Product, Sale
from cin7_emarsys.sandbox.merchant.places import WEB_LOCATIONS
from cin7_emarsys.sandbox.merchant.stock import StockBook

_DEPTH = 8


@dataclass(slots=True)
class Hold:
    """Units that the merchant sets aside for a price tier: an entry of its own promise book, unknown to Cin7."""

    n: int
    product: int
    quantity: Decimal
    tier: str
    drawn: Decimal = ZERO
    """Units ordered by that tier since, which come out of the hold."""

    @property
    def left(self) -> Decimal:
        return max(ZERO, self.quantity - self.drawn)


Shelf = dict[tuple[int, int], Decimal]
"""(product, location) → units that a picker would find."""


class Picker:
    """One simulated round through the warehouse."""

    def __init__(self, products: list[Product], shelf: Shelf) -> None:
        self.products, self.shelf = products, shelf

    def take(self, product: int, quantity: Decimal, places: Iterable[int]) -> Decimal:
        """Takes up to `quantity`, building kits where needed; returns what was got."""
        got = ZERO
        places = tuple(places)
        for place in places:
            found = min(quantity - got, self.shelf.get((product, place), ZERO))
            if found > 0:
                self.shelf[product, place] -= found
                got += found
        for place in places:
            while got < quantity and self.build(product, place):
                found = min(quantity - got, self.shelf[product, place])
                self.shelf[product, place] -= found
                got += found
        return got

    def build(self, kit: int, place: int, depth: int = 0) -> bool:
        """One run of a kit at one place: all components or nothing."""
        recipe = self.products[kit]
        if not recipe.is_kit or depth > _DEPTH:
            return False
        before = dict(self.shelf)
        for part in recipe.components:
            while self.shelf.get((part.product, place), ZERO) < part.need:
                if not self.build(part.product, place, depth + 1):
                    self.shelf.clear()
                    self.shelf.update(before)
                    return False
            self.shelf[part.product, place] -= part.need
        self.shelf[kit, place] = self.shelf.get((kit, place), ZERO) + (recipe.run_makes or ONE)
        return True


def can_ship(
    product: Product,
    group: Iterable[int],
    products: list[Product],
    book: StockBook,
    open_sales: Iterable[Sale],
    holds: Iterable[Hold],
) -> int:
    """Whole units of `product`; `group` is it and everything connected to it by bills of material."""
    if not (product.is_stock and product.sellable and product.status == "Active"):
        return 0
    members = set(group)
    shelf: Shelf = {}
    for member in members:
        for place in range(4):
            for _, left in book.pick_list(member, place):
                shelf[member, place] = shelf.get((member, place), ZERO) + left
    picker = Picker(products, shelf)
    for sale in open_sales:
        own = (sale.location, *(w for w in WEB_LOCATIONS if w != sale.location))
        places = own if sale.location in WEB_LOCATIONS else own[:1]
        for index, line in enumerate(sale.lines):
            if line.product in members and products[line.product].is_stock and not line.drop_ship:
                picker.take(line.product, line.quantity - units(sale, index, "pick"), places)
    for hold in holds:
        if hold.product in members:
            picker.take(hold.product, hold.left, WEB_LOCATIONS)
    total = sum((shelf.get((product.n, place), ZERO) for place in WEB_LOCATIONS), ZERO)
    for place in WEB_LOCATIONS:
        while picker.build(product.n, place):
            total += product.run_makes or ONE
            shelf[product.n, place] = ZERO
    return int(max(ZERO, total).to_integral_value(ROUND_FLOOR))
