"""Written aliases: somebody says that two addresses are one person, and can take it back.

What belongs here: writing `operations.aliases` and the audit. What does not: what an alias means (`staging.written_aliases`
and what reads it), and moving anything: the next build works everything out anew from the documents.
"""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from typing import Any

from duckdb import DuckDBPyConnection

from cin7_emarsys.operations.explain import fetch
from cin7_emarsys.operations.refusals import CannotRun, NotKnown
from cin7_emarsys.settings import LocalSettings
from cin7_emarsys.warehouse.connections import Warehouse

_TABLE = (
    "create table if not exists operations.aliases "
    "(alias varchar, person varchar, reason varchar, who varchar, written_at timestamp)"
)


def add(settings: LocalSettings, alias: str, person: str, reason: str) -> dict[str, Any]:
    """Writes down that `alias` is `person` (e-mails, or Cin7's customer ids). Returns what was written.

    Raises `CannotRun` when that would go in a circle or join an account of many people, `NotKnown` when nothing in the
    warehouse has the alias.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    with Warehouse(database=str(settings.paths.warehouse)).write() as connection:
        connection.execute(_TABLE)
        key, target = _named(connection, alias), _named(connection, person)
        if key is None:
            raise NotKnown("nobody in the warehouse has the first e-mail or customer id, so there is nothing to join")
        if target is None and "@" in person:
            target = person.strip().lower()  # an address that is yet to buy something
        if target is None:
            raise NotKnown("nobody in the warehouse has the second customer id, to which the alias should lead")
        written = {entry["alias"]: entry["person"] for entry in _all(connection)}
        if key in written:
            raise CannotRun("that alias is written already; remove it first to have it lead elsewhere")
        end = target
        while end != key and end in written:
            end = written[end]
        if end == key:
            raise CannotRun("that would lead in a circle: the person is itself an alias of the other")
        row = {"alias": key, "person": target, "reason": reason, "who": getpass.getuser(), "written_at": now}
        connection.execute("insert into operations.aliases values ($alias, $person, $reason, $who, $written_at)", row)
    _audit(settings, "customer alias add", reason, row, now)
    return row


def remove(settings: LocalSettings, alias: str, reason: str) -> dict[str, Any]:
    """Takes an alias back. Returns what had been written; raises `NotKnown` when there is no such alias."""
    now = datetime.now(UTC).replace(tzinfo=None)
    wanted = alias.strip().lower()
    with Warehouse(database=str(settings.paths.warehouse)).write() as connection:
        connection.execute(_TABLE)
        found = [row for row in _all(connection) if row["alias"] in (wanted, f"customer:{wanted}")]
        if not found:
            raise NotKnown("there is no such alias; `cin7-emarsys customer alias list` shows them")
        connection.execute("delete from operations.aliases where alias = ?", [found[0]["alias"]])
    _audit(settings, "customer alias remove", reason, found[0], now)
    return found[0]


def listed(connection: DuckDBPyConnection) -> list[dict[str, Any]]:
    """Every written alias: `alias, person, reason, who, written_at` (UTC), oldest first."""
    there = connection.execute("from duckdb_tables() where schema_name = 'operations' and table_name = 'aliases'")
    return _all(connection) if there.fetchone() else []


def _all(connection: DuckDBPyConnection) -> list[dict[str, Any]]:
    return fetch(connection, "aliases")


def _named(connection: DuckDBPyConnection, who: str) -> str | None:
    """The person that documents and contacts name with this e-mail or id, before any alias."""
    rows = fetch(connection, "alias_person", who=who)
    if rows and rows[0]["is_generic"]:
        raise CannotRun("that account stands for many people; it can be joined with nobody")
    return str(rows[0]["person_id"]) if rows else None


def _audit(settings: LocalSettings, command: str, reason: str, row: dict[str, Any], at: datetime) -> None:
    from cin7_emarsys.emarsys.ledger import Ledger  # who looks aliases up needs none

    ledger = Ledger(settings.ledger_url)
    try:
        ledger.write_audit(
            row["who"], command, reason, json.dumps({name: row[name] for name in ("alias", "person")}), at
        )
    finally:
        ledger.close()
