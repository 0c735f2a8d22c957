"""The endpoints: each takes the parameters and gives the JSON text of the body."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cin7_emarsys.sandbox.cin7 import render_people, render_products
from cin7_emarsys.sandbox.cin7.corruption import spoil
from cin7_emarsys.sandbox.cin7.paging import Listing, Pager
from cin7_emarsys.sandbox.cin7.params import BadRequest, Params
from cin7_emarsys.sandbox.cin7.render_products import Include
from cin7_emarsys.sandbox.cin7.render_sales import SaleRenderer
from cin7_emarsys.sandbox.cin7.switches import Switches
from cin7_emarsys.sandbox.cin7.text import quote
from cin7_emarsys.sandbox.merchant.catalogue import BRANDS, CATEGORIES, TIER_NAMES
from cin7_emarsys.sandbox.merchant.documents import header
from cin7_emarsys.sandbox.merchant.ids import Kind, guid, mix, number_of
from cin7_emarsys.sandbox.merchant.model import Sale
from cin7_emarsys.sandbox.merchant.places import LOCATIONS
from cin7_emarsys.sandbox.merchant.world import Merchant

_STATUS_FILTERS = {
    "quotestatus": "quote",
    "orderstatus": "order",
    "combinedpickstatus": "pick",
    "combinedpackstatus": "pack",
    "combinedshippingstatus": "ship",
    "combinedinvoicestatus": "invoice",
    "creditnotestatus": "credit",
    "status": "status",
}
_LISTS_KEPT = 16
_ROWS_KEPT = 20_000

Endpoint = Callable[[Params, str], str]


class Routes:
    """All endpoints over one merchant. `table` maps the lower-case path to its function."""

    def __init__(self, merchant: Merchant, switches: Switches, pager: Pager) -> None:
        self.m, self.switches, self.pager = merchant, switches, pager
        self.sales = SaleRenderer(merchant)
        self._lists: dict[Any, Sequence[Any]] = {}
        self._rows: dict[tuple[int, bool], tuple[int, str]] = {}
        self.table: dict[str, Endpoint] = {
            "me": lambda p, path: render_people.me(self.m),
            "product": self.product,
            "product/attachments": self.attachments,
            "productfamily": self.family,
            "ref/productavailability": self.availability,
            "ref/location": self.location,
            "ref/category": self.category,
            "ref/brand": self.brand,
            "ref/pricetier": self.price_tier,
            "salelist": self.sale_list,
            "sale": self.sale,
            "salecreditnotelist": self.credit_note_list,
            "sale/creditnote": self.credit_note,
            "customer": self.customer,
        }

    # Helpers.

    def _answer(self, listing: Listing, p: Params, path: str) -> str:
        page, limit = p.page()
        return self.pager.page(listing, page, limit, path, self.switches.null_when_empty)

    def _kept_list(self, key: Any, make: Callable[[], Sequence[Any]]) -> Sequence[Any]:
        """A filtered list, remembered until the merchant does something."""
        known = self._lists.get(key)
        if known is None:
            if len(self._lists) >= _LISTS_KEPT:
                self._lists.clear()
            known = self._lists[key] = make()
        return known

    def _spoiled(self, entity: str, key: str, row: str) -> str:
        what = self.m.corrupt.get(entity, {}).get(key) if self.m.corrupt else None
        return spoil(row, entity, what) if what else row

    # Products.

    def product(self, p: Params, path: str) -> str:
        include = Include(
            p.flag("IncludeBOM"),
            p.flag("IncludeAttachments"),
            p.flag("IncludeSuppliers"),
            p.flag("IncludeMovements"),
            p.flag("IncludeReorderLevels"),
            p.flag("IncludeCustomPrices"),
        )
        since, deprecated = p.moment("ModifiedSince"), p.flag("IncludeDeprecated")
        found: Iterable[Any] = self._matching(self.m.products, p, Kind.PRODUCT)
        items = [
            x for x in found if (deprecated or x.status != "Deprecated") and (since is None or x.modified >= since)
        ]
        named = not self.switches.duplicate_tier_names
        listing = Listing(
            "Products",
            items,
            lambda x: self._spoiled("product", x.sku, render_products.product_row(self.m, x, include, named)),
            500 if include.bom else 1000,
        )
        page, limit = p.page()
        if self.switches.product_ignores_page and "Limit" not in p:
            page = 1
        return self.pager.page(listing, page, limit, path, self.switches.null_when_empty)

    def _matching(self, rows: Sequence[Any], p: Params, kind: int) -> Sequence[Any]:
        """Filters ID, Name and Sku: the last two by what they contain, ignoring case."""
        if ident := p.text("ID"):
            n = number_of(kind, ident, self.m.seed)
            rows = [rows[n]] if n is not None and 0 <= n < len(rows) else []
        for field in ("Name", "Sku"):
            if wanted := p.text(field):
                rows = [x for x in rows if wanted.lower() in getattr(x, field.lower()).lower()]
        return rows

    def attachments(self, p: Params, path: str) -> str:
        ident = p.text("ProductID")
        if ident is None:
            raise BadRequest("Required parameter ProductID is not provided.")
        n = number_of(Kind.PRODUCT, ident, self.m.seed)
        if n is None or not 0 <= n < len(self.m.products):
            raise BadRequest("Product not found.", 404)
        return render_products.attachments(self.m, self.m.products[n], default=True)

    def family(self, p: Params, path: str) -> str:
        since = p.moment("ModifiedSince")
        found = self._matching(self.m.catalogue.families, p, Kind.FAMILY)
        items = [x for x in found if since is None or x.modified >= since]
        return self._answer(Listing("ProductFamilies", items, lambda x: render_products.family_row(self.m, x)), p, path)

    def availability(self, p: Params, path: str) -> str:
        wanted = {name: (p.text(name) or "").lower() for name in ("Name", "Sku", "Location", "Batch", "Category")}
        ident = None if self.switches.availability_ignores_id else p.text("ID")
        number = number_of(Kind.PRODUCT, ident, self.m.seed) if ident else None

        def rows() -> Sequence[Any]:
            products = self.m.products
            if ident:
                products = products[number : number + 1] if number is not None else []
            if wanted["Sku"]:
                products = [x for x in products if x.sku.strip().lower() == wanted["Sku"]]
            if wanted["Name"]:
                products = [x for x in products if x.name.lower().startswith(wanted["Name"])]
            if wanted["Category"]:
                products = [x for x in products if x.category.lower() == wanted["Category"]]
            return [
                cell
                for cell in self.m.book.served(products)
                if (not wanted["Location"] or LOCATIONS[cell[1].location].lower() == wanted["Location"])
                and (not wanted["Batch"] or (cell[1].batch or "").lower() == wanted["Batch"])
            ]

        items = self._kept_list(("availability", self.m.version, *wanted.values(), ident), rows)
        return self._answer(
            Listing(
                "ProductAvailabilityList",
                items,
                lambda x: self._spoiled("availability", x[0].sku, render_products.availability_row(*x)),
            ),
            p,
            path,
        )

    # Reference lists.

    def location(self, p: Params, path: str) -> str:
        rows = self._kept_list(
            ("location", self.switches.shopfloor_spelling),
            lambda: render_people.location_rows(self.m, self.switches.shopfloor_spelling),
        )
        if p.flag("Deprecated"):
            rows = []
        if ident := p.text("ID"):
            rows = [row for row in rows if row[0] == ident.lower()]
        if name := p.text("Name"):
            rows = [row for row in rows if row[1].lower().startswith(name.lower())]
        return self._answer(Listing("LocationList", rows, lambda row: str(row[2]), 500), p, path)

    def _names(self, key: str, kind: int, names: Iterable[str], p: Params, path: str) -> str:
        wanted = (p.text("Name") or "").lower()
        items = [(i, name) for i, name in enumerate(names) if name.lower().startswith(wanted)]
        return self._answer(
            Listing(key, items, lambda x: f'{{"ID":"{guid(kind, x[0], self.m.seed)}","Name":{quote(x[1])}}}'), p, path
        )

    def category(self, p: Params, path: str) -> str:
        used = CATEGORIES if not self.m.is_history else sorted({x.category for x in self.m.products})
        return self._names("CategoryList", Kind.CATEGORY, used, p, path)

    def brand(self, p: Params, path: str) -> str:
        return self._names("BrandList", Kind.BRAND, BRANDS if not self.m.is_history else (), p, path)

    def price_tier(self, p: Params, path: str) -> str:
        names = list(TIER_NAMES)
        if self.switches.duplicate_tier_names:
            names[2] = names[1]
        rows = ",".join(f'{{"Code":{i},"Name":{quote(name)}}}' for i, name in enumerate(names, 1))
        return f'{{"PriceTiers":[{rows}]}}'

    # Sales.

    def sale_list(self, p: Params, path: str) -> str:
        return self._sales(p, path, credits=False)

    def credit_note_list(self, p: Params, path: str) -> str:
        return self._sales(p, path, credits=True)

    def _sales(self, p: Params, path: str, *, credits: bool) -> str:
        moments = [p.moment(name) for name in ("UpdatedSince", "UpdatedUntil", "CreatedSince", "ShipBy")]
        key = ("sales", credits, self.m.sales.version, self.switches.sale_order, p.rest())
        items = self._kept_list(key, lambda: self._filtered_sales(p, moments, credits))
        return self._answer(Listing("SaleList", items, lambda n: self._sale_row(n, credits)), p, path)

    def _sale_row(self, n: int, credits: bool) -> str:
        stamp = self.m.sales.updated[n]
        known = self._rows.get((n, credits))
        if known is None or known[0] != stamp or n in self.m.sales.kept:
            if len(self._rows) > _ROWS_KEPT:
                self._rows.clear()
            known = self._rows[n, credits] = (stamp, self.sales.list_row(self.m.sales.brief(n), credit_list=credits))
        if self.m.corrupt:
            return self._spoiled("sale", guid(Kind.SALE, n, self.m.seed), known[1])
        return known[1]

    def _filtered_sales(self, p: Params, moments: Sequence[int | None], credits: bool) -> Sequence[int]:
        book = self.m.sales
        shown = book.credited if credits else book.listed
        since, until, created, ship_by = moments
        low, high = -(1 << 62) if since is None else since, 1 << 62 if until is None else until
        found = [n for n, stamp in enumerate(book.updated) if low <= stamp <= high and shown(n)]
        if created is not None:
            found = [n for n in found if book.created(n) >= created]
        if ship_by is not None:
            found = []  # no sale of this merchant has a ship-by date
        words = {field: wanted for name, field in _STATUS_FILTERS.items() if (wanted := p.text(name))}
        search, external, place = p.text("Search"), p.text("ExternalID"), p.text("OrderLocationID")
        if words or search or external or place or p.flag("ReadyForShipping"):
            found = [n for n in found if self._sale_matches(book.get(n), words, search, external, place, p)]
        found.reverse()
        if self.switches.sale_order == "arbitrary":
            found.sort(key=mix)
        return found

    def _sale_matches(
        self,
        sale: Sale,
        words: dict[str, str],
        search: str | None,
        external: str | None,
        place: str | None,
        p: Params,
    ) -> bool:
        head = header(sale, self.m.warehouse.goods(sale))
        if any(getattr(head, field).lower() != wanted.lower() for field, wanted in words.items()):
            return False
        if external and external != sale.external:
            return False
        if place and place.lower() != self.m.location_id(sale.location):
            return False
        if p.flag("ReadyForShipping") and not (head.pack == "PACKED" and head.ship != "SHIPPED"):
            return False
        numbers = [i.number for i in sale.invoices] + [c.number for c in sale.credit_notes]
        fields = (sale.number, head.status, sale.customer_name, sale.reference, *numbers)
        return not search or any(search.lower() in field.lower() for field in fields)

    def _one_sale(self, p: Params, name: str) -> Sale:
        ident = p.text(name)
        if ident is None:
            raise BadRequest(f"Required parameter {name} is not provided.")
        n = number_of(Kind.SALE, ident, self.m.seed)
        if n is None or not 0 <= n < len(self.m.sales):
            raise BadRequest("Sale not found.", 404)
        return self.m.sales.get(n)

    def sale(self, p: Params, path: str) -> str:
        sale = self._one_sale(p, "ID")
        if sale.standalone_credit and not self.switches.credit_note_as_sale:
            raise BadRequest("Sale not found.", 404)
        country = (p.text("CountryFormat") or "regular").lower()
        row = self.sales.detail(sale, combine=p.flag("CombineAdditionalCharges"), country=country)
        return self._spoiled("sale", sale.id, row)

    def credit_note(self, p: Params, path: str) -> str:
        sale = self._one_sale(p, "SaleID")
        if sale.standalone_credit and self.switches.credit_note_of_sales_only:
            return f'{{"SaleID":"{sale.id}","CreditNotes":[]}}'
        return self.sales.credit_notes(sale, combine=p.flag("CombineAdditionalCharges"))

    # Customers.

    def customer(self, p: Params, path: str) -> str:
        people, since, deprecated = self.m.people, p.moment("ModifiedSince"), p.flag("IncludeDeprecated")
        ident, name, contact = p.text("ID"), p.text("Name"), p.text("ContactFilter")

        def rows() -> Sequence[int]:
            numbers: Iterable[int] = range(len(people))
            if ident:
                n = number_of(Kind.CUSTOMER, ident, self.m.seed)
                numbers = [n] if n is not None and 0 <= n < len(people) else []
            if since is not None:
                numbers = [n for n in numbers if people.modified[n] >= since]
            if not deprecated:
                hidden = {n for n, c in people.kept.items() if c.status == "Deprecated"}
                numbers = [n for n in numbers if n not in hidden]
            if name:
                numbers = [n for n in numbers if people.get(n).name.lower().startswith(name.lower())]
            if contact:
                numbers = [
                    n
                    for n in numbers
                    if any(
                        c.name.lower().startswith(contact.lower()) or (c.email or "").lower() == contact.lower()
                        for c in people.get(n).contacts
                    )
                ]
            return list(numbers)

        items = self._kept_list(("customer", people.version, since, deprecated, ident, name, contact), rows)

        def render(n: int) -> str:
            person = people.get(n)
            return self._spoiled("customer", person.id, render_people.customer_row(self.m, person))

        cap = 100 if self.switches.customer_cap_100 else 1000
        return self._answer(Listing("CustomerList", items, render, cap), p, path)
