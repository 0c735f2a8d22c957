"""Orphans, drift and the balance: rows in, rows out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cin7_emarsys.reconciliation import assets
from cin7_emarsys.warehouse import factory, gates
from cin7_emarsys_tests.warehouse.world import T0, Row, World, credit_note, invoice, line, order

CHECKS = {condition.name: condition for condition in gates.read(Path(assets.__file__).parent / "checks")}


def customer(name: str, *emails: str | None, **more: Any) -> Row:
    contacts = [{"ID": f"{name}-{no}", "Name": f"Name {name}", "Email": email} for no, email in enumerate(emails, 1)]
    for first in contacts[:1]:
        first["Default"] = True  # type: ignore[assignment]
    return {"ID": name, "Name": name, "Status": "Active", "LastModifiedOn": T0, "Contacts": contacts} | more


def accepted(email: str, at: str = T0, **payload: str) -> Row:
    return {"flow": "contacts", "key": email, "payload": payload, "accepted_at": at}


def sent(number: int, key: str, outcome: str, code: str | None = None, flow: str = "contacts", **payload: Any) -> Row:
    row = {"record_id": number, "flow": flow, "key": key, "outcome": outcome, "code": code, "at": T0}
    return row | {"payload": payload}


def back(email: str, found: bool = True, ours: bool = True, **more: Any) -> Row:
    return {"email": email, "ours": ours, "found": found, "read_at": "2026-11-24 11:00:00", "fields": {}} | more


def orphans(world: World, what: str, missing_at: str) -> set[tuple[str, str, bool]]:
    """Key, cause and whether it is expected."""
    chosen = f"what = '{what}' and missing_at = '{missing_at}'"
    return set(world.rows(f"reconciliation.orphans where {chosen}", "key", "cause", "expected"))


def offending(world: World, check: str) -> gates.Gate:
    return gates.ask(world.connection, CHECKS[check])


# SKUs


def test_skus_that_emarsys_lacks() -> None:
    world = World()
    special: dict[str, Row] = {"OLD": {"Status": "Deprecated"}, "PART": {"Sellable": False}}
    for sku in ("TOLD", "LATE", "LOST", "REFUSED", "OLD", "PART", "FETCHED"):
        later: Row = {"LastModifiedOn": "2026-11-24 10:30:00" if sku == "LATE" else "2026-11-20"}
        more: Row = special.get(sku, {})
        world.product(sku, **later, **more)
    world.product("", ID="P-nameless", SKU=None)
    world.snapshot("s1", T0, [{"sku": sku, "on_hand": 5} for sku in ("TOLD", "LATE", "LOST", "REFUSED", "FETCHED")])
    world.put("delivery.publications", {"version": 2, "published_at": T0, "collected_at": "2026-11-24 09:00:00"})
    world.put(
        "delivery.catalogue_items", *({"item": sku, "product_id": f"p-{sku.lower()}"} for sku in ("TOLD", "FETCHED"))
    )
    world.put("delivery.catalogue_collected", {"item": "FETCHED"})
    world.put("delivery.records", sent(1, "REFUSED", "rejected", flow="catalogue"))
    world.build()
    assert orphans(world, "sku", "emarsys") == {
        ("TOLD", "not_collected_yet", True),
        ("LATE", "not_yet_due", True),
        ("LOST", "never_sent", False),
        ("REFUSED", "rejected", False),
        ("OLD", "deprecated", True),
        ("PART", "not_sold", True),
        ("p-nameless", "no_sku", False),
    }
    found = offending(world, "orphan_skus_at_emarsys")
    assert found.rows == 3
    assert "next_step" in found.sample[0]


def test_what_waits_for_more_than_a_day_is_not_merely_due() -> None:
    world = World().product("LATE", LastModifiedOn="2026-11-24 10:30:00")
    world.snapshot("s1", T0, [{"sku": "LATE", "on_hand": 5}])
    world.put("raw.customers", customer("c-late", "late@example.com", LastModifiedOn="2026-11-24 10:30:00"))
    world.put("delivery.publications", {"version": 1, "published_at": T0})
    world.put("delivery.records", sent(1, "else@example.com", "rejected")).build()
    assert world.rows("reconciliation.orphans", "cause") == ["not_yet_due"] * 2
    world.now("2026-11-25 10:31:00").build()
    assert world.rows("reconciliation.orphans", "cause") == ["never_sent"] * 2


def test_a_second_product_with_the_sku_of_another_is_an_orphan_though_the_item_is_there() -> None:
    world = World().product("TWIN", ID="P-1").product("TWIN", ID="P-2")
    world.snapshot("s1", T0, [{"sku": "TWIN", "on_hand": 5}])
    world.put("delivery.catalogue_items", {"item": "TWIN", "product_id": "p-1"}).build()
    assert orphans(world, "sku", "emarsys") == {("TWIN", "duplicate_sku", False)}


def test_skus_that_cin7_lacks() -> None:
    world = World().product("NEW", ID="P-1").product("OLD", Status="Deprecated")
    world.product("GONE", ID="P-3", _missing_since="2026-11-22")
    items: list[Row] = [
        {"item": "NEW", "product_id": "p-1"},
        {"item": "BEFORE", "product_id": "p-1"},
        {"item": "OLD", "product_id": "p-old"},
        {"item": "GONE", "product_id": "p-3"},
        {"item": "NEVER", "product_id": "p-9"},
        {"item": "SOLD-ON", "product_id": "p-8", "available": True},
    ]
    world.put("delivery.catalogue_items", *({"available": False} | item for item in items))
    world.sale("S1", Order=order(line("LOST", 1)), Invoices=[invoice("I1", line("LOST", 1))]).build()
    assert orphans(world, "sku", "cin7") == {
        ("BEFORE", "renamed", True),
        ("GONE", "gone_from_cin7", True),
        ("NEVER", "gone_from_cin7", True),
        ("SOLD-ON", "still_available", False),
        ("LOST", "sold_but_unknown", False),
    }
    assert offending(world, "orphan_skus_at_cin7").rows == 2


# Customers


def test_customers_that_emarsys_lacks() -> None:
    world = World(customers={"generic_customers": ["Guests"], "wholesale_tags": ["trade"], "include_wholesale": False})
    world.put(
        "raw.customers",
        customer("c-fine", "fine@example.com"),
        customer("c-none", None),
        customer("c-odd", "no address"),
        customer("c-old", "old@example.com", Status="Deprecated"),
        customer("c-trade", "trade@example.com", Tags="trade"),
        customer("c-guests", "guest@example.com", Name="Guests"),
        customer("c-refused", "refused@example.com"),
        customer("c-twice", "twice@example.com"),
        customer("c-again", "again@example.com"),
        customer("c-young", "young@example.com", LastModifiedOn="2026-11-24 10:30:00"),
        customer("c-lost", "lost@example.com", LastModifiedOn="2026-11-20"),
        customer("c-deleted", "deleted@example.com"),
        customer("c-pair", "a@example.com", "b@example.com", LastModifiedOn="2026-11-20"),
    )
    world.put("delivery.delivered", accepted("fine@example.com"), accepted("deleted@example.com"))
    world.put(
        "delivery.records",
        sent(1, "fine@example.com", "accepted"),
        sent(2, "refused@example.com", "rejected", "2007"),
        sent(3, "twice@example.com", "rejected", "2010"),
        sent(4, "again@example.com", "retryable"),
    )
    world.put("reconciliation.contacts_read", back("fine@example.com"), back("deleted@example.com", False, code="2008"))
    world.build()
    found = orphans(world, "customer", "emarsys")
    pair = {row for row in found if row[0].startswith("c-pair")}
    assert found - pair >= {
        ("c-none", "no_email", False),
        ("c-old", "deprecated_customer", True),
        ("c-trade", "wholesale", True),
        ("c-guests:1", "generic_customer", True),
        ("c-refused", "rejected", False),
        ("c-twice", "duplicate_key", False),
        ("c-again", "not_yet_due", True),
        ("c-young", "not_yet_due", True),
        ("c-lost", "never_sent", False),
        ("c-deleted", "deleted_there", False),
        ("c-odd:1", "invalid_email", False),
    }
    assert {cause for _, cause, _ in pair} == {"never_sent"}
    assert len(pair) == 2, "two contacts of one account are two people"
    assert not any(person.startswith("c-fine") for person, *_ in found)
    shown = offending(world, "orphan_customers_at_emarsys")
    assert "@" not in str(shown.sample)


def test_customers_that_cin7_lacks() -> None:
    world = World()
    world.put(
        "raw.customers",
        customer("c-moved", "new@example.com"),
        customer("c-old", "old@example.com", Status="Deprecated"),
    )
    world.put(
        "delivery.delivered",
        accepted("new@example.com", cin7_customer_id="c-moved"),
        accepted("before@example.com", cin7_customer_id="c-moved"),
        accepted("gone@example.com", cin7_customer_id="c-gone"),
        accepted("old@example.com", cin7_customer_id="c-old"),
    )
    world.put(
        "reconciliation.contacts_read",
        back("signed-up@example.com", ours=False),
        back("new@example.com", ours=False),
    )
    world.build()
    found = {(cause, expected) for _, cause, expected in orphans(world, "customer", "cin7")}
    assert found == {
        ("merged", False),
        ("no_longer_in_cin7", False),
        ("deprecated_customer", False),
        ("only_in_emarsys", True),
    }
    persons = world.rows("reconciliation.orphans", "key")
    assert not any("@" in person for person in persons)
    assert offending(world, "orphan_customers_at_cin7").rows == 3


def test_a_contact_that_should_be_gone_and_is_gone_is_no_orphan() -> None:
    world = World().put("delivery.delivered", accepted("gone@example.com", cin7_customer_id="c-gone"))
    world.put("reconciliation.contacts_read", back("gone@example.com")).build()
    assert [cause for _, cause, _ in orphans(world, "customer", "cin7")] == ["no_longer_in_cin7"]
    world.connection.execute("update reconciliation.contacts_read set found = false, code = '2008'")
    world.build()
    assert world.rows("reconciliation.orphans") == []


def test_what_was_accepted_in_this_very_run_is_there() -> None:
    world = World().put("raw.customers", customer("c-1", "x@example.com")).build()
    world.put("delivery.delivered", accepted("x@example.com"))
    world.put("delivery.records", sent(1, "x@example.com", "accepted"))
    world.build("reconciliation.orphan_customers", "reconciliation.orphans")
    assert world.rows("reconciliation.orphans") == []


def test_no_person_is_listed_twice() -> None:
    world = World()
    world.put("raw.customers", customer("c-1", "x@example.com", None, "bad"))
    world.put("delivery.delivered", accepted("x@example.com"), accepted("y@example.com"), accepted("z@example.com"))
    world.put("reconciliation.contacts_read", back("x@example.com", False, code="2008"), back("y@example.com", False))
    world.build()
    rows = world.rows("reconciliation.orphans where what = 'customer'", "missing_at", "key")
    assert len(rows) == len(set(rows))


# Drift

FIELDS = {"cin7_ltv": "10.00", "first_name": "Ana", "cin7_last_refund_date": None}


DRIFT: list[tuple[dict[str, str | None], tuple[str, str | None, str | None, str] | None]] = [
    ({}, None),
    ({"cin7_ltv": "10"}, None),
    ({"cin7_ltv": "12"}, ("cin7_ltv", "10.00", "12", "changed_there")),
    ({"first_name": "Anna"}, ("first_name", "Ana", "Anna", "changed_there")),
    ({"first_name": None}, ("first_name", "Ana", None, "emptied_there")),
    ({"cin7_last_refund_date": "2026-01-01"}, ("cin7_last_refund_date", None, "2026-01-01", "not_cleared")),
    ({"last_name": "Lee"}, None),  # a name that we left out may stand
]


def test_drift() -> None:
    emails = {f"p{number}@example.com": case for number, case in enumerate(DRIFT)}
    late, out, into = "late@example.com", "out@example.com", "into@example.com"
    opted_out, opted_in = customer("c-out", out), customer("c-in", into)
    opted_out["Contacts"][0]["MarketingConsent"], opted_in["Contacts"][0]["MarketingConsent"] = 3, 2
    people = (customer(f"c-{email}", email) for email in (*emails, late))
    world = World().put("raw.customers", *people, opted_out, opted_in)
    world.put("delivery.delivered", *(accepted(email, cin7_ltv="10.00", first_name="Ana") for email in emails))
    world.put(
        "delivery.delivered", accepted(late, at="2026-11-24 11:00:01", first_name="Ana"), accepted(out), accepted(into)
    )
    world.put(
        "reconciliation.contacts_read", *(back(email, fields=FIELDS | theirs) for email, (theirs, _) in emails.items())
    )
    world.put("reconciliation.contacts_read", back(late, fields={"first_name": "Anna"}), back(out, opt_in="1"))
    world.put("reconciliation.contacts_read", back(into, opt_in="2")).build()
    found = world.rows("reconciliation.drift where not expected", "email", "field", "ours", "theirs", "cause")
    assert {row[0]: row[1:] for row in found} == {email: cause for email, (_, cause) in emails.items() if cause} | {
        out: ("opt_in", "opt_out", "opt_in", "consent_disagrees"),
        into: ("opt_in", "opt_in", "opt_out", "consent_disagrees"),  # and what was sent after the reading is no drift
    }
    assert offending(world, "consent_disagreement").rows == 2
    shown = str(offending(world, "contact_drift").sample)
    assert "Anna" not in shown, "values of a person are not shown"
    assert "@" not in shown


@pytest.mark.parametrize(
    ("closed_by", "cause"), [(None, "refused"), ("dropped", "refused"), ("retried", "changed_here_since")]
)
def test_a_change_that_emarsys_refused_does_not_go_by_itself(closed_by: str | None, cause: str) -> None:
    email = "p@example.com"
    world = World().put("raw.customers", customer("c-1", email))
    world.put("delivery.delivered", accepted(email, first_name="Zoe"))
    world.put("reconciliation.contacts_read", back(email, fields={"first_name": "Zoe"})).build()
    ((wanted,),) = world.connection.execute(
        "select md5(payload_hash || field_map_fingerprint) from mart.contacts, policy.settings"
    ).fetchall()
    closed = "2026-11-24 10:00" if closed_by else None
    letter = {"flow": "contacts", "key": email, "payload_hash": wanted, "closed_at": closed, "closed_by": closed_by}
    world.put("delivery.dead_letters", letter, letter | {"key": "q@example.com"}).build("reconciliation.drift")
    assert set(world.rows("reconciliation.drift", "cause")) == {cause}


def test_a_refusal_of_an_earlier_state_does_not_hold_up_what_it_should_say_now() -> None:
    email = "p@example.com"
    world = World().put("raw.customers", customer("c-1", email))
    world.put("delivery.delivered", accepted(email, first_name="Zoe"))
    world.put("reconciliation.contacts_read", back(email, fields={"first_name": "Zoe"}))
    world.put(
        "delivery.dead_letters", {"flow": "contacts", "key": email, "payload_hash": "of an earlier state"}
    ).build()
    assert set(world.rows("reconciliation.drift", "cause")) == {"changed_here_since"}


# The balance

OUTCOMES = ("accepted", "rejected", "retryable", "unknown")


def balance(world: World, flow: str) -> Row:
    row: Row = world.one(f"reconciliation.balance where flow = '{flow}'")
    return row


def merchant_with_everything() -> World:
    world = World(orders={"history_sales_data": True}).product("A").product("B", Sellable=False)
    world.snapshot("s1", T0, [{"sku": "A", "on_hand": 5}])
    world.put("raw.customers", customer("C-1", "ana@example.com", "bad"), customer("C-2", None))
    world.sale(
        "S1",
        Order=order(line("A", 2)),
        Invoices=[invoice("I1", line("A", 2), line("A", 2), line("GONE", 1))],
        CreditNotes=[credit_note("N1", line("A", 1))],
    )
    return world.sale("S2", CustomerID="C-2", Email=None, Invoices=[invoice("I2", line("A", 1))])


def test_every_source_row_is_accounted_for() -> None:
    world = merchant_with_everything().build()
    rows = {row["flow"]: row for row in world.rows("reconciliation.balance")}
    assert set(rows) == {"contacts", "catalogue", "sales", "events"}
    for flow, row in rows.items():
        assert row["source"] > 0, flow
        assert row["unaccounted"] == 0, flow
        assert row["source"] == row["eligible"] + row["excluded"]
        assert row["sent"] == sum(row[outcome] for outcome in OUTCOMES)
        assert row["eligible"] == row["unchanged"] + row["sent"] + row["parked"] + row["open"]
        assert row["excluded"] == sum(json.loads(row["excluded_by"] or "{}").values())
    assert offending(world, "balance_adds_up").rows == 0


def test_fates_are_counted() -> None:
    world = merchant_with_everything()
    world.put("delivery.delivered", accepted("ana@example.com"))
    world.put(
        "delivery.records",
        sent(1, "ana@example.com", "accepted"),
        sent(2, "ana@example.com", "rejected", "2007"),  # an earlier form stands
        sent(3, "l1", "accepted", flow="sales", reversal=False),
        sent(4, "l2", "unknown", flow="sales", reversal=False),
        sent(5, "l3", "rejected", flow="sales", reversal=False),
        sent(6, "l4", "retryable", flow="sales", reversal=False),
    )
    world.build()
    contacts, sales = balance(world, "contacts"), balance(world, "sales")
    assert [contacts[outcome] for outcome in OUTCOMES] == [0, 1, 0, 0], "the last outcome counts"
    assert [sales[outcome] for outcome in OUTCOMES] == [1, 1, 1, 1]
    assert (contacts["open"], sales["open"]) == (contacts["eligible"] - 1, sales["eligible"] - 4)


def test_a_day_counts_what_was_sent_since_the_day_before() -> None:
    world = merchant_with_everything()
    world.put("delivery.delivered", accepted("ana@example.com"))
    world.put("delivery.records", sent(1, "ana@example.com", "accepted"))
    world.put("delivery.records", sent(2, "l1", "unknown", flow="sales", reversal=False)).build()
    first = balance(world, "contacts")
    assert (first["unchanged"], first["sent"]) == (0, 1)
    world.now("2026-11-25 10:00:00")
    later = sent(3, "l2", "accepted", flow="sales", reversal=False) | {"at": "2026-11-25 09:00:00"}
    world.put("delivery.records", later).build()
    days = world.rows("reconciliation.balance where flow = 'contacts'", "day::varchar", "unchanged", "sent")
    assert days == [("2026-11-24", 0, 1), ("2026-11-25", 1, 0)], "days gone by stay"
    sales = balance(world, "sales' and day = '2026-11-25")
    assert (sales["accepted"], sales["unknown"], sales["parked"]) == (1, 0, 1)
    world.build()
    assert world.one("(select count(*) as n, count(distinct (flow, day)) as days from reconciliation.balance)") == {
        "n": 8,
        "days": 8,
    }


# Sales data


def accepted_line(number: int, key: str, order: str, price: str, outcome: str = "accepted", **more: Any) -> Row:
    payload: dict[str, Any] = {
        "order": order,
        "price": price,
        "timestamp": "2026-11-21T00:00:00Z",
        "reversal": False,
    } | more
    return sent(number, key, outcome, flow="sales", **payload)


def test_sums_of_orders_against_the_ledger() -> None:
    world = World(orders={"history_sales_data": True}).product("A")
    world.put("raw.customers", customer("C-1", "ana@example.com"))
    for name in ("same", "late", "twice", "doubt", "no"):
        world.sale(name, Order=order(line("A", 1)), Invoices=[invoice(f"I-{name}", line("A", 1))])
    world.put(
        "delivery.records",
        accepted_line(1, "k1", "SO-same", "10.00"),
        accepted_line(2, "k2", "SO-twice", "10.00"),
        accepted_line(3, "k3", "SO-twice", "10.00"),
        accepted_line(4, "k4", "SO-doubt", "10.00", "unknown"),
        accepted_line(5, "k5", "SO-no", "10.00", "rejected"),
        accepted_line(6, "k6", "SO-gone", "7.00"),
        accepted_line(7, "k7", "SO-back", "7.00"),
        accepted_line(8, "k8", "SO-back", "-7.00", reversal=True),
    )
    world.build()
    found = world.rows("reconciliation.sales_sums", '"order"', "desired", "accepted", "difference", "state")
    assert found == [
        ("SO-doubt", 10, 0, -10, "parked"),
        ("SO-gone", 0, 7, 7, "too_much"),
        ("SO-late", 10, 0, -10, "waiting"),
        ("SO-no", 10, 0, -10, "refused"),
        ("SO-same", 10, 10, 0, "agrees"),
        ("SO-twice", 10, 20, 10, "too_much"),
    ]
    assert {row["key"] for row in offending(world, "sales_drift").sample} == {
        "SO-gone · 2026-11-21",
        "SO-twice · 2026-11-21",
    }


def test_an_export_of_the_catalogue_is_compared_with_what_was_collected() -> None:
    world = World().product("A").product("B").product("C").build()
    names = ("title", "link", "image", "available", "price", "c_stock", "c_stock_state")
    values = dict(zip(names, ("T", "http://x/", "http://y/", True, "10.00", 5, "in_stock"), strict=True))
    for table in ("delivery.catalogue_items", "delivery.catalogue_collected"):
        world.put(table, *({"item": item, **values} for item in ("A", "B", "C")))
    world.connection.execute("update delivery.catalogue_items set price = 12 where item = 'B'")
    world.put("delivery.publications", {"version": 1, "published_at": "2026-11-23", "collected_at": "2026-11-23"})
    told = {"title": "T", "available": "TRUE", "price": "10.0"}
    world.put("reconciliation.catalogue_export", *(
        {"item": item, "columns": told | more, "taken_at": T0}
        for item, more in (("A", {"title": "Another"}), ("B", {}), ("STRANGE", {}))
    ))  # fmt: skip
    world.build()
    found = world.rows("reconciliation.drift", "key", "field", "ours", "theirs", "cause", "expected")
    assert found == [
        ("A", "title", "T", "Another", "changed_there", False),
        ("B", "price", "12.0000", "10.0", "not_collected_yet", True),
    ]
    skus = set(world.rows("reconciliation.orphan_skus", "missing_at", "sku", "cause"))
    assert {("emarsys", "C", "not_in_export"), ("cin7", "STRANGE", "only_in_emarsys")} <= skus
    assert offending(world, "item_drift").rows == 1


def test_every_cause_of_an_orphan_says_who_and_what() -> None:
    """What the causes are stands in one list; a cause that is not in it is a rule that left somebody out."""
    model = factory.models()["reconciliation.orphans"].sql
    listed = set(re.findall(r"\('(sku|customer)', '(emarsys|cin7)', '(\w+)'", model))
    customers = factory.models()["reconciliation.orphan_customers"].sql
    skus = factory.models()["reconciliation.orphan_skus"].sql
    for what, _, cause in listed:
        text = customers if what == "customer" else skus
        rules = factory.models()["mart.excluded"].sql
        assert f"'{cause}'" in text + rules, cause


def test_what_does_not_add_up_is_seen() -> None:
    world = merchant_with_everything()
    world.put("delivery.records", *(sent(n, f"l{n}", "accepted", flow="sales", reversal=False) for n in range(9)))
    world.build()
    (row,) = offending(world, "balance_adds_up").sample
    assert (row["flow"], row["unaccounted"]) == ("sales", 0)
    assert row["open"] < 0, "went twice"
    world.connection.execute("delete from delivery.records")
    world.connection.execute("delete from mart.excluded where flow = 'sales'")
    world.build("reconciliation.balance")
    (row,) = offending(world, "balance_adds_up").sample
    assert (row["flow"], row["unaccounted"]) == ("sales", 1), "is nowhere"


@pytest.mark.parametrize(("opt_in", "left_out"), [(None, 1), ("2", 1), ("1", 0)])
def test_marketing_events_without_consent_are_left_out_by_that_rule(opt_in: str | None, left_out: int) -> None:
    world = merchant_with_everything()
    world.put("reconciliation.contacts_read", back("ana@example.com", opt_in=opt_in)).build()
    (mail,) = world.rows("mart.order_events where kind = 'marketing' and excluded is null", "trigger_id")
    row = balance(world, "events")
    assert json.loads(row["excluded_by"] or "{}").get("no_consent", 0) == left_out
    assert (row["open"], row["unaccounted"]) == (row["eligible"], 0)
    world.put("delivery.records", sent(9, mail, "accepted", flow="events")).build()
    row = balance(world, "events")
    assert "no_consent" not in (row["excluded_by"] or "")
    assert (row["accepted"], row["unaccounted"]) == (1, 0)
