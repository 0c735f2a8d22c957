"""Aliases as a person writes them: `customer alias add`, `list`, `remove`, and the statement that follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from cin7_emarsys.cli import app
from cin7_emarsys.emarsys.projection import ensure_delivery_tables
from cin7_emarsys_tests.warehouse.world import World, invoice, line

Enter = Callable[[dict[str, str]], Path]


def run(*arguments: str, code: int = 0) -> Any:
    shown = CliRunner().invoke(app, ["customer", *arguments])
    assert shown.exit_code == code, shown.output
    return json.loads(shown.stdout) if "--json" in arguments and code == 0 else " ".join(shown.output.split())


@pytest.fixture
def place(in_project: Enter, sandbox: dict[str, str]) -> Path:
    """A project whose warehouse has two people, an account without e-mail, and guests."""
    state = in_project(sandbox)
    state.mkdir()
    world = World(customers={"generic_customers": ["Guests"]}).product("A")
    world.put(
        "raw.customers",
        {"ID": "c1", "Name": "Ana", "Contacts": [{"Email": "ana@x.com", "Default": True, "Name": "Ana"}]},
        {"ID": "c2", "Name": "Shop"},
        {"ID": "g", "Name": "Guests", "Contacts": [{"Email": "guests@x.com", "Default": True}]},
    )
    for name, email, customer in (("s1", "ana@x.com", "c1"), ("s2", "bea@x.com", "g"), ("s3", None, "c2")):
        world.sale(
            name, Email=email, CustomerID=customer, Customer=customer, Invoices=[invoice(name, line("A", 2, 10))]
        )
    connection = world.build().connection
    connection.execute("drop schema delivery cascade; create schema delivery")  # the real tables, not the models' view
    ensure_delivery_tables(connection)
    connection.execute(f"attach '{state / 'warehouse.duckdb'}' as file; copy from database memory to file; detach file")
    return state


def test_an_alias_is_written_listed_and_taken_back(place: Path) -> None:
    assert run("alias", "list") == "no aliases are written"
    row = run("alias", "add", " Bea@X.com", "C1", "--reason", "same phone", "--json")
    assert (row["alias"], row["person"], row["reason"]) == ("bea@x.com", "ana@x.com", "same phone")
    assert "bea@x.com" in run("alias", "list")
    assert run("alias", "list", "--json")["aliases"] == [row]

    for one, other, why in (
        ("bea@x.com", "c2", "written already"),
        ("ana@x.com", "bea@x.com", "in a circle"),
        ("ana@x.com", "ana@x.com", "in a circle"),
        ("g", "ana@x.com", "many people"),
    ):
        assert why in run("alias", "add", one, other, "--reason", "x", code=2)
    assert "nobody in the warehouse" in run("alias", "add", "nobody@x.com", "c1", "--reason", "x", code=1)
    assert "nobody in the warehouse" in run("alias", "add", "c2", "c9", "--reason", "x", code=1)
    assert "--reason" in run("alias", "add", "c2", "c1", code=2)

    assert run("alias", "remove", "BEA@x.com", "--reason", "two sisters", "--json")["person"] == "ana@x.com"
    assert "no such alias" in run("alias", "remove", "bea@x.com", "--reason", "x", code=1)
    assert run("alias", "list", "--json") == {"aliases": []}
    with create_engine(f"sqlite:///{place / 'ledger.sqlite'}").connect() as ledger:
        kept = ledger.execute(text("select command, reason, details from audit order by entry")).all()
    assert [tuple(entry) for entry in kept] == [
        ("customer alias add", "same phone", '{"alias": "bea@x.com", "person": "ana@x.com"}'),
        ("customer alias remove", "two sisters", '{"alias": "bea@x.com", "person": "ana@x.com"}'),
    ]


def test_the_statement_by_address_or_id(place: Path) -> None:
    by_id, by_email = run("C1", "--json"), run("ANA@x.com", "--json")
    assert by_id == by_email
    assert (by_id["ltv"], by_id["changes"], [key["rule"] for key in by_id["aliases"]]) == (20, [], ["sale_email"])
    shown = run("ana@x.com")
    assert "lifetime value 20.00 AUD = gross 20.00 − refunded 0.00; 1 order, 20.00 on average" in shown
    assert "nothing has been accepted for this person" in shown
    assert run("customer:c2", "--json")["ltv"] == run("c2", "--json")["ltv"] == 20
    assert "nobody in the warehouse" in run("who@x.com", code=1)


def test_a_marketing_event_waits_for_consent_and_the_statement_says_so(place: Path) -> None:
    (event,) = run("c1", "--json")["events"]
    assert (event["event"], event["outcome"]) == ("first_purchase", "waiting for consent at Emarsys")
    with duckdb.connect(str(place / "warehouse.duckdb")) as connection:
        connection.execute(
            "insert into reconciliation.contacts_read by name select 'ana@x.com' as email, '1' as opt_in"
        )
    assert [event["outcome"] for event in run("c1", "--json")["events"]] == ["waiting"]
