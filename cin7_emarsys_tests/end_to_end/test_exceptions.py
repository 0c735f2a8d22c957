"""One of each trouble seeded at the two vendors: found with its cause, owner and next step, mended as that says, and gone.

All are seeded, found and mended together: what is done about one must not hide another.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cin7_emarsys_tests.end_to_end.conftest import Place

pytestmark = pytest.mark.soak
Facts = dict[str, Any]


@dataclass(frozen=True)
class Trouble:
    """What makes it (and what mending must know of it), where it shows, who answers for it, words of its next step, and
    what a person does about it before the jobs run again."""

    exception: str
    cause: str
    owner: str
    next_step: str
    seed: Callable[[Place], Facts]
    mend: Callable[[Place, Facts], object]


def _cin7(place: Place, name: str, **more: object) -> Facts:
    facts: Facts = place.ask("CIN7", "/_sandbox/merchant", {"do": name, **more})
    return facts


def _emarsys(place: Place, email: str, method: str = "POST", **more: object) -> None:
    place.ask("EMARSYS", "/_sandbox/contacts", {"email": email, **more}, method)


def _contact(place: Place, number: int, **fields: object) -> Facts:
    """A contact of a customer of ours, by its place; changed at Emarsys by somebody when fields are given."""
    ((email, customer_id),) = place.rows(
        "select email, customer_id from mart.contacts "
        "where first_name is not null and consent = 'unknown' and email in (select email from staging.contacts) "
        "and (attributes->>'order_count')::int > 0 and (attributes->>'last_refund_date') is null "
        f"order by email desc limit 1 offset {number}"
    )
    if fields:
        _emarsys(place, email, fields=fields)
    return {"email": email, "customer_id": customer_id}


def _gone(place: Place, number: int) -> Facts:
    facts = _contact(place, number)
    _emarsys(place, facts["email"], "DELETE")
    return facts


def _disagreeing(place: Place, number: int) -> Facts:
    facts = _contact(place, number, optin="1")
    _cin7(place, "consent", customer=facts["customer_id"], consent=3)
    return facts


def _resend(place: Place, facts: Facts) -> None:
    records = json.loads(place.run("ledger", "--flow", "contacts", "--customer", facts["email"], "--json"))["records"]
    place.run("replay", "--record", str(records[0]["record_id"]), "--reason", "as the exception says")


def _parked(place: Place) -> Facts:
    order = _cin7(place, "order", quantity=1)
    for deed in ("ship", "invoice"):
        _cin7(place, deed, sale_id=order["sale_id"])
    fault = {"name": "applied-then-503", "service": "emarsys", "path": "sales-data", "nth": 1, "times": 9}
    place.ask("EMARSYS", "/_sandbox/faults", [fault], "PUT")
    return order


def _applied(place: Place, _: Facts) -> None:
    place.run("unknowns", "resolve", "accepted", "--flow", "sales", "--reason", "Emarsys shows the lines")


def _sold_to_a_guest(place: Place) -> Facts:
    """An invoice on a shared account, without an address."""
    order = _cin7(place, "order", email="")
    for deed in ("ship", "invoice"):
        _cin7(place, deed, sale_id=order["sale_id"])
    return order


def _kit_of_nothing(place: Place) -> Facts:
    _cin7(place, "new_product", sku="STRAP", quantity=9)
    _cin7(place, "new_product", sku="BAG-AND-STRAP", components=[{"sku": "STRAP", "quantity": 1}])
    return _cin7(place, "deprecate", sku="STRAP")


def _left_out(place: Place) -> Facts:
    """An account that is closed, of somebody who never ordered: who did stays a contact."""
    ((email, customer_id),) = place.rows(
        "select email, customer_id from mart.contacts "
        "where not exists (from staging.sales as sales where sales.customer_id = contacts.customer_id) "
        "and email in (select email from staging.contacts) order by email limit 1"
    )
    _cin7(place, "edit_customer", customer=customer_id, status="Deprecated")
    return {"email": email}


def _policy(place: Place, old: str, new: str) -> Facts:
    file = place.folder / "merchant.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return {"old": old, "new": new}


TROUBLES = [
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
    Trouble(
        "orphan_customers_at_emarsys", "deleted_there", "marketing", "cin7-emarsys replay", lambda place: _gone(place, 0),
        _resend,
    ),
    Trouble(
        "addresses_moved", "", "marketing", "customer alias add",
        lambda place: _cin7(
            place, "change_email", customer=_contact(place, 1)["customer_id"], to="moved@example.com"
        ),
        lambda place, moved: place.run(
            "customer", "alias", "add", moved["old"], "moved@example.com", "--reason", "the same person"
        ),
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
        "orphan_customers_at_cin7", "deprecated_customer", "marketing", "delete the contact in Emarsys",
        _left_out,
        lambda place, facts: _emarsys(place, facts["email"], "DELETE"),
    ),
    Trouble(
        "unmailable_emails", "", "sales", "Correct the address", lambda place: _cin7(place, "new_customer", email="a@b@c"),
        lambda place, made: _cin7(place, "change_email", customer=made["customer_id"], to="one@example.com"),
    ),
    Trouble(
        "orders_without_person", "", "sales", "Enter an e-mail on the sale", _sold_to_a_guest,
        lambda place, order: _cin7(place, "edit", sale_id=order["sale_id"], email="guest@example.com"),
    ),
    Trouble(
        "negative_availability", "", "operations", "tell the customers",
        lambda place: _cin7(place, "order", sku="BLANKET-PIC", quantity=5000, allocate=False),
        lambda place, order: _cin7(place, "void", sale_id=order["sale_id"]),
    ),
    Trouble(
        "kit_faults", "", "products", "Correct the bill", _kit_of_nothing,
        lambda place, part: _cin7(place, "reactivate", sku=part["sku"]),
    ),
    Trouble(
        "locations_exist", "", "operations", "Correct the name in merchant.toml",
        lambda place: _policy(place, "sellable_locations = [", 'sellable_locations = ["Atlantis", '),
        lambda place, done: _policy(place, done["new"], done["old"]),
    ),
    Trouble("unknown_outcomes", "", "operations", "unknowns resolve", _parked, _applied),
    Trouble(
        "no_price", "", "products", "Enter the price", lambda place: _cin7(place, "price", sku="CUP-ENAMEL", price=0),
        lambda place, was: _cin7(place, "price", sku=was["sku"], price=12.5),
    ),
    Trouble(
        "rejected_records", "", "data", "Correct the record in Cin7",
        lambda place: _cin7(place, "corrupt", entity="product", key="GLOVE-L"), lambda place, _: _cin7(place, "heal"),
    ),
]  # fmt: skip


def _open(place: Place) -> dict[tuple[str, str], Facts]:
    rows = json.loads(place.run("exceptions", "list", "--json", code=1))["exceptions"]
    return {(row["class"], row["cause"]): row for row in rows}


def test_each_trouble_is_found_mended_as_it_says_and_gone(busy: Place) -> None:
    before = {name: row["count"] for name, row in _open(busy).items()}
    made = [trouble.seed(busy) for trouble in TROUBLES]
    busy.sync("nightly", code=None)
    found = _open(busy)
    for trouble in TROUBLES:
        row = found[trouble.exception, trouble.cause]
        assert row["count"] > before.get((trouble.exception, trouble.cause), 0), trouble
        assert row["owner"] == trouble.owner
        assert trouble.next_step in row["next_step"]
        assert row["meaning"] and row["examples"] and "@" not in str(row["examples"])
    busy.ask("EMARSYS", "/_sandbox/faults", [], "PUT")
    for trouble, facts in zip(TROUBLES, made, strict=True):
        trouble.mend(busy, facts)
    busy.sync("nightly", code=None)
    left = {name: row["count"] for name, row in _open(busy).items()}
    for trouble in TROUBLES:
        name = (trouble.exception, trouble.cause)
        assert left.get(name, 0) == before.get(name, 0), name
