"""One of each trouble seeded at the two vendors: found with its cause, owner and next step, mended as that says, and gone.

Most are seeded, found and mended together: what is done about one must not hide another. What needs days, a new place or
a large part of the stock has a test of its own below. The last test knows what there is in all.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from cin7_emarsys.operations import exceptions
from cin7_emarsys.warehouse import factory
from cin7_emarsys_tests.end_to_end.conftest import Place
from cin7_emarsys_tests.end_to_end.test_kill import killed
from cin7_emarsys_tests.end_to_end.troubles import (
    TROUBLES,
    Facts,
    Sign,
    a_contact,
    change_policy,
    cin7,
    collect,
    days_pass,
    emarsys,
    export,
    fault,
    invoiced,
    no_fault,
    void,
)

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
    cin7(busy, "rename", sku="TPL-01", to="TPL-02")
    busy.sync("nightly", code=None)
    _found(busy, [*TROUBLES, *RENAMED], before)
    no_fault(busy)
    for trouble, facts in zip(TROUBLES, made, strict=True):
        trouble.mend(busy, facts)
    busy.sync("nightly", code=None)
    # what mending has brought about: contacts that are left behind, a file to fetch
    for (email,) in busy.rows("select email from mart.contacts where left_behind"):
        emarsys(busy, email, "DELETE")
    busy.sync("nightly", code=None)
    collect(busy)
    export(busy)
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
    sold = invoiced(place, lines=lines, email=a_contact(place, 0)["email"])
    place.sync("orders", code=None)
    change_policy(place, "armed = true", "armed = false")
    void(place, sold)
    invoiced(place, quantity=1, email=a_contact(place, 2)["email"])
    cin7(place, "rename", sku="TPL-01", to="TPL-02")
    cin7(place, "new_customer")
    cin7(place, "new_product", quantity=1)
    days_pass(place, 0.1)
    place.sync("nightly", code=None)
    _found(place, UNSENT, before)
    days_pass(place, 1.1)
    place.sync("nightly", code=None)
    _found(place, NEVER_SENT, before)
    change_policy(place, "armed = false", "armed = true")
    place.sync("orders", code=None)
    place.sync("products", code=None)
    place.sync("nightly", code=None)
    _resolved(place, UNSENT + NEVER_SENT, before)


IN_FLIGHT = [Sign("in_flight", "", "operations", "Run the job of that flow again")]


@pytest.mark.soak
def test_a_process_that_died_while_it_sent(place: Place) -> None:
    place.sync("nightly", code=None)
    cin7(place, "order", email=a_contact(place, 1)["email"])
    assert killed(place, "connecting", "orders")
    days_pass(place, 0.1)
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
    fault(place, "incomplete-snapshot", "cin7", "productavailability")
    for job in ("nightly", "products"):
        place.sync(job, code=None)
    _found(place, UNREAD, {})
    no_fault(place)
    for job in ("stock", "nightly"):
        place.sync(job, code=None)
    _resolved(place, UNREAD, {})
    before = _counts(place)
    cin7(place, "new_product", quantity=1)
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
    cin7(place, "sell_out", repeat=25)
    place.sync("stock", code=None)
    _found(place, MASS_FALL, {})
    place.sync("stock", code=None)
    _resolved(place, MASS_FALL, {})


@pytest.mark.soak
def test_a_shop_is_closed_and_for_a_day_nobody_looks(place: Place) -> None:
    place.sync("nightly", code=None)
    collect(place)
    cin7(place, "title", sku="RUG-HTML")
    place.sync("products", code=None)
    before = _counts(place)
    fault(place, "incomplete-snapshot", "cin7", "productavailability", mode="total-drop", share=0.3)
    place.sync("stock", code=None)
    ((snapshot,),) = place.rows("select snapshot_id from raw.snapshots order by taken_at desc limit 1")
    place.run("sync", "stock", "--release", snapshot, "--reason", "a shop was closed", code=None)
    _found(place, RELEASED, before)
    no_fault(place)
    days_pass(place, 1.2)
    place.sync("stock", code=None)
    _found(place, OLD, before)
    collect(place)
    place.sync("nightly", code=None)
    _resolved(place, [*RELEASED, *OLD], before)


@pytest.mark.soak
def test_products_are_gone_and_then_the_warehouse(place: Place) -> None:
    place.sync("nightly", code=None)
    before = _counts(place)
    fault(place, "incomplete-snapshot", "cin7", "/product?", mode="total-drop", share=0.01)
    place.sync("nightly", code=None)
    _found(place, GONE, before)
    no_fault(place)
    place.sync("nightly", code=None)
    _resolved(place, GONE, before)

    change_policy(place, "max_shrink = 0.2", "max_shrink = 0.05")  # what was ever sold is listed in any case
    (place.folder / "var" / "warehouse.duckdb").unlink()
    fault(place, "incomplete-snapshot", "cin7", "/product?", mode="total-drop", share=0.5)
    place.sync("nightly", code=None)
    _found(place, SHRUNK, {})
    no_fault(place)
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
    change_policy(place, "include_wholesale = true", "include_wholesale = false")
    cin7(place, "new_customer", tier="Wholesale")
    change_policy(place, "armed = true", "armed = false")
    twin = cin7(place, "new_customer", email="joined@example.com")
    place.sync("customers", code=None)
    target = a_contact(place, 0)["email"]
    place.run("customer", "alias", "add", twin["email"], target, "--reason", "the same person")
    change_policy(place, "armed = false", "armed = true")
    place.sync("nightly", code=None)
    _found(place, RULE, before)
    left_out = place.rows("select email from reconciliation.orphans where missing_at = 'cin7' and cause = 'wholesale'")
    for (email,) in left_out:
        emarsys(place, email, "DELETE")
    place.sync("nightly", code=None)
    _resolved(place, RULE[:1], before)
    change_policy(place, "include_wholesale = false", "include_wholesale = true")
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
    ("drift of a contact", "refused"): (
        "reconciliation/test_orphans.py::test_a_change_that_emarsys_refused_does_not_go_by_itself"
    ),
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
