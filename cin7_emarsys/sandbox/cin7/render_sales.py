"""Rows of `GET saleList` and `saleCreditNoteList`, and the documents `sale` and `sale/creditnote`, as JSON text."""

from typing import NamedTuple

from cin7_emarsys.sandbox.cin7.text import audit, blank, boolean, day, number, precise, quote, text
from cin7_emarsys.sandbox.merchant.documents import Header, amounts, header, totals
from cin7_emarsys.sandbox.merchant.ids import Kind, guid, mix
from cin7_emarsys.sandbox.merchant.model import (
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
from cin7_emarsys.sandbox.merchant.places import LOCATIONS
from cin7_emarsys.sandbox.merchant.world import Merchant

_CUSTOM = ",".join(f'"ProductCustomField{i}":null' for i in range(1, 11))
_CODES = {"Australia": ("AU", "AUS"), "United States": ("US", "USA"), "United Kingdom": ("GB", "GBR")}


class _Known(NamedTuple):
    """The product part of a line, as of the product's last change."""

    modified: int
    head: str
    extras: str
    cost: str


class SaleRenderer:
    """Renders sales of one merchant; remembers the product part of a line until the product changes."""

    def __init__(self, merchant: Merchant) -> None:
        self.m = merchant
        self._all = merchant.products
        self._products: dict[int, _Known] = {}
        self._lots: dict[Lot, tuple[str, str, str]] = {}

    # Lists.

    def list_row(self, sale: Sale, *, credit_list: bool = False) -> str:
        m, head = self.m, header(sale, self.m.warehouse.goods(sale))
        h = mix(sale.n + 13)
        last = next((i for i in reversed(sale.invoices) if i.status != "VOIDED"), None)
        note = sale.credit_notes[-1].number if sale.credit_notes else None
        if credit_list:
            amount = f'"RestockStatus":"{head.restock}",'
        else:
            amount = f'"SaleInvoicesTotalAmount":{number(head.invoiced)},"CombinedPaymentTotal":{number(head.paid)},'
        return (
            f'{{"SaleID":"{sale.id}","OrderNumber":{quote(sale.number)},"Status":"{head.status}",'
            f'"OrderDate":{day(sale.date)},"InvoiceDate":{day(last.date if last else None)},'
            f'"Customer":{quote(sale.customer_name)},"CustomerID":"{guid(Kind.CUSTOMER, sale.customer, m.seed)}",'
            f'"InvoiceNumber":{text(last.number if last else None)},"CustomerReference":{quote(sale.reference)},'
            f'"InvoiceAmount":{number(head.invoiced - head.credited)},"PaidAmount":{number(head.paid)},{amount}'
            f'"InvoiceDueDate":{day(last.date if last else None)},"ShipBy":null,"BaseCurrency":"{m.currency}",'
            f'"CustomerCurrency":"{sale.currency}","CreditNoteNumber":{text(note)},"Updated":{audit(sale.modified)},'
            f'"QuoteStatus":"{head.quote}","OrderStatus":"{head.order}","CombinedPickingStatus":"{head.pick}",'
            f'"CombinedPaymentStatus":"{head.payment}",{blank("CombinedTrackingNumbers", h)}'
            f'"CombinedPackingStatus":"{head.pack}","CombinedShippingStatus":"{head.ship}",'
            f'"CombinedInvoiceStatus":"{head.invoice}","CreditNoteStatus":"{head.credit}",'
            f'"FulFilmentStatus":"{head.fulfilment}","Type":"{sale.type}","SourceChannel":{text(sale.channel)},'
            f'{blank("ExternalID", h >> 2)}"OrderLocationID":"{m.location_id(sale.location)}"}}'
        )

    # The detail.

    def detail(self, sale: Sale, *, combine: bool = False, country: str = "regular") -> str:
        m, head, h = self.m, header(sale, self.m.warehouse.goods(sale)), mix(sale.n + 29)
        customer = m.people.get(sale.customer)
        billing, shipping = self._addresses(customer.street, customer.city, customer.state, customer.postcode,
                                            _country(customer.country, country), sale)  # fmt: skip
        tracking = ", ".join(dict.fromkeys(f.tracking for f in sale.fulfilments if f.tracking))
        tracked = f'"CombinedTrackingNumbers":{quote(tracking)},' if tracking else blank("CombinedTrackingNumbers", h)
        cost = sum((m.products[t.product].cost * t.quantity for f in sale.fulfilments for t in f.picks), ZERO)
        fulfilments = ",".join(self._fulfilment(sale, f) for f in sale.fulfilments)
        invoices = ",".join(self._invoice(sale, i, combine) for i in sale.invoices)
        notes = ",".join(self._note(sale, c, combine) for c in sale.credit_notes)
        return (
            f'{{"ID":"{sale.id}","Customer":{quote(sale.customer_name)},'
            f'"CustomerID":"{guid(Kind.CUSTOMER, sale.customer, m.seed)}","Contact":{text(sale.contact)},'
            f'{blank("Phone", h >> 2)}"Email":{text(sale.email)},"DefaultAccount":"200","SkipQuote":true,'
            f'"BillingAddress":{billing},"ShippingAddress":{shipping},{blank("ShippingNotes", h >> 4)}'
            f'"BaseCurrency":"{m.currency}","CustomerCurrency":"{sale.currency}","TaxRule":"{sale.tax_rule}",'
            f'"TaxCalculation":"{"Inclusive" if sale.inclusive else "Exclusive"}","Terms":"30 days",'
            f'"PriceTier":{quote(sale.tier)},"ShipBy":null,"Location":"{LOCATIONS[sale.location]}",'
            f'"SaleOrderDate":{day(sale.date)},"LastModifiedOn":{audit(sale.modified)},{blank("Note", h >> 6)}'
            f'"CustomerReference":{quote(sale.reference)},"COGSAmount":{number(cost)},{self._statuses(head)}{tracked}'
            f'{blank("Carrier", h >> 8)}"CurrencyRate":{number(sale.currency_rate)},"SalesRepresentative":"DEFAULT",'
            f'"ServiceOnly":{boolean(sale.type == "Service Sale")},"Type":"{sale.type}",'
            f'"SourceChannel":{text(sale.channel)},{self._quote(head, h)}{self._order(sale, head, combine, h)}'
            f'"Fulfilments":[{fulfilments}],"Invoices":[{invoices}],"CreditNotes":[{notes}],'
            f'"ManualJournals":{{"Status":"NOT AVAILABLE","Lines":[]}},{blank("ExternalID", h >> 10)}'
            f'"AdditionalAttributes":{_ADDITIONAL},"Attachments":[],"InventoryMovements":[],"Transactions":[]}}'
        )

    def credit_notes(self, sale: Sale, *, combine: bool = False) -> str:
        """`GET sale/creditnote`: payments instead of refunds, and the restock location twice."""
        notes = []
        for note in sale.credit_notes:
            total = totals(note.lines, note.charges, sale)[2]
            paid = sum((p.amount for p in note.refunds), ZERO)
            payments = ",".join(
                f'{{{self._payment(p, sale)},"SaleOrderNumber":{quote(sale.number)},"InvoiceNumber":null,'
                f'"CreditNoteNumber":{quote(note.number)},"Type":"Refund","CreditID":null}}'
                for p in note.refunds
            )
            notes.append(
                f'{{{self._note_head(sale, note)},"CombineAdditionalCharges":{boolean(combine)},'
                f'{self._body(sale, note.lines, note.charges, combine)},"Restock":[{self._restock(note, twice=True)}],'
                f'"CreditNoteBalance":{number(total - paid)},"Payments":[{payments}]}}'
            )
        return f'{{"SaleID":"{sale.id}","CreditNotes":[{",".join(notes)}]}}'

    # Parts of the detail.

    def _statuses(self, head: Header) -> str:
        return (
            f'"Status":"{head.status}","CombinedPickingStatus":"{head.pick}","CombinedPackingStatus":"{head.pack}",'
            f'"CombinedShippingStatus":"{head.ship}","FulFilmentStatus":"{head.fulfilment}",'
            f'"CombinedInvoiceStatus":"{head.invoice}","CombinedPaymentStatus":"{head.payment}",'
        )

    def _addresses(
        self, street: str, city: str, state: str, postcode: str, country: str, sale: Sale
    ) -> tuple[str, str]:
        second = quote(f"{city} {state} {postcode} {country}")
        common = (
            f'"DisplayAddressLine1":{quote(street)},"DisplayAddressLine2":{second},'
            f'"Line1":{quote(street)},"Line2":"","City":{quote(city)},"State":{quote(state)},'
            f'"Postcode":{quote(postcode)},"Country":{quote(country)}'
        )
        ident = guid(Kind.ADDRESS, sale.customer * 8 + 1, self.m.seed)
        return (
            f"{{{common}}}",
            f'{{"ID":"{ident}",{common},"Company":"","Contact":{quote(sale.contact or "")},"ShipToOther":false}}',
        )

    def _quote(self, head: Header, h: int) -> str:
        if head.quote == "NOT AVAILABLE" and h >> 12 & 1:
            return '"Quote":null,'
        return (
            f'"Quote":{{"Memo":"","Status":"{head.quote}","Prepayments":[],"Lines":[],"AdditionalCharges":[],'
            f'"TotalBeforeTax":0,"Tax":0,"Total":0}},'
        )

    def _order(self, sale: Sale, head: Header, combine: bool, h: int) -> str:
        if not sale.order_status:
            return ('"Order":null,', "")[h >> 13 & 1]
        rate = sale.tax_rule
        lines = [
            f'{{{k.head},"Quantity":{x.quantity},"Price":{x.price},"Discount":{x.discount},"Tax":{t},'
            f'"AverageCost":{k.cost},"TaxRule":"{rate}","Comment":"","DropShip":{boolean(x.drop_ship)},'
            f'"Backorder":{boolean(x.backorder > 0)},"BackorderQuantity":{x.backorder},"Total":{total},{k.extras}}}'
            for x, (total, t), k in ((line, amounts(line, sale), self._known(line.product)) for line in sale.lines)
        ]
        charges = [self._charge(sale, c, account=False) for c in sale.charges]
        if combine:
            lines, charges = lines + [self._combined(sale, c) for c in sale.charges], []
        before, tax, total = totals(sale.lines, sale.charges, sale)
        return (
            f'"Order":{{"SaleOrderNumber":{quote(sale.number)},"Memo":"","Status":"{head.order}",'
            f'"Lines":[{",".join(lines)}],"AdditionalCharges":[{",".join(charges)}],'
            f'"TotalBeforeTax":{number(before)},"Tax":{number(tax)},"Total":{number(total)}}},'
        )

    def _body(self, sale: Sale, parts: list[Line], extra: list[Charge], combine: bool) -> str:
        """Lines, charges and totals of an invoice or credit note."""
        rate = sale.tax_rule
        lines = [
            f'{{{k.head},"Quantity":{x.quantity},"Price":{x.price},"Discount":{x.discount},"Tax":{t},"Total":{total},'
            f'"AverageCost":{k.cost},"TaxRule":"{rate}","Account":"200","Comment":"",{k.extras}}}'
            for x, (total, t), k in ((line, amounts(line, sale), self._known(line.product)) for line in parts)
        ]
        charges = [self._charge(sale, c, account=True) for c in extra]
        if combine:
            lines, charges = lines + [self._combined(sale, c) for c in extra], []
        before, tax, total = totals(parts, extra, sale)
        return (
            f'"Lines":[{",".join(lines)}],"AdditionalCharges":[{",".join(charges)}],'
            f'"TotalBeforeTax":{number(before)},"Tax":{number(tax)},"Total":{number(total)}'
        )

    def _charge(self, sale: Sale, c: Charge, *, account: bool) -> str:
        total, tax = amounts(c, sale)
        extra = '"Account":"200",' if account else ""
        return (
            f'{{"Description":{quote(c.description)},"Price":{c.price},"Quantity":{c.quantity},"Discount":{c.discount},'
            f'"Tax":{tax},"Total":{total},"TaxRule":"{sale.tax_rule}",{extra}"Comment":""}}'
        )

    def _combined(self, sale: Sale, c: Charge) -> str:
        """A charge as a line, as CombineAdditionalCharges=true has it: no product behind it."""
        return f'{{"ProductID":null,"SKU":null,"Name":{quote(c.description)},{self._charge(sale, c, account=True)[1:]}'

    def _fulfilment(self, sale: Sale, f: Fulfilment) -> str:
        picks = ",".join(self._taken(t) for t in f.picks)
        packed = picks if f.pack == "AUTHORISED" else ""
        invoice = next((i.number for i in sale.invoices if i.fulfilment == f.number and i.status != "VOIDED"), None)
        shipment = ""
        if f.ship == "AUTHORISED":
            shipment = (
                f'{{"ID":"{guid(Kind.OTHER, f.n, self.m.seed)}","ShipmentDate":{day(f.shipped)},"Carrier":"DEFAULT",'
                f'"Boxes":"Box 1","TrackingNumber":{quote(f.tracking)},"TrackingURL":"","IsShipped":true}}'
            )
        done = "FULFILLED" if f.ship == "AUTHORISED" else "NOT FULFILLED"
        return (
            f'{{"TaskID":"{self.m.task_id(f.n)}","FulfillmentNumber":{f.number},"LinkedInvoiceNumber":{text(invoice)},'
            f'"FulFilmentStatus":"{"VOIDED" if sale.voided else done}",'
            f'"Pick":{{"Status":"{f.pick}","Lines":[{picks}]}},"Pack":{{"Status":"{f.pack}","Lines":[{packed}]}},'
            f'"Ship":{{"Status":"{f.ship}","RequireBy":null,"ShippingAddress":{{}},"ShippingNotes":"","Lines":[{shipment}]}}}}'
        )

    def _taken(self, t: Taken, *, twice: bool = False) -> str:
        """A pick or restock line; the location names its bin after a colon."""
        place = self._lots.get(t.lot)
        if place is None:
            name = quote(LOCATIONS[t.lot.location] + (f": {t.lot.bin}" if t.lot.bin else ""))
            ident = self.m.location_id(t.lot.location)
            place = self._lots[t.lot] = (
                f'"Location":{name},"LocationID":"{ident}"',
                f'"BatchSN":{text(t.lot.batch)},"ExpiryDate":{day(t.lot.expiry)}',
                f'"RestockLocation":{name},"RestockLocationID":"{ident}",',
            )
        k = self._known(t.product)
        again = place[2] if twice else ""
        return f'{{{k.head},{place[0]},"Quantity":{t.quantity},{place[1]},{again}{k.extras}}}'

    def _restock(self, note: CreditNote, *, twice: bool = False) -> str:
        return ",".join(self._taken(t, twice=twice) for t in note.restock)

    def _invoice(self, sale: Sale, i: Invoice, combine: bool) -> str:
        paid = sum((p.amount for p in i.payments), ZERO)
        payments = ",".join(f"{{{self._payment(p, sale)}}}" for p in i.payments)
        linked = "null" if i.fulfilment is None else f'"{i.fulfilment}"'
        return (
            f'{{"TaskID":"{self.m.task_id(i.n)}","InvoiceNumber":{quote(i.number)},"Memo":"","Status":"{i.status}",'
            f'"InvoiceDate":{day(i.date)},"InvoiceDueDate":{day(i.date)},"CurrencyConversionRate":{sale.currency_rate},'
            f'"BillingAddressLine1":"","BillingAddressLine2":"","LinkedFulfillmentNumber":{linked},'
            f'{self._body(sale, i.lines, i.charges, combine)},"Payments":[{payments}],"Paid":{number(paid)}}}'
        )

    def _note_head(self, sale: Sale, c: CreditNote) -> str:
        status = "VOIDED" if sale.voided else c.status
        return (
            f'"TaskID":"{self.m.task_id(c.n)}","CreditNoteInvoiceNumber":{text(c.invoice)},"Memo":"","Status":"{status}",'
            f'"CreditNoteDate":{day(c.date)},"CreditNoteNumber":{quote(c.number)},'
            f'"CreditNoteConversionRate":{sale.currency_rate}'
        )

    def _note(self, sale: Sale, c: CreditNote, combine: bool) -> str:
        refunds = ",".join(f"{{{self._payment(p, sale)}}}" for p in c.refunds)
        return (
            f"{{{self._note_head(sale, c)},{self._body(sale, c.lines, c.charges, combine)},"
            f'"Refunds":[{refunds}],"Restock":[{self._restock(c)}]}}'
        )

    def _payment(self, p: Payment, sale: Sale) -> str:
        return (
            f'"ID":"{guid(Kind.PAYMENT, p.n, self.m.seed)}","Reference":"","Amount":{number(p.amount)},'
            f'"DatePaid":{day(p.paid)},"Account":"718","CurrencyRate":{sale.currency_rate},"DateCreated":{precise(p.created)}'
        )

    def _known(self, n: int) -> _Known:
        p = self._all[n]
        known = self._products.get(n)
        if known is None or known.modified != p.modified:
            known = self._products[n] = _Known(
                p.modified,
                f'"ProductID":"{p.id}","SKU":{quote(p.sku)},"Name":{quote(p.name)}',
                f'"ProductLength":0,"ProductWidth":0,"ProductHeight":0,"ProductWeight":{p.weight},"WeightUnits":"g",'
                f'"DimensionsUnits":"",{_CUSTOM}',
                number(p.cost),
            )
        return known


_ADDITIONAL = "{" + ",".join(f'"AdditionalAttribute{i}":""' for i in range(1, 11)) + "}"


def _country(name: str, form: str) -> str:
    """CountryFormat: Regular (the name), Code2 (AU), Code (AUS)."""
    codes = _CODES.get(name, (name[:2].upper(), name[:3].upper()))
    return {"code2": codes[0], "code": codes[1]}.get(form, name)
