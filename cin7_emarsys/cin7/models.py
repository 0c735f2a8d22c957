"""Cin7 Core's records as we accept them, and the DuckDB types that follow from them.

What belongs here: field names exactly as Cin7's, their types, what makes a record unusable. What does not: our own names
(``warehouse/models/staging``), sales and their documents (``sale_models.py``), how a value is written (``fields.py``),
reading pages (``client.py``).

Lenient where Cin7 is loose (null, "" and missing are one; dates in several shapes; ids in any letter case; a few fields
with two spellings), strict where a wrong value would do harm: a missing key, a wrong type, an impossible date, an absurd
number, an unknown value of a status that decides something.
"""

from __future__ import annotations

import types
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from cin7_emarsys.cin7.fields import (
    Day,
    Expiry,
    Flag,
    Guid,
    GuidRef,
    Key,
    Moment,
    Number,
    SideDay,
    Text,
    Units,
    Whole,
)


class Record(BaseModel):
    """Unknown fields are let through here and counted by the loader."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, defer_build=True)


class TopRecord(Record):
    """A record that becomes one row; ``key_fields`` name it."""

    key_fields: ClassVar[tuple[str, ...]] = ("ID",)
    changed_field: ClassVar[str | None] = None


class Me(TopRecord):
    """Cin7: GET me."""

    key_fields = ("Company",)
    Company: Key
    Currency: Key
    TimeZone: Text = None
    TaxCalculationMethod: Text = None
    LockDate: Day = None
    OpeningBalanceDate: SideDay = None


class Bin(Record):
    ID: GuidRef = None
    Name: Text = None
    IsDeprecated: Flag = Field(None, validation_alias=AliasChoices("IsDeprecated", "Deprecated"))
    IsStaging: Flag = None


class Location(TopRecord):
    """Cin7: GET ref/location; a bin is listed as a row of its own as well, with a parent."""

    ID: Guid
    Name: Key
    IsDefault: Flag = None
    IsDeprecated: Flag = Field(None, validation_alias=AliasChoices("IsDeprecated", "Deprecated"))
    Bins: list[Bin] | None = None
    FixedAssetsLocation: Flag = None
    ParentID: GuidRef = None
    ParentName: Text = None
    IsShopfloor: Flag = Field(None, validation_alias=AliasChoices("IsShopfloor", "IsShopFloor"))
    IsCoMan: Flag = None
    IsStaging: Flag = None


class Category(TopRecord):
    """Cin7: GET ref/category."""

    ID: Guid
    Name: Key


class Brand(TopRecord):
    """Cin7: GET ref/brand."""

    ID: Guid
    Name: Key


class PriceTier(TopRecord):
    """Cin7: GET ref/priceTier."""

    key_fields = ("Code",)
    Code: Annotated[int, Field(ge=0, lt=2**31)]
    Name: Text = None


class Component(Record):
    ComponentProductID: GuidRef = None
    ProductCode: Text = None
    Name: Text = None
    Quantity: Number = None
    WastagePercent: Number = None
    WastageQuantity: Number = None


class ServiceComponent(Record):
    ComponentProductID: GuidRef = None
    Name: Text = None
    Quantity: Number = None


class Attachment(Record):
    ID: GuidRef = None
    ContentType: Text = None
    FileName: Text = None
    DownloadUrl: Text = None


class Product(TopRecord):
    """Cin7: GET product with IncludeDeprecated, IncludeBOM and IncludeAttachments."""

    changed_field = "LastModifiedOn"
    ID: Guid
    SKU: Key
    Name: Text = None
    Category: Text = None
    Brand: Text = None
    Type: Text = None
    Status: Text = None
    Sellable: Flag = None
    DropShipMode: Text = None
    UOM: Text = None
    Barcode: Text = None
    PriceTier1: Number = None
    PriceTier2: Number = None
    PriceTier3: Number = None
    PriceTier4: Number = None
    PriceTier5: Number = None
    PriceTier6: Number = None
    PriceTier7: Number = None
    PriceTier8: Number = None
    PriceTier9: Number = None
    PriceTier10: Number = None
    ShortDescription: Text = None
    Description: Text = None
    Tags: Text = None
    AdditionalAttribute1: Text = None
    AdditionalAttribute2: Text = None
    AdditionalAttribute3: Text = None
    AdditionalAttribute4: Text = None
    AdditionalAttribute5: Text = None
    AdditionalAttribute6: Text = None
    AdditionalAttribute7: Text = None
    AdditionalAttribute8: Text = None
    AdditionalAttribute9: Text = None
    AdditionalAttribute10: Text = None
    BillOfMaterial: Flag = None
    AutoAssembly: Flag = None
    QuantityToProduce: Number = None
    BillOfMaterialsProducts: list[Component] | None = None
    BillOfMaterialsServices: list[ServiceComponent] | None = None
    Attachments: list[Attachment] | None = None
    LastModifiedOn: Moment = None


class Variant(Record):
    ID: GuidRef = None
    SKU: Text = None
    Name: Text = None
    Option1: Text = None
    Option2: Text = None
    Option3: Text = None


class ProductFamily(TopRecord):
    """Cin7: GET productFamily; the only link from a variant to its family."""

    changed_field = "LastModifiedOn"
    ID: Guid
    SKU: Text = None
    Name: Text = None
    Products: list[Variant] | None = None
    Option1Name: Text = None
    Option2Name: Text = None
    Option3Name: Text = None
    LastModifiedOn: Moment = None


class Contact(Record):
    ID: GuidRef = None
    Name: Text = None
    Email: Text = None
    Phone: Text = None
    MobilePhone: Text = None
    Default: Flag = None
    MarketingConsent: Whole = None
    IncludeInEmail: Flag = None


class Address(Record):
    ID: GuidRef = None
    Type: Text = None
    DefaultForType: Flag = None
    Line1: Text = None
    Line2: Text = None
    City: Text = None
    State: Text = None
    Postcode: Text = None
    Country: Text = None


class Customer(TopRecord):
    """Cin7: GET customer with IncludeDeprecated; e-mail and consent belong to its contacts."""

    changed_field = "LastModifiedOn"
    ID: Guid
    Name: Text = None
    DisplayName: Text = None
    Currency: Text = None
    PriceTier: Text = None
    Tags: Text = None
    Status: Text = None
    CustomerParentID: GuidRef = None
    LastModifiedOn: Moment = None
    Contacts: list[Contact] | None = None
    Addresses: list[Address] | None = None


class AvailabilityRow(TopRecord):
    """Cin7: one row of GET ref/productavailability: product × location × bin × batch; units, never money."""

    key_fields = ("ID", "Location", "Bin", "Batch", "ExpiryDate")
    ID: Guid
    SKU: Key
    Name: Text = None
    Location: Text = None
    Bin: Text = None
    Batch: Text = None
    ExpiryDate: Expiry = None
    OnHand: Units = Decimal(0)
    Allocated: Units = Decimal(0)
    Available: Number = None
    OnOrder: Number = None
    InTransit: Number = None
    NextDeliveryDate: SideDay = None

    @model_validator(mode="before")
    @classmethod
    def _not_half(cls, row: Any) -> Any:
        """A figure that is not told is 0, unless the row's own `Available` says that it is only missing."""
        if isinstance(row, dict) and row.get("Available") not in (None, ""):
            missing = [name for name in ("OnHand", "Allocated") if row.get(name) in (None, "")]
            if missing:
                on_hand, allocated, available = (_UNITS.validate_python(row.get(name)) for name in _FIGURES)
                if available != on_hand - allocated:
                    raise ValueError(f"{missing[0]} is missing")
        return row


_FIGURES = ("OnHand", "Allocated", "Available")
_UNITS: TypeAdapter[Decimal] = TypeAdapter(Units)
_TYPES: dict[type, str] = {
    str: "VARCHAR",
    int: "INTEGER",
    bool: "BOOLEAN",
    Decimal: "DECIMAL(18,4)",
    datetime: "TIMESTAMP",
    date: "DATE",
}


def duckdb_columns(model: type[Record]) -> dict[str, str]:
    """Column name to DuckDB type for each field of a model, nested records as STRUCT, lists as arrays."""
    return {name: _duckdb_type(info.annotation, info.metadata) for name, info in model.model_fields.items()}


def _duckdb_type(annotation: Any, metadata: list[Any] | None = None) -> str:
    stated = [item for item in metadata or [] if isinstance(item, str)]
    if stated:
        return stated[0]
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extra = get_args(annotation)
        return _duckdb_type(inner, extra)
    if origin in (Union, types.UnionType):
        return _duckdb_type(next(part for part in get_args(annotation) if part is not type(None)))
    if origin is list:
        return _duckdb_type(get_args(annotation)[0]) + "[]"
    if isinstance(annotation, type) and issubclass(annotation, Record):
        parts = ", ".join(f'"{name}" {kind}' for name, kind in duckdb_columns(annotation).items())
        return f"STRUCT({parts})"
    return _TYPES[annotation]
