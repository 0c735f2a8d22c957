"""Fields that Cin7 documents and this project does not use, so that a new one can be told from them (schema drift)."""

from __future__ import annotations

from collections.abc import Mapping

_PRODUCT_EXTRAS = (
    "CostingMethod DefaultLocation Length Width Height Weight WeightUnits DimensionsUnits MinimumBeforeReorder "
    "ReorderQuantity PriceTiers AverageCost InternalNote AttributeSet DiscountRule StockLocator COGSAccount RevenueAccount "
    "ExpenseAccount InventoryAccount PurchaseTaxRule SaleTaxRule PickZones AutoDisassembly AlwaysShowQuantity "
    "AssemblyInstructionURL AssemblyCostEstimationMethod BOMType WarrantyName Suppliers ReorderLevels Movements "
    "CustomPrices CartonHeight CartonWidth CartonLength CartonQuantity CartonInnerQuantity HSCode CountryOfOrigin "
    "CountryOfOriginCode CreatedDate"
)
DOCUMENTED: Mapping[str, frozenset[str]] = {
    entity: frozenset(fields.split())
    for entity, fields in {
        "me": "DefaultWeightUnits DefaultDimensionsUnits DefaultSaleTaxRuleId DefaultSaleTaxRuleName "
        "MaximumDecimalPlacesInQuantity ApplyCustomerDiscountsAfterOtherDiscounts DiscountRule "
        "AutomaticallyApplyDiscounts RoundingTable",
        "locations": "ReferenceCount AddressLine1 AddressLine2 AddressCitySuburb AddressStateProvince AddressZipPostCode "
        "AddressCountry PickZones",
        "products": _PRODUCT_EXTRAS,
        "product_families": _PRODUCT_EXTRAS
        + " Category Brand UOM DropShipMode ShortDescription Description Tags Attachments Option1Values Option2Values "
        "Option3Values " + " ".join(f"PriceTier{number}" for number in range(1, 11)),
        "customers": "PaymentTerm Discount TaxRule Carrier SalesRepresentative Location Comments AccountReceivable "
        "RevenueAccount TaxNumber AttributeSet CreditLimit IsOnCreditHold IsLegalEntity CustomerParentName IsBillParent "
        "ProductPrices ChildCustomers " + " ".join(f"AdditionalAttribute{number}" for number in range(1, 11)),
        "sale_headers": "CustomerReference InvoiceDueDate ShipBy CombinedTrackingNumbers CombinedPaymentTotal",
        "credit_note_headers": "OrderNumber CustomerReference InvoiceDueDate ShipBy InvoiceNumber InvoiceAmount PaidAmount "
        "QuoteStatus OrderStatus CombinedPickingStatus CombinedPaymentStatus CombinedTrackingNumbers "
        "CombinedPackingStatus CombinedShippingStatus CombinedInvoiceStatus FulFilmentStatus SourceChannel ExternalID "
        "OrderLocationID",
        "sales": "DefaultAccount SkipQuote ShippingNotes TaxRule Terms ShipBy Note COGSAmount CombinedPickingStatus "
        "CombinedPackingStatus CombinedShippingStatus FulFilmentStatus CombinedInvoiceStatus CombinedPaymentStatus "
        "CombinedTrackingNumbers Carrier SalesRepresentative Quote ManualJournals ExternalID AdditionalAttributes "
        "Attachments InventoryMovements Transactions",
        "availability": "Barcode StockOnHand",
    }.items()
}
