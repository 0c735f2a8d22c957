"""Exceptions: what a person must look at, kept from the moment a condition finds it until it no longer does.

Belongs here: asking a condition and keeping what it found (`operations.exception_items`), when its class turns to WARNING
or CRITICAL, and what people decided about it (`operations.exception_decisions`). Does not belong here: the conditions
(`gates.py`), how it is shown (`models/operations/exceptions.sql`), and telling people.

A class is a condition; an item is what one offending row is known by. An item that is found again after it was resolved
keeps its first sight, so that its age is true. A condition that could not be asked proves nothing and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, Self

import duckdb
from duckdb import DuckDBPyConnection

from cin7_emarsys.merchant import ExceptionRule, Merchant, Threshold
from cin7_emarsys.warehouse import factory, gates, policy
from cin7_emarsys.warehouse.gates import Condition, Gate

_EXAMPLES = 3
_AT_ONCE = Threshold(count=1)
_NEVER = Threshold()


@dataclass(frozen=True)
class Standing:
    """How a class of exceptions stands: open items (ignored ones do not count), the share they are of `population`, the
    oldest one's age in hours, examples of keys, and from when on it is a warning, and critical."""

    name: str
    count: int = 0
    population: int = 0
    hours: float = 0
    examples: list[str] = field(default_factory=list)
    warning: Threshold = _AT_ONCE
    critical: Threshold = _NEVER
    means: str = ""
    owner: str = ""

    def told(self) -> dict[str, Any]:
        """As JSON, for the sensor that tells people."""
        return {**asdict(self), "warning": self.warning.model_dump(), "critical": self.critical.model_dump()}

    @classmethod
    def heard(cls, told: dict[str, Any]) -> Self:
        """The other way round."""
        return cls(**{**told, "warning": Threshold(**told["warning"]), "critical": Threshold(**told["critical"])})

    def level(self, later: float = 0) -> Literal["WARNING", "CRITICAL"] | None:
        """CRITICAL, WARNING, or None: nobody is told. ``later``: hours gone by since."""
        if not self.count:
            return None
        at = (self.count, self.count / self.population if self.population else 0, self.hours + later)
        return "CRITICAL" if self.critical.reached(*at) else "WARNING" if self.warning.reached(*at) else None


def prepare(connection: DuckDBPyConnection, merchant: Merchant) -> None:
    """The policy, the tables of exceptions and the view over them: needed before anything is recorded."""
    policy.write(connection, merchant)
    with factory.sources(connection):
        pass


def record(
    connection: DuckDBPyConnection, conditions: Iterable[Condition], merchant: Merchant
) -> dict[str, tuple[Gate, Standing | None]]:
    """Asks conditions, keeps what they found in the caller's transaction, and says how their classes stand, by name.

    None where a table it looks at has not been loaded yet. Raises `ModelError` naming the file that failed.
    """
    prepare(connection, merchant)
    open_items = connection.execute(
        "select distinct class from operations.exception_items where resolved_at is null"
    ).fetchall()
    at, known = now(connection), {name for (name,) in open_items}
    return {condition.name: _record(connection, condition, merchant, known, at) for condition in conditions}


def _record(
    connection: DuckDBPyConnection, condition: Condition, merchant: Merchant, known: set[str], at: datetime
) -> tuple[Gate, Standing | None]:
    try:
        connection.execute(f"create or replace temp table offending as {condition.sql}")
    except duckdb.CatalogException:
        return gates.ask(connection, condition), None
    except duckdb.Error as error:
        raise factory.ModelError(condition.file, error) from None
    gate = gates.ask(connection, replace(condition, sql="from offending"))
    if not gate.rows and condition.name not in known:  # as nearly always
        return gate, Standing(condition.name)
    _keep(connection, condition, at)
    _describe(connection, condition, merchant, gate, at)
    standing = _standing(connection, condition, merchant, at)
    connection.execute(
        "update operations.exception_classes set level = ?, population = ? where class = ?",
        [standing.level(), standing.population, condition.name],
    )
    connection.execute("drop table offending")
    return gate, standing


def now(connection: DuckDBPyConnection) -> datetime:
    """The latest moment, by Cin7's clock, at which something was read; this machine's before that (naive UTC)."""
    try:
        row = connection.execute(_NOW).fetchone()
    except duckdb.CatalogException:
        row = None
    return row[0] if row and row[0] else datetime.now(UTC).replace(tzinfo=None, microsecond=0)


_NOW = """
select greatest(
    (select max(completed_at) from raw.watermarks), (select max(greatest(taken_at, finished_at)) from raw.snapshots)
)
"""

# What a row is known by: its key columns; where an address stands in them, a hash.
_FOUND = """
create or replace temp table found as
select key, min({cause}) as cause, min({owner}) as owner, min({next_step}) as next_step
from (
    select if(contains(key, '@'), left(md5(key), 12), key) as key, * exclude (key)
    from (select concat_ws(' · ', {key}) as key, * {exclude} from offending)
)
group by key
"""
_MERGE = """
merge into operations.exception_items as items
using (select $class as class, * from found) as found
on items.class = found.class and items.key = found.key
when matched and (
    items.resolved_at is not null or items.cause is distinct from found.cause
    or items.owner is distinct from found.owner or items.next_step is distinct from found.next_step
) then update set
    cause = found.cause, owner = found.owner, next_step = found.next_step,
    reopened = items.reopened + cast(items.resolved_at is not null as integer), resolved_at = null
when not matched then insert values (
    found.class, found.key, found.cause, found.owner, found.next_step, $at, null, 0
)
"""
_RESOLVE = """
update operations.exception_items set resolved_at = $at
where class = $class and resolved_at is null and not exists (from found where found.key = exception_items.key)
"""


def _keep(connection: DuckDBPyConnection, condition: Condition, at: datetime) -> None:
    columns = {row[0] for row in connection.execute("describe offending").fetchall()}
    told = {name: f"cast({name} as varchar)" if name in columns else "null" for name in ("cause", "owner", "next_step")}
    key = ", ".join(f"""coalesce(cast("{name}" as varchar), '–')""" for name in condition.key)
    exclude = "exclude (key)" if "key" in columns else ""
    connection.execute(_FOUND.format(key=key, exclude=exclude, **told))
    connection.execute(_MERGE, {"class": condition.name, "at": at})
    connection.execute(_RESOLVE, {"class": condition.name, "at": at})
    connection.execute("drop table found")


def _standing(connection: DuckDBPyConnection, condition: Condition, merchant: Merchant, at: datetime) -> Standing:
    row = connection.execute(
        f"select coalesce(sum(count), 0), min(first_seen_at), flatten(list(examples))[:{_EXAMPLES}] "
        "from operations.exceptions where class = ? and count > 0",
        [condition.name],
    ).fetchone()
    count, since, examples = row or (0, None, None)
    population = 0
    if condition.population:
        counted = connection.execute(f"select count(*) from {condition.population}").fetchone()
        population = counted[0] if counted else 0
    rule = _rule(condition, merchant)
    return Standing(
        name=condition.name,
        count=count,
        population=population,
        hours=max((at - since).total_seconds() / 3600, 0) if since else 0,
        examples=[str(gates.blanked(example)) for example in examples or []],
        warning=rule.warning or _AT_ONCE,
        critical=rule.critical or (_AT_ONCE if condition.severity == "error" else condition.critical),
        means=condition.means,
        owner=owner(condition, merchant),
    )


def owner(condition: Condition, merchant: Merchant) -> str:
    """Who answers for a class, by policy: the rule's owner, else its role, by the name the policy gives the role."""
    role = _rule(condition, merchant).owner or condition.owner
    return merchant.owners.get(role, role)


def _rule(condition: Condition, merchant: Merchant) -> ExceptionRule:
    return merchant.exceptions.get(condition.name, ExceptionRule())


def _describe(
    connection: DuckDBPyConnection, condition: Condition, merchant: Merchant, gate: Gate, at: datetime
) -> None:
    row: dict[str, Any] = {
        "class": condition.name,
        "title": gate.title,
        "means": condition.means,
        "owner": owner(condition, merchant),
        "next_step": gate.next_step,
        "due_hours": _rule(condition, merchant).due_hours or condition.due_hours,
        "asked_at": at,
    }
    connection.execute("delete from operations.exception_classes where class = ?", [condition.name])
    columns = ", ".join(f"${name} as {name}" for name in row)
    connection.execute(f"insert into operations.exception_classes by name select {columns}", row)
