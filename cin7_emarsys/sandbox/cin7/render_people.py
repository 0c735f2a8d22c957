"""Rows of `GET customer`, `ref/location`, `ref/category`, `ref/brand`, `ref/priceTier` and `me` as JSON text."""

from cin7_emarsys.sandbox.cin7.text import audit, blank, boolean, number_padded, quote, text
from cin7_emarsys.sandbox.merchant.ids import Kind, guid, mix
from cin7_emarsys.sandbox.merchant.model import ZERO, Contact, Customer
from cin7_emarsys.sandbox.merchant.places import LOCATIONS, SHOP, STAGING, Place
from cin7_emarsys.sandbox.merchant.world import Merchant

_ATTRIBUTES = (
    ",".join(f'"AdditionalAttribute{i}":null' for i in range(1, 11)),
    ",".join(f'"AdditionalAttribute{i}":""' for i in range(1, 11)),
)
_KINDS = ("Billing", "Shipping", "Business")


def _contact(m: Merchant, c: Contact, h: int) -> str:
    return (
        f'{{"Name":{quote(c.name)},{blank("JobTitle", h)}"Phone":{text(c.phone)},{blank("MobilePhone", h >> 2)}'
        f'{blank("Fax", h >> 4)}"Email":{text(c.email)},"Website":null,"Default":{boolean(c.default)},"Comment":null,'
        f'"IncludeInEmail":{boolean(bool(h & 64))},"MarketingConsent":{c.consent},'
        f'"ID":"{guid(Kind.CONTACT, c.n, m.seed)}"}}'
    )


def _address(m: Merchant, c: Customer, index: int) -> str:
    kind = _KINDS[index % 3]
    return (
        f'{{"Line1":{quote(c.street)},"Line2":"","City":{quote(c.city)},"State":{quote(c.state)},'
        f'"Postcode":{quote(c.postcode)},"Country":{quote(c.country)},"Type":"{kind}","DefaultForType":true,'
        f'"ID":"{guid(Kind.ADDRESS, c.n * 8 + index, m.seed)}"}}'
    )


def customer_row(m: Merchant, c: Customer) -> str:
    h = mix(c.n + 7)
    parent = m.people.get(c.parent) if c.parent is not None else None
    children = [m.people.get(n) for n in c.children]
    child_rows = ",".join(f'{{"CustomerID":"{k.id}","CustomerName":{quote(k.name)}}}' for k in children)
    contacts = ",".join(_contact(m, k, h >> i) for i, k in enumerate(c.contacts))
    addresses = ",".join(_address(m, c, i) for i in range(c.addresses))
    return (
        f'{{"ID":"{c.id}","Name":{quote(c.name)},{blank("DisplayName", h)}"Currency":"{c.currency}",'
        f'"PaymentTerm":"30 days","Discount":{c.discount:.4f},"TaxRule":"GST on Income",{blank("Carrier", h >> 2)}'
        f'"SalesRepresentative":null,"Location":"{LOCATIONS[0]}",{blank("Comments", h >> 4)}"AccountReceivable":"610",'
        f'"RevenueAccount":"200","PriceTier":{quote(c.tier)},{blank("TaxNumber", h >> 6)}{_ATTRIBUTES[h >> 8 & 1]},'
        f'"AttributeSet":null,"Tags":{text(c.tags)},"Status":"{c.status}","CreditLimit":{number_padded(ZERO, h)},'
        f'"IsOnCreditHold":{boolean(c.on_hold)},"IsLegalEntity":false,'
        f'"CustomerParentID":{text(parent.id if parent else None)},'
        f'"CustomerParentName":{text(parent.name if parent else None)},"IsBillParent":false,'
        f'"LastModifiedOn":{audit(c.modified)},'
        f'"Addresses":[{addresses}],"Contacts":[{contacts}],"ProductPrices":[],"ChildCustomers":[{child_rows}]}}'
    )


def _bin_id(m: Merchant, place: Place, index: int) -> str:
    return guid(Kind.BIN, place.n * 10_000 + index, m.seed)


def location_rows(m: Merchant, shopfloor: str) -> list[tuple[str, str, str]]:
    """(id, name, JSON text): each location with its `Bins[]` (every other id in upper case), then each bin as a row."""
    rows = []
    for place in m.places:
        bins = ",".join(
            f'{{"ID":"{_bin_id(m, place, i).upper() if i % 2 == 0 else _bin_id(m, place, i)}","Name":"{name}",'
            f'"IsDeprecated":false,"IsStaging":{boolean(name == STAGING)}}}'
            for i, name in enumerate(place.bins)
        )
        ident = m.location_id(place.n)
        row = _location(ident, place.name, place.n == 0, f"[{bins}]", None, shopfloor, place.n == SHOP)
        rows.append((ident, place.name, row))
    for place in m.places:
        parent = (m.location_id(place.n), place.name)
        for i, name in enumerate(place.bins):
            ident = _bin_id(m, place, i)
            row = _location(ident, name, False, "null", parent, shopfloor, False, name == STAGING)
            rows.append((ident, name, row))
    return rows


def _location(
    ident: str,
    name: str,
    default: bool,
    bins: str,
    parent: tuple[str, str] | None,
    shopfloor: str,
    shop: bool,
    staging: bool = False,
) -> str:
    parent_id, parent_name = parent or (None, None)
    return (
        f'{{"ID":"{ident}","Name":{quote(name)},"IsDefault":{boolean(default)},"IsDeprecated":false,"Bins":{bins},'
        f'"FixedAssetsLocation":false,"ParentID":{text(parent_id)},"ParentName":{text(parent_name)},'
        f'"ReferenceCount":{0 if parent else 31},"AddressLine1":"{"" if parent else "1 Dock Rd"}","AddressLine2":"",'
        f'"AddressCitySuburb":"","AddressStateProvince":"","AddressZipPostCode":"","AddressCountry":"",'
        f'"PickZones":null,"{shopfloor}":{boolean(shop)},"IsCoMan":false,"IsStaging":{boolean(staging)}}}'
    )


def me(m: Merchant) -> str:
    return (
        f'{{"Company":{quote(m.company)},"Currency":"{m.currency}","TimeZone":"{m.zone.key}","DefaultWeightUnits":"g",'
        '"DefaultDimensionsUnits":"cm","LockDate":null,"OpeningBalanceDate":"2021-07-31T00:00:00",'
        f'"TaxCalculationMethod":"Row Total","DefaultSaleTaxRuleId":"{guid(Kind.OTHER, 5, m.seed)}",'
        '"DefaultSaleTaxRuleName":"GST on Income","MaximumDecimalPlacesInQuantity":"N2",'
        '"ApplyCustomerDiscountsAfterOtherDiscounts":true,"DiscountRule":"Discount","AutomaticallyApplyDiscounts":false,'
        '"RoundingTable":[{"RangeTo":10,"RoundToNearest":0.01,"AdjustmentRule":"N","AdjustmentValue":0}]}'
    )
