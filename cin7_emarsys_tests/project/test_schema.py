"""Stores of another version of this program: new columns are added, anything else is refused with what to do."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from cin7_emarsys.cin7.load import ensure_tables
from cin7_emarsys.emarsys.answers import ACCEPTED
from cin7_emarsys.emarsys.ledger import Intended, Ledger
from cin7_emarsys.emarsys.projection import ensure_delivery_tables
from cin7_emarsys.schema import SchemaUnknown
from cin7_emarsys.warehouse import factory
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys_tests.warehouse.world import World

AT = datetime(2026, 11, 24)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    made = Warehouse(database=str(tmp_path / "warehouse.duckdb"))
    with made.write() as connection:
        ensure_tables(connection)
        ensure_delivery_tables(connection)
        connection.execute("insert into raw.sales (ID) values ('s1')")
    return made


def older(warehouse: Warehouse, *changes: str) -> None:
    """The warehouse as a version left it that knew other tables."""
    with warehouse.write() as connection:
        connection.execute("delete from operations.schema_version where store <> 'warehouse'")
        for change in changes:
            connection.execute(change)


def test_a_new_column_is_added_and_rows_stay(warehouse: Warehouse) -> None:
    older(
        warehouse, "alter table raw.sales drop column _erased", "alter table delivery.records drop column erased_at",
        "drop table raw.vanished",
    )  # fmt: skip
    for _ in range(2):
        with warehouse.write() as connection:
            ensure_tables(connection)
            ensure_delivery_tables(connection)
            assert connection.execute("select ID, _erased from raw.sales").fetchall() == [("s1", None)]
            assert connection.execute("select erased_at from delivery.records").fetchall() == []
            assert connection.execute("from raw.vanished").fetchall() == []


def test_records_that_are_there_get_their_names(warehouse: Warehouse) -> None:
    older(
        warehouse, "alter table delivery.records drop column names",
        """insert into delivery.records (record_id, payload) values (1, '{"email": "Ann@x.com"}'), (2, '{}')""",
    )  # fmt: skip
    with warehouse.write() as connection:
        ensure_delivery_tables(connection)
        assert connection.execute("select names from delivery.records order by record_id").fetchall() == [
            ("ann@x.com",),
            ("",),
        ]


def test_another_type_is_refused_and_nothing_is_changed(warehouse: Warehouse) -> None:
    older(warehouse, "alter table raw.sales alter column ID type integer using 1", "drop table raw.vanished")
    with (
        pytest.raises(SchemaUnknown, match=r"raw\.sales\.ID in the warehouse is INTEGER .* sync nightly"),
        warehouse.write() as connection,
    ):
        ensure_tables(connection)
    with warehouse.read() as connection:
        assert not connection.execute("from duckdb_tables() where table_name = 'vanished'").fetchall()


@pytest.mark.parametrize(("model", "kind"), [("staging.snapshot", "table"), ("staging.locations", "view")])
def test_a_model_that_was_kept_as_the_other_kind_is_made_anew(model: str, kind: str) -> None:
    world = World()
    world.connection.execute(f"create {kind} {model} as select 1 as x")
    world.build(*factory.needed_for(model))
    assert "x" not in {row[0] for row in world.connection.execute(f"describe {model}").fetchall()}


def test_models_find_the_columns_of_today_in_tables_of_yesterday() -> None:
    world = World()
    world.connection.execute("alter table raw.sales drop column _erased")
    assert world.sale("s1").build("staging.locations", "staging.sales").rows("staging.sales", "is_erased") == [False]


@pytest.mark.parametrize(
    ("version", "told"), [(3, "a newer version .* backup"), (1, "an older version .* sync nightly")]
)
def test_a_warehouse_of_another_version_is_refused(warehouse: Warehouse, version: int, told: str) -> None:
    older(warehouse, f"update operations.schema_version set version = '{version}'")
    with pytest.raises(SchemaUnknown, match=told), warehouse.write():
        pass


def test_a_ledger_gets_columns_and_indexes_and_keeps_its_records(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger = Ledger(url)
    batch = ledger.intend("contacts", "PUT contact", None, [Intended("k", "{}")], b"", AT)
    ledger.close_batch(batch, {"k": ACCEPTED}, AT)
    with ledger.engine.begin() as connection:
        for change in (
            "drop index records_touched",
            "alter table records drop column erased_at",
            "drop index records_key",
            "drop table schema_version",
        ):
            connection.execute(text(change))
    ledger.close()
    ledger = Ledger(url)
    with ledger.engine.begin() as connection:
        assert connection.execute(text("select key, outcome, erased_at from records")).all() == [
            ("k", "accepted", None)
        ]
        found = connection.execute(text("select name from sqlite_master where type = 'index'")).scalars().all()
        assert {"records_key", "records_touched"} <= set(found)
        connection.execute(text("update schema_version set version = 2"))
    ledger.close()
    with pytest.raises(SchemaUnknown, match="the ledger was written by a newer version"):
        Ledger(url)
