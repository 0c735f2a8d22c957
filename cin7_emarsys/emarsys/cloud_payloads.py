"""What is sent to an account of the Engagement Cloud edition: contacts, product items, transactions, events.

What belongs here: pure turning of what the flows have (rows by field, lines, items) into this edition's JSON, and back. What
does not: which rows (``queries/*.sql``) and sending (``engagement_cloud.py``). Names that the vendor does not describe come
from the policy (``merchant.EngagementCloudAccount``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from cin7_emarsys.emarsys.client import EMAIL_FIELD, OPT_IN_FIELD
from cin7_emarsys.emarsys.ledger import Intended
from cin7_emarsys.merchant import EngagementCloudAccount, Merchant

_SYSTEM, _EXTENSION = "additionalSystemFields", "extensionFields"


def contact(row: Mapping[str, object], account: EngagementCloudAccount, *, new: bool) -> dict[str, Any]:
    """A contact by string id as this edition takes it. An empty value removes; a new contact has nothing to remove."""
    body: dict[str, Any] = {}
    for name, value in row.items():
        if (new and value == "") or (not new and name == EMAIL_FIELD):
            continue
        sent = None if value == "" else value
        if name == EMAIL_FIELD:
            body[account.email_property] = sent
        elif name in account.contact_properties:
            body[account.contact_properties[name]] = sent
        else:
            field = account.opt_in_field if name == OPT_IN_FIELD else name
            group = _SYSTEM if name == OPT_IN_FIELD or name in account.system_fields else _EXTENSION
            body.setdefault(group, {})[field] = sent
    return {**body, "businessAreaIds": [account.business_area]} if new else body


def contact_row(content: Mapping[str, Any], account: EngagementCloudAccount) -> dict[str, Any]:
    """The same the other way round: values by string id, as text; what is empty is None."""
    found: dict[str, Any] = {}
    for group in (_SYSTEM, _EXTENSION):
        inside = content.get(group)
        found |= inside if isinstance(inside, dict) else {}
    found |= {name: content.get(shown) for name, shown in account.contact_properties.items()}
    row = {name: None if value in (None, "") else str(value) for name, value in found.items()}
    return {**row, EMAIL_FIELD: content.get(account.email_property), OPT_IN_FIELD: row.get(account.opt_in_field)}


def items(rows: Iterable[Mapping[str, Any]], account: EngagementCloudAccount) -> bytes:
    """PUT productItems. A row has the columns of the product file and `event_time`; what it has not stays as it is."""

    def item(row: Mapping[str, Any]) -> dict[str, Any]:
        told = {
            shown: {"default": row[column]}
            for column, shown in account.item_properties.items()
            if row.get(column) not in (None, "")
        }
        customs = {
            name.removeprefix("c_"): {"default": value}
            for name, value in row.items()
            if name.startswith("c_") and value is not None
        }
        return {"itemId": row["item"], "eventTime": row["event_time"], **told, "customs": customs}

    return _json({"items": [item(row) for row in rows]})


def transactions(lines: Sequence[Intended], merchant: Merchant) -> bytes:
    """POST salesdata/v1/transactions: for each document an order with its lines above zero and a refund with those below;
    what goes to another address, or is of another day, is a transaction of its own.

    Each transaction has an id of its own, made of its lines: the same lines again are the same transaction, so that they
    replace each other where the account replaces, and no line replaces another one anywhere.
    """
    groups: dict[tuple[str, ...], list[tuple[str, dict[str, Any]]]] = {}
    for line in lines:
        payload = json.loads(line.payload)
        kind = "refund" if str(payload["quantity"]).startswith("-") else "order"
        group = (kind, line.document or line.key, *(payload[name] for name in ("order", "email", "timestamp")))
        groups.setdefault(group, []).append((line.key, payload))
    return _json({"transactions": [_transaction(found, group[0], merchant) for group, found in groups.items()]})


def _transaction(lines: list[tuple[str, dict[str, Any]]], kind: str, merchant: Merchant) -> dict[str, Any]:
    account, first = merchant.emarsys.engagement_cloud, lines[0][1]
    keys = "\n".join(sorted(key for key, _ in lines))
    digest = hashlib.md5(keys.encode(), usedforsecurity=False).hexdigest()[:12]
    at = instant(datetime.fromisoformat(first["timestamp"]))
    return {
        "transactionType": kind,
        "transactionId": f"{first['order']}-{digest}",
        **({"referencedOrderId": first["order"]} if kind == "refund" else {}),
        "businessAreaId": account.business_area,
        "externalContactIdType": "email",
        "externalContactId": first["email"],
        "accountCurrency": merchant.currency,
        "transactionCurrency": merchant.currency,
        "transactionCreatedAt": at,
        "transactionChangedAt": at,
        "externalStoreId": account.store,
        "salesChannel": account.sales_channel,
        "items": [
            {
                "productId": line["item"],
                "quantity": _number(line["quantity"]),
                "amountInAccountCurrency": _number(line["price"]),
                "amountInTransactionCurrency": _number(line["price"]),
            }
            for _, line in lines
        ],
    }


def event(row: Mapping[str, Any], account: EngagementCloudAccount) -> dict[str, Any]:
    """One event of the flow as this edition takes it; the schema at Emarsys must have these three properties."""
    return {
        account.event_contact: row["external_id"],
        account.event_id: row["trigger_id"],
        account.event_data: row["data"],
    }


def instant(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return f"{at.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()
