"""What stays of a record that names an erased person, whether it comes or is there already."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cin7_emarsys.cin7 import erasure, load
from cin7_emarsys.cin7.forgetting import forget
from cin7_emarsys.cin7.landing import Extract
from cin7_emarsys.erased import Erased, SaltLost, names_in
from cin7_emarsys.warehouse.connections import Warehouse

ANA, BEN = "ana@example.com", "ben@example.com"
HERS, SHARED, SALE = (f"{n}0000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
T0 = datetime(2026, 11, 24)


@pytest.fixture
def erased(tmp_path: Path) -> Erased:
    made = Erased(tmp_path)
    made.add([ANA, HERS])
    return made


def contact(email: str | None, **more: Any) -> dict[str, Any]:
    return {"Name": "Somebody", "Email": email, "Default": True} | more


def sale(email: str | None, account: str, **more: Any) -> dict[str, Any]:
    paid = {"ID": SALE, "Reference": "Ana Lee, card 1234", "Amount": 12.5}
    parcel = {"ID": SALE, "TrackingNumber": "TRK1", "TrackingUrl": "https://post.example.com/TRK1", "Carrier": "Post"}
    return {
        "ID": SALE, "Email": email, "CustomerID": account, "Customer": "Ana Lee", "Contact": "Ana Lee", "Phone": "1",
        "BillingAddress": {"Line1": "1 Her Street"}, "Note": "ring Ana", "Status": "COMPLETED",
        "Invoices": [{"TaskID": SALE, "Status": "PAID", "Total": 12.5, "Payments": [paid]}],
        "Fulfilments": [{"FulfillmentNumber": 1, "Ship": {"Status": "AUTHORISED", "Lines": [parcel]}}],
    } | more  # fmt: skip


def test_a_name_is_known_in_any_dress(erased: Erased) -> None:
    assert erased.knows(" Ana@Example.com ")
    for text in (
        ANA, f'{{"a":"x\\n{ANA.upper()}"}}', f"mailto:{ANA}.", f"<{ANA}>", f"paid by {HERS.upper()}", f"'{ANA}'",
        '{"a": "\\u0061na@example.com"}', f"t?email={ANA}", f"{ANA}/{BEN}", f"{BEN}|{ANA}", f"„{ANA}“", f"{ANA}\u200b",
        f"x@{HERS}", f"- {ANA}-", f"→{ANA}…",
    ):  # fmt: skip
        assert erased.mentions(text), text
    for text in (
        "",
        "joana@example.com",
        "jo.ana@example.com",
        "jo-ana@example.com",
        "x+ana@example.com",
        f"{ANA}.au",
        "ana@example",
        "a" * 100_000,
        BEN,
    ):
        assert not erased.mentions(text), text
    assert erased.without(f"to {ANA.upper()} and {BEN}") == f"to (erased) and {BEN}"


_AROUND_A_NAME = st.lists(
    st.sampled_from([*"ab.,;:<>()[]'\"\\/\n\t\r @é\u2028", "mailto:", "joe@example.com"]), max_size=6
)


@given(
    st.dictionaries(st.text(max_size=3), st.tuples(_AROUND_A_NAME, st.sampled_from([ANA, HERS, ""]), _AROUND_A_NAME))
)
def test_the_names_beside_a_payload_miss_nobody_whom_it_names(texts: dict[str, Any]) -> None:
    erased = Erased(Path("nowhere")).adding([ANA, HERS])
    values = {key: "".join(before) + name.title() + "".join(after) for key, (before, name, after) in texts.items()}
    payload = json.dumps(values, ensure_ascii=False)
    assert erased.mentions(beside(payload)) or not erased.mentions(payload)


def beside(payload: str) -> str:
    ((found,),) = duckdb.execute(f"select {names_in('$payload::varchar')}", {"payload": payload}).fetchall()
    return str(found)


def test_nothing_but_names_stands_beside_a_payload() -> None:
    payload = '{"n": 12.5, "title": "Mug, 2@3 \\n a@b", "quote": "\\"Ann@x.com\\""}'
    assert set(beside(payload).split()) == {"2@3", "a@b", "ann@x.com"}
    assert (beside(f'{{"id": "{HERS.upper()}"}}'), beside("{}")) == (HERS, "")


def test_hashes_say_nothing_and_need_their_salt(tmp_path: Path, erased: Erased) -> None:
    files = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert files.keys() == {"erased.sqlite", "erased.salt"}
    assert all(ANA.encode() not in content for content in files.values())
    assert Erased(tmp_path).knows(ANA) and not Erased(tmp_path / "elsewhere").knows(ANA)
    assert erased.add([ANA]) == 0
    (tmp_path / "erased.salt").unlink()
    with pytest.raises(SaltLost, match="restore it"):
        Erased(tmp_path)


def test_an_account_of_one_person_goes_a_shared_one_stays(erased: Erased) -> None:
    assert forget("customers", {"ID": HERS.upper(), "Contacts": []}, erased).row is None
    assert forget("customers", {"ID": SHARED, "Contacts": [contact(ANA), contact(None)]}, erased).row is None
    left = forget(
        "customers", {"ID": SHARED, "Contacts": [contact(ANA), contact(BEN)], "Comments": f"ask {ANA}"}, erased
    )
    assert left.row == {"ID": SHARED, "Contacts": [contact(BEN)], "Comments": "ask (erased)"}
    assert not left.was_theirs


@pytest.mark.parametrize(
    ("email", "account", "theirs", "gone"),
    [
        (ANA, HERS, True, {"Email", "Customer", "CustomerID", "Contact", "Phone", "BillingAddress"}),
        (ANA, SHARED, True, {"Email", "Contact", "Phone", "BillingAddress"}),
        (None, HERS, True, {"Email", "Customer", "CustomerID", "Contact", "Phone", "BillingAddress"}),
        (BEN, HERS, False, {"Customer", "CustomerID", "BillingAddress"}),
    ],
)
def test_a_sale_stays_for_nobody(erased: Erased, email: str | None, account: str, theirs: bool, gone: set[str]) -> None:
    before = sale(email, account)
    left = forget("sales", before, erased)
    assert left.row is not None and left.was_theirs == theirs
    assert before.keys() - left.row.keys() == gone
    assert left.row["Invoices"][0]["Total"] == 12.5
    assert ("Ana" in json.dumps(left.row["Invoices"])) == (not theirs)
    assert ("TRK1" in json.dumps(left.row["Fulfilments"])) == (not theirs)


class Room:
    """A warehouse with what came before the erasure."""

    def __init__(self, folder: Path) -> None:
        self.landing = folder / "landing"
        self.warehouse = Warehouse(database=str(folder / "warehouse.duckdb"))

    def read(self, table: str, *rows: dict[str, Any], complete: bool = False) -> load.Loaded:
        extract = Extract(self.landing, table, load.TABLES[table][0], T0)
        extra = [{"_header_updated": "2026-11-20"}] * len(rows) if table == "sales" else None
        extract.add(list(rows), extra)
        folder = extract.finish(drift=extract.drift, conflicts=sorted(extract.conflicts))
        with self.warehouse.write() as connection:
            load.ensure_tables(connection)
            return load.merge(connection, table, folder, complete=complete)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.read() as connection:
            return connection.execute(sql).fetchall()


def test_what_is_there_is_written_over_and_what_comes_is_the_same(tmp_path: Path) -> None:
    room = Room(tmp_path)
    customers = [
        {"ID": HERS, "Name": "Ana Lee", "Contacts": [contact(ANA)]},
        {"ID": SHARED, "Name": "Shop", "Contacts": [contact(BEN), contact(ANA)]},
    ]
    headers = [
        {"SaleID": SALE, "CustomerID": HERS, "Customer": "Ana Lee", "Updated": "2026-11-20", "Status": "COMPLETED"}
    ]
    broken = {"ID": None, "Email": ANA, "Name": "Ana"}
    room.read("customers", *customers, broken, complete=True)
    room.read("sale_headers", *headers)
    room.read("sales", sale(ANA, HERS))
    erased = Erased(tmp_path)
    erased.add([ANA, HERS])
    with room.warehouse.write() as connection:
        touched = erasure.erase(connection, room.landing, erased, [ANA, HERS])
    assert touched == {"customers": 2, "sale_headers": 1, "sales": 1, "rejected": 1}
    assert room.rows("select Name, list_transform(Contacts, x -> x.Email) from raw.customers") == [("Shop", [BEN])]
    assert room.rows("select Customer, CustomerID, _erased, OrderStatus from raw.sale_headers") == [
        (None, None, True, None)
    ]
    stored = room.rows("select * exclude (_extract_id, _loaded_at) from raw.sales")
    assert room.rows("select Email, CustomerID, _erased, _header_updated::date::varchar from raw.sales") == [
        (None, None, True, "2026-11-20")
    ]
    for table in ("customers", "sale_headers", "sales", "rejected"):
        text = str(room.rows(f"from raw.{table}")).lower()
        assert not any(word in text for word in (ANA, HERS, "her street", "ana lee")), table

    again = room.read("customers", *customers, broken, complete=True)
    assert (again.erased, again.inserted, again.updated, again.unchanged, again.missing) == (3, 0, 0, 1, 0)
    assert room.read("sale_headers", *headers).unchanged == 1
    assert room.read("sales", sale(ANA, HERS)).unchanged == 1
    assert room.rows("select * exclude (_extract_id, _loaded_at) from raw.sales") == stored
    text = str(room.rows("from raw.rejected")).lower()
    assert ANA not in text and "customers" in text


def test_a_name_in_capitals_is_found_in_a_table(erased: Erased) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"create table notes as select '{ANA.upper()} rang' as note")
        assert len(erased.rows(connection, "notes", ["note"], [ANA])) == 1
