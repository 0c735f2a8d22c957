"""What is sent: contact rows, sales lines, events and product items, in Emarsys' own form.

What belongs here: pure turning of our rows into the vendor's, and its rules about values. What does not: which rows
(``queries/*.sql``) and sending (``client.py``).
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cin7_emarsys import guards
from cin7_emarsys.emarsys import cloud_payloads
from cin7_emarsys.emarsys.client import EMAIL_FIELD, OPT_IN_FIELD
from cin7_emarsys.emarsys.ledger import Intended
from cin7_emarsys.merchant import ContactField, Merchant

OPTED_OUT = "2"
_FOUR_BYTES = re.compile("[\U00010000-\U0010ffff]")
_CONTROLS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\u2028\u2029]+")
_LENGTH = {"shorttext": 60, "longtext": 255}

PRODUCT_COLUMNS = (
    "item", "title", "link", "image", "category", "available", "price", "msrp", "brand", "description", "group_id",
    "c_stock", "c_low_stock", "c_stock_state",
)  # fmt: skip


class FieldsMissing(Exception):
    """The account lacks fields of the field map, or has them with an unfitting type."""


class ContactMapper:
    """Our attributes → rows by field id, for one account. ``fields`` are the account's own, as listed by it.

    ``empty`` and ``foreign`` override a guard: a value that is empty by now is cleared although we do not derive it, a field
    of another system of record is written. Raises `FieldsMissing` when the field map names what the account does not have,
    or the field of the opt-in or the e-mail.
    """

    def __init__(
        self,
        merchant: Merchant,
        fields: Iterable[Mapping[str, Any]],
        choices: Mapping[str, Mapping[str, str]],
        *,
        empty: bool = False,
        foreign: bool = False,
    ):
        known = {str(field.get("string_id") or field.get("name")): field for field in fields}
        self.foreign = [] if foreign else [row.string_id for row in merchant.contacts.field_map if not row.is_ours]
        field_map = [row for row in merchant.contacts.field_map if row.string_id not in self.foreign]
        lacking = [row.string_id for row in field_map if row.string_id not in known]
        if lacking:
            raise FieldsMissing(
                f"Emarsys has no contact fields {', '.join(lacking)}; create them with `cin7-emarsys setup --apply`"
            )
        self._rows: list[tuple[ContactField, str, str]] = [
            (row, str(known[row.string_id]["id"]), str(known[row.string_id].get("application_type", "")))
            for row in field_map
        ]
        if taken := [row.string_id for row, field_id, _ in self._rows if field_id in (OPT_IN_FIELD, EMAIL_FIELD)]:
            raise FieldsMissing(
                f"contacts.field_map fills {', '.join(taken)}, which is Emarsys' own: {guards.sentence('opt_in', 0)}"
            )
        self._choices = choices
        self._empty = empty
        self.left_filled = 0
        self._write_opt_out = merchant.contacts.write_opt_out
        self.shortened = 0
        #: id of the field that carries the external id; e-mail's where contacts are known by that alone
        self.external_id = next((id_ for row, id_, _ in self._rows if row.attribute == "external_id"), EMAIL_FIELD)

    def row(
        self,
        email: str,
        attributes: Mapping[str, str | None],
        derived: Sequence[str],
        consent: str,
        before: Mapping[str, str],
    ) -> tuple[dict[str, str], dict[str, str]]:
        """One contact as Emarsys takes it, and as we keep it (string id → value).

        A master-data value that is blank is left out, never sent empty. An attribute derived by us is cleared when a value
        had been sent and there is none now. Opt-in is never written with yes.
        """
        sent = {EMAIL_FIELD: email}
        kept: dict[str, str] = {}
        left_filled = False
        for field, field_id, kind in self._rows:
            value = attributes.get(field.attribute)
            text = self._value(value, field, kind) if value is not None and str(value).strip() else None
            if text is not None:
                sent[field_id] = kept[field.string_id] = text
            elif field.attribute in derived and field.attribute in attributes and before.get(field.string_id):
                sent[field_id] = ""
            elif before.get(field.string_id):
                if self._empty and field.attribute in attributes:
                    sent[field_id] = ""
                    continue
                kept[field.string_id] = before[field.string_id]  # left out, so Emarsys still has it
                left_filled = True
        self.left_filled += left_filled
        if self._write_opt_out and consent == "opt_out":
            sent[OPT_IN_FIELD] = OPTED_OUT
        return sent, kept

    def _value(self, value: object, field: ContactField, kind: str) -> str | None:
        text = clean(str(value))
        if kind == "singlechoice" or field.type == "choice":
            return self._choices.get(field.string_id, {}).get(text.lower())
        limit = _LENGTH.get(kind)
        if limit and len(text) > limit:
            self.shortened += 1
            text = text[:limit].rstrip()
        return text or None


def number(value: object) -> str:
    """A decimal in full, without needless zeros: `9.00` → `9`, `4.5000` → `4.5`."""
    text = format(value, "f") if not isinstance(value, str) else value
    short = text.rstrip("0").rstrip(".") if "." in text else text
    return short if short not in ("", "-", "-0") else "0"


def sales_body(lines: Sequence[Intended], merchant: Merchant) -> bytes:
    """Sales lines as the account's edition takes them."""
    if merchant.emarsys.edition == "engagement_cloud":
        return cloud_payloads.transactions(lines, merchant)
    return sales_csv((json.loads(line.payload) for line in lines), merchant.emarsys.sales_header)


def sales_csv(lines: Iterable[Mapping[str, str]], header: Sequence[str]) -> bytes:
    """Lines in the column order agreed for the account, UTF-8, header first."""
    return _csv(header, ([line[column] for column in header] for line in lines))


def sales_line(row: Mapping[str, Any], *, reversal: bool) -> dict[str, Any]:
    """One line as kept and sent. A reversal is the verbatim negative of an accepted line."""
    source = json.loads(row["example"]) if isinstance(row.get("example"), str) else row.get("example") or {}
    price, quantity = number(str(row["price"])), number(str(row["quantity"]))
    line = {
        "item": row["item"],
        "price": _negative(price) if reversal else price,
        "order": source["order"] if reversal else row["order"],
        "timestamp": source["timestamp"] if reversal else row["timestamp"],
        "email": row["sent_to"] if reversal else row["email"],
        "quantity": _negative(quantity) if reversal else quantity,
        "reversal": reversal,
        "base_item": row["item"],
        "base_price": price,
        "base_quantity": quantity,
    }
    return {
        name: clean(value) if isinstance(value, str) and name != "base_item" else value for name, value in line.items()
    }


def _negative(value: str) -> str:
    return value[1:] if value.startswith("-") else value if value == "0" else f"-{value}"


def product_csv(items: Iterable[Mapping[str, Any]]) -> bytes:
    """The product data file: fixed columns, no line break inside a field, prices with a decimal point."""
    return _csv(PRODUCT_COLUMNS, ([cell(name, item.get(name)) for name in PRODUCT_COLUMNS] for item in items))


def cell(column: str, value: Any) -> str:
    """One cell of the product file."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return number(str(value)) if column in ("price", "msrp") else clean(str(value))


def clean(text: str) -> str:
    """Without line breaks (Emarsys would drop the row) and without characters of four bytes (it would lose data)."""
    return _CONTROLS.sub(" ", _FOUR_BYTES.sub("", text)).strip()


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode()
