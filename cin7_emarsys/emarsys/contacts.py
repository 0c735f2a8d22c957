"""The flow of contacts: attributes that changed, upserted by key. Idempotent: an unknown outcome goes again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cin7_emarsys.emarsys import payloads
from cin7_emarsys.emarsys.answers import Verdict
from cin7_emarsys.emarsys.client import BATCH, EMAIL_FIELD, Connecting, Emarsys
from cin7_emarsys.emarsys.delivery import Delivery, Report, rows_of
from cin7_emarsys.emarsys.ledger import Intended
from cin7_emarsys.emarsys.retry import due
from cin7_emarsys.emarsys.sending import Sending
from cin7_emarsys.merchant import Merchant

_MAX_BYTES = 7_500_000


def deliver_contacts(delivery: Delivery) -> Report:
    """Contacts whose attributes changed, upserted by key in batches of up to 1,000. Idempotent: unknown goes again."""
    report, merchant = delivery.report, delivery.settings.merchant
    fingerprint = merchant.contacts.fingerprint
    with delivery.open() as emarsys:
        forced = json.dumps(_forced(delivery))
        outbox = delivery.plan(
            "plan_contacts",
            "count_contacts",
            fingerprint=fingerprint,
            forced=forced,
            external_id=_external_id(merchant),
        )
        if outbox is None:
            return report
        try:
            if outbox.stat().st_size == 0:
                return report
            fields = emarsys.fields()
            if report.dry_run:  # what the account lacks would be made first; a dry run shows the values all the same
                known = {field.get("string_id") for field in fields}
                wanted = (row.string_id for row in merchant.contacts.field_map)
                fields += [{"id": name, "string_id": name} for name in wanted if name not in known]
            choices = _choices(emarsys, merchant.contacts.field_map, fields)
            mapper = payloads.ContactMapper(
                merchant,
                fields,
                choices,
                empty=delivery.overridden("empty_value"),
                foreign=delivery.overridden("foreign_field"),
            )

            moving = _known_by_external_id(delivery)

            def call(items: Sequence[Intended], connecting: Connecting) -> tuple[Mapping[str, Verdict], bytes]:
                key_field = mapper.external_id if items[0].key in moving else EMAIL_FIELD
                by_key = {rows[item.key][key_field]: item.key for item in items}
                content = emarsys.upsert_contacts([rows[item.key] for item in items], connecting, key_field)
                found = emarsys.verdicts(content, list(by_key))
                report.strangers += found.strangers
                return {by_key[key]: fate for key, fate in found.by_key.items()}, json.dumps(content).encode()

            def request(items: Sequence[Intended]) -> bytes:
                return json.dumps([rows[item.key] for item in items], ensure_ascii=False).encode()

            sending = Sending(delivery, emarsys, "PUT contact", request, call)
            for planned in _batches(outbox, BATCH, report):
                rows: dict[str, dict[str, str]] = {}
                items: list[Intended] = []
                for row in planned:
                    report.unchanged -= row["forced"]
                    if delivery.forgotten(row["key"]):
                        continue
                    last = row["last_at"] and datetime.fromisoformat(row["last_at"])
                    if not due(row["key"], row["attempts"], last, merchant.delivery.back_off_seconds, emarsys.now()):
                        report.waiting += 1
                        continue
                    before = row["before"] or {}
                    wire, kept = mapper.row(row["key"], row["attributes"], row["derived"], row["consent"], before)
                    if report.dry_run:
                        report.would(key=row["key"], changes=_changes(before, kept))
                        continue
                    rows[row["key"]] = wire
                    items.append(Intended(row["key"], json.dumps(kept, ensure_ascii=False), row["payload_hash"]))
                for part in ([i for i in items if i.key in moving], [i for i in items if i.key not in moving]):
                    for start in range(0, len(part), emarsys.contacts_per_call):
                        sending.send(part[start : start + emarsys.contacts_per_call])
            report.shortened = mapper.shortened
            report.guarded = {"empty_value": mapper.left_filled, "foreign_field": len(mapper.foreign)}
        finally:
            outbox.unlink(missing_ok=True)
    return report


def _forced(delivery: Delivery) -> list[dict[str, str]]:
    """Fields that a guard holds and a person has set free for this run."""
    return [
        {"attribute": row.attribute, "string_id": row.string_id, "guard": guard}
        for guard, held in (("empty_value", True), ("foreign_field", False))
        if delivery.overridden(guard)
        for row in delivery.settings.merchant.contacts.field_map
        if row.is_ours == held
    ]


def _external_id(merchant: Merchant) -> str | None:
    """String id of the field by which contacts are known; None where that is the e-mail."""
    contacts = merchant.contacts
    if contacts.key == "email":
        return None
    return next(row.string_id for row in contacts.field_map if row.attribute == "external_id")


def _known_by_external_id(delivery: Delivery) -> set[str]:
    """Addresses whose contact Emarsys has from us under its external id: keyed by that, a new address moves it."""
    field = _external_id(delivery.settings.merchant)
    if field is None:
        return set()
    query = (Path(__file__).parent / "queries" / "known_by_external_id.sql").read_text()
    with delivery.warehouse.read() as connection:
        return {email for (email,) in connection.execute(query, {"field": field}).fetchall()}


def _choices(
    emarsys: Emarsys, field_map: Sequence[Any], fields: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, str]]:
    chosen = {row.string_id for row in field_map if row.type == "choice"}
    return {
        str(field["string_id"]): emarsys.choices(str(field["id"]))
        for field in fields
        if field.get("string_id") in chosen
    }


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
    names = sorted(before.keys() | after.keys())
    return [(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def _batches(outbox: Path, size: int, report: Report) -> Iterator[list[dict[str, Any]]]:
    """Batches in which no key stands twice, in any letter case: of such rows the last one goes."""
    batch: dict[str, dict[str, Any]] = {}
    written = 0
    for row in rows_of(outbox):
        length = len(json.dumps(row))  # as it goes over the wire: other letters than ASCII take six bytes each
        if batch and (len(batch) >= size or written + length > _MAX_BYTES):
            yield list(batch.values())
            batch, written = {}, 0
        key = row["key"].strip().lower()
        report.folded += key in batch
        batch[key] = row
        written += length
    if batch:
        yield list(batch.values())
