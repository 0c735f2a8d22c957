"""Behaviours of which tenants and years differ, or which nobody has verified. Set with `POST /_sandbox/switches`."""

from dataclasses import asdict, dataclass, fields
from typing import Any

THROTTLE_MODES = ("429", "503", "400-message")
SALE_ORDERS = ("newest", "arbitrary")


@dataclass(slots=True)
class Switches:
    unknown_route_404: bool = False
    """Unknown route: a real 404 instead of 200 with an HTML page."""
    throttle_mode: str = "429"
    """429 with headers, 503 without, or 400 with the message in the error body."""
    fixed_window: bool = False
    """The limit counts in fixed windows instead of a sliding one."""
    reject_z: bool = False
    """Dates with a trailing Z in the query are refused (400), as in 2023."""
    customer_cap_100: bool = False
    """`customer` delivers at most 100 rows a page."""
    null_when_empty: bool = False
    """A page without rows has null instead of an empty array."""
    product_ignores_page: bool = False
    """`product` without `Limit` always answers its first page."""
    availability_ignores_id: bool = False
    """`ref/productavailability` does not filter by `ID` and answers with everything."""
    credit_note_as_sale: bool = True
    """A stand-alone credit note can be read with `sale?ID=` too."""
    credit_note_of_sales_only: bool = False
    """`sale/creditnote` shows no stand-alone credit note: its list is empty."""
    duplicate_tier_names: bool = False
    """Two price tiers share a name: `PriceTiers` is left out."""
    sale_order: str = "newest"
    """Order of saleList: newest number first, or arbitrary (but stable)."""
    shopfloor_spelling: str = "IsShopfloor"
    """`IsShopfloor` or `IsShopFloor`."""

    def update(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Sets some; raises ValueError that names the wrong one and lists the known ones. Returns all."""
        kinds = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        choices = {"throttle_mode": THROTTLE_MODES, "sale_order": SALE_ORDERS,
                   "shopfloor_spelling": ("IsShopfloor", "IsShopFloor")}  # fmt: skip
        for name, value in changes.items():
            if name not in kinds:
                raise ValueError(f"unknown switch {name!r}; known: {', '.join(kinds)}")
            if not isinstance(value, kinds[name]) or value not in choices.get(name, (value,)):
                expected = " or ".join(choices.get(name, (kinds[name].__name__,)))
                raise ValueError(f"switch {name!r} is {expected}, not {value!r}")
        for name, value in changes.items():
            setattr(self, name, value)
        return asdict(self)
