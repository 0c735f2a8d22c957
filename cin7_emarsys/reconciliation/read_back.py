"""Reading back: what Emarsys says of the contacts it accepted from us, and which it has that we know nothing of.

What belongs here: choosing who is asked, asking in thousands, landing the answers in one transaction. What does not: what a
difference means (``warehouse/models/reconciliation``).

Who is asked: what was accepted since it was last read, then what was last read as missing or different, then those whose
reading is the oldest, so many that everybody is asked once in ``read_back.cycle_days``. What was read counts, also when the
reading ends early; everybody else keeps the reading from before: not read is never missing.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from duckdb import DuckDBPyConnection

from cin7_emarsys import disk, progress, schema
from cin7_emarsys.emarsys.client import BATCH, EMAIL_FIELD, OPT_IN_FIELD, Emarsys
from cin7_emarsys.emarsys.engagement_cloud import connect
from cin7_emarsys.emarsys.ledger import Ledger
from cin7_emarsys.emarsys.projection import projected
from cin7_emarsys.erased import Erased
from cin7_emarsys.settings import Settings
from cin7_emarsys.transport import AuthFailed, Permanent, PermissionMissing, TransportError
from cin7_emarsys.warehouse.connections import Warehouse

Scope = Literal["all", "due", "sent"]
COLUMNS = {
    "email": ("VARCHAR", "Address of the contact."),
    "ours": ("BOOLEAN", "Emarsys accepted it from us."),
    "found": ("BOOLEAN", "Emarsys has it."),
    "code": ("VARCHAR", "Emarsys' code when it gave no row: 2008 is not there, 2010 is there more than once."),
    "opt_in": ("VARCHAR", "Consent at Emarsys: 1 yes, 2 no, null unknown."),
    "fields": ("JSON", "Value of each field of the field map at Emarsys, by string id."),
    "read_at": ("TIMESTAMP", "When Emarsys was asked (UTC)."),
    "filled": ("INTEGER", "How many of these fields have a value."),
    "before": ("JSON", "The fields as they were read before they last changed."),
    "before_at": ("TIMESTAMP", "When they were last read so (UTC)."),
    "same_since": ("TIMESTAMP", "Since which reading the fields are as they are (UTC)."),
}
_TABLE = "create table if not exists reconciliation.contacts_read ({})".format(
    ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
)
_QUERIES = Path(__file__).parent / "queries"
_NOT_THERE = ("2008", "2010")
_NOT_INDEXED = "the customer id field is not indexed at Emarsys, so this account cannot be asked"


@dataclass
class ReadBack:
    """Contacts asked for, found, and not read (the reading ended early, or the answer said nothing of them); rows that
    nobody had asked for; contacts of others, None where they cannot be listed (``why_not``); calls; how it ended early."""

    asked: int = 0
    found: int = 0
    not_read: int = 0
    strangers: int = 0
    others: int | None = None
    why_not: str = "not asked"
    calls: int = 0
    ended: str = ""


def read_contacts(settings: Settings, warehouse: Warehouse, *, scope: Scope = "all") -> ReadBack:
    """Emarsys: POST contact/getdata for contacts it accepted, GET contact/query for those without our customer id.

    ``scope``: all of them; those that are due; or only those accepted since they were last read, and then not the contacts
    of others. Raises `AuthFailed` and `PermissionMissing`; any other trouble ends the reading early.
    """
    ledger = Ledger(settings.ledger_url)
    try:
        with projected(ledger, warehouse) as connection:
            schema.ensure(connection, "read_back", _TABLE)
            known = _chosen(connection, scope, settings.merchant.read_back.cycle_days)
    finally:
        ledger.close()
    read = ReadBack(asked=len(known))
    if not known and scope == "sent":
        return read
    settings.paths.outbox.mkdir(parents=True, exist_ok=True)
    file = settings.paths.outbox / f"read-back-{uuid.uuid4().hex[:12]}.ndjson"
    try:
        with connect(settings) as emarsys, file.open("w") as out:
            try:
                _ask_all(settings, emarsys, known, out, read, others=scope != "sent")
            except (AuthFailed, PermissionMissing):
                raise
            except TransportError as error:
                read.ended = str(error)
            finally:
                read.calls = emarsys.calls
                out.flush()
                with warehouse.write() as connection:
                    _load(connection, str(file), others=read.others is not None)
    finally:
        file.unlink(missing_ok=True)
    return read


def _ask_all(
    settings: Settings, emarsys: Emarsys, known: Sequence[str], out: TextIO, read: ReadBack, *, others: bool
) -> None:
    read.not_read = len(known)
    fields = _fields(settings, emarsys)
    for start in range(0, len(known), BATCH):
        _ask(emarsys, known[start : start + BATCH], fields, out, read)
        progress.report("contacts read back", min(start + BATCH, len(known)), len(known))
    if others:
        read.others, read.why_not = _others(settings, emarsys, fields, out)


def _chosen(connection: DuckDBPyConnection, scope: Scope, cycle_days: int) -> list[str]:
    query = (_QUERIES / "to_read.sql").read_text()
    rows = connection.execute(query, {"scope": scope, "cycle_days": cycle_days}).fetchall()
    return [email for (email,) in rows]


def _fields(settings: Settings, emarsys: Emarsys) -> dict[str, str]:
    """Field id → string id, for the fields of the field map that the account has."""
    mapped = {row.string_id for row in settings.merchant.contacts.field_map}
    named = {str(field.get("id")): str(field.get("string_id") or field.get("name")) for field in emarsys.fields()}
    return {field_id: name for field_id, name in named.items() if name in mapped}


def _ask(emarsys: Emarsys, asked: Sequence[str], fields: dict[str, str], out: TextIO, read: ReadBack) -> None:
    rows, errors = emarsys.contact_data_and_errors(asked, [*fields, OPT_IN_FIELD])
    there = {str(row.get(EMAIL_FIELD)).strip().lower(): row for row in rows}
    codes = {email.strip().lower(): code for email, code in errors.items()}
    read.strangers += len(there.keys() - set(asked))
    for email in asked:
        row = there.get(email)
        if row is None and codes.get(email) not in _NOT_THERE:
            continue  # nothing was said of it
        values = {} if row is None else {name: row.get(field_id) for field_id, name in fields.items()}
        opt_in = None if row is None else row.get(OPT_IN_FIELD)
        told = {"code": codes.get(email), "opt_in": opt_in, "fields": values}
        filled = sum(str(value or "").strip() != "" for value in values.values())
        _write(out, emarsys, email, ours=True, found=row is not None, filled=filled, **told)
        read.found += row is not None
        read.not_read -= 1


def _others(settings: Settings, emarsys: Emarsys, fields: dict[str, str], out: TextIO) -> tuple[int | None, str]:
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
    strangers = {email.strip().lower() for email in emails if not erased.knows(email)}
    for email in sorted(strangers):
        _write(out, emarsys, email, ours=False, found=True)
    return len(strangers), ""


def _write(out: TextIO, emarsys: Emarsys, email: str, **told: Any) -> None:
    at = emarsys.now().isoformat(sep=" ")
    out.write(json.dumps({"email": email, "read_at": at, **told}, ensure_ascii=False) + "\n")


def _load(connection: DuckDBPyConnection, file: str, *, others: bool) -> None:
    """What was read replaces the reading before of the same contacts; the contacts of others are replaced as a whole."""
    typed = ", ".join(f"'{name}': '{kind}'" for name, (kind, _) in COLUMNS.items())
    connection.execute(
        "create or replace temp table incoming as select * from "
        f"read_json({disk.files(file)}, format = 'newline_delimited', columns = {{{typed}}})"
    )
    query = (_QUERIES / "contacts_read.sql").read_text()
    connection.execute(f"create or replace temp table merged as {query}", {"others": others})
    connection.execute("create or replace table reconciliation.contacts_read as from merged")
    connection.execute("drop table merged")
    connection.execute("drop table incoming")
