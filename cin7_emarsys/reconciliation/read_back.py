"""Reading back: what Emarsys says of the contacts it accepted from us, and which it has that we know nothing of.

What belongs here: asking in thousands, landing the answers, one transaction. What does not: what a difference means
(``warehouse/models/reconciliation``).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from duckdb import DuckDBPyConnection

from cin7_emarsys import progress
from cin7_emarsys.emarsys.client import BATCH, EMAIL_FIELD, OPT_IN_FIELD, Emarsys
from cin7_emarsys.emarsys.engagement_cloud import connect
from cin7_emarsys.emarsys.ledger import Ledger
from cin7_emarsys.emarsys.projection import project
from cin7_emarsys.erased import Erased
from cin7_emarsys.settings import Settings
from cin7_emarsys.transport import AuthFailed, Permanent, PermissionMissing
from cin7_emarsys.warehouse.resource import Warehouse

COLUMNS = {
    "email": ("VARCHAR", "Address of the contact."),
    "ours": ("BOOLEAN", "Emarsys accepted it from us."),
    "found": ("BOOLEAN", "Emarsys has it."),
    "code": ("VARCHAR", "Emarsys' code when it gave no row: 2008 is not there, 2010 is there more than once."),
    "opt_in": ("VARCHAR", "Consent at Emarsys: 1 yes, 2 no, null unknown."),
    "fields": ("JSON", "Value of each field of the field map at Emarsys, by string id."),
    "read_at": ("TIMESTAMP", "When Emarsys was asked (UTC)."),
}
_TABLE = "create table if not exists reconciliation.contacts_read ({})".format(
    ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
)
_NOT_INDEXED = "the customer id field is not indexed at Emarsys, so this account cannot be asked"


@dataclass(frozen=True)
class ReadBack:
    """Contacts asked for and found; contacts of others, None where they cannot be listed (``why_not``); calls."""

    asked: int
    found: int
    others: int | None
    why_not: str
    calls: int


def read_contacts(settings: Settings, warehouse: Warehouse, *, everything: bool = True) -> ReadBack:
    """Emarsys: POST contact/getdata for the contacts it accepted, GET contact/query for those without our customer id.

    ``everything`` asks for all of them; else only for those accepted since they were last read, and not for the contacts
    of others. Raises a `TransportError`; what was read before stays then.
    """
    ledger = Ledger(settings.ledger_url)
    try:
        project(ledger, warehouse)
    finally:
        ledger.close()
    with warehouse.write() as connection:
        connection.execute(_TABLE)
        known = _accepted(connection, everything)
    settings.paths.outbox.mkdir(parents=True, exist_ok=True)
    file = settings.paths.outbox / f"read-back-{uuid.uuid4().hex[:12]}.ndjson"
    try:
        with connect(settings) as emarsys, file.open("w") as out:
            fields = _fields(settings, emarsys)
            found = 0
            for start in range(0, len(known), BATCH):
                found += _ask(emarsys, known[start : start + BATCH], fields, out)
                progress.report("contacts read back", min(start + BATCH, len(known)), len(known))
            others, why_not = _others(settings, emarsys, set(known), fields, out) if everything else (None, "not asked")
            calls = emarsys.calls
        with warehouse.write() as connection:
            _load(connection, str(file), everything)
    finally:
        file.unlink(missing_ok=True)
    return ReadBack(len(known), found, others, why_not, calls)


def _accepted(connection: DuckDBPyConnection, everything: bool) -> list[str]:
    rows = connection.execute(
        "select delivered.key from delivery.delivered as delivered "
        "left join reconciliation.contacts_read as read on read.email = delivered.key and read.ours "
        "where delivered.flow = 'contacts' and (? or read.email is null or read.read_at <= delivered.accepted_at) "
        "order by delivered.key",
        [everything],
    ).fetchall()
    return [email for (email,) in rows]


def _fields(settings: Settings, emarsys: Emarsys) -> dict[str, str]:
    """Field id → string id, for the fields of the field map that the account has."""
    mapped = {row.string_id for row in settings.merchant.contacts.field_map}
    named = {str(field.get("id")): str(field.get("string_id") or field.get("name")) for field in emarsys.fields()}
    return {field_id: name for field_id, name in named.items() if name in mapped}


def _ask(emarsys: Emarsys, asked: Sequence[str], fields: dict[str, str], out: TextIO) -> int:
    rows, errors = emarsys.contact_data_and_errors(asked, [*fields, OPT_IN_FIELD])
    there = {str(row.get(EMAIL_FIELD)).strip().lower(): row for row in rows}
    codes = {email.strip().lower(): code for email, code in errors.items()}
    for email in asked:
        row = there.get(email)
        values = {} if row is None else {name: row.get(field_id) for field_id, name in fields.items()}
        opt_in = None if row is None else row.get(OPT_IN_FIELD)
        _write(
            out, emarsys, email, ours=True, found=row is not None, code=codes.get(email), opt_in=opt_in, fields=values
        )
    return len(there)


def _others(
    settings: Settings, emarsys: Emarsys, known: set[str], fields: dict[str, str], out: TextIO
) -> tuple[int | None, str]:
    name = next((row.string_id for row in settings.merchant.contacts.field_map if row.attribute == "customer_id"), None)
    field_id = next((field_id for field_id, string_id in fields.items() if string_id == name), None)
    if field_id is None:
        return None, "the field map has no customer id, or Emarsys has no such field"
    try:
        emails = emarsys.contacts_without(field_id)
    except (AuthFailed, PermissionMissing):
        raise
    except Permanent:  # Emarsys refuses to search by a field that is not indexed
        return None, _NOT_INDEXED
    erased = Erased(settings.paths.state)
    strangers = {email.strip().lower() for email in emails if not erased.knows(email)} - known
    for email in sorted(strangers):
        _write(out, emarsys, email, ours=False, found=True)
    return len(strangers), ""


def _write(out: TextIO, emarsys: Emarsys, email: str, **told: Any) -> None:
    at = emarsys.now().isoformat(sep=" ")
    out.write(json.dumps({"email": email, "read_at": at, **told}, ensure_ascii=False) + "\n")


def _load(connection: DuckDBPyConnection, file: str, everything: bool) -> None:
    typed = ", ".join(f"'{name}': '{kind}'" for name, (kind, _) in COLUMNS.items())
    incoming = f"read_json('{file}', format = 'newline_delimited', columns = {{{typed}}})"
    if everything:
        connection.execute(f"create or replace table reconciliation.contacts_read as select * from {incoming}")
        return
    connection.execute(f"create or replace temp table incoming as select * from {incoming}")
    connection.execute("delete from reconciliation.contacts_read where email in (select email from incoming)")
    connection.execute("insert into reconciliation.contacts_read by name from incoming")
    connection.execute("drop table incoming")
