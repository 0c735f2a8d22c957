"""A customer whose address changes: moved by the external id, or a new contact beside the old one."""

from __future__ import annotations

import pytest

from cin7_emarsys_tests.emarsys.conftest import Project, contact, sales_line
from cin7_emarsys_tests.warehouse.world import World, merchant

OLD, NEW, BEN = "old@example.com", "new@example.com", "ben@example.com"
BY_ID = ("write_opt_out = false", 'write_opt_out = false\nkey = "external_id"')


def test_a_contact_moves_with_its_external_id_and_leaves_no_stranger(work: Project) -> None:
    work.policy(BY_ID)
    work.prepare()
    work.contacts(contact(OLD, external_id="c1", ltv="10.00"), contact(BEN))
    assert work.run("contacts").accepted == 2
    work.contacts(contact(NEW, external_id="c1", ltv="12.00"), contact(BEN, ltv="1.00"))
    assert work.run("contacts").accepted == 2
    held = work.account.contacts()
    assert set(held) == {NEW, BEN}
    assert (held[NEW]["cin7_ltv"], held[NEW]["cin7_external_id"], held[BEN]["cin7_ltv"]) == ("12.00", "c1", "1.00")
    assert work.run("contacts").sent == 0


def test_what_a_contact_has_no_more_is_cleared_though_its_address_is_new(work: Project) -> None:
    work.policy(BY_ID)
    work.prepare()
    work.contacts(contact(OLD, external_id="c1", last_refund_date="2026-11-01"))
    work.run("contacts")
    work.contacts(contact(NEW, external_id="c1", last_refund_date=None))
    work.run("contacts")
    assert set(work.account.contacts()) == {NEW} and "cin7_last_refund_date" not in work.account.contacts()[NEW]


def test_an_address_that_somebody_else_has_is_not_taken(work: Project) -> None:
    work.policy(BY_ID)
    work.prepare()
    work.contacts(contact(OLD, external_id="c1"), contact(NEW, external_id="c2"))
    work.run("contacts")
    work.contacts(contact(NEW, external_id="c1"))
    assert work.run("contacts").accepted == 0
    assert set(work.account.contacts()) == {OLD, NEW}
    assert [row["code"] for row in work.records("contacts")][-1] == "2009"


def test_known_by_address_alone_the_old_contact_stays(work: Project) -> None:
    work.prepare()
    work.contacts(contact(OLD, ltv="10.00"))
    work.run("contacts")
    work.contacts(contact(NEW, ltv="10.00"), contact(OLD, ltv="0.00"))  # as the mart has it: left behind, at zero
    work.run("contacts")
    assert {email: row["cin7_ltv"] for email, row in work.account.contacts().items()} == {OLD: "0.00", NEW: "10.00"}


def test_what_is_taken_back_goes_where_the_contact_is_now(work: Project) -> None:
    work.policy(BY_ID)
    work.prepare()
    work.contacts(contact(OLD, external_id="c1"))
    work.run("contacts")
    work.fill("mart.sales_lines", sales_line("i1", "A", 10, email=OLD), sales_line("i1", "B", 7, email=OLD))
    assert work.run("sales").accepted == 2
    work.contacts(contact(NEW, external_id="c1"))
    work.run("contacts")
    work.fill("staging.sent_contacts", {"email": OLD, "external_id": "c1", "moved_to": NEW}, {"email": NEW})
    work.fill("mart.sales_lines", sales_line("i1", "A", 9, email=NEW), sales_line("i1", "B", 7, email=NEW))
    work.run("sales")
    sent = [(line["item"], line["price"], line["email"]) for line in work.account.judge("sales")]
    assert sorted(sent[2:]) == [("A", -10, NEW), ("A", 9, NEW)]
    assert not any(row["generated"] for row in work.account.judge("contacts"))


def test_what_was_moved_is_not_left_behind() -> None:
    world = World(contacts={"key": "external_id"}).product("A")
    world.put("raw.customers", {"ID": "C1", "Name": "Ana", "Contacts": [{"Email": NEW, "Default": True}]})
    for email, at in ((OLD, "2026-11-20"), (NEW, "2026-11-21")):
        payload = {"cin7_external_id": "c1"}
        world.put("delivery.delivered", {"flow": "contacts", "key": email, "payload": payload, "accepted_at": at})
    world.build()
    assert world.rows("staging.sent_contacts where moved_to is null", "email", "external_id") == [(NEW, "c1")]
    assert world.rows("mart.contacts", "email", "attributes->>'external_id'") == [(NEW, "c1")]
    assert world.rows("reconciliation.orphan_customers", "cause") == []


def test_the_other_edition_knows_no_external_id() -> None:
    assert merchant(contacts={"key": "external_id"}).contacts.field_map[-1].string_id == "cin7_external_id"
    cloud = {"edition": "engagement_cloud", "engagement_cloud": {"business_area": "AU"}}
    with pytest.raises(ValueError, match="key must be email"):
        merchant(currency="AUD", contacts={"key": "external_id"}, emarsys=cloud)


def test_who_moves_again_holds_what_was_sent_under_the_last_address(work: Project) -> None:
    work.policy(BY_ID)
    work.prepare()
    for email, refunded in ((OLD, None), (NEW, "2026-11-01"), (BEN, None)):
        work.contacts(contact(email, external_id="c1", last_refund_date=refunded))
        assert work.run("contacts").accepted == 1
    assert set(work.account.contacts()) == {BEN} and "cin7_last_refund_date" not in work.account.contacts()[BEN]
