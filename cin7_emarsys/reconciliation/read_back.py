"""Reading back: which of the contacts we sent Emarsys still has, and which it has that we know nothing of.

What belongs here: asking in thousands, landing the answers, one transaction. What does not: what a difference means
(``warehouse/models/reconciliation``).
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass

from cin7_emarsys import progress
from cin7_emarsys.emarsys.client import BATCH, EMAIL_FIELD, Emarsys
from cin7_emarsys.emarsys.projection import ensure_delivery_tables
from cin7_emarsys.settings import Settings
from cin7_emarsys.transport import Permanent
from cin7_emarsys.warehouse.resource import Warehouse

_TABLE = """
create table if not exists reconciliation.contacts_read (
    email varchar, ours boolean, found boolean, read_at timestamp
)
"""


@dataclass(frozen=True)
class ReadBack:
    """Contacts asked for, contacts found, contacts of others (None: the account does not let us ask), calls."""

    asked: int
    found: int
    others: int | None
    calls: int


def read_contacts(settings: Settings, warehouse: Warehouse) -> ReadBack:
    """Emarsys: POST contact/getdata for all contacts it accepted, GET contact/query for those without our customer id.

    The query needs that field to be indexed; where it is not, contacts of others cannot be listed.
    """
    with warehouse.write() as connection:
        ensure_delivery_tables(connection)
        connection.execute(_TABLE)
        known = [
            email
            for (email,) in connection.execute(
                "select key from delivery.delivered where flow = 'contacts' order by key"
            ).fetchall()
        ]
    settings.paths.outbox.mkdir(parents=True, exist_ok=True)
    file = settings.paths.outbox / f"read-back-{uuid.uuid4().hex[:12]}.ndjson"
    found = 0
    others: int | None = None
    try:
        with Emarsys(settings) as emarsys, file.open("w") as out:
            for start in range(0, len(known), BATCH):
                asked = known[start : start + BATCH]
                there = {str(row[EMAIL_FIELD]).strip().lower() for row in emarsys.contact_data(asked, [])}
                found += len(there)
                for email in asked:
                    out.write(json.dumps({"email": email, "ours": True, "found": email in there}) + "\n")
                progress.report("contacts read back", start + len(asked), len(known))
            others = _others(settings, emarsys, set(known), out.write)
            calls, at = emarsys.calls, emarsys.now()
        with warehouse.write() as connection:
            connection.execute("delete from reconciliation.contacts_read")
            connection.execute(
                "insert into reconciliation.contacts_read select email, ours, found, ? from read_json("
                f"'{file}', format='newline_delimited', columns={{email: 'VARCHAR', ours: 'BOOLEAN', found: 'BOOLEAN'}})",
                [at],
            )
    finally:
        file.unlink(missing_ok=True)
    return ReadBack(len(known), found, others, calls)


def _others(settings: Settings, emarsys: Emarsys, known: set[str], write: object) -> int | None:
    name = next((row.string_id for row in settings.merchant.contacts.field_map if row.attribute == "customer_id"), None)
    field = next((f for f in emarsys.fields() if f.get("string_id") == name), None)
    if field is None:
        return None
    try:
        emails = emarsys.contacts_without(str(field["id"]))
    except Permanent:  # the field is not indexed: Emarsys refuses to search by it
        return None
    strangers = [email.strip().lower() for email in emails if email.strip().lower() not in known]
    for email in strangers:
        write(json.dumps({"email": email, "ours": False, "found": True}) + "\n")  # type: ignore[operator]
    return len(strangers)
