"""One example of each strange sale, then the open orders of the last days. All go through the warehouse like live ones.

The strange ones carry `ODD-…` as their customer reference.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cin7_emarsys.sandbox.merchant import documents
from cin7_emarsys.sandbox.merchant.ids import DAY_MS, Kind, draw
from cin7_emarsys.sandbox.merchant.lifecycle import Refused
from cin7_emarsys.sandbox.merchant.model import Charge, Line, Sale
from cin7_emarsys.sandbox.merchant.places import MAIN, SHOP
from cin7_emarsys.sandbox.merchant.seeded_sales import GST

if TYPE_CHECKING:
    from cin7_emarsys.sandbox.merchant.world import Merchant

D = Decimal
_MINUTE = 60_000


class _Writer:
    """Makes sales one minute apart, from one and a half days before the anchor."""

    def __init__(self, merchant: Merchant) -> None:
        self.m = merchant
        self.at = merchant.anchor - 3 * DAY_MS // 2

    def draft(self, reference: str, lines: list[tuple[str, str]] | list[Line], customer: int = 28, **rest: Any) -> Sale:
        self.at += _MINUTE + 137
        person = self.m.people.get(customer)
        made = [
            line if isinstance(line, Line) else self.m.line(self.m.catalogue.find(line[0]), D(line[1]), person.tier)
            for line in lines
        ]
        return self.m.new_sale(person, made, at=self.at, reference=reference, **rest)

    def order(self, reference: str, lines: Any, *, allocate: bool = True, customer: int = 28, **rest: Any) -> Sale:
        sale = self.draft(reference, lines, customer, **rest)
        self.m.warehouse.authorise(sale, allocate=allocate)
        return self.keep(sale)

    def sold(self, reference: str, lines: Any, *, pay: bool = True, customer: int = 28, **rest: Any) -> Sale:
        sale = self.order(reference, lines, customer=customer, **rest)
        if any(self.m.warehouse.goods(sale)):
            self.m.warehouse.ship(sale, sale.date, "TRK-ODD")
        invoice = documents.add_invoice(sale, sale.date, sale.lines, sale.charges)
        if pay:
            documents.pay_invoice(sale, invoice, sale.date, self.at)
        return self.keep(sale)

    def keep(self, sale: Sale) -> Sale:
        self.m.keep_sale(sale, self.at)
        return sale


def add_sales(merchant: Merchant, count: int) -> None:
    """`count` sales: the strange ones, then open orders."""
    before = len(merchant.sales)
    writer = _Writer(merchant)
    _documents(writer)
    _promises(writer)
    _credits(writer)
    rng = draw(merchant.seed, Kind.OTHER, 2)
    popular = merchant.catalogue.popular
    while len(merchant.sales) < before + count:
        customer = rng.randrange(30, len(merchant.people))
        tier = merchant.people.get(customer).tier
        chosen = [popular[int(len(popular) * rng.random() ** 2)] for _ in range(rng.choice((1, 1, 2)))]
        lines = [merchant.line(merchant.products[n], D(rng.choice((1, 1, 2))), tier) for n in chosen]
        sale = writer.order(
            "", lines, customer=customer, allocate=rng.random() < 0.8, location=rng.choice((0, 0, 0, 3))
        )
        try:
            if rng.random() < 0.5:
                merchant.warehouse.pick(sale)
            if rng.random() < 0.4:
                merchant.warehouse.ship(sale, sale.date)
                documents.add_invoice(sale, sale.date, sale.lines, sale.charges)
        except Refused:
            pass
        writer.keep(sale)


def _documents(w: _Writer) -> None:
    m = w.m
    w.sold("ODD-SIMPLE", [("TEE-RED-S", "1"), ("MUG & SAUCER ÅØ 12", "2")], charges=[_shipping("9.95")])
    advanced = w.order("ODD-ADVANCED", [("PARTIAL-01", "10"), ("GLOVE-L", "4")], type="Advanced Sale", inclusive=False)
    for part in (3, 4):
        m.warehouse.pick(advanced, D(part))
        task = m.warehouse.ship(advanced, advanced.date)[0]
        lines = [_part(advanced.lines[t.line], t.quantity) for t in task.picks]
        invoice = documents.add_invoice(advanced, advanced.date, lines, [], fulfilment=task.number)
    documents.pay_invoice(advanced, invoice, advanced.date, w.at)
    w.keep(advanced)
    service = w.draft("ODD-SERVICE", [("GIFT-WRAP", "3")], type="Service Sale")
    service.order_status = ""
    documents.add_invoice(service, service.date, service.lines, [], fulfilment=None)
    documents.pay_invoice(service, service.invoices[0], service.date, w.at)
    w.keep(service)
    voided = w.order("ODD-VOIDED", [("TEE-RED-M", "2")])
    m.warehouse.release(voided)
    voided.voided = True
    w.keep(voided)
    again = w.sold("ODD-REISSUED", [("TEE-BLUE-S", "1")], pay=False)
    again.invoices[0].status = "VOIDED"
    documents.pay_invoice(again, documents.add_invoice(again, again.date, again.lines, []), again.date, w.at)
    w.keep(again)
    w.sold("ODD-EXCLUSIVE", [("TEE-RED-S", "3")], inclusive=False, charges=[_shipping("10")])
    w.sold("ODD-INCLUSIVE", [("TEE-RED-S", "3")], inclusive=True, charges=[_shipping("11")])
    w.sold("ODD-FOREIGN", [("MUG & SAUCER ÅØ 12", "4")], customer=18, currency="USD", currency_rate=D("1.5237"),
           inclusive=False)  # fmt: skip
    discount = Charge("Discount WELCOME10", D(-10), GST)
    w.sold("ODD-CHARGES", [("BLANKET-PIC", "1")], charges=[_shipping("12"), discount])
    tee, sofa, fabric = (m.catalogue.find(sku) for sku in ("TEE-BLUE-M", "SOFA-DROP", "FABRIC-M"))
    w.sold("ODD-FREE-LINE", [m.line(tee, D(1), discount=D(100)), m.line(fabric, D(1))])
    w.sold("ODD-FRACTION", [m.line(fabric, D("2.5")), m.line(fabric, D("0.75"), discount=D("12.5"))])
    w.sold("ODD-DROPSHIP", [m.line(sofa, D(2), drop_ship=True)])
    w.sold("ODD-EMPTY-EMAIL", [("TEE-RED-S", "1")], email="")
    w.sold("ODD-GUEST", [("TEE-RED-S", "1")], customer=0, email="web.guest@example.com")
    w.sold("ODD-GUEST-NO-EMAIL", [("TEE-RED-S", "1")], customer=0, email="")
    w.sold("ODD-UPPERCASE", [("TEE-RED-S", "1")], customer=19)
    w.sold("ODD-POS", [("SHOP-01", "1")], location=SHOP, channel="POS", customer=0, email="")
    legacy = w.sold("ODD-LEGACY", [("GIFT-CARD", "1")])
    documents.add_fulfilment(legacy, legacy.date, [D(0)], m.book.home(0, MAIN))
    legacy.lines, legacy.allocated = [], []
    w.keep(legacy)


def _promises(w: _Writer) -> None:
    m = w.m
    w.order("ODD-BACKORDER", [("OVERSOLD-01", "10")])
    w.order("ODD-NO-ALLOC", [("NOALLOC-01", "4")], allocate=False)
    half = w.order("ODD-NO-ALLOC-PICKED", [("NOALLOC-01", "3")], allocate=False)
    m.warehouse.pick(half, D(1))
    w.keep(half)
    w.order("ODD-KIT", [("KIT-PICNIC", "3")])
    w.order("ODD-KIT-NO-ALLOC", [("KIT-PICNIC-DUO", "2")], allocate=False)
    undone = w.order("ODD-UNDONE", [("TEE-BLUE-S", "2")])
    m.warehouse.release(undone)
    undone.order_status = "DRAFT"
    w.keep(undone)
    m.warehouse.authorise(undone, allocate=True)
    w.keep(undone)
    w.keep(w.draft("ODD-DRAFT", [("TEE-BLUE-S", "5")]))
    w.order("ODD-WHOLESALE", [("CUP-ENAMEL", "24")], customer=17)


def _credits(w: _Writer) -> None:
    m = w.m
    for reference, restock in (("ODD-CREDIT-RESTOCK", True), ("ODD-CREDIT-MONEY", False)):
        sale = w.sold(reference, [("TEE-BLUE-M", "2"), ("GLOVE-L", "1")])
        line = _part(sale.lines[0], D(1))
        note = documents.add_credit(sale, sale.date + timedelta(days=1), [line], [])
        documents.refund_note(sale, note, sale.date, w.at)
        if restock:
            note.restock = [m.warehouse.put_back(sale, 0, D(1), MAIN, line.product)]
        w.keep(sale)
    alone = w.draft("ODD-CREDIT-ALONE", [("TEE-RED-S", "1")])
    alone.type, alone.standalone_credit, alone.order_status = "Sale Credit Note", True, ""
    alone.number = alone.number.replace("SO-", "CR-")
    note = documents.add_credit(alone, alone.date, alone.lines, [], number=alone.number)
    documents.refund_note(alone, note, alone.date, w.at)
    w.keep(alone)


def _part(line: Line, quantity: Decimal) -> Line:
    return Line(line.product, quantity, line.price, line.rate, line.discount, line.drop_ship)


def _shipping(price: str) -> Charge:
    return Charge("Shipping - Standard", D(price), GST)
