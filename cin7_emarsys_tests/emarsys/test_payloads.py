"""The form of what is sent: contact rows, sales lines, the product file."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cin7_emarsys.emarsys import payloads
from cin7_emarsys.emarsys.payloads import ContactMapper, FieldsMissing
from cin7_emarsys.merchant import Merchant

FIELDS: list[dict[str, Any]] = [
    {"id": "1", "string_id": "first_name", "application_type": "shorttext"},
    {"id": "3", "string_id": "email", "application_type": "longtext"},
    {"id": 101, "string_id": "ltv", "application_type": "numeric"},
    {"id": "102", "string_id": "last_refund_date", "application_type": "date"},
    {"id": "103", "string_id": "favourite", "application_type": "longtext"},
    {"id": "104", "string_id": "tier", "application_type": "singlechoice"},
]
DERIVED = ["ltv", "last_refund_date", "favourite_category"]
HEADER = ["item", "price", "order", "timestamp", "email", "quantity"]


def merchant(**contacts: Any) -> Merchant:
    rows = [
        {"attribute": "first_name", "string_id": "first_name"},
        {"attribute": "ltv", "string_id": "ltv", "type": "numeric"},
        {"attribute": "last_refund_date", "string_id": "last_refund_date", "type": "date"},
        {"attribute": "favourite_category", "string_id": "favourite"},
        {"attribute": "tier", "string_id": "tier", "type": "choice"},
    ]
    return Merchant.model_validate(
        {"availability": {"sellable_locations": ["Main"]}, "contacts": {"field_map": rows, **contacts}}
    )


def mapper(**contacts: Any) -> ContactMapper:
    return ContactMapper(merchant(**contacts), FIELDS, {"tier": {"gold": "7"}})


def row(
    attributes: dict[str, str | None], before: dict[str, str] | None = None, consent: str = "unknown", **contacts: Any
) -> tuple[dict[str, str], dict[str, str]]:
    return mapper(**contacts).row("ana@example.com", attributes, DERIVED, consent, before or {})


@pytest.mark.parametrize("blank", [None, "", "  ", "\n"])
def test_master_data_is_never_sent_blank(blank: str | None) -> None:
    sent, kept = row({"first_name": blank}, before={"first_name": "Ana"})
    assert sent == {"3": "ana@example.com"}
    assert kept == {"first_name": "Ana"}  # Emarsys still has it


def test_a_derived_value_that_is_gone_is_cleared_once_it_was_there() -> None:
    sent, kept = row({"last_refund_date": None}, before={"last_refund_date": "2026-11-01"})
    assert sent == {"3": "ana@example.com", "102": ""}
    assert kept == {}


def test_a_derived_value_that_never_was_is_not_sent() -> None:
    assert row({"last_refund_date": None})[0] == {"3": "ana@example.com"}


def test_a_derived_value_not_worked_out_yet_stays_as_it_is() -> None:
    """While history is being read the attribute is absent, which is something else than null."""
    assert row({"first_name": "Ana"}, before={"last_refund_date": "2026-11-01"})[0].keys() == {"3", "1"}


@pytest.mark.parametrize("write_opt_out", [False, True])
@pytest.mark.parametrize("consent", ["opt_in", "opt_out", "unknown"])
def test_opt_in_is_never_written_with_yes(consent: str, write_opt_out: bool) -> None:
    sent, _ = row({"first_name": "Ana"}, consent=consent, write_opt_out=write_opt_out)
    assert sent.get("31") == ("2" if consent == "opt_out" and write_opt_out else None)


def test_opt_in_cannot_be_mapped() -> None:
    with pytest.raises(ValueError, match="opt-in is Emarsys' own"):
        merchant(field_map=[{"attribute": "consent", "string_id": "optin"}])


def test_values_as_emarsys_takes_them() -> None:
    given_ = {"first_name": " Ana \U0001f600", "ltv": "1234.50", "tier": "Gold", "favourite_category": "x" * 300}
    made = mapper()
    sent, kept = made.row("ana@example.com", given_, DERIVED, "unknown", {})
    assert sent == {"3": "ana@example.com", "1": "Ana", "101": "1234.50", "104": "7", "103": "x" * 255}
    assert kept == {"first_name": "Ana", "ltv": "1234.50", "tier": "7", "favourite": "x" * 255}
    assert made.shortened == 1


def test_a_value_of_four_byte_characters_only_is_blank() -> None:
    assert row({"first_name": "\U0001f600"})[0] == {"3": "ana@example.com"}


def test_a_choice_the_account_does_not_have_is_left_out() -> None:
    assert row({"tier": "Platinum"})[0] == {"3": "ana@example.com"}


def test_a_line_break_in_a_contact_becomes_a_space() -> None:
    assert row({"favourite_category": "Tea\r\nand\tmore"})[0]["103"] == "Tea and more"


def test_missing_fields_are_named_together() -> None:
    with pytest.raises(FieldsMissing, match="ltv, last_refund_date"):
        ContactMapper(merchant(), [field for field in FIELDS if field["id"] not in (101, "102")], {})


@pytest.mark.parametrize(
    ("value", "text"),
    [("9.00", "9"), ("4.5000", "4.5"), ("0.0000", "0"), ("-0.0000", "0"), ("100", "100"), ("-1.10", "-1.1")],
)
def test_numbers_lose_needless_zeros_only(value: str, text: str) -> None:
    assert payloads.number(value) == text
    assert payloads.number(Decimal(value)) == text


LINE = {"item": "A-1", "order": "SO-1", "timestamp": "2026-11-01T00:00:00Z", "email": "ana@example.com"}


def test_a_sales_file_has_the_columns_in_the_accounts_order() -> None:
    line = payloads.sales_line({**LINE, "price": "9.0000", "quantity": "2.0000"}, reversal=False)
    for header in (HEADER, [*reversed(HEADER)]):
        rows = list(csv.reader(io.StringIO(payloads.sales_csv([line], header).decode())))
        assert rows[0] == list(header)
        assert dict(zip(*rows, strict=True)) == {**LINE, "price": "9", "quantity": "2"}


def test_text_in_a_sales_line_stays_on_its_line() -> None:
    line = payloads.sales_line({**LINE, "item": 'A,"1"\nb\U0001f600', "price": "1", "quantity": "1"}, reversal=False)
    content = payloads.sales_csv([line], HEADER)
    assert content.count(b"\n") == 2
    assert list(csv.reader(io.StringIO(content.decode())))[1][0] == 'A,"1" b'


amounts = st.decimals(-99_999_999, 99_999_999, places=4)


@given(price=amounts, quantity=amounts, item=st.text(min_size=1))
def test_a_reversal_is_the_verbatim_negative(price: Decimal, quantity: Decimal, item: str) -> None:
    source = {**LINE, "item": item, "price": price, "quantity": quantity}
    line = payloads.sales_line(source, reversal=False)
    later = {**source, "order": "SO-2", "timestamp": "2027-01-01T00:00:00Z", "email": "ben@example.com"}
    back = payloads.sales_line({**later, "example": json.dumps(line), "sent_to": line["email"]}, reversal=True)
    for name in ("price", "quantity"):
        assert Decimal(line[name]) + Decimal(back[name]) == 0
        assert Decimal(line[name]) == source[name]
        assert "e" not in line[name].lower()
    for name in ("item", "order", "timestamp", "email"):
        assert back[name] == line[name]
    assert (line["reversal"], back["reversal"]) == (False, True)


ITEM = {
    "item": "A-1", "title": "Tea", "link": "https://shop.example.com/A-1", "image": None, "category": "Drinks",
    "available": True, "price": Decimal("12.5000"), "msrp": None, "brand": "", "description": "one\ntwo\u2028three",
    "group_id": None, "c_stock": 5, "c_low_stock": 999999, "c_stock_state": "in_stock",
}  # fmt: skip


def test_the_product_file() -> None:
    content = payloads.product_csv([ITEM, {**ITEM, "item": 'B,"2"', "available": False}]).decode()
    first, second = csv.DictReader(io.StringIO(content))
    assert list(first) == list(payloads.PRODUCT_COLUMNS)
    assert first["price"] == "12.5"
    assert (first["available"], second["available"]) == ("true", "false")
    assert (first["msrp"], first["image"], first["c_stock"]) == ("", "", "5")
    assert first["description"] == "one two three"
    assert second["item"] == 'B,"2"'
    assert content.count("\n") == 3


@given(text=st.text())
def test_no_text_breaks_the_product_file(text: str) -> None:
    content = payloads.product_csv([{**ITEM, "title": text, "description": text}])
    assert content.count(b"\n") == 2
    assert len(content.decode().splitlines()) == 2


def test_another_field_map_is_another_fingerprint() -> None:
    assert merchant().contacts.fingerprint == merchant().contacts.fingerprint
    others = [merchant(write_opt_out=True), merchant(field_map=[{"attribute": "ltv", "string_id": "ltv"}])]
    prints = {each.contacts.fingerprint for each in (merchant(), *others)}
    assert len(prints) == 3
