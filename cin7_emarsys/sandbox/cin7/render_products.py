"""Rows of `GET product`, `productFamily`, `product/attachments` and `ref/productavailability` as JSON text."""

from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import quote as url_quote

from cin7_emarsys.sandbox.cin7.text import audit, blank, boolean, day, number, number_padded, quote, text
from cin7_emarsys.sandbox.merchant.catalogue import TIER_NAMES
from cin7_emarsys.sandbox.merchant.ids import Kind, from_ms, guid, mix
from cin7_emarsys.sandbox.merchant.model import Family, Lot, Product
from cin7_emarsys.sandbox.merchant.places import LOCATIONS
from cin7_emarsys.sandbox.merchant.stock import Row
from cin7_emarsys.sandbox.merchant.world import Merchant

_ATTRIBUTES = ",".join(f'"AdditionalAttribute{i}":{{}}' for i in range(1, 11))
_MOVEMENT_KEYS = '"BatchSN":null,"ExpiryDate":null,"FromTo":null'


@dataclass(frozen=True, slots=True)
class Include:
    """The Include… flags of `GET product`; without a flag its array is empty."""

    bom: bool = False
    attachments: bool = False
    suppliers: bool = False
    movements: bool = False
    reorder: bool = False
    custom_prices: bool = False


def tiers(product: Product, named: bool) -> str:
    """PriceTier1…10 and, unless two tiers share a name, PriceTiers by name."""
    numbered = ",".join(f'"PriceTier{i}":{number(p)}' for i, p in enumerate(product.prices, 1))
    if not named:
        return numbered
    by_name = ",".join(f'"{name}":{number(p)}' for name, p in zip(TIER_NAMES, product.prices, strict=True))
    return f'{numbered},"PriceTiers":{{{by_name}}}'


def attachment(m: Merchant, product: Product, index: int) -> str:
    content_type, name = product.attachments[index]
    ident = guid(Kind.ATTACHMENT, product.n * 16 + index, m.seed)
    url = (
        f"https://inventory.dearsystems.com/Attachment/Download?ID={ident}&ContentType={content_type}"
        f"&FileName={url_quote(name)}&isPublic=True"
    )
    return f'"ID":"{ident}","ContentType":"{content_type}","FileName":{quote(name)},"DownloadUrl":{quote(url)}'


def attachments(m: Merchant, product: Product, *, default: bool = False) -> str:
    """`IsDefault` exists only in `GET product/attachments`, and there as text."""
    rows = []
    for index in range(len(product.attachments)):
        extra = f',"IsDefault":"{boolean(index == 0)}"' if default else ""
        rows.append(f"{{{attachment(m, product, index)}{extra}}}")
    return f"[{','.join(rows)}]"


def _bom(m: Merchant, product: Product, include: bool) -> str:
    if not include:
        return '"BillOfMaterialsProducts":[],"BillOfMaterialsServices":[]'
    parts = []
    for part in product.components:
        component = m.products[part.product]
        parts.append(
            f'{{"ComponentProductID":"{component.id}","ProductCode":{quote(component.sku)},'
            f'"Name":{quote(component.name)},"Quantity":{number(part.quantity)},'
            f'"WastagePercent":{number(part.wastage_percent)},"WastageQuantity":{number(part.wastage_quantity)},'
            f'"CostPercentage":100}}'
        )
    services = [
        f'{{"ComponentProductID":"{m.products[n].id}","Name":{quote(m.products[n].name)},"Quantity":1,'
        f'"ExpenseAccount":"","PriceTier":1}}'
        for n in product.service_components
    ]
    return f'"BillOfMaterialsProducts":[{",".join(parts)}],"BillOfMaterialsServices":[{",".join(services)}]'


def product_row(m: Merchant, p: Product, include: Include, named_tiers: bool) -> str:
    h = mix(p.n)
    suppliers = reorder = movements = "[]"
    if include.suppliers and p.is_stock:
        suppliers = (
            f'[{{"SupplierName":"Supplier {h % 20}","ProductID":"{p.id}","Cost":{number(p.cost)},"Currency":"AUD"}}]'
        )
    if include.reorder and p.is_stock:
        location = f'"LocationID":"{m.location_id(0)}","LocationName":"{LOCATIONS[0]}"'
        reorder = f'[{{{location},"MinimumBeforeReorder":5,"ReorderQuantity":20,"StockLocator":"","PickZones":""}}]'
    if include.movements and p.is_stock:
        movements = (
            f'[{{"TaskID":"{m.task_id(p.n)}","Type":"Sale","Quantity":-1,"Amount":{number(p.cost)},{_MOVEMENT_KEYS}}}]'
        )
    values = [*(quote(a) for a in p.attributes), *(('""', "null")[h >> 9 & 1],) * (10 - len(p.attributes))]
    created = f'"{from_ms(p.created):%Y-%m-%dT%H:%M:%S}.{p.created % 1000:03d}"'
    assembled = "Assembly" if p.components else "None"
    return (
        f'{{"ID":"{p.id}","SKU":{quote(p.sku)},"Name":{quote(p.name)},"Category":{quote(p.category)},'
        f'"Brand":{text(p.brand)},"Type":"{p.type}","CostingMethod":"{p.costing}","DropShipMode":"{p.drop_ship_mode}",'
        f'"DefaultLocation":"{LOCATIONS[0]}","Length":0,"Width":0,"Height":0,"Weight":{number_padded(p.weight, h)},'
        f'"UOM":"{p.uom}","WeightUnits":"g",{blank("DimensionsUnits", h >> 2)}"Barcode":{text(p.barcode)},'
        f'"MinimumBeforeReorder":0,"ReorderQuantity":0.0000,{tiers(p, named_tiers)},'
        f'"AverageCost":{number(p.cost)},"ShortDescription":{quote(p.short)},"Description":{quote(p.description)},'
        f'{blank("InternalNote", h >> 4)}{_ATTRIBUTES.format(*values)},"AttributeSet":{text(p.attribute_set)},'
        f'{blank("DiscountRule", h >> 6)}"Tags":{text(p.tags)},"Status":"{p.status}",{blank("StockLocator", h >> 8)}'
        f'"COGSAccount":null,"RevenueAccount":null,"ExpenseAccount":null,"InventoryAccount":null,'
        f'"PurchaseTaxRule":null,"SaleTaxRule":null,"LastModifiedOn":{audit(p.modified)},'
        f'"Sellable":{boolean(p.sellable)},"PickZones":"","BillOfMaterial":{boolean(bool(p.components))},'
        f'"AutoAssembly":{boolean(p.auto_assembly)},"AutoDisassembly":false,"QuantityToProduce":{number(p.run_makes)},'
        f'"AlwaysShowQuantity":0,"AssemblyInstructionURL":"","AssemblyCostEstimationMethod":"Average Cost",'
        f'"BOMType":"{assembled}",{blank("WarrantyName", h >> 10)}"Suppliers":{suppliers},"ReorderLevels":{reorder},'
        f'{_bom(m, p, include.bom)},"Movements":{movements},'
        f'"Attachments":{attachments(m, p) if include.attachments else "[]"},"CustomPrices":[],'
        f'"CartonHeight":0,"CartonWidth":0,"CartonLength":0,"CartonQuantity":0,"CartonInnerQuantity":0,'
        f'{blank("HSCode", h >> 12)}"CountryOfOrigin":null,"CountryOfOriginCode":null,"CreatedDate":{created}}}'
    )


def family_row(m: Merchant, f: Family) -> str:
    members = [m.products[n] for n in f.members]
    rows = [
        f'{{"ID":"{p.id}","SKU":{quote(p.sku)},"Name":{quote(p.name)},"Option1":{quote(p.options[0])},'
        f'"Option2":{quote(p.options[1])},"Option3":{quote(p.options[2])}}}'
        for p in members
    ]
    prices = ",".join(f'"PriceTier{i}":0' for i in range(1, 11))
    options = ",".join(
        f'"Option{i + 1}Name":{quote(f.option_names[i])},'
        f'"Option{i + 1}Values":{quote(",".join(dict.fromkeys(p.options[i] for p in members if p.options[i])))}'
        for i in range(3)
    )
    h = mix(f.n)
    return (
        f'{{"Products":[{",".join(rows)}],"ID":"{f.id}","SKU":{quote(f.sku)},"Name":{quote(f.name)},'
        f'"Category":{quote(f.category)},"DefaultLocation":"{LOCATIONS[0]}","Brand":{text(f.brand)},'
        f'"CostingMethod":"FIFO","UOM":"Item","MinimumBeforeReorder":0,"ReorderQuantity":0,{prices},'
        f'{blank("ShortDescription", h)}{blank("Description", h >> 2)}"AttributeSet":null,"DiscountRule":null,'
        f'{blank("Tags", h >> 4)}"COGSAccount":null,"RevenueAccount":null,"InventoryAccount":null,'
        f'"PurchaseTaxRule":null,"SaleTaxRule":null,"DropShipMode":"No Drop Ship",{options},'
        f'"LastModifiedOn":{audit(f.modified)},"Attachments":[],"HSCode":null,"CountryOfOrigin":null,'
        f'"CountryOfOriginCode":null}}'
    )


def availability_row(p: Product, lot: Lot, row: Row) -> str:
    """`Available` = `OnHand` − `Allocated`, always; `StockOnHand` is the value of the stock, not units."""
    h = mix(p.n * 8 + lot.location)
    units = [number_padded(v, h) for v in (row.on_hand, row.allocated, row.on_hand - row.allocated, row.on_order)]
    value = (row.on_hand * p.cost).quantize(Decimal("0.0001"))
    return (
        f'{{"ID":"{p.id}","SKU":{quote(p.sku)},"Name":{quote(p.name)},"Barcode":{text(p.barcode)},'
        f'"Location":"{LOCATIONS[lot.location]}","Bin":{text(lot.bin)},"Batch":{text(lot.batch)},'
        f'"ExpiryDate":{day(lot.expiry)},"OnHand":{units[0]},"Allocated":{units[1]},"Available":{units[2]},'
        f'"OnOrder":{units[3]},"StockOnHand":{value},"InTransit":{number_padded(row.in_transit, h)},'
        f'"NextDeliveryDate":{day(row.due)}}}'
    )
