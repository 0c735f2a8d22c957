"""Planted bad records: what `{"do": "corrupt"}` does to a row before it leaves. Each stays until healed."""

import json
from collections.abc import Callable
from typing import Any

_KEY = {"product": "SKU", "customer": "Contacts", "sale": "Status", "availability": "OnHand"}
_ENUM = {"product": "Type", "customer": "Status", "sale": "Status", "availability": "Location"}
_DATE = {"product": "LastModifiedOn", "customer": "LastModifiedOn", "sale": "LastModifiedOn",
         "availability": "ExpiryDate"}  # fmt: skip
_NUMBER = {"product": "PriceTier1", "customer": "Discount", "sale": "CurrencyRate", "availability": "OnHand"}


def _missing(row: dict[str, Any], entity: str) -> None:
    row.pop(_KEY[entity] if _KEY[entity] in row else "SaleID", None)


def _missing_id(row: dict[str, Any], entity: str) -> None:
    row["SaleID" if "SaleID" in row else "ID"] = None


def _wrong_type(row: dict[str, Any], entity: str) -> None:
    row[_KEY[entity]] = {"unexpected": [row.get(_KEY[entity])]}


def _unknown_enum(row: dict[str, Any], entity: str) -> None:
    row[_ENUM[entity]] = "QUANTUM STATE"


def _impossible_date(row: dict[str, Any], entity: str) -> None:
    row["Updated" if "Updated" in row else _DATE[entity]] = "2026-02-31T25:61:00Z"


def _absurd_number(row: dict[str, Any], entity: str) -> None:
    field = _NUMBER[entity]
    row[field if field in row else "InvoiceAmount"] = 1e308


def _contradiction(row: dict[str, Any], entity: str) -> None:
    """Figures of one record that exclude each other: stock and what is free of it, an invoice and its total."""
    if entity == "availability":
        row["Available"] += 7
    for document in row.get("Invoices", ())[:1]:
        document["TotalBeforeTax"] += 7
        document["Total"] += 7


WHAT: dict[str, Callable[[dict[str, Any], str], None]] = {
    "missing-key": _missing,
    "missing-id": _missing_id,
    "wrong-type": _wrong_type,
    "unknown-enum": _unknown_enum,
    "impossible-date": _impossible_date,
    "absurd-number": _absurd_number,
    "contradiction": _contradiction,
}


def spoil(row: str, entity: str, what: str) -> str:
    """The row (JSON text) with one thing wrong."""
    data = json.loads(row)
    WHAT[what](data, entity)
    return json.dumps(data)
