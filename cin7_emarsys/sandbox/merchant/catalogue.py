"""The ordinary part of the seeded catalogue: families with options and plain products of an outdoor and home shop.

The strange ones come from `oddities`. Prices are in the base currency without tax; tier 1 Retail, tier 2 Wholesale.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from cin7_emarsys.sandbox.merchant.ids import DAY_MS, Kind, draw, guid
from cin7_emarsys.sandbox.merchant.model import ZERO, Family, Product

CATEGORIES = (
    "Apparel",
    "Bags",
    "Camping",
    "Climbing",
    "Cookware",
    "Footwear",
    "Furniture",
    "Garden",
    "Gifts",
    "Lighting",
    "Pantry",
    "Textiles",
    "Toys",
    "Services",
)
BRANDS = ("Altair", "Bergholm", "Cobalt & Co", "Dunmore", "Eyre", "Fjällnära", "Gumtree", "Hinterland")
TIER_NAMES = ("Retail", "Wholesale", "Tier 3", "Tier 4", "Tier 5", "Tier 6", "Tier 7", "Tier 8", "Tier 9", "Tier 10")
_THINGS = {
    "Apparel": ("Tee", "Fleece", "Rain Jacket", "Merino Base", "Trousers", "Beanie"),
    "Bags": ("Daypack", "Duffel", "Tote", "Dry Bag"),
    "Camping": ("Tent", "Sleeping Bag", "Mat", "Camp Chair"),
    "Climbing": ("Rope", "Harness", "Carabiner", "Chalk Bag"),
    "Cookware": ("Kettle", "Pan", "Mess Kit", "Flask"),
    "Footwear": ("Boot", "Trail Shoe", "Sandal"),
    "Furniture": ("Stool", "Shelf", "Side Table"),
    "Garden": ("Trowel", "Planter", "Hose Reel"),
    "Gifts": ("Candle", "Card Set", "Notebook"),
    "Lighting": ("Lantern", "Headlamp", "String Lights"),
    "Pantry": ("Coffee", "Tea", "Muesli"),
    "Textiles": ("Blanket", "Towel", "Cushion"),
    "Toys": ("Kite", "Puzzle", "Frisbee"),
}
_COLOURS = ("Red", "Blue", "Olive", "Black", "Sand", "Teal")
_SIZES = ("XS", "S", "M", "L", "XL")
_ADJECTIVES = ("Classic", "Light", "Trail", "Summit", "Harbour", "Nomad", "Everyday", "Coastal", "Alpine", "Studio")


@dataclass
class Catalogue:
    """All products and families, by number; `add` keeps the SKU index."""

    seed: int
    products: list[Product] = field(default_factory=list)
    families: list[Family] = field(default_factory=list)
    by_sku: dict[str, int] = field(default_factory=dict)
    popular: list[int] = field(default_factory=list)
    """Numbers of products that seeded sales contain: active, sellable, stock, priced; the best sellers first."""

    def add(self, sku: str, name: str, **rest: object) -> Product:
        number = len(self.products)
        product = Product(number, guid(Kind.PRODUCT, number, self.seed), sku, name, **rest)  # type: ignore[arg-type]
        self.products.append(product)
        self.by_sku.setdefault(sku.strip().lower(), number)
        return product

    def add_family(
        self, sku: str, name: str, options: tuple[str, str, str], category: str, brand: str | None, modified: int
    ) -> Family:
        number = len(self.families)
        ident = guid(Kind.FAMILY, number, self.seed)
        family = Family(number, ident, sku, name, options, category, brand, modified=modified)
        self.families.append(family)
        return family

    def join(self, family: Family, product: Product, options: tuple[str, str, str]) -> None:
        product.family, product.options = family.n, options
        family.members.append(product.n)

    def find(self, sku: str) -> Product:
        number = self.by_sku.get(sku.strip().lower())
        if number is None:
            raise ValueError(f"unknown SKU {sku!r}")
        return self.products[number]

    def rename(self, product: Product, sku: str) -> None:
        if sku.strip().lower() in self.by_sku:
            raise ValueError(f"SKU {sku!r} exists already")
        self.by_sku.pop(product.sku.strip().lower(), None)
        product.sku = sku
        self.by_sku[sku.strip().lower()] = product.n


def tiers(retail: Decimal, wholesale: Decimal | None = None) -> tuple[Decimal, ...]:
    """Ten price tiers, of which the first two are set."""
    second = (retail * Decimal("0.6")).quantize(Decimal("0.01")) if wholesale is None else wholesale
    return (retail, second, *(ZERO,) * 8)


def fill(catalogue: Catalogue, count: int, anchor: int) -> None:
    """Adds ordinary products until there are `count`; `anchor` is the sandbox's first day (ms)."""
    serial = 0
    while len(catalogue.products) < count:
        serial += 1
        rng = draw(catalogue.seed, Kind.FAMILY, serial)
        category = rng.choice(CATEGORIES[:-1])
        thing = rng.choice(_THINGS[category])
        name = f"{rng.choice(_ADJECTIVES)} {thing} {serial}"
        brand = rng.choice((*BRANDS, None))
        code = f"{category[:3].upper()}-{serial:05d}"
        modified = anchor - rng.randrange(5 * DAY_MS, 400 * DAY_MS)
        if category in ("Apparel", "Footwear", "Bags") and count - len(catalogue.products) >= 6:
            _variants(catalogue, rng, code, name, category, brand, modified)
        else:
            _one(catalogue, rng, code, name, category, brand, modified)
    catalogue.popular = [p.n for p in catalogue.products if _saleable(p)]


def _saleable(product: Product) -> bool:
    return (
        product.is_stock
        and product.sellable
        and product.status == "Active"
        and product.prices[0] > 0
        and not product.is_kit
        and product.drop_ship_mode == "No Drop Ship"
    )


def _price(rng: Random) -> Decimal:
    return Decimal(rng.choice((495, 995, 1295, 1995, 2450, 3495, 4995, 7995, 12900, 24900))) / 100


def _variants(
    catalogue: Catalogue, rng: Random, code: str, name: str, category: str, brand: str | None, modified: int
) -> None:
    family = catalogue.add_family(code, name, ("Colour", "Size", ""), category, brand, modified)
    price = _price(rng)
    for colour in rng.sample(_COLOURS, 2):
        for size in _SIZES[1:4]:
            product = _one(
                catalogue, rng, f"{code}-{colour[:3].upper()}-{size}", f"{name} - {colour} - {size}", category, brand,
                modified, price,
            )  # fmt: skip
            catalogue.join(family, product, (colour, size, ""))


def _one(
    catalogue: Catalogue,
    rng: Random,
    sku: str,
    name: str,
    category: str,
    brand: str | None,
    modified: int,
    price: Decimal | None = None,
) -> Product:
    price = price or _price(rng)
    plain = rng.random()
    return catalogue.add(
        sku,
        name,
        prices=tiers(price),
        cost=(price * Decimal("0.4")).quantize(Decimal("0.01")),
        category=category,
        brand=brand,
        tags=rng.choice((None, "", "new", "sale, summer", "gift")),
        description=f"<p>{name} for everyday use.</p>" if plain < 0.7 else "",
        barcode=f"93{rng.randrange(10**11):011d}" if plain < 0.8 else None,
        weight=Decimal(rng.randrange(50, 4000)),
        attachments=(("image/jpeg", f"{sku}.jpg"),) if plain < 0.85 else (),
        created=modified - 30 * DAY_MS,
        modified=modified,
    )
