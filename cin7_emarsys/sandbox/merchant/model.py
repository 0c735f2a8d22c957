"""The merchant's records: products, people, documents. Money and quantities are Decimal, moments ms UTC."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

ZERO = Decimal(0)
ONE = Decimal(1)


@dataclass(slots=True)
class Component:
    """A stock component of a bill of materials: units for one run, wastage as percent or as units per run."""

    product: int
    quantity: Decimal
    wastage_percent: Decimal = ZERO
    wastage_quantity: Decimal = ZERO

    @property
    def need(self) -> Decimal:
        return self.quantity * (1 + self.wastage_percent / 100) + self.wastage_quantity


@dataclass(slots=True)
class Product:
    n: int
    id: str
    sku: str
    name: str
    type: str = "Stock"
    status: str = "Active"
    sellable: bool = True
    prices: tuple[Decimal, ...] = (ZERO,) * 10
    cost: Decimal = ZERO
    category: str = ""
    brand: str | None = None
    tags: str | None = None
    description: str = ""
    short: str = ""
    barcode: str | None = None
    weight: Decimal = ZERO
    uom: str = "Item"
    costing: str = "FIFO"
    drop_ship_mode: str = "No Drop Ship"
    attribute_set: str | None = None
    attributes: tuple[str, ...] = ()
    family: int | None = None
    options: tuple[str, str, str] = ("", "", "")
    auto_assembly: bool = False
    run_makes: Decimal = ONE
    components: tuple[Component, ...] = ()
    service_components: tuple[int, ...] = ()
    attachments: tuple[tuple[str, str], ...] = ()
    """(content type, file name); an image or not."""
    created: int = 0
    modified: int = 0

    @property
    def is_stock(self) -> bool:
        return self.type == "Stock"

    @property
    def is_kit(self) -> bool:
        return self.auto_assembly and bool(self.components)

    @property
    def per_batch(self) -> bool:
        return "Batch" in self.costing or "Serial" in self.costing


@dataclass(slots=True)
class Family:
    n: int
    id: str
    sku: str
    name: str
    option_names: tuple[str, str, str]
    category: str
    brand: str | None
    members: list[int] = field(default_factory=list)
    modified: int = 0


@dataclass(slots=True)
class Contact:
    n: int
    name: str
    email: str | None
    default: bool = True
    consent: int = 1
    phone: str | None = None
    job: str | None = None


@dataclass(slots=True)
class Customer:
    n: int
    id: str
    name: str
    contacts: list[Contact] = field(default_factory=list)
    status: str = "Active"
    tier: str = "Retail"
    tags: str | None = None
    currency: str = "AUD"
    country: str = "Australia"
    city: str = ""
    state: str = ""
    postcode: str = ""
    street: str = ""
    addresses: int = 2
    parent: int | None = None
    children: list[int] = field(default_factory=list)
    discount: Decimal = ZERO
    on_hold: bool = False
    modified: int = 0

    @property
    def contact(self) -> Contact | None:
        """The contact that the merchant writes to: the first default one, else the first."""
        return next((c for c in self.contacts if c.default), self.contacts[0] if self.contacts else None)


@dataclass(slots=True)
class Line:
    """A product line of an order, invoice or credit note. `rate` is the tax rate (0.1), `discount` a percentage."""

    product: int
    quantity: Decimal
    price: Decimal
    rate: Decimal = ZERO
    discount: Decimal = ZERO
    drop_ship: bool = False
    backorder: Decimal = ZERO


@dataclass(slots=True)
class Charge:
    """An additional charge: free text, no SKU; a negative price is a discount on the whole document."""

    description: str
    price: Decimal
    rate: Decimal = ZERO
    quantity: Decimal = ONE
    discount: Decimal = ZERO


@dataclass(slots=True, frozen=True)
class Lot:
    """Where stock lies: one row of the stock book. Both bin and batch None: the row of unpicked allocations."""

    location: int
    bin: str | None = None
    batch: str | None = None
    expiry: date | None = None


@dataclass(slots=True)
class Taken:
    """Units of one order line taken from (picked) or put back to (restock) one lot."""

    line: int
    product: int
    lot: Lot
    quantity: Decimal


@dataclass(slots=True)
class Payment:
    n: int
    amount: Decimal
    paid: date
    created: int


@dataclass(slots=True)
class Fulfilment:
    n: int
    number: int
    picks: list[Taken] = field(default_factory=list)
    pick: str = "DRAFT"
    pack: str = "NOT AVAILABLE"
    ship: str = "NOT AVAILABLE"
    shipped: date | None = None
    tracking: str = ""


@dataclass(slots=True)
class Invoice:
    n: int
    number: str
    status: str
    date: date
    lines: list[Line]
    charges: list[Charge] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    fulfilment: int | None = None


@dataclass(slots=True)
class CreditNote:
    n: int
    number: str
    invoice: str | None
    status: str
    date: date
    lines: list[Line]
    charges: list[Charge] = field(default_factory=list)
    refunds: list[Payment] = field(default_factory=list)
    restock: list[Taken] = field(default_factory=list)


@dataclass(slots=True)
class Sale:
    """One sale with all its documents. `order_status` "": it has no order (service sale, stand-alone note)."""

    n: int
    id: str
    number: str
    customer: int
    customer_name: str
    email: str | None
    date: date
    created: int
    modified: int
    lines: list[Line]
    charges: list[Charge] = field(default_factory=list)
    type: str = "Simple Sale"
    order_status: str = "DRAFT"
    quote_status: str = "NOT AVAILABLE"
    location: int = 0
    tier: str = "Retail"
    currency: str = "AUD"
    currency_rate: Decimal = ONE
    inclusive: bool = False
    tax_rule: str = "GST on Income"
    exact: bool = False
    """Replayed history: amounts are not rounded."""
    channel: str | None = None
    reference: str = ""
    contact: str | None = None
    external: str | None = None
    voided: bool = False
    standalone_credit: bool = False
    fulfilments: list[Fulfilment] = field(default_factory=list)
    invoices: list[Invoice] = field(default_factory=list)
    credit_notes: list[CreditNote] = field(default_factory=list)
    allocated: list[Decimal] = field(default_factory=list)
    """Per line: units that the stock book holds allocated for it (picked or not), until shipped."""
    held: list[tuple[int, Decimal]] = field(default_factory=list)
    """(hold, units) that this order drew from the merchant's holds."""
    parts: int = 0
    """How many numbered parts (tasks, payments) it has had; the next gets this number."""

    def next_part(self) -> int:
        self.parts += 1
        return self.n * 256 + self.parts
