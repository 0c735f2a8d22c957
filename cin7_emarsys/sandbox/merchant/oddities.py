"""One clearly named example of each strange product and customer, the same in every scale."""

from decimal import Decimal
from typing import Any

from cin7_emarsys.sandbox.merchant.catalogue import Catalogue, tiers
from cin7_emarsys.sandbox.merchant.ids import DAY_MS
from cin7_emarsys.sandbox.merchant.model import Component, Contact
from cin7_emarsys.sandbox.merchant.people import People

D = Decimal
HTML = """<div class="rte">\n<h2>Hand-woven rug</h2>\r\n<ul><li>100 % wool</li>\n<li>160 &times; 230 cm</li></ul>
<p>Don&#39;t machine-wash &amp; don't bleach.<br/>\tMade in "Jaipur".</p>\n</div>\n"""


def add_products(catalogue: Catalogue, anchor: int) -> None:
    """The strange products. Their stock is in `opening`."""
    modified = anchor - 40 * DAY_MS

    def add(sku: str, name: str, retail: str = "20", category: str = "Gifts", **rest: Any) -> int:
        price = D(retail)
        image = rest.pop("attachments", (("image/jpeg", "front.jpg"),))
        return catalogue.add(
            sku, name, prices=rest.pop("prices", tiers(price)), cost=price * D("0.4"), category=category,
            brand="Altair", created=modified - DAY_MS, modified=modified, attachments=image, **rest,
        ).n  # fmt: skip

    tee = catalogue.add_family("TEE", "Tee", ("Colour", "Size", ""), "Apparel", None, modified)
    for colour in ("Red", "Blue"):
        for size in ("S", "M"):
            n = add(f"TEE-{colour.upper()}-{size}", f"Tee - {colour} - {size}", "29.95", "Apparel", barcode="")
            catalogue.join(tee, catalogue.products[n], (colour, size, ""))
    glove = add("GLOVE-L", "Glove, large", "14")
    blanket = add("BLANKET-PIC", "Picnic blanket", "45", "Textiles")
    cup = add("CUP-ENAMEL", "Enamel cup", "12.50", "Cookware")
    wrap = add("GIFT-WRAP", "Gift wrapping", "5", "Services", type="Service", attachments=())
    add("GIFT-CARD", "Gift card", "50", "Gifts", type="Non Inventory")
    kit: dict[str, Any] = {"auto_assembly": True, "service_components": (wrap,)}
    picnic = (Component(blanket, D(1)), Component(cup, D(4)), Component(glove, D(2), wastage_percent=D(5)))
    small = add("KIT-PICNIC", "Picnic kit", "99", components=picnic, **kit)
    pair = (Component(cup, D(2), wastage_quantity=D("0.5")), Component(blanket, D(1)))
    add("KIT-PICNIC-DUO", "Picnic kit for two", "79", components=pair, run_makes=D(2), **kit)
    add("KIT-NEST", "Hamper of kits", "180", components=(Component(small, D(1)), Component(cup, D(1))), **kit)
    add("OLD-LAMP", "Old lamp", "60", "Lighting", status="Deprecated")
    add("NO-PRICE", "Lamp without a price", prices=tiers(D(0), D(0)))
    add("PART-HINGE", "Hinge, spare part", "3", sellable=False)
    add("SETUP-01", "Product in set-up", "15", status="Setup required")
    add("MUG & SAUCER ÅØ 12", "Mug & saucer “Åse” 12 cm", "34", "Cookware")
    add("SPACE-01 ", " Product with stray spaces ", "18")
    add("RUG-HTML", "Rug with a long description", "240", "Textiles", description=HTML, short="Hand-woven rug")
    pdf = (("application/pdf", "manual & care.pdf"), ("image/png", "tent front.png"), ("image/jpeg", "tent-2.jpg"))
    add("TENT-PDF", "Tent with a manual", "399", "Camping", attachments=pdf)
    add("HONEY-500", "Honey 500 g", "11", "Pantry", costing="FEFO - Batch", uom="Jar")
    add("GPS-SN", "GPS with serial numbers", "320", "Climbing", costing="Special - Serial Number")
    add("FABRIC-M", "Fabric by the metre", "22.50", "Textiles", uom="Metre")
    add("SOFA-DROP", "Sofa, shipped by its maker", "1500", "Furniture", drop_ship_mode="Optional Drop Ship")
    for sku in ("STAGED-01", "DAMAGED-01", "QUARANTINE-01", "SHOP-01", "TPL-01", "OVERSOLD-01", "ZERO-01", "NEVER-01"):
        add(sku, f"Product {sku.lower()}", "25")
    add("NOALLOC-01", "Product with an unallocated order", "30")
    add("PARTIAL-01", "Product shipped in parts", "19.95")
    add("KIT-BROKEN", "Kit without components left", "70", components=(Component(catalogue.find("ZERO-01").n, D(1)),),
        auto_assembly=True)  # fmt: skip


def add_customers(people: People) -> None:
    """The first 30 customers, from number 0; their e-mails say what is strange about them."""

    def put(n: int, name: str, contacts: list[tuple[str, str | None, bool, int]], **rest: object) -> None:
        customer = people.make(n)
        customer.name, customer.tier, customer.discount = name, "Retail", D(0)
        customer.tags = None
        customer.contacts = [
            Contact(n * 16 + i, who, email, default, consent)
            for i, (who, email, default, consent) in enumerate(contacts)
        ]
        for key, value in rest.items():
            setattr(customer, key, value)
        people.keep(customer, people.modified[n])

    def one(email: str | None, consent: int = 1) -> list[tuple[str, str | None, bool, int]]:
        return [("Kim Example", email, True, consent)]

    put(0, "Web Shop Guest", [("Guest", None, True, 0)])
    put(1, "Several Contacts Pty", [("A", "several.a@example.com", False, 1), ("B", "several.b@example.com", True, 2),
                                    ("C", "several.c@example.com", False, 3)])  # fmt: skip
    put(2, "Two Defaults Pty", [("A", "default.a@example.com", True, 2), ("B", "default.b@example.com", True, 3)])
    put(3, "No Contact Pty", [])
    put(4, "Invalid Address", one("not an e-mail@@example"))
    put(5, "Shared Address One", one("shared@example.com", 2))
    put(6, "Shared Address Two", one("Shared@Example.com ", 3))
    for consent in range(4):
        put(7 + consent, f"Consent {consent}", one(f"consent{consent}@example.com", consent))
    put(11, "Deprecated Customer", one("deprecated@example.com", 2), status="Deprecated")
    put(12, "Parent Pty", one("parent@example.com"), children=[13])
    put(13, "Child Pty", one("child@example.com", 2), parent=12)
    put(14, "Tags Null", one("tags.null@example.com", 2), tags=None)
    put(15, "Tags Empty", one("tags.empty@example.com", 2), tags="")
    put(16, "Tags Some", one("tags.some@example.com", 2), tags="a, b")
    put(17, "Wholesale Pty", one("wholesale@example.com", 2), tier="Wholesale", tags="wholesale")
    put(18, "Dollar Inc", one("dollar@example.com", 2), currency="USD", country="United States")
    put(19, "Upper Case", one("  UPPER.Case@Example.COM", 2))
    put(20, "Name  Twin", one("twin.a@example.com", 2))
    put(21, "name twin", one("twin.b@example.com", 2))
    put(22, "No Default Pty", [("A", "nodefault@example.com", False, 2)])
    put(23, "Blank Address", one("", 2), addresses=0)
    put(24, "Ünïcode Ñame 株式会社", one("unicode@example.com", 2))
    put(25, "On Hold Pty", one("onhold@example.com", 2), on_hold=True)
    put(26, "Several Addresses In One", one("a@example.com; b@example.com", 2))
    put(27, "Empty Shell", [("", "", True, 0)])
    put(28, "Vip", one("vip@example.com", 2), tags="vip, newsletter")
    put(29, "Wholesale By Tag Only", one("tagged@example.com", 2), tags="Wholesale,vip")
