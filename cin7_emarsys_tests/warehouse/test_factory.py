"""What the factory makes of a file, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from cin7_emarsys.warehouse import factory
from cin7_emarsys.warehouse.factory import ModelError
from cin7_emarsys_tests.warehouse.world import World, merchant

HEADER = "-- grain: one row per product\n-- key: a\n-- meaning: Something.\n-- @column a: A thing.\n"


def load(folder: Path, **files: str) -> dict[str, factory.Model]:
    for name, text in files.items():
        schema, table = name.split("__")
        (folder / schema).mkdir(exist_ok=True)
        (folder / schema / f"{table}.sql").write_text(text)
    return factory.load(folder)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("select 1 as a", "the header lacks `-- grain:`"),
        (HEADER + "select 1 as a, 2 as b", "column b is not documented"),
        (HEADER + "-- @column b: B.\nselect 1 as a", "column b is documented, and the SELECT does not yield it"),
        (HEADER + "-- @column a: Again.\nselect 1 as a", "column a is documented twice"),
        (HEADER.replace("key: a", "key: z") + "select 1 as a", "key column z is not documented"),
        (HEADER + "select 1 as a from products", "table products needs its schema"),
        (HEADER + "select ID as a from raw.nothing", "Table with name nothing does not exist"),
        (HEADER + "select no_such as a from raw.products", 'Referenced column "no_such" not found'),
        (HEADER + "selec 1 as a", "syntax error"),
        (HEADER + "select 1 as a; select 2 as a", "must be one SELECT"),
        (HEADER + "-- materialize: cube\nselect 1 as a", "`-- materialize:` is table, view, append or history"),
        (HEADER + "-- materialize: history at seen\nselect 1 as a", "names seen, which is not a column"),
        (HEADER + "-- figure most: max(b)\nselect 1 as a", 'Referenced column "b" not found'),
        (HEADER + "-- feedback: raw.me\nselect 1 as a", "names raw.me, which the SQL does not read"),
        (HEADER + "-- empty without: raw.me\nselect 1 as a", "names raw.me, which the SQL does not read"),
        (HEADER + "select a from mart.x", "reads itself; name mart.x in `-- feedback:`"),
        (HEADER + 'select "bob@example.com" as a from raw.me', "(address)"),
    ],
)
def test_a_file_that_is_not_well_formed_is_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(tmp_path, mart__x=text)
    assert str(caught.value).startswith("mart/x.sql: ")
    assert problem in str(caught.value)
    assert "bob@" not in str(caught.value)


def test_a_circle_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"wait for each other: .*mart/[xy]\.sql -> mart/[xy]\.sql"):
        load(tmp_path, mart__x=HEADER + "select a from mart.y", mart__y=HEADER + "select a from mart.x")


def test_order_dependencies_and_types_come_from_the_sql(tmp_path: Path) -> None:
    reader = "with c as (from staging.z) select a from c where a in (select ID from raw.products)"
    prior = "-- feedback: mart.availability\nselect products.SKU as a from raw.products join mart.availability on true"
    found = load(tmp_path, mart__a=HEADER + reader, staging__z=HEADER + prior)
    assert list(found) == ["staging.z", "mart.a"]
    assert found["mart.a"].depends == {"staging.z", "raw.products"}
    assert found["staging.z"].depends == {"raw.products"}
    assert found["mart.a"].types == {"a": "VARCHAR"}


def test_a_reader_of_prior_state_is_built_before_the_table_it_reads() -> None:
    order = list(factory.models())
    assert order.index("mart.stock_states") < order.index("mart.availability") < order.index("mart.catalogue")


def test_prior_state_must_be_stated_as_the_model_yields_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=re.escape("mart/held_flips.sql: prior.sql states other columns or types")):
        load(tmp_path, mart__held_flips=HEADER + "select 1 as a")


def test_a_failing_model_leaves_everything_as_it_was_and_names_its_file() -> None:
    world = World().product("A").build()
    world.connection.execute("begin")
    world.connection.execute("alter table raw.products alter SKU type integer[] using []")
    with pytest.raises(ModelError, match=r"^staging/products\.sql: "):
        world.build()
    world.connection.execute("rollback")
    assert world.rows("staging.products", "sku") == ["A"]


def test_missing_tables_of_other_rooms_stand_in_empty_and_are_gone_again_but_what_people_decide() -> None:
    with duckdb.connect(":memory:") as connection:
        factory.build(connection, World().merchant)
        schemas = {row[0] for row in connection.execute("select distinct schema_name from duckdb_tables()").fetchall()}
    assert schemas == {"mart", "policy", "reconciliation", "staging", "operations"}


def test_a_policy_is_written_when_it_is_another() -> None:
    world = World()

    def written() -> list[int]:
        factory.build(world.connection, world.merchant, ["staging.locations"])
        found = world.connection.execute(
            "select table_oid from duckdb_tables() where schema_name = 'policy'"
        ).fetchall()
        return sorted(oid for (oid,) in found)

    assert written() == written()
    world.merchant = merchant(availability={"restock_threshold": 7})
    before = written()
    assert world.connection.execute("select restock_threshold from policy.settings").fetchall() == [(7,)]
    assert before == written()


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(KeyError, match=r"mart\.nothing"):
        World().build("mart.nothing")


def test_every_model_is_tested_by_name() -> None:
    tests = Path(__file__).parent.parent
    rooms = (tests / "warehouse", tests / "reconciliation", tests / "desk")
    texts = "".join(file.read_text() for room in rooms for file in room.glob("test_*.py") if file.name != __name__)
    assert [name for name in factory.models() if name not in texts] == []
