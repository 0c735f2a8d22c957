"""Products, families, availability, reference lists, customers and sale lists of Cin7, over HTTP."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from cin7_emarsys_tests.sandbox.conftest import NewVendor, Vendor

AUDIT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,3}Z$")
MIDNIGHT = re.compile(r"^\d{4}-\d\d-\d\dT00:00:00$")


def by(rows: list[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in rows}


def test_pages_cover_the_set_once(vendor: Vendor) -> None:
    for path, key, ident in (
        ("product", "Products", "ID"),
        ("customer", "CustomerList", "ID"),
        ("saleList", "SaleList", "SaleID"),
        ("saleCreditNoteList", "SaleList", "SaleID"),
    ):
        rows = vendor.rows(path, key, limit=37)
        assert len({row[ident] for row in rows}) == len(rows) == vendor.get(path)["Total"]
    default = vendor.get("product")
    assert (default["Page"], len(default["Products"])) == (1, 100)


def test_page_beyond_the_end(vendor: Vendor) -> None:
    answer = vendor.get("product", Page=99, Limit=1000)
    assert (answer["Page"], answer["Products"]) == (99, [])
    assert answer["Total"] > 250
    vendor.post("switches", {"null_when_empty": True})
    assert vendor.get("product", Page=99, Limit=1000)["Products"] is None


def test_caps(vendor: Vendor, new_vendor: NewVendor) -> None:
    vendor.post("switches", {"customer_cap_100": True})
    assert len(vendor.get("customer", Limit=1000)["CustomerList"]) == 100
    store = new_vendor(scale="store")
    for path, key, query, cap in (
        ("product", "Products", {"IncludeBOM": "true"}, 500),
        ("product", "Products", {}, 1000),
        ("ref/location", "LocationList", {}, 500),
        ("saleList", "SaleList", {}, 1000),
    ):
        answer = store.get(path, Limit=5000, **query)
        assert len(answer[key]) == cap < answer["Total"]
    second = store.get("ref/location", Limit=1000, Page=2)["LocationList"]
    assert len(second) == store.get("ref/location")["Total"] - 500
    store.post("switches", {"product_ignores_page": True})
    assert store.get("product", Page=3)["Products"] == store.get("product")["Products"]


def test_products(vendor: Vendor) -> None:
    flags = {"IncludeDeprecated": "true", "IncludeAttachments": "true", "IncludeBOM": "true"}
    rows = by(vendor.rows("product", "Products", limit=500, **flags), "SKU")
    plain = by(vendor.rows("product", "Products"), "SKU")
    assert set(rows) - set(plain) >= {"OLD-LAMP"}
    assert all(row["Attachments"] == row["BillOfMaterialsProducts"] == [] for row in plain.values())
    assert {row["Type"] for row in rows.values()} == {"Stock", "Service", "Non Inventory"}
    assert {row["Status"] for row in rows.values()} == {"Active", "Deprecated", "Setup required"}
    assert rows["MUG & SAUCER ÅØ 12"]["PriceTier1"] == rows["MUG & SAUCER ÅØ 12"]["PriceTiers"]["Retail"] == 34
    assert "SPACE-01 " in rows
    assert "\n" in rows["RUG-HTML"]["Description"]
    assert rows["NO-PRICE"]["PriceTier1"] == 0
    assert rows["PART-HINGE"]["Sellable"] is False
    kinds = [a["ContentType"] for a in rows["TENT-PDF"]["Attachments"]]
    assert kinds == ["application/pdf", "image/png", "image/jpeg"]
    kit = rows["KIT-PICNIC"]
    assert kit["AutoAssembly"] is kit["BillOfMaterial"] is True
    wastage = {part["ProductCode"]: part["WastagePercent"] for part in kit["BillOfMaterialsProducts"]}
    assert wastage == {"BLANKET-PIC": 0, "CUP-ENAMEL": 0, "GLOVE-L": 5}
    assert kit["BillOfMaterialsServices"][0]["Name"] == "Gift wrapping"
    assert all(AUDIT.match(row["LastModifiedOn"]) for row in rows.values())
    attachments = vendor.get("product/attachments", ProductID=rows["TENT-PDF"]["ID"].upper())
    assert [a["IsDefault"] for a in attachments] == ["true", "false", "false"]
    vendor.post("switches", {"duplicate_tier_names": True})
    assert "PriceTiers" not in vendor.get("product", Sku="TEE-RED-S")["Products"][0]


def test_empty_text_comes_in_three_ways(vendor: Vendor) -> None:
    rows = vendor.rows("product", "Products")
    seen = {repr(row.get("InternalNote", "missing")) for row in rows}
    assert seen == {"''", "None", "'missing'"}


def test_modified_since_is_inclusive(vendor: Vendor) -> None:
    vendor.act("price", sku="TEE-BLUE-S", price=31)
    stamp = vendor.get("product", Sku="TEE-BLUE-S")["Products"][0]["LastModifiedOn"]
    found = vendor.get("product", ModifiedSince=stamp.rstrip("Z"))
    assert "TEE-BLUE-S" in by(found["Products"], "SKU")
    families = vendor.get("productFamily", ModifiedSince=stamp.rstrip("Z"))
    assert "TEE" in by(families["ProductFamilies"], "SKU")
    later = stamp[:19].replace(stamp[:4], str(int(stamp[:4]) + 1))
    assert vendor.get("product", ModifiedSince=later)["Total"] == 0


def test_families(vendor: Vendor) -> None:
    family = vendor.get("productFamily", Sku="TEE")["ProductFamilies"][0]
    assert (family["Option1Name"], family["Option2Values"]) == ("Colour", "S,M")
    assert {p["SKU"] for p in family["Products"]} >= {"TEE-RED-S", "TEE-BLUE-M"}


def test_availability(vendor: Vendor) -> None:
    rows = vendor.rows("ref/productavailability", "ProductAvailabilityList")
    assert len({(r["ID"], r["Location"], r["Bin"], r["Batch"], r["ExpiryDate"]) for r in rows}) == len(rows)
    assert all(row["Available"] == row["OnHand"] - row["Allocated"] for row in rows)
    skus = Counter(row["SKU"] for row in rows)
    assert not {"OLD-LAMP", "GIFT-WRAP", "GIFT-CARD", "NEVER-01", "SETUP-01"} & set(skus)
    assert skus["GPS-SN"] >= 5
    assert any(row["Available"] < 0 and row["Bin"] is None for row in rows if row["SKU"] == "OVERSOLD-01")
    assert any(row["OnHand"] == row["Allocated"] == 0 for row in rows)
    honey = [row for row in rows if row["SKU"] == "HONEY-500"]
    assert all(MIDNIGHT.match(row["ExpiryDate"]) for row in honey if row["Batch"])
    products = by(vendor.rows("product", "Products"), "SKU")
    hinge = next(row for row in rows if row["SKU"] == "PART-HINGE" and row["OnHand"])
    assert hinge["StockOnHand"] == hinge["OnHand"] * products["PART-HINGE"]["AverageCost"]
    main = vendor.rows("ref/productavailability", "ProductAvailabilityList", Location="3PL")
    assert {row["Location"] for row in main} == {"3PL"}
    assert {
        row["SKU"] for row in vendor.get("ref/productavailability", Sku="tee-red-s")["ProductAvailabilityList"]
    } == {"TEE-RED-S"}


def test_stock_and_documents_agree(vendor: Vendor) -> None:
    """Σ Allocated per SKU is what the open orders' documents say, worked out from the API alone."""
    vendor.act("order", sku="TEE-RED-M", quantity=1)
    allocated: Counter[str] = Counter()
    for row in vendor.rows("ref/productavailability", "ProductAvailabilityList"):
        allocated[row["SKU"]] += row["Allocated"]
    promised: Counter[str] = Counter()
    for head in vendor.rows("saleList", "SaleList"):
        if head["OrderStatus"] not in ("AUTHORISED", "AUTH_NO_ALLOC") or head["FulFilmentStatus"] == "FULFILLED":
            continue
        sale = vendor.get("sale", ID=head["SaleID"])
        picked: Counter[str] = Counter()
        shipped: Counter[str] = Counter()
        for task in sale["Fulfilments"]:
            for line in task["Pick"]["Lines"]:
                if task["Ship"]["Status"] == "AUTHORISED":
                    shipped[line["SKU"]] += line["Quantity"]
                elif task["Pick"]["Status"] == "AUTHORISED":
                    picked[line["SKU"]] += line["Quantity"]
        for line in (sale.get("Order") or {"Lines": []})["Lines"]:
            if head["OrderStatus"] == "AUTHORISED" and not line["DropShip"]:
                promised[line["SKU"]] += line["Quantity"]
        if head["OrderStatus"] == "AUTHORISED":
            promised.subtract(shipped)
        else:
            promised.update(picked)
    tracked = {row["SKU"] for row in vendor.rows("product", "Products") if row["Type"] == "Stock"}
    assert {s: q for s, q in promised.items() if q and s in tracked} == {s: q for s, q in allocated.items() if q}


def test_locations_and_other_references(vendor: Vendor) -> None:
    rows = vendor.rows("ref/location", "LocationList")
    top = {row["Name"]: row for row in rows if row["ParentID"] is None}
    assert set(top) == {"Main Warehouse", "Shop Floor", "Quarantine", "3PL"}
    assert top["Shop Floor"]["IsShopfloor"] is True
    bins = {b["ID"].lower(): b for b in top["Main Warehouse"]["Bins"]}
    assert any(b["ID"].isupper() for b in bins.values())
    children = {row["ID"]: row["Name"] for row in rows if row["ParentID"] == top["Main Warehouse"]["ID"]}
    assert children == {ident: b["Name"] for ident, b in bins.items()}
    assert [b["Name"] for b in bins.values() if b["IsStaging"]] == ["STAGING"]
    assert {row["Name"] for row in vendor.get("ref/location", Name="main")["LocationList"]} == {"Main Warehouse"}
    tiers = vendor.get("ref/priceTier")
    assert list(tiers) == ["PriceTiers"]
    assert [t["Name"] for t in tiers["PriceTiers"]][:2] == ["Retail", "Wholesale"]
    products = vendor.rows("product", "Products")
    assert {p["Category"] for p in products} <= {c["Name"] for c in vendor.rows("ref/category", "CategoryList")}
    assert {p["Brand"] for p in products} - {None} <= {b["Name"] for b in vendor.rows("ref/brand", "BrandList")}


def test_customers(vendor: Vendor) -> None:
    rows = by(vendor.rows("customer", "CustomerList", IncludeDeprecated="true"), "Name")
    assert "Deprecated Customer" not in by(vendor.rows("customer", "CustomerList"), "Name")
    assert len(rows["Several Contacts Pty"]["Contacts"]) == 3
    assert [c["Default"] for c in rows["Two Defaults Pty"]["Contacts"]] == [True, True]
    assert rows["No Contact Pty"]["Contacts"] == []
    consents = [rows[f"Consent {n}"]["Contacts"][0]["MarketingConsent"] for n in range(4)]
    assert consents == [0, 1, 2, 3]
    assert rows["Child Pty"]["CustomerParentID"] == rows["Parent Pty"]["ID"]
    assert [rows[f"Tags {n}"]["Tags"] for n in ("Null", "Empty", "Some")] == [None, "", "a, b"]
    assert rows["Wholesale Pty"]["PriceTier"] == "Wholesale"
    assert vendor.get("customer", ContactFilter="vip@example.com")["CustomerList"][0]["Name"] == "Vip"
    assert vendor.get("customer", ID=rows["Vip"]["ID"])["Total"] == 1
    done = vendor.act("consent", email="consent1@example.com", consent=2)
    since = vendor.get("customer", ID=done["customer_id"])["CustomerList"][0]["LastModifiedOn"]
    assert done["customer_id"] in by(vendor.get("customer", ModifiedSince=since[:-1])["CustomerList"], "ID")
    vendor.act("consent", email="consent1@example.com", consent=1)


def test_sale_list_filters(vendor: Vendor) -> None:
    rows = vendor.rows("saleList", "SaleList")
    numbers = [row["OrderNumber"] for row in rows]
    assert numbers == sorted(numbers, reverse=True)
    assert all(AUDIT.match(row["Updated"]) and MIDNIGHT.match(row["OrderDate"]) for row in rows)
    shared = Counter(row["Updated"] for row in rows).most_common(1)[0]
    assert shared[1] >= 200
    window = vendor.get("saleList", UpdatedSince=shared[0][:-1], UpdatedUntil=shared[0][:-1], Limit=1000)
    assert window["Total"] == shared[1]
    void = vendor.rows("saleList", "SaleList", Status="VOIDED")
    assert {row["SaleID"] for row in void} == {row["SaleID"] for row in rows if row["Status"] == "VOIDED"} != set()
    assert vendor.get("saleList", Status="VOIDED,COMPLETED")["Total"] == 0
    unallocated = vendor.rows("saleList", "SaleList", OrderStatus="AUTH_NO_ALLOC")
    assert "ODD-NO-ALLOC" in {row["CustomerReference"] for row in unallocated}
    picked = vendor.rows("saleList", "SaleList", CombinedPickStatus="PICKED")
    assert {row["CombinedPickingStatus"] for row in picked} == {"PICKED"}
    assert vendor.get("saleList", Search="odd-forei")["SaleList"][0]["CustomerCurrency"] == "USD"
    last = max(row["Updated"] for row in rows)
    assert vendor.get("saleList", UpdatedSince=last[:-1])["Total"] >= 1
    vendor.post("switches", {"sale_order": "arbitrary"})
    assert [row["OrderNumber"] for row in vendor.rows("saleList", "SaleList")] != numbers


def test_rows_shift_between_pages_when_the_merchant_works(vendor: Vendor) -> None:
    first = vendor.get("saleList", Page=1, Limit=10)["SaleList"]
    vendor.act("order")
    second = vendor.get("saleList", Page=2, Limit=10)["SaleList"]
    assert second[0]["SaleID"] == first[-1]["SaleID"]
