"""Sales as Cin7 lists and details them: headers, orders, fulfilments, invoices, credit notes, payments.

What belongs here: these records' fields, exactly as Cin7's. What does not: other records, and what all records share
(``models.py``), how a value is written (``fields.py``), what counts as what (``warehouse/models``).
"""

from __future__ import annotations

from pydantic import AliasChoices, Field

from cin7_emarsys.cin7.fields import (
    Day,
    DocumentStatus,
    Flag,
    Guid,
    GuidRef,
    KeyMoment,
    KeyPart,
    Moment,
    Number,
    OrderState,
    Rate,
    SaleStatus,
    SideDay,
    StepStatus,
    Text,
    Whole,
)
from cin7_emarsys.cin7.models import Address, Record, TopRecord


class SaleHeader(TopRecord):
    """Cin7: one row of GET saleList; no lines, no e-mail."""

    key_fields = ("SaleID",)
    changed_field = "Updated"
    SaleID: Guid
    OrderNumber: Text = None
    Status: SaleStatus = None
    OrderDate: Day = None
    InvoiceDate: Day = None
    Customer: Text = None
    CustomerID: GuidRef = None
    InvoiceNumber: Text = None
    InvoiceAmount: Number = None
    PaidAmount: Number = None
    SaleInvoicesTotalAmount: Number = None
    BaseCurrency: Text = None
    CustomerCurrency: Text = None
    CreditNoteNumber: Text = None
    Updated: KeyMoment
    QuoteStatus: Text = None
    OrderStatus: OrderState = None
    CombinedPickingStatus: Text = None
    CombinedPackingStatus: Text = None
    CombinedShippingStatus: Text = None
    CombinedInvoiceStatus: Text = None
    CombinedPaymentStatus: Text = None
    CreditNoteStatus: Text = None
    FulFilmentStatus: Text = Field(
        None, validation_alias=AliasChoices("FulFilmentStatus", "FulfilmentStatus", "FulfillmentStatus")
    )
    Type: Text = None
    SourceChannel: Text = None
    ExternalID: Text = None
    OrderLocationID: GuidRef = None


class CreditNoteHeader(TopRecord):
    """Cin7: one row of GET saleCreditNoteList; finds the notes that belong to no listed sale."""

    key_fields = ("SaleID", "CreditNoteNumber")
    changed_field = "Updated"
    SaleID: Guid
    CreditNoteNumber: KeyPart = ""
    Status: Text = None
    CreditNoteStatus: Text = None
    RestockStatus: Text = None
    Customer: Text = None
    CustomerID: GuidRef = None
    BaseCurrency: Text = None
    CustomerCurrency: Text = None
    InvoiceDate: Day = None
    OrderDate: Day = None
    Updated: KeyMoment
    Type: Text = None


class Line(Record):
    ProductID: GuidRef = None
    SKU: Text = None
    Name: Text = None
    Quantity: Number = None
    Price: Number = None
    Discount: Number = None
    Tax: Number = None
    Total: Number = None
    DropShip: Flag = None
    Backorder: Flag = None
    BackorderQuantity: Number = None


class Charge(Record):
    Description: Text = None
    Quantity: Number = None
    Price: Number = None
    Discount: Number = None
    Tax: Number = None
    Total: Number = None


class SaleOrder(Record):
    SaleOrderNumber: Text = None
    Status: OrderState = None
    Lines: list[Line] | None = None
    AdditionalCharges: list[Charge] | None = None
    TotalBeforeTax: Number = None
    Tax: Number = None
    Total: Number = None


class PickLine(Record):
    ProductID: GuidRef = None
    SKU: Text = None
    Location: Text = None
    LocationID: GuidRef = None
    Quantity: Number = None
    BatchSN: Text = None
    ExpiryDate: SideDay = None


class PickTask(Record):
    Status: StepStatus = None
    Lines: list[PickLine] | None = None


class PackTask(Record):
    Status: StepStatus = None


class ShipLine(Record):
    ID: GuidRef = None
    ShipmentDate: SideDay = None
    Carrier: Text = None
    Boxes: Text = None
    TrackingNumber: Text = None
    TrackingURL: Text = Field(None, validation_alias=AliasChoices("TrackingURL", "TrackingUrl"))
    IsShipped: Flag = None


class ShipTask(Record):
    Status: StepStatus = None
    Lines: list[ShipLine] | None = None


class Fulfilment(Record):
    TaskID: GuidRef = None
    FulfillmentNumber: Whole = Field(None, validation_alias=AliasChoices("FulfillmentNumber", "FulfilmentNumber"))
    LinkedInvoiceNumber: Text = None
    FulFilmentStatus: Text = Field(
        None, validation_alias=AliasChoices("FulFilmentStatus", "FulfilmentStatus", "FulfillmentStatus")
    )
    Pick: PickTask | None = None
    Pack: PackTask | None = None
    Ship: ShipTask | None = None


class Payment(Record):
    ID: GuidRef = None
    Reference: Text = None
    Amount: Number = None
    DatePaid: SideDay = None
    Account: Text = None
    CurrencyRate: Rate = None


class Invoice(Record):
    TaskID: GuidRef = None
    InvoiceNumber: Text = None
    Status: DocumentStatus = None
    InvoiceDate: Day = None
    CurrencyConversionRate: Rate = None
    Lines: list[Line] | None = None
    AdditionalCharges: list[Charge] | None = None
    Payments: list[Payment] | None = None
    TotalBeforeTax: Number = None
    Tax: Number = None
    Total: Number = None
    Paid: Number = None


class CreditNote(Record):
    TaskID: GuidRef = None
    CreditNoteInvoiceNumber: Text = None
    CreditNoteNumber: Text = None
    Status: DocumentStatus = None
    CreditNoteDate: Day = None
    CreditNoteConversionRate: Rate = None
    Lines: list[Line] | None = None
    AdditionalCharges: list[Charge] | None = None
    Refunds: list[Payment] | None = Field(None, validation_alias=AliasChoices("Refunds", "Payments"))
    Restock: list[PickLine] | None = None
    TotalBeforeTax: Number = None
    Tax: Number = None
    Total: Number = None


class Sale(TopRecord):
    """Cin7: GET sale?ID=, one sale with all its documents."""

    ID: Guid
    Customer: Text = None
    CustomerID: GuidRef = None
    Contact: Text = None
    Phone: Text = None
    Email: Text = None
    BillingAddress: Address | None = None
    ShippingAddress: Address | None = None
    BaseCurrency: Text = None
    CustomerCurrency: Text = None
    CurrencyRate: Rate = None
    TaxCalculation: Text = None
    PriceTier: Text = None
    Location: Text = None
    SaleOrderDate: Day = None
    LastModifiedOn: Moment = None
    CustomerReference: Text = None
    Status: SaleStatus = None
    ServiceOnly: Flag = None
    Type: Text = None
    SourceChannel: Text = None
    Order: SaleOrder | None = None
    Fulfilments: list[Fulfilment] | None = None
    Invoices: list[Invoice] | None = None
    CreditNotes: list[CreditNote] | None = None


class SaleCreditNotes(TopRecord):
    """Cin7: GET sale/creditnote?SaleID=, all credit notes of one sale id; what is not of a note comes from GET sale?ID=."""

    key_fields = ("SaleID",)
    SaleID: Guid
    BaseCurrency: Text = None
    CustomerCurrency: Text = None
    CurrencyRate: Rate = None
    TaxCalculation: Text = None
    CreditNotes: list[CreditNote] | None = None
