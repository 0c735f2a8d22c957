"""Replay of real retail lines from a parquet file as customers, sales, credit notes and stock adjustments.

The rules are fixed, so that two people get the same numbers:
- the overlap of the two sheets counts once; SKU = upper(trim(code)); non-goods codes are products of type Service, not
  sellable, and stay ordinary lines;
- an invoice number without a letter with a line of quantity > 0 is a simple sale, shipped, with one PAID invoice of all
  its lines of quantity > 0, twins kept, unrounded; quantity < 0 without C is a stock adjustment; A… is not replayed;
  each C… is a stand-alone credit note, quantities negated;
- customer = `c<id>@example.com`, consent 0; none = the generic account without e-mail;
- opening stock = Σ sold + 100 per SKU, so that 100 less the adjustments is on hand now (or below zero).

Lines are kept in compact arrays; a sale is made when it is asked for.
"""

from array import array
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from cin7_emarsys.sandbox.merchant import documents
from cin7_emarsys.sandbox.merchant.catalogue import Catalogue, tiers
from cin7_emarsys.sandbox.merchant.ids import Kind, guid, local_date
from cin7_emarsys.sandbox.merchant.model import ONE, ZERO, Contact, Line, Lot, Sale
from cin7_emarsys.sandbox.merchant.people import People
from cin7_emarsys.sandbox.merchant.places import MAIN
from cin7_emarsys.sandbox.merchant.stock import StockBook

NOT_GOODS = (
    "POST", "DOT", "M", "C2", "D", "S", "BANK CHARGES", "ADJUST", "AMAZONFEE", "CRUK", "TEST001", "B", "ADJUST2",
    "TEST002", "C3", "GIFT",
)  # fmt: skip
OPENING = 100
GENERIC = 0
"""Number of the generic account: web orders without a known customer."""

_LINES = """
create temp table lines as
select invoice_no, upper(trim(stock_code)) as sku, description, quantity, invoice_date, unit_price,
       nullif(trim(customer_id), '') as customer, country, sheet, line_no,
       case when invoice_no like 'C%' then 'credit' when invoice_no not similar to '[0-9]+' then 'skip'
            when quantity > 0 then 'sale' else 'adjust' end as kind
from read_parquet(?)
where sheet = '2010-2011' or invoice_date < timestamp '2010-12-01'
"""
_PRODUCTS = """
select sku, coalesce(arg_max(trim(description), (invoice_date, line_no)) filter (where unit_price > 0),
                     max(trim(description)), sku) as name,
       coalesce(arg_max(unit_price, (invoice_date, line_no)) filter (where unit_price > 0 and kind = 'sale'), 0),
       cast(coalesce(sum(quantity) filter (where kind = 'adjust'), 0) as bigint)
from lines group by sku order by sku
"""
_CUSTOMERS = """
select customer, arg_max(country, (invoice_date, line_no)) from lines
where customer is not null and kind <> 'skip' group by customer order by customer
"""
# Sales first, then credit notes; each in the order of time and number. Times are local: the zone makes them UTC.
_DOCUMENTS = """
create temp table documents as
select row_number() over (order by kind = 'credit', min(invoice_date), invoice_no) - 1 as n, invoice_no, kind,
       min(invoice_date) as at, any_value(customer) as customer, count(*) as size,
       cast(sum(quantity * unit_price * 10000) as bigint) as total, bool_or(not list_contains(?, sku)) as goods
from lines where kind in ('sale', 'credit') group by invoice_no, kind
"""
_DOCUMENT_ROWS = """
select d.invoice_no, d.kind = 'credit', epoch_ms(timezone(?, d.at)), coalesce(c.n, 0), d.size, d.total, d.goods
from documents d left join customer_numbers c using (customer) order by d.n
"""
_LINE_ROWS = """
select p.n, case when l.kind = 'credit' then -l.quantity else l.quantity end, cast(l.unit_price * 10000 as bigint)
from lines l join documents d using (invoice_no, kind) join product_numbers p using (sku)
order by d.n, l.sheet, l.line_no
"""


def replay(
    path: Path, catalogue: Catalogue, book: StockBook, seed: int, anchor: int, zone: ZoneInfo
) -> tuple[People, "HistorySource"]:
    """Fills the catalogue and the stock book; gives the people and the source of sales."""
    with duckdb.connect() as db:
        db.execute("set enable_progress_bar = false")  # it would be drawn before the line with the environment
        db.execute("set TimeZone = 'UTC'")
        db.execute(_LINES, [str(path)])
        _products(db, catalogue, book, anchor)
        people = _people(db, seed, anchor)
        return people, HistorySource(db, seed, zone, people, catalogue)


def _products(db: duckdb.DuckDBPyConnection, catalogue: Catalogue, book: StockBook, anchor: int) -> None:
    db.execute("create temp table product_numbers (sku varchar, n integer)")
    rows = db.execute(_PRODUCTS).fetchall()
    for sku, name, price, adjusted in rows:
        goods = sku not in NOT_GOODS
        product = catalogue.add(
            sku, name or sku, type="Stock" if goods else "Service", sellable=goods, prices=tiers(price, ZERO),
            cost=(price / 2).quantize(Decimal("0.0001")), category="Giftware" if goods else "Charges",
            created=anchor, modified=anchor,
        )  # fmt: skip
        if goods:
            book.change(product.n, Lot(MAIN), on_hand=Decimal(OPENING + adjusted))
    skus = [row[0] for row in rows]
    db.execute("insert into product_numbers select unnest(?), unnest(?)", [skus, list(range(len(skus)))])
    catalogue.popular = [p.n for p in catalogue.products if p.is_stock and p.prices[0] > 0]
    book.touched.clear()


def _people(db: duckdb.DuckDBPyConnection, seed: int, anchor: int) -> People:
    people = People(seed, 0, anchor)
    generic = people.new("Web Shop Guest", [Contact(0, "Web Shop Guest", None, True, 0)])
    people.keep(generic, anchor)
    db.execute("create temp table customer_numbers (customer varchar, n integer)")
    numbers = []
    for ident, country in db.execute(_CUSTOMERS).fetchall():
        person = people.new(f"Customer {ident}")
        person.contacts = [Contact(person.n * 16, f"Customer {ident}", f"c{ident}@example.com", True, 0)]
        person.country, person.currency = country, "GBP"
        people.keep(person, anchor)
        numbers.append((ident, person.n))
    generic.country, generic.currency = "Unspecified", "GBP"
    columns = [[ident for ident, _ in numbers], [n for _, n in numbers]]
    db.execute("insert into customer_numbers select unnest(?::varchar[]), unnest(?::integer[])", columns)
    return people


class HistorySource:
    """Documents by number: first the sales, then the stand-alone credit notes."""

    def __init__(
        self, db: duckdb.DuckDBPyConnection, seed: int, zone: ZoneInfo, people: People, catalogue: Catalogue
    ) -> None:
        self.seed, self.zone, self.products = seed, zone, catalogue.products
        buyers = (people.get(n) for n in range(len(people)))
        self._buyers = [(c.n, c.name, c.contacts[0].email, c.contacts[0].name) for c in buyers]
        db.execute(_DOCUMENTS, [list(NOT_GOODS)])
        self.numbers: list[str] = []
        self._at, self._customer = array("q"), array("i")
        self._start = array("i", [0])
        self._total, self._goods = array("q"), bytearray()
        self._sample = [next((p.n for p in self.products if p.is_stock is goods), 0) for goods in (False, True)]
        self.sales = 0
        for number, credit, at, customer, size, total, goods in db.execute(_DOCUMENT_ROWS, [zone.key]).fetchall():
            self.numbers.append(number)
            self.sales += not credit
            self._at.append(at)
            self._customer.append(customer)
            self._start.append(self._start[-1] + size)
            self._total.append(-total if credit else total)
            self._goods.append(goods)
        self.count = len(self.numbers)
        self._product, self._quantity, self._price = array("i"), array("i"), array("q")
        cursor = db.execute(_LINE_ROWS)
        while rows := cursor.fetchmany(100_000):
            products, quantities, prices = zip(*rows, strict=True)
            self._product.extend(products)
            self._quantity.extend(quantities)
            self._price.extend(prices)
        self._by_number = {number: n for n, number in enumerate(self.numbers)}
        self._prices: dict[int, Decimal] = {}
        self._days: dict[int, date] = {}

    def updated(self) -> "array[int]":
        return array("q", self._at)

    def created(self, n: int) -> int:
        return self._at[n]

    def listed(self, n: int) -> bool:
        return n < self.sales

    def credited(self, n: int) -> bool:
        return n >= self.sales

    def find_number(self, number: str) -> int | None:
        return self._by_number.get(number.removeprefix("SO-"))

    def make(self, n: int) -> Sale:
        return self._document(n, self._lines(n))

    def brief(self, n: int) -> Sale:
        """The same header from one line with the amount of all: lists need no more."""
        return self._document(n, [Line(self._sample[self._goods[n]], ONE, Decimal(self._total[n]) / 10_000)])

    def _document(self, n: int, lines: list[Line]) -> Sale:
        at, number, credit = self._at[n], self.numbers[n], n >= self.sales
        customer, name, email, contact = self._buyers[self._customer[n]]
        day = self._day(at)
        fields: dict[str, Any] = {"type": "Sale Credit Note", "order_status": "", "standalone_credit": True}
        if not credit:
            fields = {"order_status": "AUTHORISED", "channel": "History"}
        sale = Sale(
            n=n,
            id=guid(Kind.SALE, n, self.seed),
            number=number if credit else f"SO-{number}",
            customer=customer,
            customer_name=name,
            email=email,
            contact=contact,
            date=day,
            created=at,
            modified=at,
            lines=lines,
            currency="GBP",
            tax_rule="Tax Exempt",
            exact=True,
            reference=number,
            **fields,
        )
        if credit:
            note = documents.add_credit(sale, day, sale.lines, [], number=number)
            documents.refund_note(sale, note, day, at)
        else:
            goods = [x.quantity if self.products[x.product].is_stock else ZERO for x in sale.lines]
            documents.add_fulfilment(sale, day, goods, Lot(MAIN))
            invoice = documents.add_invoice(sale, day, sale.lines, [])
            documents.pay_invoice(sale, invoice, day, at)
        return sale

    def _lines(self, n: int) -> list[Line]:
        cut = slice(self._start[n], self._start[n + 1])
        products, quantities, prices = self._product[cut], self._quantity[cut], self._price[cut]
        return [Line(p, Decimal(q), self._decimal(x)) for p, q, x in zip(products, quantities, prices, strict=True)]

    def _decimal(self, raw: int) -> Decimal:
        known = self._prices.get(raw)
        if known is None:
            known = self._prices[raw] = Decimal(raw) / 10_000
        return known

    def _day(self, at: int) -> date:
        """The local calendar date; history lies in one zone with whole-hour offsets, so days are remembered by hour."""
        hour = at // 3_600_000
        known = self._days.get(hour)
        if known is None:
            known = self._days[hour] = local_date(at, self.zone)
        return known
