"""One of each trouble seeded at the two vendors: found with its cause, owner and next step, mended as that says, and gone.

Most are seeded, found and mended together: what is done about one must not hide another. What needs days, a new place or
a large part of the stock has a test of its own below. The last test knows what there is in all.
"""

from __future__ import annotations

import ast
import csv
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cin7_emarsys.operations import exceptions
from cin7_emarsys.warehouse import factory
from cin7_emarsys_tests.end_to_end.conftest import Place
from cin7_emarsys_tests.end_to_end.test_kill import killed

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


def _cin7(place: Place, deed: str, /, **more: object) -> Facts:
    """What happens at the merchant. Who orders is a guest unless named: one trouble must not touch another's people."""
    if deed == "order" and "customer" not in more:
        more = {"email": "passing.by@example.com", **more}
    facts: Facts = place.ask("CIN7", "/_sandbox/merchant", {"do": deed, **more})
    return facts


def _emarsys(place: Place, email: str, method: str = "POST", **more: object) -> Facts:
    place.ask("EMARSYS", "/_sandbox/contacts", {"email": email, **more}, method)
    return {"email": email}


def _fault(place: Place, name: str, service: str, path: str, **more: object) -> Facts:
    """One more fault beside those that are there."""
    there = place.ask("CIN7", "/_sandbox/faults")
    known = [{key: each[key] for key in each.keys() - {"calls", "fired"}} for each in there]
    place.ask("CIN7", "/_sandbox/faults", [*known, {"name": name, "service": service, "path": path, **more}], "PUT")
    return {}


def _no_fault(place: Place, *_: Facts) -> None:
    place.ask("CIN7", "/_sandbox/faults", [], "PUT")


def _days(place: Place, days: float) -> None:
    place.ask("CIN7", "/_sandbox/clock", {"advance": days * 24 * HOUR})


def _nothing_more(*_: object) -> None:
    """What mends it is done for another trouble that it comes with."""


# People


def _contact(place: Place, number: int, **fields: object) -> Facts:
    """A contact of a customer of ours, by its place; changed at Emarsys by somebody when fields are given."""
    ((email, customer_id),) = place.rows(
        "select email, customer_id from mart.contacts "
        "where first_name is not null and consent = 'unknown' and email in (select email from staging.contacts) "
        "and (attributes->>'order_count')::int > 0 and (attributes->>'last_refund_date') is null and not wholesale "
        f"order by email desc limit 1 offset {number}"
    )
    if fields:
        _emarsys(place, email, fields=fields)
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
    facts = _contact(place, number)
    _emarsys(place, facts["email"], "DELETE")
    return facts


def _delete(place: Place, facts: Facts) -> None:
    _emarsys(place, facts["email"], "DELETE")


def _disagreeing(place: Place, number: int) -> Facts:
    facts = _contact(place, number, optin="1")
    _cin7(place, "consent", customer=facts["customer_id"], consent=3)
    return facts


def _resend(place: Place, facts: Facts) -> None:
    records = json.loads(place.run("ledger", "--flow", "contacts", "--customer", facts["email"], "--json"))["records"]
    place.run("replay", "--record", str(records[0]["record_id"]), "--reason", "as the exception says")


def _not_applied(place: Place) -> Facts:
    """Emarsys accepts a value, and when it is asked again has the one before."""
    facts = _contact(place, 6)
    _cin7(place, "order", email=facts["email"])
    _fault(place, "error-200", "emarsys", "getdata")
    place.sync("orders", code=None)
    _no_fault(place)
    _emarsys(place, facts["email"], fields={"cin7_open_orders": "0"})
    return facts


def _refused(place: Place) -> Facts:
    place.sync("customers", code=None)
    facts = _cin7(place, "new_customer", email="refused@example.com")
    _fault(place, "partial-reject", "emarsys", "/contact/?", nth=1)
    place.sync("customers", code=None)
    _no_fault(place)
    return facts


def _retry(place: Place, *_: Facts) -> None:
    place.run("dead-letters", "retry", "--flow", "contacts", "--reason", "looked at", code=None)


def _twice_there(place: Place) -> Facts:
    for duplicate in (False, True):
        _emarsys(place, "twice@example.com", fields={}, duplicate=duplicate)
    return _cin7(place, "new_customer", email="twice@example.com")


def _join_there(place: Place, facts: Facts) -> None:
    _emarsys(place, facts["email"], "DELETE")
    _emarsys(place, facts["email"], fields={})
    _retry(place)


def _moved(place: Place) -> Facts:
    return _cin7(place, "change_email", customer=_contact(place, 1)["customer_id"], to="moved@example.com")


def _one_person(place: Place, moved: Facts) -> None:
    place.run("customer", "alias", "add", moved["old"], "moved@example.com", "--reason", "the same person")


def _joined_by_hand(place: Place) -> Facts:
    facts, other = _contact(place, 7), _contact(place, 8)
    place.run("customer", "alias", "add", facts["email"], other["email"], "--reason", "the same person")
    return facts


def _another_address(place: Place) -> Facts:
    facts = _idle(place, 1)
    _cin7(place, "change_email", customer=facts["customer_id"], to="another@example.com")
    return facts


def _no_address_any_more(place: Place) -> Facts:
    facts = _idle(place, 2)
    _cin7(place, "change_email", customer=facts["customer_id"], to="")
    return facts


def _gone_for_good(place: Place, facts: Facts) -> None:
    _emarsys(place, facts["email"], "DELETE")
    _cin7(place, "change_email", customer=facts["customer_id"], to="again@example.com")


def _left_out(place: Place) -> Facts:
    """An account that is closed, of somebody who never ordered: who did stays a contact."""
    facts = _idle(place, 0)
    _cin7(place, "edit_customer", customer=facts["customer_id"], status="Deprecated")
    return facts


def _shared_address(place: Place) -> Facts:
    """Six accounts with the shop's own address, and an order of each on which none stands."""
    accounts = [_cin7(place, "new_customer", email="shop@example.com")["customer_id"] for _ in range(6)]
    for account in accounts:
        _cin7(place, "order", customer=account, email="")
    return {"accounts": accounts}


def _addresses_of_their_own(place: Place, made: Facts) -> None:
    for number, account in enumerate(made["accounts"][1:]):
        _cin7(place, "change_email", customer=account, to=f"own{number}@example.com")


def _closed_account(place: Place) -> Facts:
    made = _cin7(place, "new_customer", email="closed@example.com")
    return _cin7(place, "edit_customer", customer=made["customer_id"], status="Deprecated")


# Sales


def _invoiced(place: Place, **more: object) -> Facts:
    order = _cin7(place, "order", **more)
    for deed in ("ship", "invoice"):
        _cin7(place, deed, sale_id=order["sale_id"])
    return order


def _void(place: Place, order: Facts) -> None:
    _cin7(place, "void", sale_id=order["sale_id"])


def _parked(place: Place) -> Facts:
    order = _invoiced(place, quantity=1)
    _fault(place, "applied-then-503", "emarsys", "sales-data", nth=1, times=9)
    return order


def _applied(place: Place, _: Facts) -> None:
    place.run("unknowns", "resolve", "accepted", "--flow", "sales", "--reason", "Emarsys shows the lines")


def _changed_and_not_readable(place: Place) -> Facts:
    """An order that grew since it was read, and cannot be read again."""
    order = _cin7(place, "order", sku="HONEY-500", quantity=1)
    place.sync("orders", code=None)
    _cin7(place, "edit", sale_id=order["sale_id"], quantity=3)
    _fault(place, "html-200", "cin7", f"/sale?id={order['sale_id']}")
    return order


def _note_not_readable(place: Place) -> Facts:
    note = _cin7(place, "credit_note", quantity=1, email=_contact(place, 9)["email"])
    _fault(place, "html-200", "cin7", f"id={note['sale_id']}")
    return note


def _refunded_twice(place: Place) -> Facts:
    order = _invoiced(place, email="refunded@example.com", quantity=1)
    for _ in range(2):
        _cin7(place, "refund", sale_id=order["sale_id"])
    return order


def _contradicting_invoice(place: Place) -> Facts:
    order = _invoiced(place, quantity=1)
    return _cin7(place, "corrupt", entity="sale", key=order["sale_id"], what="contradiction")


def _heal(place: Place, *_: Facts) -> None:
    _cin7(place, "heal")


# Stock and items


def _kit_of_nothing(place: Place) -> Facts:
    _cin7(place, "new_product", sku="STRAP", quantity=9)
    _cin7(place, "new_product", sku="BAG-AND-STRAP", components=[{"sku": "STRAP", "quantity": 1}])
    return _cin7(place, "deprecate", sku="STRAP")


def _same_sku(place: Place) -> Facts:
    """The record of the product that gave its SKU away cannot be used, so it seems to have it still."""
    for sku in ("TWIN-A", "TWIN-B"):
        _cin7(place, "new_product", sku=sku, quantity=1)
    place.sync("products", code=None)
    _cin7(place, "rename", sku="TWIN-B", to="TWIN-C")
    _cin7(place, "corrupt", entity="product", key="TWIN-C")
    return _cin7(place, "rename", sku="TWIN-A", to="TWIN-B")


def _each_its_own(place: Place, _: Facts) -> None:
    _cin7(place, "heal", entity="product", key="TWIN-C")
    _cin7(place, "rename", sku="TWIN-B", to="TWIN-A")
    _cin7(place, "rename", sku="TWIN-C", to="TWIN-B")


def _second_look_fails(place: Place) -> Facts:
    made = _cin7(place, "receive")
    place.sync("stock", code=None)
    _fault(place, "html-200", "cin7", f"id={made['product_id']}")
    return made


def _backordered(place: Place) -> Facts:
    _policy(place, "backorders_are_allocated = true", "backorders_are_allocated = false")
    return _cin7(place, "order", sku="MUG & SAUCER ÅØ 12", quantity=4000)


def _read_rightly(place: Place, order: Facts) -> None:
    _policy(place, "backorders_are_allocated = false", "backorders_are_allocated = true")
    _void(place, order)


def _dearer(place: Place) -> Facts:
    return _cin7(place, "price", sku="RUG-HTML", price=999)


def _release(place: Place, _: Facts) -> None:
    for (hold,) in place.rows(
        "select distinct hold_id from mart.held_flips where ended_at is null and released_at is null"
    ):
        place.run("sync", "stock", "--release", hold, "--reason", "it is true", code=None)


def _policy(place: Place, old: str, new: str) -> Facts:
    file = place.folder / "merchant.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return {"old": old, "new": new}


def _deprecated_before_it_was_sold(place: Place) -> Facts:
    made = _cin7(place, "new_product", quantity=1)
    _cin7(place, "sellable", sku=made["sku"])
    return _cin7(place, "deprecate", sku=made["sku"])


# The catalogue at Emarsys


def _collect(place: Place) -> None:
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


def _export(place: Place) -> None:
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
    _collect(place)
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
    _export(place)
    _cin7(place, "title", sku=plain[-3]["item"])
    return {}


TROUBLES = [
    # These run jobs of their own before all is read together.
    Trouble("contact_drift", "not_applied", "operations", "replay", _not_applied, _resend),
    Trouble("orphan_customers_at_emarsys", "rejected", "operations", "dead-letters list", _refused, _retry),
    Trouble("duplicate_skus", "", "products", "a SKU of its own", _same_sku, _each_its_own),
    Trouble("orphan_skus_at_emarsys", "duplicate_sku", "products", "sync products", lambda _: {}, _nothing_more),
    Trouble("allocated_is_ordered", "", "operations", "under allocations", _changed_and_not_readable, _no_fault),
    Trouble("unreadable_sales", "", "data", "Open the sale in Cin7", lambda _: {}, _nothing_more),
    Trouble("rises_refused", "", "operations", "The stock job tries again", _second_look_fails, _no_fault),
    Trouble("item_drift", "changed_there", "marketing", "sync products", _somebody_else_loads_products, _nothing_more),
    Trouble("orphan_skus_at_emarsys", "not_in_export", "operations", "sync products", lambda _: {}, _nothing_more),
    Trouble("orphan_skus_at_cin7", "only_in_emarsys", "products", "who else loads products", lambda _: {}, _nothing_more),
    Trouble("drift of an item", "not_collected_yet", "operations", "Nothing", lambda _: {}, _nothing_more),
    # People
    Trouble(
        "orphan_customers_at_emarsys", "no_email", "sales", "Enter an e-mail",
        lambda place: _cin7(place, "new_customer", email=""),
        lambda place, made: _cin7(place, "change_email", customer=made["customer_id"], to="found@example.com"),
    ),
    Trouble(
        "orphan_customers_at_emarsys", "invalid_email", "sales", "Correct the e-mail",
        lambda place: _cin7(place, "new_customer", email="no address at all"),
        lambda place, made: _cin7(place, "change_email", customer=made["customer_id"], to="corrected@example.com"),
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
        lambda place: _contact(place, 2, first_name="Qwertz"), _resend,
    ),
    Trouble(
        "contact_drift", "emptied_there", "marketing", "cin7-emarsys replay",
        lambda place: _contact(place, 3, cin7_ltv=None), _resend,
    ),
    Trouble(
        "contact_drift", "not_cleared", "marketing", "Something else fills this field",
        lambda place: _contact(place, 4, cin7_last_refund_date="2026-01-01"),
        lambda place, facts: _emarsys(place, facts["email"], fields={"cin7_last_refund_date": None}),
    ),
    Trouble(
        "consent_disagreement", "", "marketing", "ask the person", lambda place: _disagreeing(place, 5),
        lambda place, facts: _cin7(place, "consent", customer=facts["customer_id"], consent=2),
    ),
    Trouble(
        "unmailable_emails", "", "sales", "Correct the address", lambda place: _cin7(place, "new_customer", email="a@b@c"),
        lambda place, made: _cin7(place, "change_email", customer=made["customer_id"], to="one@example.com"),
    ),
    Trouble("many_aliases", "", "marketing", "correct it in Cin7", _shared_address, _addresses_of_their_own),
    # Sales
    Trouble(
        "orders_without_person", "", "sales", "Enter an e-mail on the sale", lambda place: _invoiced(place, email=""),
        lambda place, order: _cin7(place, "edit", sale_id=order["sale_id"], email="guest@example.com"),
    ),
    Trouble("credit_notes_unread", "", "finance", "Open them in Cin7", _note_not_readable, _no_fault),
    Trouble("over_refunded", "", "finance", "Look at their credit notes", _refunded_twice, _void),
    Trouble("value_below_zero", "", "finance", "entered twice", lambda _: {}, _nothing_more),
    Trouble(
        "rates_missing", "", "finance", "Enter the exchange rate",
        lambda place: _invoiced(place, currency="USD", currency_rate=0, quantity=1),
        lambda place, order: _cin7(place, "edit", sale_id=order["sale_id"], currency_rate=1.5),
    ),
    Trouble("documents_add_up", "", "finance", "Compare them in Cin7", _contradicting_invoice, _heal),
    Trouble("revenue_by_day", "", "finance", "Compare that day's invoices", lambda _: {}, _nothing_more),
    Trouble("unknown_outcomes", "", "operations", "unknowns resolve", _parked, _applied),
    Trouble("drift of an order", "parked", "operations", "unknowns list", lambda _: {}, _nothing_more),
    # Stock and items
    Trouble(
        "negative_availability", "", "operations", "tell the customers",
        lambda place: _cin7(place, "order", sku="BLANKET-PIC", quantity=5000, allocate=False), _void,
    ),
    Trouble("allocation_reading", "", "operations", "backorders_are_allocated", _backordered, _read_rightly),
    Trouble(
        "kit_faults", "", "products", "Correct the bill", _kit_of_nothing,
        lambda place, part: _cin7(place, "reactivate", sku=part["sku"]),
    ),
    Trouble(
        "locations_exist", "", "operations", "Correct the name in merchant.toml",
        lambda place: _policy(place, "sellable_locations = [", 'sellable_locations = ["Atlantis", '),
        lambda place, done: _policy(place, done["new"], done["old"]),
    ),
    Trouble(
        "no_price", "", "products", "Enter the price", lambda place: _cin7(place, "price", sku="CUP-ENAMEL", price=0),
        lambda place, was: _cin7(place, "price", sku=was["sku"], price=12.5),
    ),
    Trouble("held_changes", "", "marketing", "sync stock --release", _dearer, _release),
    Trouble(
        "rejected_records", "", "data", "Correct the record in Cin7",
        lambda place: _cin7(place, "corrupt", entity="product", key="GLOVE-L"), _heal,
    ),
    Trouble(
        "untrusted_skus", "", "operations", "the next stock run reads them again",
        lambda place: _cin7(place, "corrupt", entity="availability", key="TEE-RED-M", what="wrong-type"), _heal,
    ),
    Trouble(
        "available_is_on_hand_less_allocated", "", "data", "Read the stock again",
        lambda place: _cin7(place, "corrupt", entity="availability", key="TEE-RED-S", what="contradiction"), _heal,
    ),
    Trouble(
        "schema_drift", "", "data", "Nothing is lost",
        lambda place: _fault(place, "schema-change", "cin7", "/customer?", field="OfNoVersion"), _no_fault,
    ),
    # By a rule, or until it passes: nobody has to do anything, and everybody can see why.
    Trouble(
        "sku not at emarsys", "not_sold", "products", "mark it as sellable",
        lambda place: _cin7(place, "sellable", sku=_cin7(place, "new_product", quantity=1)["sku"]),
        lambda place, made: _cin7(place, "sellable", sku=made["sku"], sellable=True),
    ),
    Trouble(
        "sku not at emarsys", "deprecated", "products", "deprecated on purpose",
        _deprecated_before_it_was_sold, lambda place, made: _cin7(place, "sellable", sku=made["sku"], sellable=True),
    ),
    Trouble(
        "sku not at emarsys", "not_collected_yet", "operations", "when it next fetches the file",
        lambda place: _cin7(place, "new_product", quantity=1), _nothing_more,
    ),
    Trouble(
        "customer not at emarsys", "generic_customer", "sales", "lends no identity",
        lambda place: _cin7(place, "new_customer", name="Web Shop Guest", email="counter@example.com"),
        lambda place, made: _cin7(place, "edit_customer", customer=made["customer_id"], name="Somebody"),
    ),
    Trouble(
        "customer not at emarsys", "deprecated_customer", "sales", "deprecated on purpose", _closed_account,
        lambda place, made: _cin7(place, "edit_customer", customer=made["customer_id"], status="Active"),
    ),
    Trouble(
        "customer not at cin7", "only_in_emarsys", "marketing", "who signed up",
        lambda place: _emarsys(place, "signed.up@example.com", fields={}), _delete,
    ),
]  # fmt: skip


_ARTICLE = {"contact": "a contact", "item": "an item", "order": "an order"}


RENAMED = [Sign("sku not at cin7", "renamed", "products", "if the renaming was meant")]
"""That stays for ever: histories point to the item."""


def _listed(place: Place) -> dict[tuple[str, str], Facts]:
    """What is open as an exception, and what passes by itself or is so by a rule, by kind and cause."""
    rows = json.loads(place.run("exceptions", "list", "--json", code=None))["exceptions"]
    listed: dict[tuple[str, str], Facts] = {(row["class"], row["cause"]): row for row in rows}
    passing = place.rows(
        "select what, missing_at, cause, count(*), any_value(owner), any_value(next_step) from reconciliation.orphans "
        "where expected group by all union all "
        "select what, null, cause, count(*), any_value(owner), any_value(next_step) from reconciliation.drift "
        "where expected group by all"
    )
    for what, missing_at, cause, count, owner, next_step in passing:
        kind = f"{what} not at {missing_at}" if missing_at else f"drift of {_ARTICLE[what]}"
        listed[kind, cause] = {"count": count, "owner": owner, "next_step": next_step}
    return listed


def _counts(place: Place) -> dict[tuple[str, str], int]:
    return {name: row["count"] for name, row in _listed(place).items()}


def _found(place: Place, signs: Sequence[Sign], before: Mapping[tuple[str, str], int]) -> None:
    listed = _listed(place)
    wrong = []
    for sign in signs:
        row = listed.get((sign.kind, sign.cause))
        if row is None or row["count"] <= before.get((sign.kind, sign.cause), 0):
            wrong.append((sign.kind, sign.cause, "not found"))
        elif row["owner"] != sign.owner or sign.next_step not in row["next_step"]:
            wrong.append((sign.kind, sign.cause, f"{row['owner']}: {row['next_step']}"))
        elif "class" in row:
            assert row["meaning"] and row["examples"] and "@" not in str(row["examples"])
    assert not wrong, "\n".join(map(str, wrong))


def _resolved(place: Place, signs: Sequence[Sign], before: Mapping[tuple[str, str], int]) -> None:
    left = _counts(place)
    names = [(sign.kind, sign.cause) for sign in signs]
    wrong = [
        (*name, before.get(name, 0), left.get(name, 0)) for name in names if before.get(name, 0) != left.get(name, 0)
    ]
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.soak
def test_each_trouble_is_found_mended_as_it_says_and_gone(busy: Place) -> None:
    before = _counts(busy)
    made = [trouble.seed(busy) for trouble in TROUBLES]
    _cin7(busy, "rename", sku="TPL-01", to="TPL-02")
    busy.sync("nightly", code=None)
    _found(busy, [*TROUBLES, *RENAMED], before)
    _no_fault(busy)
    for trouble, facts in zip(TROUBLES, made, strict=True):
        trouble.mend(busy, facts)
    busy.sync("nightly", code=None)
    # what mending has brought about: contacts that are left behind, a file to fetch
    for (email,) in busy.rows("select email from mart.contacts where left_behind"):
        _emarsys(busy, email, "DELETE")
    busy.sync("nightly", code=None)
    _collect(busy)
    _export(busy)
    _resolved(busy, TROUBLES, before)


UNSENT = [
    Sign("sales_drift", "too_much", "operations", "sync orders"),
    Sign("balance_adds_up", "", "data", "sync orders"),
    Sign("orphan_skus_at_cin7", "still_available", "operations", "sync products"),
    Sign("sku not at emarsys", "not_yet_due", "operations", "sync products"),
    Sign("customer not at emarsys", "not_yet_due", "operations", "sync customers"),
    Sign("drift of a contact", "changed_here_since", "operations", "next export"),
    Sign("drift of an order", "waiting", "operations", "sync orders"),
]
NEVER_SENT = [
    Sign("orphan_customers_at_emarsys", "never_sent", "operations", "armed = true"),
    Sign("orphan_skus_at_emarsys", "never_sent", "operations", "sync products"),
]


@pytest.mark.soak
def test_what_waits_while_nothing_may_be_sent(place: Place) -> None:
    """Somebody disarms the project, and business goes on."""
    place.sync("nightly", code=None)
    before = _counts(place)
    lines = [{"sku": sku, "quantity": 1} for sku in ("CUP-ENAMEL", "TEE-RED-S", "GLOVE-L")]
    sold = _invoiced(place, lines=lines, email=_contact(place, 0)["email"])
    place.sync("orders", code=None)
    _policy(place, "armed = true", "armed = false")
    _void(place, sold)
    _invoiced(place, quantity=1, email=_contact(place, 2)["email"])
    _cin7(place, "rename", sku="TPL-01", to="TPL-02")
    _cin7(place, "new_customer")
    _cin7(place, "new_product", quantity=1)
    _days(place, 0.1)
    place.sync("nightly", code=None)
    _found(place, UNSENT, before)
    _days(place, 1.1)
    place.sync("nightly", code=None)
    _found(place, NEVER_SENT, before)
    _policy(place, "armed = false", "armed = true")
    place.sync("orders", code=None)
    place.sync("products", code=None)
    place.sync("nightly", code=None)
    _resolved(place, UNSENT + NEVER_SENT, before)


IN_FLIGHT = [Sign("in_flight", "", "operations", "Run the job of that flow again")]


@pytest.mark.soak
def test_a_process_that_died_while_it_sent(place: Place) -> None:
    place.sync("nightly", code=None)
    _cin7(place, "order", email=_contact(place, 1)["email"])
    assert killed(place, "connecting", "orders")
    _days(place, 0.1)
    place.sync("stock", code=None)
    _found(place, IN_FLIGHT, {})
    place.sync("orders", code=None)
    _resolved(place, IN_FLIGHT, {})


UNREAD = [
    Sign("snapshot_trusted", "", "operations", "Run the stock job again"),
    Sign("trusted_snapshot", "", "operations", "Run the stock job"),
]
NOT_COUNTED = [Sign("orphan_skus_at_emarsys", "no_trusted_stock_yet", "operations", "sync stock")]


@pytest.mark.soak
def test_stock_that_is_not_known_yet(place: Place) -> None:
    """It never comes whole; and later there is a product that no snapshot has seen."""
    _fault(place, "incomplete-snapshot", "cin7", "productavailability")
    for job in ("nightly", "products"):
        place.sync(job, code=None)
    _found(place, UNREAD, {})
    _no_fault(place)
    for job in ("stock", "nightly"):
        place.sync(job, code=None)
    _resolved(place, UNREAD, {})
    before = _counts(place)
    _cin7(place, "new_product", quantity=1)
    for job in ("products", "orders"):
        place.sync(job, code=None)
    _found(place, NOT_COUNTED, before)
    for job in ("stock", "orders"):
        place.sync(job, code=None)
    _resolved(place, NOT_COUNTED, before)


MASS_FALL = [Sign("mass_fall", "", "operations", "Find out today whether stock is really gone")]
RELEASED = [Sign("released_snapshots", "", "operations", "Nothing, if you know why")]
OLD = [
    Sign("source_lag", "", "operations", "See why their job does not run"),
    Sign("publication_collected", "", "operations", "whether Emarsys still fetches the file"),
]
GONE = [Sign("sku not at cin7", "gone_from_cin7", "operations", "deleted on purpose")]
SHRUNK = [Sign("catalogue_not_shrunk", "", "operations", "Find out why products are gone")]


@pytest.mark.soak
def test_a_large_part_of_the_stock_is_sold_at_once(place: Place) -> None:
    place.sync("nightly", code=None)
    _cin7(place, "sell_out", repeat=25)
    place.sync("stock", code=None)
    _found(place, MASS_FALL, {})
    place.sync("stock", code=None)
    _resolved(place, MASS_FALL, {})


@pytest.mark.soak
def test_a_shop_is_closed_and_for_a_day_nobody_looks(place: Place) -> None:
    place.sync("nightly", code=None)
    _collect(place)
    _cin7(place, "title", sku="RUG-HTML")
    place.sync("products", code=None)
    before = _counts(place)
    _fault(place, "incomplete-snapshot", "cin7", "productavailability", mode="total-drop", share=0.3)
    place.sync("stock", code=None)
    ((snapshot,),) = place.rows("select snapshot_id from raw.snapshots order by taken_at desc limit 1")
    place.run("sync", "stock", "--release", snapshot, "--reason", "a shop was closed", code=None)
    _found(place, RELEASED, before)
    _no_fault(place)
    _days(place, 1.2)
    place.sync("stock", code=None)
    _found(place, OLD, before)
    _collect(place)
    place.sync("nightly", code=None)
    _resolved(place, [*RELEASED, *OLD], before)


@pytest.mark.soak
def test_products_are_gone_and_then_the_warehouse(place: Place) -> None:
    place.sync("nightly", code=None)
    before = _counts(place)
    _fault(place, "incomplete-snapshot", "cin7", "/product?", mode="total-drop", share=0.01)
    place.sync("nightly", code=None)
    _found(place, GONE, before)
    _no_fault(place)
    place.sync("nightly", code=None)
    _resolved(place, GONE, before)

    _policy(place, "max_shrink = 0.2", "max_shrink = 0.05")  # what was ever sold is listed in any case
    (place.folder / "var" / "warehouse.duckdb").unlink()
    _fault(place, "incomplete-snapshot", "cin7", "/product?", mode="total-drop", share=0.5)
    place.sync("nightly", code=None)
    _found(place, SHRUNK, {})
    _no_fault(place)
    place.sync("nightly", code=None)
    _resolved(place, SHRUNK, {})


RULE = [
    Sign("orphan_customers_at_cin7", "wholesale", "marketing", "delete the contact in Emarsys, or keep it knowingly"),
    Sign("customer not at emarsys", "wholesale", "marketing", "left out by the policy"),
    Sign("customer not at emarsys", "joined", "marketing", "counts for another person"),
]


@pytest.mark.soak
def test_who_is_left_out_by_a_rule(place: Place) -> None:
    """Wholesale is left out from now on; and somebody new is known as another before Emarsys hears of her."""
    place.sync("nightly", code=None)
    before = _counts(place)
    _policy(place, "include_wholesale = true", "include_wholesale = false")
    _cin7(place, "new_customer", tier="Wholesale")
    _policy(place, "armed = true", "armed = false")
    twin = _cin7(place, "new_customer", email="joined@example.com")
    place.sync("customers", code=None)
    target = _contact(place, 0)["email"]
    place.run("customer", "alias", "add", twin["email"], target, "--reason", "the same person")
    _policy(place, "armed = false", "armed = true")
    place.sync("nightly", code=None)
    _found(place, RULE, before)
    left_out = place.rows("select email from reconciliation.orphans where missing_at = 'cin7' and cause = 'wholesale'")
    for (email,) in left_out:
        _emarsys(place, email, "DELETE")
    place.sync("nightly", code=None)
    _resolved(place, RULE[:1], before)
    _policy(place, "include_wholesale = false", "include_wholesale = true")
    place.run("customer", "alias", "remove", twin["email"], "--reason", "two people after all")
    place.sync("nightly", code=None)
    _resolved(place, RULE, before)


SEEDED: Sequence[Sign] = (
    *TROUBLES, *RENAMED, *UNSENT, *NEVER_SENT, *IN_FLIGHT, *UNREAD, *NOT_COUNTED, *MASS_FALL, *RELEASED, *OLD, *GONE,
    *SHRUNK, *RULE,
)  # fmt: skip

_CONDITIONS = "warehouse/test_gates.py::test_each_condition_finds_its_rows"
_KEYS = "warehouse/test_gates.py::test_keys_are_unique_in_a_history_too"
ELSEWHERE = {
    # only a fault of this program can cause them
    ("waterfall_adds_up", ""): _CONDITIONS,
    ("sales_lines_add_up", ""): _CONDITIONS,
    ("sold_items_listed", ""): _CONDITIONS,
    ("catalogue_whole", ""): _CONDITIONS,
    ("unique_keys_staging", ""): _KEYS,
    ("unique_keys_mart", ""): _KEYS,
    # a run that does not come to the end of the first reading builds nothing, so the flows alone ask it
    ("history_complete", ""): _CONDITIONS,
    ("ledger_conserves", ""): "emarsys/test_projection.py::test_the_checks_find_what_a_person_must_see",
    # the product file is not answered item by item; the other edition's items are
    ("orphan_skus_at_emarsys", "rejected"): "reconciliation/test_orphans.py::test_skus_that_emarsys_lacks",
    # Cin7 gives no product without a SKU, and deletes none
    ("orphan_skus_at_emarsys", "no_sku"): "reconciliation/test_orphans.py::test_skus_that_emarsys_lacks",
    ("orphan_skus_at_cin7", "sold_but_unknown"): "reconciliation/test_orphans.py::test_skus_that_cin7_lacks",
    # the sandbox takes a file of sales whole, or refuses it whole for its form
    ("drift of an order", "refused"): "reconciliation/test_orphans.py::test_sums_of_orders_against_the_ledger",
}
"""What the vendors cannot be made to cause, and the test in which it is found instead."""


def _all_there_is() -> set[tuple[str, str]]:
    """Every class of exceptions, by cause where it has several, and what passes by itself or is so by a rule."""
    orphans, drift = (factory.models()[f"reconciliation.{name}"].sql for name in ("orphans", "drift"))
    kinds = set()
    for what, side, cause, expected in re.findall(r"\('(sku|customer)', '(\w+)', '(\w+)', (true|false)", orphans):
        kinds.add((f"{what} not at {side}" if expected == "true" else f"orphan_{what}s_at_{side}", cause))
    classes = {"contact": "contact_drift", "item": "item_drift", "order": "sales_drift"}
    for what, cause, expected in re.findall(r"\('(contact|item|order)', '(\w+)', (true|false)", drift):
        if cause == "consent_disagrees":  # a class of its own
            continue
        kinds.add((f"drift of {_ARTICLE[what]}" if expected == "true" else classes[what], cause))
    return kinds | {(name, "") for name in exceptions.classes() if name not in {kind for kind, _ in kinds}}


def test_nothing_that_the_product_knows_is_left_out() -> None:
    seeded = {(sign.kind, sign.cause) for sign in SEEDED}
    assert not seeded & ELSEWHERE.keys()
    assert seeded | ELSEWHERE.keys() >= _all_there_is()
    # causes that are rules, which stand in no list of the product
    assert seeded - _all_there_is() == {
        ("orphan_customers_at_cin7", "deprecated_customer"),
        ("orphan_customers_at_cin7", "wholesale"),
    }
    for file, name in (test.split("::") for test in ELSEWHERE.values()):
        tree = ast.parse((Path(__file__).parent.parent / file).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, (file, name)
