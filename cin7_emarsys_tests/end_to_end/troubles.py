"""What can go wrong at the two vendors: how each trouble is made, where it shows, and how a person mends it.

What belongs here: the deeds and the list of troubles that can be seeded side by side. What does not: that they are found,
mended and gone (``test_exceptions.py``), which also has those that need a place of their own.
"""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cin7_emarsys_tests.end_to_end.conftest import Place

Facts = dict[str, Any]
HOUR = 3600


@dataclass(frozen=True)
class Sign:
    """Where a trouble shows and by which cause, who answers for it, and words of its next step.

    ``kind`` is a class of exceptions; of what passes by itself, or is so by a rule, what differs (`drift of an item`) or
    which side lacks what (`sku not at emarsys`).
    """

    kind: str
    cause: str
    owner: str
    next_step: str


@dataclass(frozen=True)
class Trouble(Sign):
    """Further what makes it (and what mending must know of it), and what a person does about it before the next run."""

    seed: Callable[[Place], Facts]
    mend: Callable[[Place, Facts], object]


def cin7(place: Place, deed: str, /, **more: object) -> Facts:
    """What happens at the merchant. Who orders is a guest unless named: one trouble must not touch another's people."""
    if deed == "order" and "customer" not in more:
        more = {"email": "passing.by@example.com", **more}
    facts: Facts = place.ask("CIN7", "/_sandbox/merchant", {"do": deed, **more})
    return facts


def emarsys(place: Place, email: str, method: str = "POST", **more: object) -> Facts:
    place.ask("EMARSYS", "/_sandbox/contacts", {"email": email, **more}, method)
    return {"email": email}


def fault(place: Place, name: str, service: str, path: str, **more: object) -> Facts:
    """One more fault beside those that are there."""
    there = place.ask("CIN7", "/_sandbox/faults")
    known = [{key: each[key] for key in each.keys() - {"calls", "fired"}} for each in there]
    place.ask("CIN7", "/_sandbox/faults", [*known, {"name": name, "service": service, "path": path, **more}], "PUT")
    return {}


def no_fault(place: Place, *_: Facts) -> None:
    place.ask("CIN7", "/_sandbox/faults", [], "PUT")


def days_pass(place: Place, days: float) -> None:
    place.ask("CIN7", "/_sandbox/clock", {"advance": days * 24 * HOUR})


def _nothing_more(*_: object) -> None:
    """What mends it is done for another trouble that it comes with."""


# People


def a_contact(place: Place, number: int, **fields: object) -> Facts:
    """A contact of a customer of ours, by its place; changed at Emarsys by somebody when fields are given."""
    ((email, customer_id),) = place.rows(
        "select email, customer_id from mart.contacts "
        "where first_name is not null and consent = 'unknown' and email in (select email from staging.contacts) "
        "and (attributes->>'order_count')::int > 0 and (attributes->>'last_refund_date') is null and not wholesale "
        f"order by email desc limit 1 offset {number}"
    )
    if fields:
        emarsys(place, email, fields=fields)
    return {"email": email, "customer_id": customer_id}


def _idle(place: Place, number: int) -> Facts:
    """A contact of somebody who never ordered."""
    ((email, customer_id),) = place.rows(
        "select email, customer_id from mart.contacts "
        "where not exists (from staging.sales as sales where sales.customer_id = contacts.customer_id) "
        "and not exists (from mart.sale_persons as buyers where buyers.person_id = contacts.email) "
        f"and email in (select email from staging.contacts) and not wholesale order by email limit 1 offset {number}"
    )
    return {"email": email, "customer_id": customer_id}


def _gone(place: Place, number: int) -> Facts:
    facts = a_contact(place, number)
    emarsys(place, facts["email"], "DELETE")
    return facts


def _delete(place: Place, facts: Facts) -> None:
    emarsys(place, facts["email"], "DELETE")


def _disagreeing(place: Place, number: int) -> Facts:
    facts = a_contact(place, number, optin="1")
    cin7(place, "consent", customer=facts["customer_id"], consent=3)
    return facts


def _resend(place: Place, facts: Facts) -> None:
    records = json.loads(place.run("ledger", "--flow", "contacts", "--customer", facts["email"], "--json"))["records"]
    place.run("replay", "--record", str(records[0]["record_id"]), "--reason", "as the exception says")


def _not_applied(place: Place) -> Facts:
    """Emarsys accepts a value, and when it is asked again has the one before."""
    facts = a_contact(place, 6)
    cin7(place, "order", email=facts["email"])
    fault(place, "error-200", "emarsys", "getdata")
    place.sync("orders", code=None)
    no_fault(place)
    emarsys(place, facts["email"], fields={"cin7_open_orders": "0"})
    return facts


def _refused(place: Place) -> Facts:
    place.sync("customers", code=None)
    facts = cin7(place, "new_customer", email="refused@example.com")
    fault(place, "partial-reject", "emarsys", "/contact/?", nth=1)
    place.sync("customers", code=None)
    no_fault(place)
    return facts


def _retry(place: Place, *_: Facts) -> None:
    place.run("dead-letters", "retry", "--flow", "contacts", "--reason", "looked at", code=None)


def _twice_there(place: Place) -> Facts:
    for duplicate in (False, True):
        emarsys(place, "twice@example.com", fields={}, duplicate=duplicate)
    return cin7(place, "new_customer", email="twice@example.com")


def _join_there(place: Place, facts: Facts) -> None:
    emarsys(place, facts["email"], "DELETE")
    emarsys(place, facts["email"], fields={})
    _retry(place)


def _moved(place: Place) -> Facts:
    return cin7(place, "change_email", customer=a_contact(place, 1)["customer_id"], to="moved@example.com")


def _one_person(place: Place, moved: Facts) -> None:
    place.run("customer", "alias", "add", moved["old"], "moved@example.com", "--reason", "the same person")


def _joined_by_hand(place: Place) -> Facts:
    facts, other = a_contact(place, 7), a_contact(place, 8)
    place.run("customer", "alias", "add", facts["email"], other["email"], "--reason", "the same person")
    return facts


def _another_address(place: Place) -> Facts:
    facts = _idle(place, 1)
    cin7(place, "change_email", customer=facts["customer_id"], to="another@example.com")
    return facts


def _no_address_any_more(place: Place) -> Facts:
    facts = _idle(place, 2)
    cin7(place, "change_email", customer=facts["customer_id"], to="")
    return facts


def _gone_for_good(place: Place, facts: Facts) -> None:
    emarsys(place, facts["email"], "DELETE")
    cin7(place, "change_email", customer=facts["customer_id"], to="again@example.com")


def _left_out(place: Place) -> Facts:
    """An account that is closed, of somebody who never ordered: who did stays a contact."""
    facts = _idle(place, 0)
    cin7(place, "edit_customer", customer=facts["customer_id"], status="Deprecated")
    return facts


def _shared_address(place: Place) -> Facts:
    """Six accounts with the shop's own address, and an order of each on which none stands."""
    accounts = [cin7(place, "new_customer", email="shop@example.com")["customer_id"] for _ in range(6)]
    for account in accounts:
        cin7(place, "order", customer=account, email="")
    return {"accounts": accounts}


def _addresses_of_their_own(place: Place, made: Facts) -> None:
    for number, account in enumerate(made["accounts"][1:]):
        cin7(place, "change_email", customer=account, to=f"own{number}@example.com")


def _closed_account(place: Place) -> Facts:
    made = cin7(place, "new_customer", email="closed@example.com")
    return cin7(place, "edit_customer", customer=made["customer_id"], status="Deprecated")


# Sales


def invoiced(place: Place, **more: object) -> Facts:
    order = cin7(place, "order", **more)
    for deed in ("ship", "invoice"):
        cin7(place, deed, sale_id=order["sale_id"])
    return order


def void(place: Place, order: Facts) -> None:
    cin7(place, "void", sale_id=order["sale_id"])


def _parked(place: Place) -> Facts:
    order = invoiced(place, quantity=1)
    fault(place, "applied-then-503", "emarsys", "sales-data", nth=1, times=9)
    return order


def _applied(place: Place, _: Facts) -> None:
    place.run("unknowns", "resolve", "accepted", "--flow", "sales", "--reason", "Emarsys shows the lines")


def _changed_and_not_readable(place: Place) -> Facts:
    """An order that grew since it was read, and cannot be read again."""
    order = cin7(place, "order", sku="HONEY-500", quantity=1)
    place.sync("orders", code=None)
    cin7(place, "edit", sale_id=order["sale_id"], quantity=3)
    fault(place, "html-200", "cin7", f"/sale?id={order['sale_id']}")
    return order


def _note_not_readable(place: Place) -> Facts:
    note = cin7(place, "credit_note", quantity=1, email=a_contact(place, 9)["email"])
    fault(place, "html-200", "cin7", f"id={note['sale_id']}")
    return note


def _refunded_twice(place: Place) -> Facts:
    order = invoiced(place, email="refunded@example.com", quantity=1)
    for _ in range(2):
        cin7(place, "refund", sale_id=order["sale_id"])
    return order


def _contradicting_invoice(place: Place) -> Facts:
    order = invoiced(place, quantity=1)
    return cin7(place, "corrupt", entity="sale", key=order["sale_id"], what="contradiction")


def _heal(place: Place, *_: Facts) -> None:
    cin7(place, "heal")


# Stock and items


def _kit_of_nothing(place: Place) -> Facts:
    cin7(place, "new_product", sku="STRAP", quantity=9)
    cin7(place, "new_product", sku="BAG-AND-STRAP", components=[{"sku": "STRAP", "quantity": 1}])
    return cin7(place, "deprecate", sku="STRAP")


def _same_sku(place: Place) -> Facts:
    """The record of the product that gave its SKU away cannot be used, so it seems to have it still."""
    for sku in ("TWIN-A", "TWIN-B"):
        cin7(place, "new_product", sku=sku, quantity=1)
    place.sync("products", code=None)
    cin7(place, "rename", sku="TWIN-B", to="TWIN-C")
    cin7(place, "corrupt", entity="product", key="TWIN-C")
    return cin7(place, "rename", sku="TWIN-A", to="TWIN-B")


def _each_its_own(place: Place, _: Facts) -> None:
    cin7(place, "heal", entity="product", key="TWIN-C")
    cin7(place, "rename", sku="TWIN-B", to="TWIN-A")
    cin7(place, "rename", sku="TWIN-C", to="TWIN-B")


def _second_look_fails(place: Place) -> Facts:
    made = cin7(place, "receive")
    place.sync("stock", code=None)
    fault(place, "html-200", "cin7", f"id={made['product_id']}")
    return made


def _backordered(place: Place) -> Facts:
    change_policy(place, "backorders_are_allocated = true", "backorders_are_allocated = false")
    return cin7(place, "order", sku="MUG & SAUCER ÅØ 12", quantity=4000)


def _read_rightly(place: Place, order: Facts) -> None:
    change_policy(place, "backorders_are_allocated = false", "backorders_are_allocated = true")
    void(place, order)


def _dearer(place: Place) -> Facts:
    return cin7(place, "price", sku="RUG-HTML", price=999)


def _release(place: Place, _: Facts) -> None:
    for (hold,) in place.rows(
        "select distinct hold_id from mart.held_flips where ended_at is null and released_at is null"
    ):
        place.run("sync", "stock", "--release", hold, "--reason", "it is true", code=None)


def change_policy(place: Place, old: str, new: str) -> Facts:
    file = place.folder / "merchant.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return {"old": old, "new": new}


def _deprecated_before_it_was_sold(place: Place) -> Facts:
    made = cin7(place, "new_product", quantity=1)
    cin7(place, "sellable", sku=made["sku"])
    return cin7(place, "deprecate", sku=made["sku"])


# The catalogue at Emarsys


def collect(place: Place) -> None:
    """Emarsys fetches our file, as it does from time to time."""
    with place.start("serve", "--port", "0", "--json") as feed:
        try:
            assert feed.stdout
            address = json.loads(feed.stdout.readline())["url"]
            assert place.ask("EMARSYS", "/_sandbox/catalog/pull", {"url": address})["status"] == "imported"
        finally:
            feed.terminate()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def export(place: Place) -> None:
    """A person takes the catalogue from Emarsys' UI and has it compared."""
    items = place.ask("EMARSYS", "/_sandbox/catalogue?limit=1000000")["items"]
    file = place.folder / "export.csv"
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(items[0]))
        writer.writeheader()
        writer.writerows(items)
    place.run("reconcile", "--catalogue", str(file), code=None)


def _somebody_else_loads_products(place: Place) -> Facts:
    """Another file than ours: an item has another title, one is missing, one is strange."""
    collect(place)
    with (place.folder / "var" / "feed" / "products.csv").open(newline="") as ours:
        rows = list(csv.DictReader(ours))
    named = ("TWIN", "RUG", "TPL", "TEE", "GLOVE", "CUP", "BLANKET", "HONEY")  # by which other troubles go
    plain = [row for row in rows if row["available"] == "true" and not row["item"].startswith(named)]
    lost, changed = plain[-1]["item"], plain[-2]["item"]
    for row in rows:
        row["title"] = "Somebody's title" if row["item"] == changed else row["title"]
    rows = [row for row in rows if row["item"] != lost] + [{**plain[0], "item": "OF-NOBODY"}]
    folder = place.folder / "elsewhere"
    folder.mkdir()
    with (folder / "products.csv").open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with _served(folder) as address:
        answer = place.ask("EMARSYS", "/_sandbox/catalog/pull", {"url": f"{address}/products.csv"})
    assert answer["status"] == "imported", answer
    export(place)
    cin7(place, "title", sku=plain[-3]["item"])
    return {}


TROUBLES = [
    # These run jobs of their own before all is read together.
    Trouble("contact_drift", "not_applied", "operations", "replay", _not_applied, _resend),
    Trouble("orphan_customers_at_emarsys", "rejected", "operations", "dead-letters list", _refused, _retry),
    Trouble("duplicate_skus", "", "products", "a SKU of its own", _same_sku, _each_its_own),
    Trouble("orphan_skus_at_emarsys", "duplicate_sku", "products", "sync products", lambda _: {}, _nothing_more),
    Trouble("allocated_is_ordered", "", "operations", "under allocations", _changed_and_not_readable, no_fault),
    Trouble("unreadable_sales", "", "data", "Open the sale in Cin7", lambda _: {}, _nothing_more),
    Trouble("rises_refused", "", "operations", "The stock job tries again", _second_look_fails, no_fault),
    Trouble("item_drift", "changed_there", "marketing", "sync products", _somebody_else_loads_products, _nothing_more),
    Trouble("orphan_skus_at_emarsys", "not_in_export", "operations", "sync products", lambda _: {}, _nothing_more),
    Trouble("orphan_skus_at_cin7", "only_in_emarsys", "products", "who else loads products", lambda _: {}, _nothing_more),
    Trouble("drift of an item", "not_collected_yet", "operations", "Nothing", lambda _: {}, _nothing_more),
    # People
    Trouble(
        "orphan_customers_at_emarsys", "no_email", "sales", "Enter an e-mail",
        lambda place: cin7(place, "new_customer", email=""),
        lambda place, made: cin7(place, "change_email", customer=made["customer_id"], to="found@example.com"),
    ),
    Trouble(
        "orphan_customers_at_emarsys", "invalid_email", "sales", "Correct the e-mail",
        lambda place: cin7(place, "new_customer", email="no address at all"),
        lambda place, made: cin7(place, "change_email", customer=made["customer_id"], to="corrected@example.com"),
    ),
    Trouble("orphan_customers_at_emarsys", "duplicate_key", "operations", "join them there", _twice_there, _join_there),
    Trouble("dead_letters", "", "operations", "dead-letters list", lambda _: {}, _nothing_more),
    Trouble(
        "orphan_customers_at_emarsys", "deleted_there", "marketing", "cin7-emarsys replay", lambda place: _gone(place, 0),
        _resend,
    ),
    Trouble("addresses_moved", "", "marketing", "customer alias add", _moved, _one_person),
    Trouble("contacts_left_behind", "", "marketing", "delete it", _joined_by_hand, _delete),
    Trouble("orphan_customers_at_cin7", "merged", "marketing", "delete the old contact", _another_address, _delete),
    Trouble(
        "orphan_customers_at_cin7", "no_longer_in_cin7", "marketing", "delete the contact in Emarsys", _no_address_any_more,
        _gone_for_good,
    ),
    Trouble(
        "orphan_customers_at_cin7", "deprecated_customer", "marketing", "delete the contact in Emarsys", _left_out, _delete
    ),
    Trouble(
        "contact_drift", "changed_there", "marketing", "cin7-emarsys replay",
        lambda place: a_contact(place, 2, first_name="Qwertz"), _resend,
    ),
    Trouble(
        "contact_drift", "emptied_there", "marketing", "cin7-emarsys replay",
        lambda place: a_contact(place, 3, cin7_ltv=None), _resend,
    ),
    Trouble(
        "contact_drift", "not_cleared", "marketing", "Something else fills this field",
        lambda place: a_contact(place, 4, cin7_last_refund_date="2026-01-01"),
        lambda place, facts: emarsys(place, facts["email"], fields={"cin7_last_refund_date": None}),
    ),
    Trouble(
        "consent_disagreement", "", "marketing", "ask the person", lambda place: _disagreeing(place, 5),
        lambda place, facts: cin7(place, "consent", customer=facts["customer_id"], consent=2),
    ),
    Trouble(
        "unmailable_emails", "", "sales", "Correct the address", lambda place: cin7(place, "new_customer", email="a@b@c"),
        lambda place, made: cin7(place, "change_email", customer=made["customer_id"], to="one@example.com"),
    ),
    Trouble("many_aliases", "", "marketing", "correct it in Cin7", _shared_address, _addresses_of_their_own),
    # Sales
    Trouble(
        "orders_without_person", "", "sales", "Enter an e-mail on the sale", lambda place: invoiced(place, email=""),
        lambda place, order: cin7(place, "edit", sale_id=order["sale_id"], email="guest@example.com"),
    ),
    Trouble("credit_notes_unread", "", "finance", "Open them in Cin7", _note_not_readable, no_fault),
    Trouble("over_refunded", "", "finance", "Look at their credit notes", _refunded_twice, void),
    Trouble("value_below_zero", "", "finance", "entered twice", lambda _: {}, _nothing_more),
    Trouble(
        "rates_missing", "", "finance", "Enter the exchange rate",
        lambda place: invoiced(place, currency="USD", currency_rate=0, quantity=1),
        lambda place, order: cin7(place, "edit", sale_id=order["sale_id"], currency_rate=1.5),
    ),
    Trouble("documents_add_up", "", "finance", "Compare them in Cin7", _contradicting_invoice, _heal),
    Trouble("revenue_by_day", "", "finance", "Compare that day's invoices", lambda _: {}, _nothing_more),
    Trouble("unknown_outcomes", "", "operations", "unknowns resolve", _parked, _applied),
    Trouble("drift of an order", "parked", "operations", "unknowns list", lambda _: {}, _nothing_more),
    # Stock and items
    Trouble(
        "negative_availability", "", "operations", "tell the customers",
        lambda place: cin7(place, "order", sku="BLANKET-PIC", quantity=5000, allocate=False), void,
    ),
    Trouble("allocation_reading", "", "operations", "backorders_are_allocated", _backordered, _read_rightly),
    Trouble(
        "kit_faults", "", "products", "Correct the bill", _kit_of_nothing,
        lambda place, part: cin7(place, "reactivate", sku=part["sku"]),
    ),
    Trouble(
        "locations_exist", "", "operations", "Correct the name in merchant.toml",
        lambda place: change_policy(place, "sellable_locations = [", 'sellable_locations = ["Atlantis", '),
        lambda place, done: change_policy(place, done["new"], done["old"]),
    ),
    Trouble(
        "no_price", "", "products", "Enter the price", lambda place: cin7(place, "price", sku="CUP-ENAMEL", price=0),
        lambda place, was: cin7(place, "price", sku=was["sku"], price=12.5),
    ),
    Trouble("held_changes", "", "marketing", "sync stock --release", _dearer, _release),
    Trouble(
        "rejected_records", "", "data", "Correct the record in Cin7",
        lambda place: cin7(place, "corrupt", entity="product", key="GLOVE-L"), _heal,
    ),
    Trouble(
        "untrusted_skus", "", "operations", "the next stock run reads them again",
        lambda place: cin7(place, "corrupt", entity="availability", key="TEE-RED-M", what="wrong-type"), _heal,
    ),
    Trouble(
        "available_is_on_hand_less_allocated", "", "data", "Read the stock again",
        lambda place: cin7(place, "corrupt", entity="availability", key="TEE-RED-S", what="contradiction"), _heal,
    ),
    Trouble(
        "schema_drift", "", "data", "Nothing is lost",
        lambda place: fault(place, "schema-change", "cin7", "/customer?", field="OfNoVersion"), no_fault,
    ),
    # By a rule, or until it passes: nobody has to do anything, and everybody can see why.
    Trouble(
        "sku not at emarsys", "not_sold", "products", "mark it as sellable",
        lambda place: cin7(place, "sellable", sku=cin7(place, "new_product", quantity=1)["sku"]),
        lambda place, made: cin7(place, "sellable", sku=made["sku"], sellable=True),
    ),
    Trouble(
        "sku not at emarsys", "deprecated", "products", "deprecated on purpose",
        _deprecated_before_it_was_sold, lambda place, made: cin7(place, "sellable", sku=made["sku"], sellable=True),
    ),
    Trouble(
        "sku not at emarsys", "not_collected_yet", "operations", "when it next fetches the file",
        lambda place: cin7(place, "new_product", quantity=1), _nothing_more,
    ),
    Trouble(
        "customer not at emarsys", "generic_customer", "sales", "lends no identity",
        lambda place: cin7(place, "new_customer", name="Web Shop Guest", email="counter@example.com"),
        lambda place, made: cin7(place, "edit_customer", customer=made["customer_id"], name="Somebody"),
    ),
    Trouble(
        "customer not at emarsys", "deprecated_customer", "sales", "deprecated on purpose", _closed_account,
        lambda place, made: cin7(place, "edit_customer", customer=made["customer_id"], status="Active"),
    ),
    Trouble(
        "customer not at cin7", "only_in_emarsys", "marketing", "who signed up",
        lambda place: emarsys(place, "signed.up@example.com", fields={}), _delete,
    ),
]  # fmt: skip
