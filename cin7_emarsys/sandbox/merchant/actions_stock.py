"""Actions on stock and products: receive, adjust, transfer, close, assemble, hold; price, title, rename, deprecate, new."""

from datetime import date
from decimal import Decimal
from typing import Any

from cin7_emarsys.sandbox.merchant.catalogue import tiers
from cin7_emarsys.sandbox.merchant.deal import Action, Deal, Result, number
from cin7_emarsys.sandbox.merchant.model import ZERO, Component, Lot, Product
from cin7_emarsys.sandbox.merchant.places import LOCATIONS, location_number
from cin7_emarsys.sandbox.merchant.truth import Hold


def _told(deal: Deal, product: Product, **more: Any) -> Result:
    return {"sku": product.sku, "product_id": product.id, **more}


def _shelf(deal: Deal, product: Product, location: int, bin_name: str | None) -> Lot:
    """Where goods are put away: the bin that is asked for, else the product's home at that location."""
    if bin_name is None:
        return deal.m.book.home(product.n, location)
    if bin_name not in deal.m.places[location].bins:
        raise ValueError(f"{LOCATIONS[location]} has no bin {bin_name!r}")
    return Lot(location, bin_name)


def _stocked(deal: Deal, product: Product, location: str | None, bin_name: str | None, batch: str | None) -> Lot:
    """Where goods are taken from: of the lots that fit, the one with most unpicked units."""
    place = None if location is None else location_number(location)
    found = [
        (row.on_hand - row.picked, lot)
        for lot, row in deal.m.book.of(product.n).items()
        if (place is None or lot.location == place)
        and (bin_name is None or lot.bin == bin_name)
        and (batch is None or lot.batch == batch)
    ]
    if not found:
        raise ValueError(f"there is no stock of {product.sku} in {location or 'any location'} {bin_name or ''}".strip())
    return max(found, key=lambda pair: pair[0])[1]


def receive(
    deal: Deal,
    *,
    sku: str | None = None,
    quantity: Any = 10,
    location: str = LOCATIONS[0],
    bin: str | None = None,
    batch: str | None = None,
    expiry: str | None = None,
) -> Result:
    """Goods come in; without a SKU the first sold-out best seller is restocked. `expiry` is a date (YYYY-MM-DD)."""
    product = deal.m.catalogue.find(sku) if sku is not None else _sold_out(deal)
    if not product.is_stock:
        raise ValueError(f"{product.sku} is not a stock product")
    place, units = location_number(location), number(quantity, "quantity")
    if units <= 0:
        raise ValueError("'quantity' is above 0")
    if batch is not None or expiry is not None:
        day = date.fromisoformat(expiry) if expiry else None
        lot = Lot(place, bin or deal.m.book.home(product.n, place).bin, batch or "B-NEW", day)
    else:
        lot = _shelf(deal, product, place, bin)
    row = deal.m.book.change(product.n, lot, on_hand=units)
    row.on_order = max(ZERO, row.on_order - units)
    row.due = row.due if row.on_order else None
    return _told(deal, product, quantity=float(units), location=location, bin=lot.bin, batch=lot.batch)


def _sold_out(deal: Deal) -> Product:
    for n in deal.m.catalogue.popular:
        product = deal.m.products[n]
        if product.status == "Active" and product.sellable and deal.m.sellable_truth(n) == 0:
            deal.spoken_for.add(n)
            return product
    return deal.product(None)


def adjust(
    deal: Deal,
    *,
    sku: str | None = None,
    delta: Any = -1,
    location: str | None = None,
    bin: str | None = None,
    batch: str | None = None,
) -> Result:
    """A stock adjustment of one lot (the fullest that fits); it cannot take more than is there and not picked."""
    product, units = deal.product(sku), number(delta, "delta")
    if units < 0:
        lot = _stocked(deal, product, location, bin, batch)
        _enough(deal, product, lot, -units)
    else:
        lot = _shelf(deal, product, location_number(location or LOCATIONS[0]), bin)
    deal.m.book.change(product.n, lot, on_hand=units)
    return _told(deal, product, delta=float(units), location=LOCATIONS[lot.location], bin=lot.bin)


def _enough(deal: Deal, product: Product, lot: Lot, units: Decimal) -> None:
    row = deal.m.book.of(product.n)[lot]
    left = row.on_hand - row.picked
    if units > max(ZERO, left):
        where = f"{LOCATIONS[lot.location]}{f' {lot.bin}' if lot.bin else ''}"
        raise ValueError(f"only {left} unpicked units of {product.sku} lie in {where}")


def transfer(
    deal: Deal,
    *,
    sku: str | None = None,
    quantity: Any = None,
    source: str | None = None,
    to: str = LOCATIONS[2],
    bin: str | None = None,
    to_bin: str | None = None,
    batch: str | None = None,
) -> Result:
    """Moves units between locations or bins; without a quantity all that lie unpicked in the fullest lot that fits.
    "from" may be written for "source". Units that are allocated and not picked may be moved."""
    product, target = deal.product(sku), location_number(to)
    lot = _stocked(deal, product, source, bin, batch)
    shelf = _shelf(deal, product, target, to_bin)
    row = deal.m.book.of(product.n)[lot]
    units = number(quantity, "quantity") if quantity is not None else row.on_hand - row.picked
    if units <= 0:
        raise ValueError(f"there is nothing of {product.sku} to move")
    _enough(deal, product, lot, units)
    there = Lot(target, shelf.bin, lot.batch, lot.expiry)
    deal.m.book.change(product.n, lot, on_hand=-units)
    deal.m.book.change(product.n, there, on_hand=units)
    return _told(deal, product, quantity=float(units), source=LOCATIONS[lot.location], bin=lot.bin,
                 to=LOCATIONS[target], to_bin=there.bin)  # fmt: skip


def close(deal: Deal, *, location: str = LOCATIONS[3], to: str = LOCATIONS[2]) -> Result:
    """A location closes: all that lies there unpicked is carried to another one."""
    place, target = location_number(location), location_number(to)
    if place == target:
        raise ValueError(f"{location} cannot be carried to itself")
    moved = []
    for product in deal.m.products:
        for lot, row in list(deal.m.book.of(product.n).items()):
            units = row.on_hand - row.picked
            if lot.location == place and units > 0:
                there = Lot(target, _shelf(deal, product, target, None).bin, lot.batch, lot.expiry)
                deal.m.book.change(product.n, lot, on_hand=-units)
                deal.m.book.change(product.n, there, on_hand=units)
                moved.append({"sku": product.sku, "quantity": float(units), "bin": lot.bin})
    return {"location": location, "to": to, "moved": moved}


def assemble(deal: Deal, *, sku: str | None = None, quantity: Any = 1, location: str = LOCATIONS[0]) -> Result:
    """Builds a kit ahead of any order, from free components at that location; without a SKU the first that can be built."""
    place, wanted = location_number(location), number(quantity, "quantity")
    kits = [deal.m.catalogue.find(sku)] if sku is not None else [p for p in deal.m.products if p.is_kit]
    for kit in kits:
        before = deal.m.book.available(kit.n, place)
        deal.m.warehouse.assemble(kit.n, place, wanted)
        built = deal.m.book.available(kit.n, place) - before
        if built:
            return _told(deal, kit, quantity=float(built), location=location)
    raise ValueError(f"nothing can be built of {sku or 'any kit'} in {location}")


def hold(deal: Deal, *, sku: str | None = None, quantity: Any = 5, tier: str = "Wholesale") -> Result:
    """The merchant sets units aside for a price tier, in its own book; Cin7 knows nothing of it."""
    product = deal.product(sku, int(number(quantity, "quantity")) if sku is None else 0)
    made = Hold(len(deal.m.holds), product.n, number(quantity, "quantity"), tier)
    deal.m.holds.append(made)
    deal.m.book.touched.add(product.n)
    return _told(deal, product, hold=made.n, quantity=float(made.quantity), tier=tier)


def release_hold(deal: Deal, *, hold: int | None = None) -> Result:
    """Ends a hold; without a number the last one that still holds something."""
    found = [h for h in deal.m.holds if (h.left > 0 if hold is None else h.n == hold)]
    if not found:
        raise ValueError("there is no such hold")
    found[-1].quantity = ZERO
    deal.m.book.touched.add(found[-1].product)
    return _told(deal, deal.m.products[found[-1].product], hold=found[-1].n)


def _touch(deal: Deal, product: Product, bump: bool = True) -> None:
    """Stamps a change of the product and of its family."""
    if bump:
        product.modified = deal.m.now()
        if product.family is not None:
            deal.m.catalogue.families[product.family].modified = product.modified
    deal.m.book.touched.add(product.n)


def price(deal: Deal, *, sku: str | None = None, price: Any = None, tier: int = 1, bump: bool = True) -> Result:
    """A new price in one tier (1–10); without one, 10 % more. `bump` false leaves LastModifiedOn as it is."""
    product = deal.product(sku)
    old = product.prices[tier - 1]
    new = number(price, "price") if price is not None else (old * Decimal("1.1")).quantize(Decimal("0.01"))
    product.prices = (*product.prices[: tier - 1], new, *product.prices[tier:])
    _touch(deal, product, bump)
    return _told(deal, product, old=float(old), price=float(new), tier=tier)


def title(deal: Deal, *, sku: str | None = None, title: str | None = None) -> Result:
    product = deal.product(sku)
    old, product.name = product.name, title or f"{product.name} (new)"
    _touch(deal, product)
    return _told(deal, product, old=old, title=product.name)


def rename(deal: Deal, *, sku: str | None = None, to: str | None = None) -> Result:
    """A new SKU for the same product id."""
    product = deal.product(sku)
    old = product.sku
    deal.m.catalogue.rename(product, to or f"{old.strip()}-NEW")
    _touch(deal, product)
    return _told(deal, product, old=old)


def deprecate(deal: Deal, *, sku: str | None = None) -> Result:
    product = deal.product(sku)
    product.status = "Deprecated"
    _touch(deal, product)
    return _told(deal, product, status=product.status)


def reactivate(deal: Deal, *, sku: str | None = None) -> Result:
    """Makes a deprecated product active again; without a SKU the first one there is."""
    gone = next((p for p in deal.m.products if p.status == "Deprecated"), None)
    if sku is None and gone is None:
        raise ValueError("no product is deprecated")
    product = deal.m.catalogue.find(sku) if sku is not None else gone
    if product is None:
        raise ValueError("no product is deprecated")
    product.status = "Active"
    _touch(deal, product)
    return _told(deal, product, status=product.status)


def sellable(deal: Deal, *, sku: str | None = None, sellable: bool = False) -> Result:
    """Sets the flag "I am selling this product"."""
    product = deal.product(sku)
    product.sellable = sellable
    _touch(deal, product)
    return _told(deal, product, sellable=sellable)


def new_product(
    deal: Deal,
    *,
    sku: str | None = None,
    title: str | None = None,
    price: Any = 19.95,
    quantity: Any = 0,
    type: str = "Stock",
    category: str = "Gifts",
    brand: str | None = "Altair",
    components: list[dict[str, Any]] | None = None,
    image: bool = True,
) -> Result:
    """A new product with `quantity` on its shelf; with `components` ([{"sku", "quantity"}]) a kit."""
    code = sku or f"NEW-{len(deal.m.products):05d}"
    if code.strip().lower() in deal.m.catalogue.by_sku:
        raise ValueError(f"SKU {code!r} exists already")
    parts = tuple(
        Component(deal.m.catalogue.find(part["sku"]).n, number(part.get("quantity", 1), "quantity"))
        for part in components or []
    )
    retail, now = number(price, "price"), deal.m.now()
    product = deal.m.catalogue.add(
        code, title or f"New product {code}", type=type, prices=tiers(retail), cost=retail * Decimal("0.4"),
        category=category, brand=brand, components=parts, auto_assembly=bool(parts), created=now, modified=now,
        attachments=(("image/jpeg", "new.jpg"),) if image else (),
    )  # fmt: skip
    deal.m.learn_kit(product)
    units = number(quantity, "quantity")
    if units and product.is_stock:
        deal.m.book.change(product.n, deal.m.book.home(product.n, 0), on_hand=units)
        deal.m.catalogue.popular.append(product.n)
    deal.m.book.touched.add(product.n)
    return _told(deal, product, title=product.name, price=float(retail), quantity=float(units))


ACTIONS: dict[str, Action] = {
    f.__name__: f
    for f in (
        receive, adjust, transfer, close, assemble, hold, release_hold, price, title, rename, deprecate, reactivate,
        sellable, new_product,
    )
}  # fmt: skip
