"""Who is who: written aliases, moved addresses, what no address can be, and why a value changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cin7_emarsys import reconciliation
from cin7_emarsys.warehouse import factory, gates
from cin7_emarsys_tests.warehouse.world import T0, World, credit_note, invoice, line

STOCK = {f"staging.{name}" for name in ("bins", "snapshot", "pick_lines", "order_lines", "payments")}
PEOPLE = [name for name in factory.models() if (name.startswith("staging.") and name not in STOCK) or name in {
    "mart.sale_persons", "mart.documents", "mart.purchases", "mart.refunds", "mart.open_orders", "mart.persons",
    "mart.customer_value_lines", "mart.customer_value", "mart.order_facts", "mart.sales_documents", "mart.sales_lines",
    "mart.aliases", "mart.contacts", "mart.customer_value_changes", "mart.value_lines_seen", "mart.account_addresses",
}]  # fmt: skip


def account(name: str, *emails: str | None, **more: Any) -> dict[str, Any]:
    contacts = [{"Email": email, "Default": True, "MarketingConsent": 1} for email in emails]
    return {"ID": name, "Name": name, "Contacts": contacts} | more


def alias(one: str, other: str) -> dict[str, Any]:
    return {"alias": one, "person": other, "reason": "one person", "who": "me", "written_at": T0}


def accepted(email: str, **payload: str) -> dict[str, Any]:
    return {"flow": "contacts", "key": email, "payload": payload, "accepted_at": T0}


def bought(world: World, name: str, email: str | None, customer: str, price: float = 10, **more: Any) -> World:
    return world.sale(name, Email=email, CustomerID=customer, Invoices=[invoice(name, line("A", 1, price))], **more)


def values(world: World) -> dict[str, float]:
    return dict(world.rows("mart.customer_value", "person_id", "ltv"))


def offending(world: World, name: str) -> gates.Gate:
    return gates.ask(world.connection, next(each for each in gates.conditions() if each.name == name))


def left_behind(world: World) -> list[dict[str, Any]]:
    checks = gates.read(Path(reconciliation.__file__).parent / "checks")
    return gates.ask(world.connection, next(each for each in checks if each.name == "contacts_left_behind")).sample


@pytest.fixture
def two() -> World:
    """One human with two addresses, both known to Emarsys, and a third person."""
    world = World(orders={"history_sales_data": True}).product("A")
    world.put("raw.customers", account("c1", "old@x.com"), account("c2", "new@x.com"), account("c3", "else@x.com"))
    world.put("delivery.delivered", accepted("old@x.com", cin7_customer_id="c1"), accepted("new@x.com"))
    bought(world, "s1", "old@x.com", "c1", 10)
    bought(world, "s2", "new@x.com", "c2", 20)
    return bought(world, "s3", "else@x.com", "c3", 40).build(*PEOPLE)


def test_a_written_alias_joins_and_parts(two: World) -> None:
    apart = {"old@x.com": 10, "new@x.com": 20, "else@x.com": 40}
    assert values(two) == apart
    two.put("operations.aliases", alias("old@x.com", "new@x.com")).build(*PEOPLE)
    assert values(two) == {"old@x.com": 0, "new@x.com": 30, "else@x.com": 40}
    assert two.rows("mart.sale_persons", "sale_id", "person_id", "email", "found_id")[0] == (
        "s1", "new@x.com", "new@x.com", "old@x.com",
    )  # fmt: skip
    assert two.rows("mart.aliases where person_id = 'new@x.com'", "key", "rule", "reason", "sales") == [
        ("new@x.com", "sale_email", None, 1), ("old@x.com", "sale_email", None, 1),
        ("old@x.com", "written_alias", "one person", 1),
    ]  # fmt: skip
    loser = two.one("mart.contacts where email = 'old@x.com'")
    attributes = json.loads(loser["attributes"])
    assert loser["left_behind"]
    assert {name: attributes[name] for name in ("ltv", "order_count", "first_order_date", "open_orders")} == {
        "ltv": "0.00", "order_count": "0", "first_order_date": None, "open_orders": "0",
    }  # fmt: skip
    assert [row["joined_by_alias"] for row in left_behind(two)] == [True]
    two.put("reconciliation.contacts_read", {"email": "old@x.com", "ours": True, "found": False, "code": "2008"})
    assert left_behind(two) == [], "somebody has deleted it there, as the check asks for"
    two.build(*PEOPLE)
    assert two.rows("mart.contacts where email = 'old@x.com'", "email") == [], "it is not created again"

    two.clear("operations.aliases").build(*PEOPLE)
    assert values(two) == apart
    assert not two.one("mart.contacts where email = 'old@x.com'", "left_behind")


def test_an_alias_may_lead_to_an_alias_or_to_an_account(two: World) -> None:
    two.put("raw.customers", account("c4"))
    bought(two, "s4", None, "c4", 80)
    two.put("operations.aliases", alias("old@x.com", "new@x.com"), alias("new@x.com", "customer:c4")).build(*PEOPLE)
    assert values(two) == {"old@x.com": 0, "new@x.com": 0, "customer:c4": 110, "else@x.com": 40}
    assert two.rows("staging.written_aliases", "alias", "written", "person_id") == [
        ("new@x.com", "customer:c4", "customer:c4"),
        ("old@x.com", "new@x.com", "customer:c4"),
    ]
    assert two.rows("mart.sales_lines", "document_id", "email") == [
        ("s3", "else@x.com")
    ]  # nobody to send the others to


def test_a_contact_that_moved_by_its_external_id_is_at_its_newer_address_only() -> None:
    world = World(contacts={"key": "external_id"}).product("A")
    later = accepted("new@x.com", cin7_external_id="c1") | {"accepted_at": "2099-01-01"}
    world.put("delivery.delivered", accepted("old@x.com", cin7_external_id="c1"), later, accepted("bare@x.com"))
    world.build("staging.contacts", "staging.customers", "staging.sent_contacts")
    assert world.rows("staging.sent_contacts", "email", "external_id", "moved_to") == [
        ("bare@x.com", None, None), ("new@x.com", "c1", None), ("old@x.com", "c1", "new@x.com"),
    ]  # fmt: skip


def test_sales_under_the_address_a_contact_had_go_with_it_to_the_new_one() -> None:
    """From the build that first sees the new address on: the old one comes back neither empty nor with its orders."""
    world = World(contacts={"key": "external_id"}, orders={"history_sales_data": True}).product("A")
    world.put("raw.customers", account("c1", "old@x.com"), account("c2", "ben@x.com"), account("c3", "two@x.com"))
    for email, external in (("old@x.com", "c1"), ("ben@x.com", "c2"), ("two@x.com", "c3")):
        world.put("delivery.delivered", accepted(email, cin7_external_id=external))
    bought(bought(bought(world, "s1", "old@x.com", "c1"), "s2", "two@x.com", "c3"), "s3", "two@x.com", "c3", 5).build()
    sent = {"email": "old@x.com", "base_item": "A", "base_price": "10", "base_quantity": "1"}
    world.put("delivery.records", {"record_id": 1, "flow": "sales", "key": "k", "document": "invoice:s1",
                                   "outcome": "accepted", "payload": sent})  # fmt: skip
    world.clear("raw.customers").put("raw.customers", account("c1", "new@x.com"), account("c2", "ben@x.com"))
    # the address that c3 had is somebody else's by now: it stays a person
    world.put("raw.customers", account("c3", "three@x.com"), account("c4", "two@x.com")).build()
    assert world.rows("mart.contacts", "email", "attributes->>'ltv'", "left_behind") == [
        ("ben@x.com", "0.00", False), ("new@x.com", "10.00", False), ("three@x.com", "0.00", False),
        ("two@x.com", "15.00", False),
    ]  # fmt: skip
    assert dict(world.rows("mart.sales_lines", "document_id", "email")) == {
        "s1": "new@x.com", "s2": "two@x.com", "s3": "two@x.com",
    }  # fmt: skip
    assert world.rows("mart.aliases where person_id = 'new@x.com'", "key", "rule", "sales") == [
        ("new@x.com", "contact", 0), ("old@x.com", "moved_contact", 1), ("old@x.com", "sale_email", 1),
    ]  # fmt: skip
    assert offending(world, "addresses_moved").rows == 0
    assert world.rows("reconciliation.orphan_customers where cause = 'merged'") == []
    world.put("operations.aliases", alias("new@x.com", "ben@x.com")).build()
    assert values(world)["ben@x.com"] == 10
    world.put("operations.aliases", alias("old@x.com", "three@x.com")).build()
    assert values(world)["three@x.com"] == 10  # what is written by hand comes first


def test_what_was_sent_stays_and_corrections_find_it(two: World) -> None:
    line_sent = {"email": "old@x.com", "base_item": "A", "base_price": "10", "base_quantity": "1"}
    two.put("delivery.records", {"record_id": 1, "flow": "sales", "key": "k", "document": "invoice:s1",
                                 "outcome": "accepted", "payload": line_sent})  # fmt: skip
    two.put("operations.aliases", alias("old@x.com", "new@x.com"))
    two.connection.execute("delete from raw.sales where ID = 's1'; delete from raw.sale_headers where SaleID = 's1'")
    two.sale("s1", Email="old@x.com", CustomerID="c1", Invoices=[invoice("s1", line("A", 1, 12))],
             CreditNotes=[credit_note("n1", line("A", 1, 2))]).build(*PEOPLE)  # fmt: skip
    assert two.rows("mart.sales_lines where sale_id = 's1'", "document_id", "price", "email") == [
        ("n1", -2, "new@x.com"), ("s1", 12, "old@x.com"),
    ]  # fmt: skip


def test_lines_that_were_sent_stay_when_their_person_loses_its_address(two: World) -> None:
    """Joined with an account that has no e-mail: what Emarsys has is not taken back; what is new has nobody to go to."""
    sent = {"email": "old@x.com", "base_item": "A", "base_price": "10", "base_quantity": "1"}
    two.put("delivery.records", {"record_id": 1, "flow": "sales", "key": "k", "document": "invoice:s1",
                                 "outcome": "accepted", "payload": sent})  # fmt: skip
    two.put("raw.customers", account("c4")).put("operations.aliases", alias("old@x.com", "customer:c4"))
    bought(two, "s4", "old@x.com", "c1", 5).build(*PEOPLE)
    assert values(two) == {"old@x.com": 0, "customer:c4": 15, "new@x.com": 20, "else@x.com": 40}
    assert two.rows("mart.sales_lines where sale_id in ('s1', 's4')", "document_id", "price", "email") == [
        ("s1", 10, "old@x.com")
    ]
    assert two.rows("mart.sales_documents where excluded is not null", "document_id", "excluded") == [
        ("s4", "no_email")
    ]


def test_an_alias_that_was_never_sent_is_left_out() -> None:
    world = World().product("A").put("raw.customers", account("c1", "old@x.com"), account("c2", "new@x.com"))
    world.put("operations.aliases", alias("old@x.com", "new@x.com")).build()
    assert world.rows("mart.contacts", "email") == ["new@x.com"]
    assert world.rows("mart.excluded where flow = 'contacts'", "key", "rule") == [("old@x.com", "joined")]
    assert world.one("reconciliation.balance where flow = 'contacts'", "unaccounted") == 0


def test_a_moved_address_leaves_its_contact_behind_or_its_orders() -> None:
    """Moved on everything: the old contact has nothing left. Moved on the account alone: its orders stay, and it shows."""
    world = World().product("A").put("raw.customers", account("c1", "was@x.com"), account("c2", "kept@x.com"))
    world.put("delivery.delivered", accepted("was@x.com", cin7_customer_id="c1"), accepted("kept@x.com"))
    bought(bought(world, "s1", None, "c1"), "s2", "kept@x.com", "c2").build()
    world.clear("raw.customers").put("raw.customers", account("c1", "is@x.com"), account("c2", "now@x.com")).build()
    assert values(world) == {"was@x.com": 0, "is@x.com": 10, "kept@x.com": 10, "now@x.com": 0}
    assert world.rows("mart.contacts", "email", "left_behind") == [
        ("is@x.com", False), ("kept@x.com", False), ("now@x.com", False), ("was@x.com", True),
    ]  # fmt: skip
    assert [row["customer_id"] for row in offending(world, "addresses_moved").sample] == ["c2"]
    orphans = "reconciliation.orphan_customers where missing_at = 'cin7'"
    assert world.rows(orphans, "email", "cause") == [("was@x.com", "merged")]
    assert world.one("reconciliation.balance where flow = 'contacts'", "unaccounted") == 0


def test_nothing_but_an_alias_joins() -> None:
    world = World(customers={"generic_customers": ["Guests"], "wholesale_customers": ["big"]}).product("A")
    world.put("raw.customers", account("up", "up@x.com"), account("down", "down@x.com", CustomerParentID="up"))
    world.put("raw.customers", account("Guests", "shop@x.com"), account("big", "big@x.com"), account("none"))
    world.put("raw.customers", account("double", "first@x.com", "second@x.com"))
    for name, email, customer in (
        ("s1", "a@x.com", "up"), ("s2", "b@x.com", "up"), ("s3", None, "down"), ("s4", None, "Guests"),
        ("s5", "g@x.com", "Guests"), ("s6", None, "none"), ("s7", None, "unseen"), ("s8", "u@x.com", "unseen"),
        ("s9", None, "double"),
    ):  # fmt: skip
        bought(world, name, email, customer, Customer=customer)
    world.build(*PEOPLE)
    assert world.rows("mart.sale_persons", "sale_id", "person_id") == [
        ("s1", "a@x.com"), ("s2", "b@x.com"), ("s3", "down@x.com"), ("s4", None), ("s5", "g@x.com"),
        ("s6", "customer:none"), ("s7", "customer:unseen"), ("s8", "u@x.com"), ("s9", "first@x.com"),
    ]  # fmt: skip
    assert world.rows("mart.persons where is_wholesale", "person_id") == ["big@x.com"]
    assert sum(values(world).values()) == 80  # the guest without an address belongs to nobody, and shows
    assert offending(world, "orders_without_person").rows == 1


def test_an_address_of_many_accounts_is_suspicious() -> None:
    world = World().product("A")
    for number in range(6):
        world.put("raw.customers", account(f"c{number}", "agent@x.com"))
        bought(world, f"s{number}", None, f"c{number}")
    world.build(*PEOPLE)
    assert values(world) == {"agent@x.com": 60}
    assert [row["keys"] for row in offending(world, "many_aliases").sample] == [7]


ADDRESSES = {
    " Ana@Example.COM ": "ana@example.com", "a.b+c@d-e.co.uk": "a.b+c@d-e.co.uk", "a@x.com, b@x.com": None,
    "a@x.com;b@x.com": None, "a@x.com,": None, "<a@x.com>": None, "Ana a@x.com": None, "a@x": None, "a@x.com.": None,
    "@x.com": None, "a@@x.com": None, "none": None, "": None,
}  # fmt: skip


def test_what_an_address_can_be() -> None:
    """Spaces and capitals are mended; two in one field, or none that could be mailed, are none and are found."""
    world = World().product("A")
    for number, written in enumerate(ADDRESSES):
        world.put("raw.customers", account(f"c{number:02}", written))
        bought(world, f"s{number:02}", written, f"c{number:02}")
    world.build(*PEOPLE)
    assert dict(world.rows("staging.sales", "sale_id", "email")) == {
        f"s{number:02}": email for number, email in enumerate(ADDRESSES.values())
    }
    assert dict(world.rows("staging.customers", "customer_id", "email")) == {
        f"c{number:02}": email for number, email in enumerate(ADDRESSES.values())
    }
    wrong = [written for written, email in ADDRESSES.items() if written.strip() and email is None]
    assert offending(world, "unmailable_emails").rows == 2 * len(wrong)
    assert sum(values(world).values()) == 10 * len(ADDRESSES)  # none is lost


def test_why_a_value_changed_is_kept() -> None:
    world = World().product("A").put("raw.customers", account("c1", "ana@x.com"))
    world.put("raw.sale_queue", {"sale_id": "s9", "first_scan": True})
    bought(world, "s1", "ana@x.com", "c1", 50).build(*PEOPLE)
    bought(world, "s2", "ana@x.com", "c1", 30).clear("raw.sale_queue").build(*PEOPLE)
    assert world.rows("mart.customer_value_changes") == []  # the first reading is no change

    shown = ("revision", "person_id", "reason", "amount_before", "amount_after", "difference")
    note = credit_note("7", line("A", 1, 12.5), CreditNoteNumber="CR-00007")
    world.clear("raw.sales", "raw.sale_headers")
    world.sale("s1", Email="ana@x.com", Invoices=[invoice("s1", line("A", 1, 50))], CreditNotes=[note])
    world.sale("s2", Email="ana@x.com", Invoices=[invoice("s2", line("A", 1, 30), Status="VOIDED")]).build(*PEOPLE)
    first = [
        (1, "ana@x.com", "credit note CR-00007", None, -12.5, -12.5),
        (1, "ana@x.com", "invoice INV-s2 voided or undone", 30, None, -30),
    ]
    assert world.rows("mart.customer_value_changes", *shown) == first

    world.put("operations.aliases", alias("ana@x.com", "bea@x.com"))
    world.connection.execute("update raw.sales set CurrencyRate = 2, CustomerCurrency = 'USD' where ID = 's1'")
    world.build(*PEOPLE).build(*PEOPLE)
    assert world.rows("mart.customer_value_changes where revision = 2", *shown[1:]) == [
        ("ana@x.com", "credit note CR-00007 moved to another person", -12.5, None, 12.5),
        ("ana@x.com", "invoice INV-s1 moved to another person", 50, None, -50),
        ("bea@x.com", "credit note CR-00007 moved here from another person", None, -25, -25),
        ("bea@x.com", "invoice INV-s1 moved here from another person", None, 100, 100),
    ]
    moved = world.rows("mart.customer_value_changes group by person_id", "person_id", "sum(difference)")
    assert moved == [("ana@x.com", -80), ("bea@x.com", 75)]  # from 80 to 0, and from 0 to 75
    assert values(world)["bea@x.com"] == 75
