"""Turns the folder `models/<schema>/<name>.sql` into tables, and those into Dagster assets.

Belongs here: reading the files, their order, their types, writing one model into its table, one multi-asset a schema.
Does not belong here: what a model computes (its SQL says that), and opening the database.

A file is one SELECT below a header of comments: `-- grain:`, `-- key:`, `-- meaning:`, `-- @column name: text` for each
column, and when it is not simply replaced at each build:

* `-- materialize: history at <time column> [ignoring <column>, ...]`: only rows that changed are written, each with
  `valid_from` and `valid_to`; a row is open while `valid_to` is null.
* `-- materialize: view`: a view, always as its tables are.
* `-- materialize: append`: rows whose key is not there yet are added; what is there is never touched.
* `-- empty without: schema.table`: while that table has no rows, neither has this one; its SELECT, whose planning
  is most of its cost, is left out.
* `-- feedback: schema.table, ...`: tables read in the state before the build; no dependency of the graph.

`-- figure <name>: <aggregate>` names a figure of the table (of a history: of its open rows) that each build reports.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Literal

import duckdb
from duckdb import DuckDBPyConnection

from cin7_emarsys import disk, schema
from cin7_emarsys.merchant import Merchant
from cin7_emarsys.warehouse import policy
from cin7_emarsys.warehouse.connections import SCHEMAS

FOLDER = Path(__file__).parent
EMAIL = re.compile(r"[^\s'\"<>]+@[^\s'\"<>]+")
_VALIDITY = {"valid_from": "TIMESTAMP", "valid_to": "TIMESTAMP"}


class ModelError(Exception):
    """A model's file is not well-formed, or its SQL failed; the text begins with the file. Addresses are left out."""

    def __init__(self, file: str, problem: object) -> None:
        self.file = file
        super().__init__(f"{file}: {EMAIL.sub('(address)', str(problem))}")


@dataclass(frozen=True)
class Model:
    """One SQL file. `name` is `schema.table`; `columns` are descriptions, `types` what the SELECT yields."""

    name: str
    file: str
    sql: str
    grain: str
    key: tuple[str, ...]
    meaning: str
    columns: Mapping[str, str]
    materialize: Literal["table", "view", "history", "append"]
    at: str | None
    ignoring: frozenset[str]
    feedback: frozenset[str]
    figures: Mapping[str, str]
    empty_without: str | None = None
    depends: frozenset[str] = frozenset()
    types: Mapping[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> str:
        return self.name.split(".")[0]

    @property
    def table_columns(self) -> dict[str, str]:
        return {**self.types, **(_VALIDITY if self.materialize == "history" else {})}


@dataclass(frozen=True)
class Built:
    """What one model's build did: rows in the table afterwards (none of a view), seconds, and the figures its file names."""

    name: str
    rows: int | None
    seconds: float
    figures: Mapping[str, Any]


def parse(file: Path, text: str) -> Model:
    """What the header of one file says. Raises `ModelError`."""
    shown = f"{file.parent.name}/{file.name}"
    tags: dict[str, str] = {}
    columns: dict[str, str] = {}
    figures: dict[str, str] = {}
    lines = text.splitlines()
    body = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith("--")), len(lines))
    last: tuple[dict[str, str], str] | None = None
    for line in lines[:body]:
        content = line.removeprefix("--").strip()
        column = re.match(r"@column (\w+): (.+)", content)
        figure = re.match(r"figure (\w+): (.+)", content)
        tag = re.match(r"(grain|key|meaning|materialize|feedback|empty without): (.+)", content)
        if column:
            if column[1] in columns:
                raise ModelError(shown, f"column {column[1]} is documented twice")
            columns[column[1]], last = column[2], (columns, column[1])
        elif figure:
            figures[figure[1]], last = figure[2], (figures, figure[1])
        elif tag:
            tags[tag[1]], last = tag[2], (tags, tag[1])
        elif last and content:  # a description that goes on in the next line
            last[0][last[1]] += " " + content
    for needed in ("grain", "key", "meaning"):
        if needed not in tags:
            raise ModelError(shown, f"the header lacks `-- {needed}:`")
    how = re.fullmatch(
        r"(table|view|append|history at (\w+)(?: ignoring ([\w, ]+))?)", tags.get("materialize", "table")
    )
    if not how:
        raise ModelError(shown, "`-- materialize:` is table, view, append or history at <column> [ignoring <columns>]")
    kind: Literal["table", "view", "history", "append"] = "history" if how[2] else how[1]  # type: ignore[assignment]
    key = tuple(_names(tags["key"]))
    if set(key) - set(columns):
        raise ModelError(shown, f"key column {', '.join(sorted(set(key) - set(columns)))} is not documented")
    return Model(
        name=f"{file.parent.name}.{file.stem}",
        file=shown,
        sql="\n".join(lines[body:]).strip().rstrip(";"),
        grain=tags["grain"],
        key=key,
        meaning=tags["meaning"],
        columns=columns,
        materialize=kind,
        at=how[2],
        ignoring=frozenset({how[2], *_names(how[3] or "")} if how[2] else ()),
        feedback=frozenset(_names(tags.get("feedback", ""))),
        empty_without=tags.get("empty without"),
        figures=figures,
    )


def headers(folder: Path = FOLDER / "models") -> list[Model]:
    """Every model of the folder as its header says, in no order, with neither what it reads nor types."""
    return [parse(file, file.read_text()) for file in sorted(folder.glob("*/*.sql"))]


def load(folder: Path) -> dict[str, Model]:
    """Every model of the folder in build order, with column types. Raises `ModelError` naming the file."""
    with duckdb.connect(":memory:") as connection:
        connection.execute("set TimeZone = 'UTC'")
        parsed = [_reading(model, connection) for model in headers(folder)]
        ordered = _in_order({model.name: model for model in parsed})
        for room in SCHEMAS:
            connection.execute(f"create schema if not exists {room}")
        connection.execute((FOLDER / "sources.sql").read_text())
        policy.create_empty(connection)
        prior = (FOLDER / "prior.sql").read_text()
        connection.execute(prior)
        stated = {name: _describe(connection, f"from {name}") for name in _created(prior)}
        typed = {}
        for model in ordered:
            typed[model.name] = _typed(model, connection, stated)
        return typed


@cache
def models() -> Mapping[str, Model]:
    """The models of this project in build order (read once)."""
    return load(FOLDER / "models")


def needed_for(*names: str) -> frozenset[str]:
    """The models that these are built from, themselves included."""
    known = models()
    found = set(names)
    while more := {read for name in found for read in known[name].depends if read in known} - found:
        found |= more
    return frozenset(found)


def build(connection: DuckDBPyConnection, merchant: Merchant, only: Iterable[str] | None = None) -> list[Built]:
    """Write the policy and the models (all, or those named `schema.table`) in the caller's transaction.

    Nothing is committed here. Raises `ModelError` naming the file that failed.
    """
    policy.write(connection, merchant)
    known = models()
    wanted = set(known) if only is None else set(only)
    if wanted - set(known):
        raise KeyError(f"no such model: {', '.join(sorted(wanted - set(known)))}")
    with sources(connection, read_by(wanted)):
        return [_write(connection, model) for model in known.values() if model.name in wanted]


def build_alone(connection: DuckDBPyConnection, wanted: Set[str]) -> None:
    """Write these models by the policy that is there, and make sure of no other table than those they read."""
    with sources(connection, read_by(wanted), in_base=False):
        for model in models().values():
            if model.name in wanted:
                _write(connection, model)


def read_by(names: Iterable[str]) -> set[str]:
    """What these models read, themselves included, and what views among it read."""
    known = models()
    found = set(names).union(*(known[name].depends | known[name].feedback for name in names))
    views = {name for name, model in known.items() if model.materialize == "view"}
    while more := {read for name in found & views for read in known[name].depends} - found:
        found |= more
    return found


@contextmanager
def sources(connection: DuckDBPyConnection, only: Set[str] | None = None, *, in_base: bool = True) -> Iterator[None]:
    """Stand-ins, empty, for those tables (all that models read) that no room has made yet; gone again afterwards, but for
    `operations`. Not ``in_base``: a view may stand for another base's table."""
    kinds = _kinds(connection)
    needed = read_by(models()) if only is None else only
    for name in (
        needed & models().keys() & kinds.keys() if in_base else ()
    ):  # an earlier version kept it as the other kind
        if kinds[name] != ("view" if models()[name].materialize == "view" else "table"):
            connection.execute(f"drop {kinds.pop(name)} {name}")
    present = kinds.keys()
    missing = []
    for room in SCHEMAS:
        connection.execute(f"create schema if not exists {room}")
    ddl = (FOLDER / "sources.sql").read_text()
    if schema.note_anew(connection, "sources", ddl):  # of an earlier version
        for name, columns in schema.described(ddl).items():
            if kinds.get(name) == "table":
                schema.add_columns(connection, name, columns, types=False)  # only parts of them are stated
    for name, statement in _created(ddl).items():
        if name in needed - present:
            connection.execute(statement)
            if not name.startswith("operations."):  # what people decide: stays, and views look at it
                missing.append(name)
    for model in models().values():  # our own: stay, so that a cadence can be the first to build its part of them
        if model.name in needed - present:
            _make(connection, model)
    yield
    for name in missing:
        connection.execute(f"drop table {name}")


def _write(connection: DuckDBPyConnection, model: Model) -> Built:
    started = time.perf_counter()
    counted = None
    try:
        if model.materialize == "view":  # to count it would be to work it out
            connection.execute(f"create or replace view {model.name} as {model.sql}")
        elif model.empty_without and not connection.execute(f"from {model.empty_without} limit 1").fetchone():
            connection.execute(f"create or replace table {model.name} ({_listed(model)})")
            counted = (0,)
        elif model.materialize == "table":  # DuckDB tells how many rows it has written
            counted = connection.execute(f"create or replace table {model.name} as {model.sql}").fetchone()
        else:
            _make(connection, model)
            # an insert says by itself what does not fit
            schema.add_columns(connection, model.name, model.table_columns, types=False)
            (_append if model.materialize == "append" else _keep_history)(connection, model)
            counted = connection.execute(f"select count(*) from {model.name}").fetchone()
        figures = connection.execute(_figures(model, model.name)).fetchone() if model.figures else None
    except duckdb.Error as error:
        if disk.is_unwritable(error):
            raise
        raise ModelError(model.file, error) from None  # the chained text could carry an address
    named = dict(zip(model.figures, figures or (), strict=True))
    return Built(model.name, counted[0] if counted else None, time.perf_counter() - started, named)


def _figures(model: Model, source: str) -> str:
    open_rows = " where valid_to is null" if model.materialize == "history" and source == model.name else ""
    return f"select {', '.join(model.figures.values())} from {source}{open_rows}"


def _make(connection: DuckDBPyConnection, model: Model) -> None:
    """An empty table, or the view, unless it is there."""
    if model.materialize == "view":
        connection.execute(f"create view if not exists {model.name} as {model.sql}")
    else:
        connection.execute(f"create table if not exists {model.name} ({_listed(model)})")


def _listed(model: Model) -> str:
    return ", ".join(f'"{name}" {kind}' for name, kind in model.table_columns.items())


def _append(connection: DuckDBPyConnection, model: Model) -> None:
    same = " and ".join(f'old."{key}" = new."{key}"' for key in model.key)
    connection.execute(
        f"insert into {model.name} by name select * from ({model.sql}) as new "
        f"where not exists (from {model.name} as old where {same})"
    )


def _keep_history(connection: DuckDBPyConnection, model: Model) -> None:
    key = ", ".join(f'coalesce(new."{name}", old."{name}") as "{name}"' for name in model.key)
    rest = ", ".join(f'new."{name}"' for name in model.types if name not in model.key)
    differs = " or ".join(
        f'new."{name}" is distinct from old."{name}"' for name in model.types if name not in model.ignoring
    )
    connection.execute(  # only what changed is written: as a rule that is little
        f'create or replace temp table changed as select {key}, {rest}, new."{model.key[0]}" is null as is_gone '
        f"from ({model.sql}) as new full join (from {model.name} where valid_to is null) as old "
        f"on {_same(model, 'old', 'new')} where {differs}"
    )
    moment = connection.execute(f'select max("{model.at}"), count(*) from changed').fetchone()
    at, rows = moment or (None, 0)
    if at is None and rows:  # rows have ended and none has come
        moment = connection.execute(f'select max("{model.at}") from ({model.sql})').fetchone()
        at = moment[0] if moment else None
    if at is not None:  # else nothing was seen, so nothing is known to have ended
        table = model.name.split(".")[1]
        connection.execute(  # built again at the same moment: the row is replaced, no empty span is left behind
            f"merge into {model.name} using changed on {_same(model, table, 'changed')} and {table}.valid_to is null "
            f"when matched and {table}.valid_from >= ? then delete when matched then update set valid_to = ?",
            [at, at],
        )
        connection.execute(
            f"insert into {model.name} by name select * exclude (is_gone), ?::timestamp as valid_from, "
            "null::timestamp as valid_to from changed where not is_gone",
            [at],
        )
    connection.execute("drop table changed")


def _same(model: Model, left: str, right: str) -> str:
    return " and ".join(f'{left}."{key}" = {right}."{key}"' for key in model.key)


def _reading(model: Model, connection: DuckDBPyConnection) -> Model:
    read = _tables(model.file, model.sql, connection)
    if absent := model.feedback - read:
        raise ModelError(model.file, f"`-- feedback:` names {', '.join(sorted(absent))}, which the SQL does not read")
    if model.empty_without and model.empty_without not in read - model.feedback:
        raise ModelError(model.file, f"`-- empty without:` names {model.empty_without}, which the SQL does not read")
    return replace(model, depends=read - model.feedback)


def _typed(model: Model, connection: DuckDBPyConnection, stated: Mapping[str, dict[str, str]]) -> Model:
    try:
        types = _describe(connection, model.sql)
        if model.figures:
            connection.execute(f"explain {_figures(model, f'({model.sql})')}")
    except duckdb.Error as error:
        raise ModelError(model.file, error) from None
    for name in types:
        if name not in model.columns:
            raise ModelError(model.file, f"column {name} is not documented (`-- @column {name}: ...`)")
    for name in model.columns:
        if name not in types:
            raise ModelError(model.file, f"column {name} is documented, and the SELECT does not yield it")
    absent = model.ignoring - set(types)
    if absent:
        raise ModelError(model.file, f"`-- materialize:` names {', '.join(sorted(absent))}, which is not a column")
    typed = replace(model, types=types)
    if model.name in stated:
        if stated[model.name] != typed.table_columns:
            wrong = dict(set(typed.table_columns.items()) ^ set(stated[model.name].items()))
            raise ModelError(
                model.file, f"prior.sql states other columns or types: {', '.join(sorted(wrong)) or 'order'}"
            )
    else:
        _make(connection, typed)
    return typed


def _describe(connection: DuckDBPyConnection, sql: str) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(f"describe {sql}").fetchall()}


def _tables(shown: str, sql: str, connection: DuckDBPyConnection) -> frozenset[str]:
    """Tables that the SELECT reads, as `schema.table`."""
    row = connection.execute(
        "select json_serialize_sql(?, skip_default := true, skip_empty := true, skip_null := true)", [sql]
    ).fetchone()
    tree: dict[str, Any] = json.loads(row[0]) if row else {"error": True, "error_message": "nothing"}
    if tree.get("error"):
        raise ModelError(shown, tree["error_message"])
    if len(tree["statements"]) != 1:
        raise ModelError(shown, "must be one SELECT")
    found: set[str] = set()
    _walk(shown, tree["statements"][0], frozenset(), found)
    return frozenset(found)


def _walk(shown: str, node: dict[str, Any] | list[Any], ctes: frozenset[str], found: set[str]) -> None:
    if isinstance(node, dict):
        if "cte_map" in node:
            ctes = ctes | {entry["key"].lower() for entry in node["cte_map"]["map"]}
        if node.get("type") == "BASE_TABLE":
            schema, table = node.get("schema_name"), node["table_name"]
            if schema:
                found.add(f"{schema}.{table}".lower())
            elif table.lower() not in ctes:
                raise ModelError(shown, f"table {table} needs its schema")
    for part in node.values() if isinstance(node, dict) else node:
        if isinstance(part, (dict, list)):  # most are leaves
            _walk(shown, part, ctes, found)


def _in_order(parsed: Mapping[str, Model]) -> list[Model]:
    """Dependencies first; a reader of prior state before the model that overwrites it."""
    sorter: TopologicalSorter[str] = TopologicalSorter({name: set() for name in parsed})
    for model in parsed.values():
        for read in model.depends & set(parsed):
            if read == model.name:
                raise ModelError(model.file, f"reads itself; name {read} in `-- feedback:`")
            sorter.add(model.name, read)
        for read in (model.feedback & set(parsed)) - {model.name}:
            sorter.add(read, model.name)
    try:
        return [parsed[name] for name in sorter.static_order()]
    except CycleError as error:
        circle = [parsed[name].file for name in error.args[1]]
        raise ModelError(circle[0], f"the models wait for each other: {' -> '.join(circle)}") from None


def _created(ddl: str) -> dict[str, str]:
    """Table name to its `create table` statement."""
    return {
        found[1]: found[0] for found in re.finditer(r"^create table ([\w.]+) .*?\);$", ddl, re.MULTILINE | re.DOTALL)
    }


def _kinds(connection: DuckDBPyConnection) -> dict[str, str]:
    """What there is, by `schema.name`: a table or a view."""
    rows = connection.execute(
        "select schema_name || '.' || table_name, 'table' from duckdb_tables() where database_name = current_database() "
        "union all "
        "select schema_name || '.' || view_name, 'view' from duckdb_views() where database_name = current_database()"
    ).fetchall()
    return dict(rows)


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]
