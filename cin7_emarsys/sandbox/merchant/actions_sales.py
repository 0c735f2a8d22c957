"""Actions on sales: order, allocate, pick, ship, invoice, pay, refund, credit, void, undo, edit, touch."""

from decimal import Decimal
from itertools import islice
from typing import Any

from cin7_emarsys.sandbox.merchant import documents
from cin7_emarsys.sandbox.merchant.actions_people import find_customer
from cin7_emarsys.sandbox.merchant.deal import Action, Deal, Result, number
from cin7_emarsys.sandbox.merchant.model import ZERO, Charge, Customer, Invoice, Line, Sale
from cin7_emarsys.sandbox.merchant.places import LOCATIONS, location_number
from cin7_emarsys.sandbox.merchant.seeded_sales import GST

D = Decimal
_OPEN = ("AUTHORISED", "AUTH_NO_ALLOC")


def _customer(deal: Deal, customer: str | None, email: str | None, tier: str | None) -> Customer:
    """By id or name; else by e-mail; else the first one of the tier. Unknown e-mails are web guests."""
    people = deal.m.people
    if customer is not None:
        return find_customer(deal, customer)
    if email is not None:
        return people.find_email(email) or people.get(0)
    if tier == "Wholesale":
        return next((c for n in range(9, len(people)) if (c := people.get(n)).tier == "Wholesale"), people.get(0))
    return people.get(min(30 + len(deal.m.sales) % 50, len(people) - 1))


def _lines(deal: Deal, specs: list[dict[str, Any]], tier: str) -> list[Line]:
    lines = []
    for spec in specs:
        if unknown := set(spec) - {"sku", "quantity", "price", "discount", "drop_ship"}:
            raise ValueError(f"a line has sku, quantity, price, discount, drop_ship; not {', '.join(sorted(unknown))}")
        quantity = number(spec.get("quantity", 1), "quantity")
        if quantity <= 0:
            raise ValueError("'quantity' of a line is above 0")
        price = number(spec["price"], "price") if "price" in spec else None
        lines.append(
            deal.m.line(
                deal.m.catalogue.find(spec["sku"]) if "sku" in spec else deal.product(None),
                quantity,
                tier,
                price=price,
                discount=number(spec.get("discount", 0), "discount"),
                drop_ship=bool(spec.get("drop_ship", False)),
            )
        )
    return lines


def order(
    deal: Deal,
    *,
    sku: str | None = None,
    quantity: Any = 1,
    lines: list[dict[str, Any]] | None = None,
    email: str | None = None,
    customer: str | None = None,
    tier: str | None = None,
    allocate: bool = True,
    draft: bool = False,
    advanced: bool = False,
    service: bool = False,
    channel: str | None = None,
    location: str = LOCATIONS[0],
    reference: str | None = None,
    inclusive: bool | None = None,
    currency: str | None = None,
    currency_rate: Any = None,
    shipping: Any = None,
    order_discount: Any = None,
) -> Result:
    """A new order: AUTHORISED, AUTH_NO_ALLOC (`allocate` false) or DRAFT. `order_discount` is an amount above 0."""
    person = _customer(deal, customer, email, tier)
    tier = tier or person.tier
    if lines is None:
        wanted = number(quantity, "quantity")
        chosen = deal.product(sku, max(1, int(wanted)) if sku is None else 0)
        lines = [{"sku": chosen.sku, "quantity": quantity}]
    charges = []
    rate = ZERO if deal.m.is_history else GST
    if shipping is not None:
        charges.append(Charge("Shipping - Standard", number(shipping, "shipping"), rate))
    if order_discount is not None:
        charges.append(Charge("Order discount", -number(order_discount, "order_discount"), rate))
    sale = deal.m.new_sale(
        person,
        _lines(deal, lines, tier),
        charges=charges,
        email=email,
        tier=tier,
        location=location_number(location),
        channel=channel,
        reference=reference,
        inclusive=inclusive,
        currency=currency,
        currency_rate=None if currency_rate is None else number(currency_rate, "currency_rate"),
        type="Service Sale" if service else "Advanced Sale" if advanced else None,
    )
    if service:
        sale.order_status = ""
    elif not draft:
        deal.m.warehouse.authorise(sale, allocate=allocate)
        deal.m.draw_holds(sale)
    deal.m.keep_sale(sale)
    return deal.told(sale)


def sell_out(deal: Deal, *, sku: str | None = None, allocate: bool = True, email: str | None = None) -> Result:
    """One order for every unit of a SKU that is left to sell."""
    product = deal.product(sku)
    units = deal.m.sellable_truth(product.n)
    if units < 1:
        raise ValueError(f"nothing of {product.sku} is left to sell")
    return order(deal, sku=product.sku, quantity=units, allocate=allocate, email=email)


def allocate(deal: Deal, *, sale_id: str | None = None, order_number: str | None = None) -> Result:
    """Authorises a draft, or allocates an AUTH_NO_ALLOC order."""
    sale = deal.sale(sale_id or order_number, lambda s: s.order_status in ("AUTH_NO_ALLOC", "DRAFT"), "allocate")
    _must(sale, sale.order_status in ("AUTH_NO_ALLOC", "DRAFT"), "is allocated already")
    if sale.order_status == "DRAFT":
        deal.m.warehouse.authorise(sale, allocate=True)
        deal.m.draw_holds(sale)
    else:
        deal.m.warehouse.allocate(sale)
    deal.m.keep_sale(sale)
    return deal.told(sale)


def _unpicked(deal: Deal, sale: Sale) -> bool:
    return sale.order_status in _OPEN and any(
        is_goods and documents.units(sale, i, "pick") < sale.lines[i].quantity
        for i, is_goods in enumerate(deal.m.warehouse.goods(sale))
    )


def _unshipped(deal: Deal, sale: Sale) -> bool:
    return sale.order_status in _OPEN and any(
        is_goods and documents.units(sale, i, "ship") < sale.lines[i].quantity
        for i, is_goods in enumerate(deal.m.warehouse.goods(sale))
    )


def pick(
    deal: Deal,
    *,
    sale_id: str | None = None,
    order_number: str | None = None,
    quantity: Any = None,
    bin: str | None = None,
) -> Result:
    """Picks what is there, or `quantity` of each line; from `bin` when given."""
    sale = deal.sale(sale_id or order_number, lambda s: _unpicked(deal, s), "pick")
    _must(sale, _unpicked(deal, sale), "has nothing to pick")
    task = deal.m.warehouse.pick(sale, None if quantity is None else number(quantity, "quantity"), bin)
    deal.m.keep_sale(sale)
    picks = [
        {"sku": deal.m.products[t.product].sku, "quantity": float(t.quantity), "bin": t.lot.bin, "batch": t.lot.batch}
        for t in task.picks
    ]
    return deal.told(sale, task_id=deal.m.task_id(task.n), picks=picks)


def ship(deal: Deal, *, sale_id: str | None = None, order_number: str | None = None, quantity: Any = None) -> Result:
    """Ships what is picked; picks first (`quantity` of each line) when nothing is."""
    sale = deal.sale(sale_id or order_number, lambda s: _unshipped(deal, s), "ship")
    _must(sale, _unshipped(deal, sale), "has nothing to ship")
    if quantity is not None:
        deal.m.warehouse.pick(sale, number(quantity, "quantity"))
    tasks = deal.m.warehouse.ship(sale, deal.m.today(), f"TRK{sale.n:08d}")
    deal.m.keep_sale(sale)
    return deal.told(sale, task_ids=[deal.m.task_id(t.n) for t in tasks])


def _live(sale: Sale) -> list[Invoice]:
    return [i for i in sale.invoices if i.status in documents.LIVE]


def _uninvoiced(sale: Sale) -> list[Line]:
    """What is ordered and on no live invoice, line by line."""
    rest = []
    for line in sale.lines:
        billed = sum(
            (x.quantity for i in _live(sale) for x in i.lines if (x.product, x.price) == (line.product, line.price)),
            ZERO,
        )
        if line.quantity > billed:
            rest.append(_part(line, line.quantity - billed))
    return rest


def _billable(sale: Sale) -> bool:
    return sale.order_status != "DRAFT" and not sale.standalone_credit


def _part(line: Line, quantity: Decimal) -> Line:
    return Line(line.product, quantity, line.price, line.rate, line.discount, line.drop_ship)


def invoice(
    deal: Deal,
    *,
    sale_id: str | None = None,
    order_number: str | None = None,
    quantity: Any = None,
    draft: bool = False,
) -> Result:
    """Invoices all that is not invoiced yet, or up to `quantity` of each line; charges go on the first invoice."""
    sale = deal.sale(sale_id or order_number, lambda s: _billable(s) and bool(_uninvoiced(s)), "invoice")
    _must(sale, _billable(sale) and not sale.voided, "is not authorised")
    lines = _uninvoiced(sale)
    if quantity is not None:
        lines = [_part(line, min(line.quantity, number(quantity, "quantity"))) for line in lines]
    _must(sale, bool(lines), "has nothing to invoice")
    charges = [] if _live(sale) else list(sale.charges)
    linked = sale.fulfilments[-1].number if sale.fulfilments else None
    status = "DRAFT" if draft else "AUTHORISED"
    made = documents.add_invoice(sale, deal.m.today(), lines, charges, status, linked)
    deal.m.keep_sale(sale)
    total = documents.totals(made.lines, made.charges, sale)[2]
    return deal.told(sale, invoice_number=made.number, total=float(total))


def pay(deal: Deal, *, sale_id: str | None = None, order_number: str | None = None, amount: Any = None) -> Result:
    """Pays the open invoices in full, or `amount` of the first."""
    sale = deal.sale(sale_id or order_number, lambda s: any(i.status == "AUTHORISED" for i in s.invoices), "pay")
    unpaid = [i for i in sale.invoices if i.status == "AUTHORISED"]
    _must(sale, bool(unpaid), "has no open invoice")
    for made in unpaid if amount is None else unpaid[:1]:
        part = None if amount is None else number(amount, "amount")
        documents.pay_invoice(sale, made, deal.m.today(), deal.m.now(), part)
    deal.m.keep_sale(sale)
    return deal.told(sale, invoice_number=unpaid[0].number)


def void_invoice(
    deal: Deal, *, sale_id: str | None = None, order_number: str | None = None, reissue: bool = True
) -> Result:
    """Voids the last invoice, which stays in the payload, and issues it again with its payments."""
    sale = deal.sale(sale_id or order_number, lambda s: bool(_live(s)), "void an invoice of")
    _must(sale, bool(_live(sale)), "has no invoice")
    old = _live(sale)[-1]
    status, old.status = old.status, "VOIDED"
    made = None
    if reissue:
        made = documents.add_invoice(sale, deal.m.today(), old.lines, old.charges, status, old.fulfilment)
        made.payments, old.payments = old.payments, []
    deal.m.keep_sale(sale)
    return deal.told(sale, voided_invoice=old.number, invoice_number=made.number if made else None)


def refund(
    deal: Deal,
    *,
    sale_id: str | None = None,
    order_number: str | None = None,
    sku: str | None = None,
    quantity: Any = None,
    restock: bool = False,
    location: str | None = None,
    draft: bool = False,
    pay_out: bool = True,
) -> Result:
    """A credit note for `quantity` of one line (`sku`), or for all that is invoiced; `restock` puts the goods back."""
    sale = deal.sale(sale_id or order_number, lambda s: bool(_live(s)) and not s.credit_notes, "refund")
    _must(sale, bool(_live(sale)), "has no invoice to refund")
    wanted = None if sku is None else deal.m.catalogue.find(sku).n
    lines = [x for i in _live(sale) for x in i.lines if wanted is None or x.product == wanted]
    _must(sale, bool(lines), f"has no invoiced line of {sku}")
    if quantity is not None:
        left, parts = number(quantity, "quantity"), []
        for line in lines:
            if left > 0:
                parts.append(_part(line, min(left, line.quantity)))
                left -= parts[-1].quantity
        lines = parts
    charges = [c for i in _live(sale) for c in i.charges] if wanted is None and quantity is None else []
    note = documents.add_credit(sale, deal.m.today(), [_part(x, x.quantity) for x in lines], charges)
    if draft:
        note.status = "DRAFT"
    elif pay_out:
        documents.refund_note(sale, note, deal.m.today(), deal.m.now())
    place = sale.location if location is None else location_number(location)
    for index, line in enumerate(note.lines if restock and not draft else []):
        if deal.m.products[line.product].is_stock and not line.drop_ship:
            note.restock.append(deal.m.warehouse.put_back(sale, index, line.quantity, place, line.product))
    deal.m.keep_sale(sale)
    return deal.told(
        sale,
        credit_note_number=note.number,
        task_id=deal.m.task_id(note.n),
        refunded=[{"sku": deal.m.products[x.product].sku, "quantity": float(x.quantity)} for x in note.lines],
        total=float(documents.totals(note.lines, note.charges, sale)[2]),
        restock=restock,
    )


def credit_note(
    deal: Deal,
    *,
    sku: str | None = None,
    quantity: Any = 1,
    lines: list[dict[str, Any]] | None = None,
    email: str | None = None,
    customer: str | None = None,
    restock: bool = False,
) -> Result:
    """A credit note that belongs to no order; its sale id is not in saleList."""
    person = _customer(deal, customer, email, None)
    specs = lines or [{"sku": deal.product(sku).sku, "quantity": quantity}]
    sale = deal.m.new_sale(person, _lines(deal, specs, person.tier), email=email, type="Sale Credit Note")
    sale.standalone_credit, sale.order_status, sale.number = True, "", sale.number.replace("SO-", "CR-")
    note = documents.add_credit(sale, deal.m.today(), sale.lines, [], number=sale.number)
    documents.refund_note(sale, note, deal.m.today(), deal.m.now())
    for index, line in enumerate(note.lines if restock else []):
        note.restock.append(deal.m.warehouse.put_back(sale, index, line.quantity, sale.location, line.product))
    deal.m.keep_sale(sale)
    total = documents.totals(note.lines, note.charges, sale)[2]
    return deal.told(sale, credit_note_number=note.number, task_id=deal.m.task_id(note.n), total=float(total))


def void(deal: Deal, *, sale_id: str | None = None, order_number: str | None = None) -> Result:
    """Voids a sale with all its documents; goods and allocations come back."""
    sale = deal.sale(sale_id or order_number, lambda s: s.order_status in _OPEN, "void")
    _must(sale, not sale.voided, "is void already")
    _take_back(deal, sale)
    sale.voided = True
    for made in sale.invoices:
        made.status = "VOIDED"
    for note in sale.credit_notes:
        note.status = "VOIDED"
    for task in sale.fulfilments:
        task.pick = task.pack = task.ship = "VOIDED"
    deal.m.keep_sale(sale)
    return deal.told(sale)


def undo(deal: Deal, *, sale_id: str | None = None, order_number: str | None = None) -> Result:
    """Sends a sale back to draft: no picks, no shipment; its invoices are voided and stay in the payload. Or a stand-alone
    credit note: nothing is refunded."""
    sale = deal.sale(sale_id or order_number, lambda s: s.order_status in _OPEN, "undo")
    if sale.standalone_credit:
        _take_back(deal, sale)
        for note in sale.credit_notes:
            note.status, note.refunds = "DRAFT", []
        deal.m.keep_sale(sale)
        return deal.told(sale)
    _must(sale, not sale.voided and sale.order_status in (*_OPEN, "FULFILLED", "CLOSED"), "cannot be undone")
    _take_back(deal, sale)
    sale.fulfilments, sale.credit_notes = [], []
    for made in sale.invoices:
        made.status = "VOIDED"
    sale.order_status = "DRAFT"
    deal.m.keep_sale(sale)
    return deal.told(sale)


def _take_back(deal: Deal, sale: Sale) -> None:
    """Restocked goods leave again before the shipment comes back, so that nothing is counted twice."""
    for note in sale.credit_notes:
        for t in note.restock if note.status == "AUTHORISED" else []:
            deal.m.book.change(t.product, t.lot, on_hand=-t.quantity)
        note.restock = []
    deal.m.warehouse.release(sale)
    deal.m.return_holds(sale)


def edit(
    deal: Deal,
    *,
    sale_id: str | None = None,
    order_number: str | None = None,
    line: int = 0,
    quantity: Any = None,
    price: Any = None,
    discount: Any = None,
    email: str | None = None,
    reference: str | None = None,
    currency_rate: Any = None,
) -> Result:
    """Changes an authorised order after the fact (its allocation follows), or e-mail, reference or rate of any sale."""
    sale = deal.sale(sale_id or order_number, lambda s: s.order_status in _OPEN and not s.fulfilments, "edit")
    if quantity is not None or price is not None or discount is not None:
        _must(sale, sale.order_status in (*_OPEN, "DRAFT") and not sale.fulfilments and not _live(sale),
              "is past editing its lines")  # fmt: skip
        _must(sale, 0 <= line < len(sale.lines), f"has no line {line}")
        status, old = sale.order_status, sale.lines[line]
        if status != "DRAFT":
            _take_back(deal, sale)
        old.quantity = number(quantity, "quantity") if quantity is not None else old.quantity
        old.price = number(price, "price") if price is not None else old.price
        old.discount = number(discount, "discount") if discount is not None else old.discount
        if status != "DRAFT":
            deal.m.warehouse.authorise(sale, allocate=status == "AUTHORISED")
            deal.m.draw_holds(sale)
    sale.email = email if email is not None else sale.email
    sale.reference = reference if reference is not None else sale.reference
    sale.currency_rate = number(currency_rate, "currency_rate") if currency_rate is not None else sale.currency_rate
    deal.m.keep_sale(sale)
    return deal.told(sale)


def touch(deal: Deal, *, count: int = 200) -> Result:
    """A bulk job of the platform: the newest `count` sales get one `Updated` millisecond, nothing else changes."""
    now, sales = deal.m.now(), deal.m.sales
    numbers = list(islice((n for n in range(len(sales) - 1, -1, -1) if sales.listed(n)), count))
    for n in numbers:
        deal.m.keep_sale(deal.m.sales.get(n), now)
    return {"count": len(numbers), "sale_ids": [deal.m.sales.kept[n].id for n in numbers][:1000]}


def _must(sale: Sale, condition: bool, text: str) -> None:
    if not condition:
        raise ValueError(f"{sale.number} {text}")


ACTIONS: dict[str, Action] = {
    f.__name__: f
    for f in (
        order,
        sell_out,
        allocate,
        pick,
        ship,
        invoice,
        pay,
        void_invoice,
        refund,
        credit_note,
        void,
        undo,
        edit,
        touch,
    )
}
