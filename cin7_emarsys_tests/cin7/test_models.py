"""What a record may look like: lenient where Cin7 is loose, strict where a wrong value would do harm."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cin7_emarsys.cin7.load import TABLES
from cin7_emarsys.cin7.models import (
    AvailabilityRow,
    Customer,
    Location,
    PriceTier,
    Product,
    duckdb_columns,
)
from cin7_emarsys.cin7.sale_models import CreditNoteHeader, Fulfilment, Sale, SaleHeader

_ID = "6222CB47-0E1E-450D-AF6D-0CEFCEE9EEF7"
_HEADER = {"SaleID": _ID, "Updated": "2026-09-29T03:03:13.913Z"}


@pytest.mark.parametrize("nothing", [None, "", "   "])
def test_null_and_blank_and_missing_are_one(nothing: object) -> None:
    bare = Product.model_validate({"ID": _ID, "SKU": "A"})
    told = Product.model_validate(
        {
            "ID": _ID,
            "SKU": "A",
            "Name": nothing,
            "PriceTier1": nothing,
            "Sellable": nothing,
            "LastModifiedOn": nothing,
        }
    )
    assert told == bare
    assert bare.PriceTier1 is None


def test_ids_in_any_letter_case_are_one() -> None:
    assert Product(ID=_ID, SKU=" A-1 ").ID == Product(ID=_ID.lower(), SKU="A-1").ID == _ID.lower()
    assert Product(ID=_ID, SKU=" A-1 ").SKU == "A-1"


@pytest.mark.parametrize(
    ("told", "means"),
    [
        ("2017-11-22T10:10:49.75Z", datetime(2017, 11, 22, 10, 10, 49, 750000)),
        ("2018-01-24T05:07:23.917Z", datetime(2018, 1, 24, 5, 7, 23, 917000)),
        ("2017-11-28T05:08:30.6407568Z", datetime(2017, 11, 28, 5, 8, 30, 640756)),
        ("2018-03-12T00:00:00", datetime(2018, 3, 12)),
        ("2018-03-12T10:00:00+10:00", datetime(2018, 3, 12)),
        ("2018-03-12", datetime(2018, 3, 12)),
        ("0001-01-01T00:00:00", None),
    ],
)
def test_shapes_of_dates(told: str, means: datetime | None) -> None:
    assert Product.model_validate({"ID": _ID, "SKU": "A", "LastModifiedOn": told}).LastModifiedOn == means


@given(
    st.datetimes(datetime(1990, 1, 2), datetime(2100, 12, 30)),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"]),
    st.sampled_from(["", "0", "7", "123"]),
)
def test_every_moment_comes_back_as_utc(moment: datetime, minutes: int, precision: str, more: str) -> None:
    zone = timezone(timedelta(minutes=minutes))
    kept = {"seconds": 0, "milliseconds": moment.microsecond // 1000 * 1000}.get(precision, moment.microsecond)
    moment = moment.replace(microsecond=kept)
    text = moment.replace(tzinfo=UTC).astimezone(zone).isoformat(timespec=precision)
    if precision == "microseconds":  # the vendor writes up to seven digits
        text = f"{text[:26]}{more}{text[26:]}"
    record = SaleHeader.model_validate({**_HEADER, "Updated": text})
    assert record.Updated == moment
    assert record.Updated.tzinfo is None


@given(st.dates(date(1990, 1, 1), date(2100, 12, 31)))
def test_every_business_date_stays_the_day_it_is(day: date) -> None:
    record = AvailabilityRow.model_validate({"ID": _ID, "SKU": "A", "ExpiryDate": f"{day.isoformat()}T00:00:00"})
    assert record.ExpiryDate == day


@given(st.text(max_size=30))
def test_no_text_for_a_date_is_more_than_a_refusal(text: str) -> None:
    try:
        moment = SaleHeader.model_validate({**_HEADER, "Updated": text}).Updated
    except ValidationError:
        return
    assert 1990 <= moment.year <= 2101


_REFUSED: list[tuple[type[Any], dict[str, Any], str]] = [
    (Product, {"SKU": "A"}, "ID"),
    (Product, {"ID": _ID}, "SKU"),
    (Product, {"ID": _ID, "SKU": ""}, "SKU"),
    (Product, {"ID": _ID, "SKU": {"unexpected": ["A"]}}, "SKU"),
    (Product, {"ID": _ID, "SKU": "A", "PriceTier1": 1e308}, "absurd"),
    (Product, {"ID": _ID, "SKU": "A", "PriceTier1": float("nan")}, "absurd"),
    (Product, {"ID": _ID, "SKU": "A", "PriceTier1": "5.00 each"}, "number"),
    (Product, {"ID": _ID, "SKU": "A", "PriceTier1": True}, "number"),
    (Product, {"ID": _ID, "SKU": "A", "Sellable": "perhaps"}, "Sellable"),
    (Product, {"ID": _ID, "SKU": "A", "LastModifiedOn": "2026-02-31T25:61:00Z"}, "not a date"),
    (Product, {"ID": _ID, "SKU": "A", "LastModifiedOn": "1066-10-14T00:00:00"}, "impossible"),
    (Product, {"ID": _ID, "SKU": "A", "LastModifiedOn": 12345}, "date"),
    (SaleHeader, {"SaleID": _ID}, "Updated"),
    (SaleHeader, {**_HEADER, "Updated": None}, "Updated"),
    (SaleHeader, {**_HEADER, "Status": "QUANTUM STATE"}, "status"),
    (SaleHeader, {**_HEADER, "OrderStatus": "QUANTUM STATE"}, "status"),
    (Sale, {"ID": _ID, "Status": "QUANTUM STATE"}, "status"),
    (Sale, {"ID": _ID, "CurrencyRate": 736000291452}, "absurd"),
    (AvailabilityRow, {"ID": _ID, "SKU": "A", "OnHand": {"unexpected": [1]}}, "number"),
    (AvailabilityRow, {"ID": _ID, "SKU": "A", "OnHand": 5, "Available": 2}, "Allocated is missing"),
    (AvailabilityRow, {"ID": _ID, "SKU": "A", "OnHand": "", "Allocated": 3, "Available": 2}, "OnHand is missing"),
    (AvailabilityRow, {"ID": _ID, "SKU": "A", "OnHand": None, "Available": "two"}, "number"),
    (PriceTier, {"Code": 2**40, "Name": "Far too many"}, "Code"),
    (Fulfilment, {"FulfillmentNumber": 2**40}, "FulfillmentNumber"),
]


@pytest.mark.parametrize(("model", "row", "says"), _REFUSED, ids=lambda value: str(value)[:50])
def test_harmful_values_are_refused(model: type[Any], row: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        model.model_validate(row)


@pytest.mark.parametrize("typed", ["0217-11-22T00:00:00", "2202-11-22T00:00:00", "22/11/2017", 5])
def test_a_slip_in_a_date_that_decides_nothing_costs_no_sale(typed: object) -> None:
    ship = {"Ship": {"Lines": [{"ShipmentDate": typed}]}}
    invoice = {"InvoiceDate": "2017-11-22T00:00:00", "Payments": [{"DatePaid": typed, "Amount": 5}]}
    sale = Sale.model_validate({"ID": _ID, "Fulfilments": [ship], "Invoices": [invoice]})
    assert [invoice.InvoiceDate for invoice in sale.Invoices or []] == [date(2017, 11, 22)]
    assert "'ShipmentDate': None" in str(sale.model_dump())
    with pytest.raises(ValidationError):
        Sale.model_validate({"ID": _ID, "Invoices": [{"InvoiceDate": typed}]})


def test_what_never_expires_is_stock() -> None:
    row = AvailabilityRow.model_validate({"ID": _ID, "SKU": "A", "ExpiryDate": "9999-12-31T00:00:00"})
    assert row.ExpiryDate == date(9999, 12, 31)
    with pytest.raises(ValidationError):
        AvailabilityRow.model_validate({"ID": _ID, "SKU": "A", "ExpiryDate": "1066-10-14T00:00:00"})


def test_unknown_fields_are_let_through() -> None:
    record = Product.model_validate({"ID": _ID, "SKU": "A", "VendorAddition": {"Since": "2026"}})
    assert "VendorAddition" not in record.model_dump()


def test_two_spellings_are_one() -> None:
    for name in ("IsShopfloor", "IsShopFloor"):
        assert Location.model_validate({"ID": _ID, "Name": "Main", name: True}).IsShopfloor is True
    for name in ("FulFilmentStatus", "FulfilmentStatus", "FulfillmentStatus"):
        assert SaleHeader.model_validate({**_HEADER, name: "X"}).FulFilmentStatus == "X"


def test_statuses_in_any_letter_case() -> None:
    assert SaleHeader.model_validate({**_HEADER, "Status": " completed "}).Status == "COMPLETED"


def test_missing_figures_of_stock_are_none_on_hand() -> None:
    row = AvailabilityRow.model_validate({"ID": _ID, "SKU": "A", "OnHand": None})
    assert (row.OnHand, row.Allocated, row.Available) == (Decimal(0), Decimal(0), None)
    row = AvailabilityRow.model_validate({"ID": _ID, "SKU": "A", "OnHand": None, "Allocated": 3, "Available": -3.0})
    assert (row.OnHand, row.Allocated) == (Decimal(0), Decimal(3))


def test_a_credit_note_without_a_number_still_has_a_key() -> None:
    assert CreditNoteHeader.model_validate({**_HEADER, "CreditNoteNumber": None}).CreditNoteNumber == ""


def test_consent_may_come_as_text() -> None:
    customer = Customer.model_validate({"ID": _ID, "Contacts": [{"MarketingConsent": "2"}, {"MarketingConsent": ""}]})
    assert [contact.MarketingConsent for contact in customer.Contacts or []] == [2, None]


@pytest.mark.parametrize("table", TABLES)
def test_every_model_is_a_table(table: str) -> None:
    columns = duckdb_columns(TABLES[table][0])
    assert set(columns) == set(TABLES[table][0].model_fields)
    listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    with duckdb.connect() as connection:
        connection.execute(f"create table t ({listed})")
