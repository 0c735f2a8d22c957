"""The life of an order in the warehouse: authorise, pick, ship, back again. The only place where a sale moves stock."""

from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from cin7_emarsys.sandbox.merchant.documents import units
from cin7_emarsys.sandbox.merchant.model import ONE, ZERO, Fulfilment, Lot, Product, Sale, Taken
from cin7_emarsys.sandbox.merchant.places import WEB_LOCATIONS
from cin7_emarsys.sandbox.merchant.stock import StockBook


class Refused(ValueError):
    """The merchant cannot do that; the text says why."""


class Warehouse:
    """Applies the life of a sale to the stock book."""

    def __init__(self, book: StockBook, products: list[Product]) -> None:
        self.book, self.products = book, products

    def goods(self, sale: Sale) -> list[bool]:
        """Per line: is it a thing that leaves our warehouse?"""
        products = self.products
        return [products[line.product].type == "Stock" and not line.drop_ship for line in sale.lines]

    def authorise(self, sale: Sale, *, allocate: bool) -> None:
        """AUTHORISED allocates at the sale's location, below zero if need be (a backorder); AUTH_NO_ALLOC does not."""
        sale.allocated = [ZERO] * len(sale.lines)
        for index, is_goods in enumerate(self.goods(sale)):
            line = sale.lines[index]
            line.backorder = ZERO
            if is_goods and allocate:
                self._allocate(sale, index, line.quantity)
            elif is_goods:
                self.book.touched.add(line.product)
        sale.order_status = "AUTHORISED" if allocate else "AUTH_NO_ALLOC"

    def allocate(self, sale: Sale) -> None:
        """Turns AUTH_NO_ALLOC into AUTHORISED: allocates what is not picked or shipped yet."""
        for index, is_goods in enumerate(self.goods(sale)):
            rest = sale.lines[index].quantity - units(sale, index, "pick")
            if is_goods and rest > 0:
                self._allocate(sale, index, rest)
        sale.order_status = "AUTHORISED"

    def _allocate(self, sale: Sale, index: int, quantity: Decimal) -> None:
        line = sale.lines[index]
        self.assemble(line.product, sale.location, quantity - self._free(line.product, sale.location))
        line.backorder = max(ZERO, quantity - self._free(line.product, sale.location))
        self.book.change(line.product, Lot(sale.location), allocated=quantity)
        sale.allocated[index] += quantity

    def _free(self, product: int, location: int) -> Decimal:
        return max(ZERO, self.book.available(product, location))

    def pick(self, sale: Sale, quantity: Decimal | None = None, bin_name: str | None = None) -> Fulfilment:
        """Picks every unpicked unit that is there, or `quantity` of each line; from `bin_name` when given.

        Web orders are picked at their own location first, then at the other one that serves the web.
        """
        task = Fulfilment(sale.next_part(), len(sale.fulfilments) + 1)
        for index, is_goods in enumerate(self.goods(sale)):
            line = sale.lines[index]
            rest = line.quantity - units(sale, index, "pick")
            wanted = rest if quantity is None else min(rest, quantity)
            if is_goods and wanted > 0:
                left = self._pick_line(sale, task, index, wanted, bin_name)
                line.backorder = min(line.backorder, rest - wanted + left)
        if not task.picks:
            raise Refused(f"nothing to pick for {sale.number} at its location")
        task.pick = "AUTHORISED"
        sale.fulfilments.append(task)
        return task

    def _pick_line(self, sale: Sale, task: Fulfilment, index: int, wanted: Decimal, bin_name: str | None) -> Decimal:
        """Returns what could not be found; a kit that lacks stock is built."""
        product = sale.lines[index].product
        places = (sale.location, *(w for w in WEB_LOCATIONS if w != sale.location))
        places = places if sale.location in WEB_LOCATIONS and bin_name is None else places[:1]
        for building in (False, True):
            for place in places:
                if building and wanted > 0 and bin_name is None:
                    self.assemble(product, place, wanted)
                for lot, taken in self._lots(product, place, wanted, bin_name):
                    self._mark(sale, index, lot, taken)
                    task.picks.append(Taken(index, product, lot, taken))
                    wanted -= taken
            if not self.products[product].is_kit:
                break
        return wanted

    def _mark(self, sale: Sale, index: int, lot: Lot, taken: Decimal) -> None:
        """The allocation moves from the unpicked row to the picked lot; without an allocation it starts there."""
        product = sale.lines[index].product
        if sale.order_status == "AUTH_NO_ALLOC":
            sale.allocated[index] += taken
        else:
            self.book.change(product, Lot(sale.location), allocated=-taken)
        self.book.change(product, lot, allocated=taken, picked=taken)

    def _lots(self, product: int, location: int, wanted: Decimal, bin_name: str | None) -> list[tuple[Lot, Decimal]]:
        if wanted <= 0:
            return []
        if bin_name is None:
            return self.book.take(product, location, wanted)
        for lot, row in self.book.of(product).items():
            if lot.location == location and lot.bin == bin_name and row.on_hand > row.picked:
                return [(lot, min(wanted, row.on_hand - row.picked))]
        return []

    def ship(self, sale: Sale, day: date, tracking: str = "") -> list[Fulfilment]:
        """Ships what is picked and not shipped; picks everything first when nothing is picked."""
        waiting = [f for f in sale.fulfilments if f.pick == "AUTHORISED" and f.ship != "AUTHORISED"]
        waiting = waiting or [self.pick(sale)]
        for task in waiting:
            for t in task.picks:
                self.book.change(t.product, t.lot, on_hand=-t.quantity, allocated=-t.quantity, picked=-t.quantity)
                sale.allocated[t.line] -= t.quantity
            task.pack = task.ship = "AUTHORISED"
            task.shipped, task.tracking = day, tracking
        return waiting

    def release(self, sale: Sale) -> None:
        """Undo and void: shipped goods come back to their lots, picks are dropped, allocations end."""
        if not sale.allocated:  # shipped before the stock book was opened: only the goods come back
            sale.allocated = [ZERO] * len(sale.lines)
        for task in sale.fulfilments:
            for t in task.picks:
                if task.ship == "AUTHORISED":
                    self.book.change(t.product, t.lot, on_hand=t.quantity)
                elif task.pick == "AUTHORISED":
                    self.book.change(t.product, t.lot, allocated=-t.quantity, picked=-t.quantity)
                    sale.allocated[t.line] -= t.quantity
        for index, left in enumerate(sale.allocated):
            line = sale.lines[index]
            self.book.touched.add(line.product)
            if left:
                self.book.change(line.product, Lot(sale.location), allocated=-left)
            line.backorder = ZERO
        sale.allocated = [ZERO] * len(sale.lines)

    def put_back(self, sale: Sale, index: int, quantity: Decimal, location: int, product: int) -> Taken:
        """A restock: goods of a credit note line come back to their shelf."""
        lot = self.book.home(product, location)
        self.book.change(product, lot, on_hand=quantity)
        return Taken(index, product, lot, quantity)

    def assemble(self, kit: int, location: int, lacking: Decimal) -> None:
        """Builds what is lacking of a kit from free components at that location, in whole runs, as far as they go."""
        product = self.products[kit]
        if not product.is_kit or lacking <= 0:
            return
        makes = product.run_makes or ONE
        runs = (lacking / makes).to_integral_value(ROUND_CEILING)
        for part in product.components:
            self.assemble(part.product, location, runs * part.need - self._free(part.product, location))
            on_shelves = sum((left for _, left in self.book.pick_list(part.product, location)), ZERO)
            free = min(self._free(part.product, location), on_shelves)
            runs = min(runs, (free / part.need).to_integral_value(ROUND_FLOOR))
        if runs <= 0:
            return
        for part in product.components:
            for lot, taken in self.book.take(part.product, location, runs * part.need):
                self.book.change(part.product, lot, on_hand=-taken)
        self.book.change(kit, Lot(location), on_hand=runs * makes)
