"""The arithmetic and the status words of a sale: pure functions of its documents, no stock, no clock.

Exclusive: line total = quantity × price × (1 − discount %), tax on top. Inclusive: the total contains the tax.
Amounts are rounded to cents per line, except in replayed history. Document = Σ lines + Σ charges, exactly.
"""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from cin7_emarsys.sandbox.merchant.model import (
    ONE,
    ZERO,
    Charge,
    CreditNote,
    Fulfilment,
    Invoice,
    Line,
    Lot,
    Payment,
    Sale,
    Taken,
)

CENT = Decimal("0.01")
HUNDRED = Decimal(100)
LIVE = ("AUTHORISED", "PAID")


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def amounts(part: Line | Charge, sale: Sale) -> tuple[Decimal, Decimal]:
    """(total, tax) of one line or charge."""
    total = part.quantity * part.price
    if part.discount:
        total = total * (HUNDRED - part.discount) / HUNDRED
    if not sale.exact:
        total = cents(total)
    if not part.rate:
        return total, ZERO
    return total, cents(total * part.rate / (ONE + part.rate) if sale.inclusive else total * part.rate)


def totals(lines: list[Line], charges: list[Charge], sale: Sale) -> tuple[Decimal, Decimal, Decimal]:
    """(before tax, tax, total) of a document."""
    total = tax = ZERO
    parts: tuple[Line | Charge, ...] = (*lines, *charges)
    for part in parts:
        if sale.exact and not part.rate and not part.discount:  # the quick way through long replayed documents
            total += part.quantity * part.price
        else:
            t, x = amounts(part, sale)
            total += t
            tax += x
    return (total - tax, tax, total) if sale.inclusive else (total, tax, total + tax)


def add_invoice(
    sale: Sale,
    day: date,
    lines: list[Line],
    charges: list[Charge],
    status: str = "AUTHORISED",
    fulfilment: int | None = 1,
) -> Invoice:
    count = len(sale.invoices)
    number = sale.number.replace("SO-", "INV-", 1) + (f"-{count + 1}" if count else "")
    invoice = Invoice(sale.next_part(), number, status, day, lines, charges, fulfilment=fulfilment)
    sale.invoices.append(invoice)
    return invoice


def pay_invoice(sale: Sale, invoice: Invoice, day: date, now: int, amount: Decimal | None = None) -> Payment:
    """Pays what is open, or `amount`; the invoice is PAID when nothing is left."""
    total = totals(invoice.lines, invoice.charges, sale)[2]
    left = total - sum((p.amount for p in invoice.payments), ZERO)
    payment = Payment(sale.next_part(), left if amount is None else amount, day, now)
    invoice.payments.append(payment)
    if payment.amount >= left:
        invoice.status = "PAID"
    return payment


def add_credit(
    sale: Sale, day: date, lines: list[Line], charges: list[Charge], number: str | None = None
) -> CreditNote:
    """An authorised credit note; against the last live invoice unless it stands alone."""
    count = len(sale.credit_notes)
    number = number or sale.number.replace("SO-", "CR-", 1) + (f"-{count + 1}" if count else "")
    invoice = next((i.number for i in reversed(sale.invoices) if i.status in LIVE), None)
    note = CreditNote(sale.next_part(), number, invoice, "AUTHORISED", day, lines, charges)
    sale.credit_notes.append(note)
    return note


def refund_note(sale: Sale, note: CreditNote, day: date, now: int) -> None:
    """Pays the credit note out, when there is anything to pay."""
    total = totals(note.lines, note.charges, sale)[2]
    if total > 0:
        note.refunds.append(Payment(sale.next_part(), total, day, now))


def add_fulfilment(
    sale: Sale, day: date, quantities: list[Decimal], lot: Lot, *, shipped: bool = True, tracking: str = ""
) -> Fulfilment:
    """A picked, packed and shipped fulfilment of the past, which no longer touches the stock book."""
    state = "AUTHORISED" if shipped else "NOT AVAILABLE"
    task = Fulfilment(sale.next_part(), len(sale.fulfilments) + 1, [], "AUTHORISED", state, state)
    task.shipped, task.tracking = day if shipped else None, tracking
    for index, (line, units) in enumerate(zip(sale.lines, quantities, strict=True)):
        if units and not line.drop_ship:
            task.picks.append(Taken(index, line.product, lot, units))
    sale.fulfilments.append(task)
    return task


def units(sale: Sale, index: int, stage: str) -> Decimal:
    """Units of a line in fulfilments whose `pick`, `pack` or `ship` is authorised."""
    return sum(
        (t.quantity for f in sale.fulfilments if getattr(f, stage) == "AUTHORISED" for t in f.picks if t.line == index),
        ZERO,
    )


@dataclass(slots=True)
class Header:
    """What saleList shows of a sale, in Cin7's words; amounts in the customer's currency, with tax."""

    status: str
    order: str
    quote: str
    pick: str
    pack: str
    ship: str
    fulfilment: str
    invoice: str
    payment: str
    credit: str
    restock: str
    invoiced: Decimal
    credited: Decimal
    paid: Decimal


def _stage(done: Decimal, wanted: Decimal, word: str, started: bool) -> str:
    if done >= wanted and done:
        return word
    return f"PARTIALLY {word}" if done else (f"NOT {word}" if started else "NOT AVAILABLE")


def header(sale: Sale, goods: list[bool]) -> Header:
    """`goods[i]`: line i is a stock product and must leave the warehouse."""
    wanted = sum((line.quantity for line, is_goods in zip(sale.lines, goods, strict=True) if is_goods), ZERO)
    picked = packed = shipped = ZERO
    for task in sale.fulfilments:
        quantity = sum((t.quantity for t in task.picks), ZERO)
        picked += quantity if task.pick == "AUTHORISED" else ZERO
        packed += quantity if task.pack == "AUTHORISED" else ZERO
        shipped += quantity if task.ship == "AUTHORISED" else ZERO
    live = [i for i in sale.invoices if i.status in LIVE]
    invoiced = sum((totals(i.lines, i.charges, sale)[2] for i in live), ZERO)
    notes = [c for c in sale.credit_notes if c.status == "AUTHORISED"]
    credited = sum((totals(c.lines, c.charges, sale)[2] for c in notes), ZERO)
    paid = sum((p.amount for i in live for p in i.payments), ZERO)
    refunded = sum((p.amount for c in notes for p in c.refunds), ZERO)
    balance = invoiced - credited - paid + refunded
    started = bool(sale.fulfilments)
    head = Header(
        status="",
        order=sale.order_status or "NOT AVAILABLE",
        quote=sale.quote_status,
        pick=_stage(picked, wanted, "PICKED", started),
        pack=_stage(packed, wanted, "PACKED", started),
        ship=_stage(shipped, wanted, "SHIPPED", started),
        fulfilment="NOT AVAILABLE",
        invoice="NOT AVAILABLE",
        payment="UNPAID",
        credit=next((c.status for c in (*notes, *sale.credit_notes)), "NOT AVAILABLE"),
        restock="AUTHORISED" if any(c.restock for c in notes) else "NOT AVAILABLE",
        invoiced=invoiced,
        credited=credited,
        paid=paid - refunded,
    )
    if wanted:
        head.fulfilment = _stage(shipped, wanted, "FULFILLED", True)
    _invoice_words(sale, head, live, bool(notes), balance)
    if sale.voided:
        head.status = head.order = head.invoice = head.payment = head.fulfilment = "VOIDED"
        head.pick = head.pack = head.ship = "VOIDED" if sale.fulfilments else "NOT AVAILABLE"
        head.credit = "VOIDED" if sale.credit_notes else "NOT AVAILABLE"
    else:
        head.status = _status(sale, head, shipped >= wanted, balance, bool(live), bool(notes))
    return head


def _invoice_words(sale: Sale, head: Header, live: list[Invoice], noted: bool, balance: Decimal) -> None:
    if live:
        billed = sum((line.quantity for i in live for line in i.lines), ZERO)
        ordered = sum((line.quantity for line in sale.lines), ZERO)
        head.invoice = "PARTIALLY INVOICED" if sale.order_status and billed < ordered else "INVOICED"
        if noted:
            head.invoice = "INVOICED / CREDITED"
    elif sale.order_status in ("AUTHORISED", "AUTH_NO_ALLOC"):
        head.invoice = "NOT INVOICED"
    if live or noted:
        if balance < 0:
            head.payment = "NOT REFUNDED"
        elif not balance:
            head.payment = "PAID"
        elif head.paid > 0:
            head.payment = "PARTIALLY PAID"


def _status(sale: Sale, head: Header, all_shipped: bool, balance: Decimal, invoiced: bool, noted: bool) -> str:
    if sale.standalone_credit:
        return "COMPLETED" if not balance else "CREDITED"
    if sale.order_status == "DRAFT":
        return "ORDERING" if sale.quote_status != "DRAFT" else "ESTIMATING"
    if sale.order_status == "NOT AVAILABLE":
        return "ESTIMATED" if sale.quote_status == "AUTHORISED" else "ESTIMATING"
    if noted and balance:
        return "CREDITED"
    fully_invoiced = invoiced and not head.invoice.startswith("PARTIALLY")
    if fully_invoiced and all_shipped and balance <= 0:
        return "COMPLETED"
    waiting = "BACKORDERED" if any(line.backorder for line in sale.lines) else "ORDERED"
    if sale.type == "Advanced Sale":
        return waiting
    if invoiced:
        return "INVOICED"
    if any(i.status == "DRAFT" for i in sale.invoices):
        return "INVOICING"
    for word, stage in (("SHIPPING", head.ship), ("PACKED", head.pack), ("PICKED", head.pick)):
        if stage == word.replace("SHIPPING", "SHIPPED"):
            return word
        if stage.startswith("PARTIALLY"):
            return word.replace("PACKED", "PACKING").replace("PICKED", "PICKING")
    return waiting
