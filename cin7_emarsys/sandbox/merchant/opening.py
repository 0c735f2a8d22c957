"""What lay on the shelves when the sandbox opened: the strange cases by name, the rest drawn from the seed."""

from datetime import date, timedelta
from decimal import Decimal

from cin7_emarsys.sandbox.merchant.catalogue import Catalogue
from cin7_emarsys.sandbox.merchant.ids import Kind, draw
from cin7_emarsys.sandbox.merchant.model import Lot, Product
from cin7_emarsys.sandbox.merchant.places import DAMAGED, MAIN, QUARANTINE, SHOP, STAGING, THIRD_PARTY
from cin7_emarsys.sandbox.merchant.stock import StockBook

D = Decimal
_NEVER = ("NEVER-01", "SETUP-01", "KIT-PICNIC-DUO", "KIT-NEST", "KIT-BROKEN")


def open_book(book: StockBook, catalogue: Catalogue, seed: int, today: date) -> None:
    named = _named(today)
    for product in catalogue.products:
        if not product.is_stock or product.sku in _NEVER:
            continue
        if product.sku in named:
            for lot, units in named[product.sku]:
                book.change(product.n, lot, on_hand=D(units))
        else:
            _ordinary(book, product, seed, today)
    book.touched.clear()


def _named(today: date) -> dict[str, list[tuple[Lot, str]]]:
    def days(n: int) -> date:
        return today + timedelta(days=n)

    return {
        "TEE-RED-S": [(Lot(MAIN, "A-01-17"), "70")],
        "TEE-RED-M": [(Lot(MAIN, "A-01-18"), "9")],
        "TEE-BLUE-S": [(Lot(MAIN, "A-01-19"), "12")],
        "TEE-BLUE-M": [(Lot(MAIN, "A-01-20"), "20"), (Lot(SHOP), "3")],
        "MUG & SAUCER ÅØ 12": [(Lot(MAIN, "A-01-17"), "40")],
        "GLOVE-L": [(Lot(MAIN, "A-01-01"), "60")],
        "BLANKET-PIC": [(Lot(MAIN, "A-01-02"), "30"), (Lot(THIRD_PARTY, "P-01"), "6")],
        "CUP-ENAMEL": [(Lot(MAIN, "A-01-03"), "100"), (Lot(THIRD_PARTY, "P-01"), "12")],
        "KIT-PICNIC": [(Lot(MAIN, "A-01-04"), "2")],
        "OLD-LAMP": [(Lot(MAIN, "A-01-05"), "7")],
        "PART-HINGE": [(Lot(MAIN, "A-01-06"), "500")],
        "HONEY-500": [
            (Lot(MAIN, "A-01-07", "B-2401", days(-20)), "9"),
            (Lot(MAIN, "A-01-07", "B-2402", days(10)), "14"),
            (Lot(MAIN, "A-01-07", "B-2403", days(60)), "20"),
            (Lot(THIRD_PARTY, "P-02", "B-2404", days(200)), "5"),
        ],
        "GPS-SN": [(Lot(MAIN, "A-01-08", f"SN{serial:06d}"), "1") for serial in range(1, 6)],
        "FABRIC-M": [(Lot(MAIN, "A-01-09"), "48.75"), (Lot(SHOP), "3.5")],
        "SOFA-DROP": [(Lot(MAIN, "A-01-10"), "1")],
        "STAGED-01": [(Lot(MAIN, STAGING), "8"), (Lot(MAIN, "A-01-11"), "2")],
        "DAMAGED-01": [(Lot(MAIN, DAMAGED), "11")],
        "QUARANTINE-01": [(Lot(QUARANTINE), "25"), (Lot(MAIN, "A-01-12"), "1")],
        "SHOP-01": [(Lot(SHOP), "10")],
        "TPL-01": [(Lot(THIRD_PARTY, "P-01"), "15")],
        "OVERSOLD-01": [(Lot(MAIN, "A-01-13"), "3"), (Lot(SHOP), "4")],
        "ZERO-01": [(Lot(MAIN, "A-01-14"), "0"), (Lot(SHOP), "0"), (Lot(THIRD_PARTY, "P-01"), "0")],
        "NOALLOC-01": [(Lot(MAIN, "A-01-15"), "12")],
        "PARTIAL-01": [(Lot(MAIN, "A-01-16"), "40")],
    }


def _ordinary(book: StockBook, product: Product, seed: int, today: date) -> None:
    rng = draw(seed, Kind.BIN, product.n)
    shelf = book.shelves[rng.randrange(len(book.shelves))]
    units = D(0) if rng.random() < 0.12 else D(rng.choice((2, 5, 9, 20, 40, 75, 120)))
    row = book.change(product.n, Lot(MAIN, shelf), on_hand=units)
    if rng.random() < 0.15:
        row.on_order, row.due = D(rng.choice((10, 50))), today + timedelta(days=rng.randrange(3, 40))
    for chance, lot, most in (
        (0.2, Lot(THIRD_PARTY, "P-01"), 30),
        (0.25, Lot(SHOP), 12),
        (0.05, Lot(QUARANTINE), 20),
        (0.03, Lot(MAIN, DAMAGED), 4),
        (0.03, Lot(MAIN, STAGING), 6),
    ):
        if rng.random() < chance:
            book.change(product.n, lot, on_hand=D(rng.randrange(1, most + 1)))
