"""Conditions in SQL: each file selects the rows that offend. A gate also stops the flows that it guards.

Belongs here: reading `gates/*.sql` and `checks/*.sql` and asking them. Does not belong here: what is done about the
answer; the asset checks show it, and an export asks again in its own transaction before it sends.

Each is also a class of exceptions (`exceptions.py`): what offends is looked at by a person until it no longer does.

A file opens with `-- title:`, `-- assets: schema.table, ...`, `-- key: column, ...` (what an offending row is known by),
`-- owner: role`, `-- means:` (what it means for the business), `-- next_step:` and, if it is a gate, `-- guards: flow, ...`;
further `-- severity: warn` (else error), `-- critical: count 20, share 0.05, hours 48` (when a warning becomes critical),
`-- of: table` (what a share is a share of), `-- due_hours: 4` (by when somebody should have looked) and
`-- blocking: true` (what follows in the same run is skipped). `{rows}` in the texts becomes the number of offending rows
(a title ends with it, so that it reads well of one too),
`{minutes}` the minutes that as many calls to Cin7 take. E-mail addresses in the rows are blanked: they are shown in the UI
and in messages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import duckdb
from duckdb import DuckDBPyConnection

from cin7_emarsys.merchant import Threshold
from cin7_emarsys.warehouse.factory import EMAIL, FOLDER, Model, ModelError

SAMPLE = 20
FLOWS = ("contacts", "catalogue", "sales", "events")
_CIN7_CALLS_PER_MINUTE = 50
_DUE_HOURS = {"error": 8, "warn": 72}


@dataclass(frozen=True)
class Condition:
    """One SQL file: a question whose answer should be no rows."""

    name: str
    file: str
    sql: str
    title: str
    assets: tuple[str, ...]
    next_step: str
    guards: tuple[str, ...]
    severity: Literal["error", "warn"]
    blocking: bool
    key: tuple[str, ...]
    owner: str
    means: str
    critical: Threshold
    population: str
    due_hours: int


@dataclass(frozen=True)
class Gate:
    """The answer of a condition: `rows` offend (0 is good), `sample` shows up to 20 of them."""

    name: str
    title: str
    rows: int
    sample: list[dict[str, Any]] = field(default_factory=list)
    next_step: str = ""


def parse(file: Path) -> Condition:
    """Raises `ModelError` naming the file when its header is not whole."""
    shown = f"{file.parent.name}/{file.name}"
    text = file.read_text()
    tags = {found[1]: found[2].strip() for found in re.finditer(r"^-- (\w+): (.+)$", text, re.MULTILINE)}
    for needed in ("title", "assets", "key", "owner", "means", "next_step"):
        if needed not in tags:
            raise ModelError(shown, f"the header lacks `-- {needed}:`")
    guards = _names(tags.get("guards", ""))
    if set(guards) - set(FLOWS):
        raise ModelError(shown, f"`-- guards:` takes {', '.join(FLOWS)}")
    severity: Literal["error", "warn"] = "warn" if tags.get("severity") == "warn" else "error"
    return Condition(
        name=file.stem,
        file=shown,
        sql=text.strip().rstrip(";"),
        title=tags["title"],
        assets=_names(tags["assets"]),
        next_step=tags["next_step"],
        guards=guards,
        severity=severity,
        blocking=tags.get("blocking") == "true",
        key=_names(tags["key"]),
        owner=tags["owner"],
        means=tags["means"],
        critical=Threshold.model_validate(dict(part.split() for part in _names(tags.get("critical", "")))),
        population=tags.get("of", ""),
        due_hours=int(tags.get("due_hours", _DUE_HOURS[severity])),
    )


@cache
def conditions() -> Sequence[Condition]:
    """Every gate and every plain check, by name (read once)."""
    return (*read(FOLDER / "gates"), *read(FOLDER / "checks"))


def read(folder: Path) -> Sequence[Condition]:
    """The conditions of one folder, by name. Raises `ModelError` naming a file that is not whole."""
    return tuple(parse(file) for file in sorted(folder.glob("*.sql")))


def ask(connection: DuckDBPyConnection, condition: Condition) -> Gate:
    """The rows that offend now. A table that does not exist yet offends too: what was never loaded is not good."""
    try:
        answer = connection.execute(condition.sql)
        columns = [column[0] for column in answer.description or []]
        rows = answer.fetchmany(SAMPLE)
        total = len(rows)
        while more := answer.fetchmany(10_000):
            total += len(more)
    except duckdb.CatalogException:
        unloaded = "A table this looks at has not been loaded yet; run the nightly job once."
        return Gate(condition.name, condition.title.format(rows=0, minutes=0), 1, [], unloaded)
    except duckdb.Error as error:
        raise ModelError(condition.file, error) from None
    words = {"rows": f"{total:,}", "minutes": f"{-(-total // _CIN7_CALLS_PER_MINUTE):,}"}
    return Gate(
        condition.name,
        condition.title.format(**words),
        total,
        [dict(zip(columns, map(blanked, row), strict=True)) for row in rows],
        condition.next_step.format(**words),
    )


def offending(connection: DuckDBPyConnection, flow: str) -> list[Gate]:
    """The gates that stop this flow now, empty when it may go. `flow`: contacts, catalogue, sales or events."""
    if flow not in FLOWS:
        raise KeyError(f"no such flow: {flow}; there are {', '.join(FLOWS)}")
    asked = (ask(connection, condition) for condition in conditions() if flow in condition.guards)
    return [gate for gate in asked if gate.rows]


def unique_keys(models: Sequence[Model]) -> Condition:
    """The condition that each key of these models stands for one row (of a history: one open row).

    One condition for a whole schema: a check of its own for each table would cost more than building the tables.
    """

    def doubled(model: Model) -> str:
        key = ", ".join(f'"{name}"' for name in model.key)
        shown = " || ' · ' || ".join(f"coalesce(\"{name}\"::varchar, '–')" for name in model.key)
        open_rows = " where valid_to is null" if model.materialize == "history" else ""
        return (
            f"select '{model.name}' as model, {shown} as key, count(*) as rows "
            f"from {model.name}{open_rows} group by {key} having count(*) > 1"
        )

    return Condition(
        name=f"unique_keys_{models[0].schema}",
        file=f"{models[0].schema}/*.sql",
        sql=" union all ".join(map(doubled, models)),
        title="Keys that stand for more than one row: {rows}",
        assets=(models[-1].name,),
        next_step="Look at these keys in Cin7: the same record came twice in a way that was not expected.",
        guards=(),
        severity="error",
        blocking=False,
        key=("model", "key"),
        owner="data",
        means="The same thing counts twice here, so figures built on it are too high.",
        critical=Threshold(),
        population="",
        due_hours=_DUE_HOURS["error"],
    )


def blanked(value: object) -> object:
    """A value as it may be shown: without e-mail addresses."""
    return EMAIL.sub("(address)", value) if isinstance(value, str) else value


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())
