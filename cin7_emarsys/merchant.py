"""The merchant's rules, typed and checked: what ``merchant.toml`` (path in ``MERCHANT_TOML``) may say.

What belongs here: one class for each table of the file, and reading it. What does not: what is secret or local
(``settings.py``), and anything that acts on a rule. The file may be committed: no secret stands in it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic import model_validator as validate_model

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class SettingsError(Exception):
    """The settings are not usable. The text lists every fault at once: field, what is wrong, a good value."""

    def __init__(self, faults: list[str], hint: str = "") -> None:
        self.faults = faults
        noun = "setting is" if len(faults) == 1 else "settings are"
        lines = [f"{len(faults)} {noun} missing or wrong:", *(f"  - {fault}" for fault in faults), hint]
        super().__init__("\n".join(line for line in lines if line))


class _Policy(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Buffer(_Policy):
    """Units never promised, for one SKU, one category or (neither named) everything: absolute or percent, not both."""

    sku: Text | None = None
    category: Text | None = None
    units: Annotated[Decimal, Field(ge=0)] | None = None
    percent: Annotated[Decimal, Field(ge=0, le=100)] | None = None

    @validate_model(mode="after")
    def _one_size(self) -> Self:
        if (self.units is None) == (self.percent is None):
            raise ValueError("give either units or percent")
        if self.sku and self.category:
            raise ValueError("give sku or category, not both")
        return self


class Hold(_Policy):
    """Units set aside for somebody (a price tier, a tag or a source channel) over a span of days."""

    name: Text
    sku: Text | None = None
    category: Text | None = None
    units: Annotated[Decimal, Field(ge=0)] | None = None
    percent: Annotated[Decimal, Field(ge=0, le=100)] | None = None
    for_price_tier: Text | None = None
    for_tag: Text | None = None
    for_source_channel: Text | None = None
    from_: date = Field(alias="from")
    until: date | None = None

    @validate_model(mode="after")
    def _complete(self) -> Self:
        if (self.units is None) == (self.percent is None):
            raise ValueError("give either units or percent")
        if (self.sku is None) == (self.category is None):
            raise ValueError("give either sku or category")
        if sum(who is not None for who in (self.for_price_tier, self.for_tag, self.for_source_channel)) != 1:
            raise ValueError("name whom it is for: one of for_price_tier, for_tag, for_source_channel")
        return self


class Availability(_Policy):
    """What may be promised now (available to sell), and when a change is believed."""

    sellable_locations: Annotated[list[Text], Field(min_length=1)]
    location_mode: Literal["pooled", "separate"] = "pooled"
    blocked_bins: list[Text] = []
    min_shelf_life_days: Count = 0
    draft_orders_reserve: bool = False
    backorders_are_allocated: bool = True
    fractional_units: Literal["floor", "zero"] = "floor"
    max_row_drop: Share = 0.2
    restock_threshold: Annotated[int, Field(ge=1)] = 1
    confirmations: Annotated[int, Field(ge=1)] = 2
    second_look_calls: Count = 20
    min_flips: Count = 20
    max_flip_share: Share = 0.05
    low_stock_threshold: Count = 5
    low_stock_hysteresis: Count = 2
    buffers: list[Buffer] = []
    holds: list[Hold] = []


class Prices(_Policy):
    """Which of Cin7's ten price tiers is published, and which change is too big to believe."""

    tier: Annotated[int, Field(ge=1, le=10)] = 1
    msrp_tier: Annotated[int, Field(ge=1, le=10)] | None = None
    basis: Literal["net", "gross"] = "net"
    max_price_change: Annotated[float, Field(gt=0)] = 0.30


class Catalogue(_Policy):
    """The product data file that Emarsys fetches."""

    link_template: Annotated[str, StringConstraints(pattern=r"^https?://.*\{sku\}")] = "https://shop.example.com/{sku}"
    no_image: Annotated[str, StringConstraints(pattern=r"^https?://")] = "https://shop.example.com/no-image.png"
    no_category: Text = "Other"
    publish_url: Text | None = None
    feed_url: Annotated[str, StringConstraints(pattern=r"^https?://[^@]+$")] | None = None
    filename: Annotated[str, StringConstraints(pattern=r"^[\w.-]+\.csv$")] = "products.csv"
    max_shrink: Share = 0.2


class Customers(_Policy):
    """Who counts as a person, and who as wholesale."""

    generic_customers: list[Text] = []
    wholesale_price_tiers: list[Text] = []
    wholesale_tags: list[Text] = []
    wholesale_customers: list[Text] = []
    include_wholesale: bool = True


class Orders(_Policy):
    """How documents count."""

    revenue_charges: list[Text] = []
    history_sales_data: bool = False
    settle_minutes: Count = 5

    @field_validator("revenue_charges")
    @classmethod
    def _regular(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            try:  # asked of who will match it: other dialects know more
                duckdb.connect().execute("select regexp_matches('', ?)", [pattern])
            except duckdb.Error:
                raise ValueError(f"{pattern!r} is no regular expression") from None
        return patterns


class ContactField(_Policy):
    """One row of the field map: our attribute, the Emarsys field it fills, and who answers for it."""

    attribute: Text
    string_id: Text
    type: Literal["text", "numeric", "date", "choice"] = "text"
    owner: Text = "marketing"
    system_of_record: Text = "Cin7 Core"

    @property
    def is_ours(self) -> bool:
        """Whether we write it: another system of record answers for its own fields."""
        return self.system_of_record.lower().startswith("cin7")


def _default_field_map() -> list[ContactField]:
    rows: dict[str, tuple[str, Literal["text", "numeric", "date"]]] = {
        "first_name": ("first_name", "text"),
        "last_name": ("last_name", "text"),
        "customer_id": ("cin7_customer_id", "text"),
        "customer_type": ("cin7_customer_type", "text"),
        "first_order_date": ("cin7_first_order_date", "date"),
        "last_order_date": ("cin7_last_order_date", "date"),
        "order_count": ("cin7_order_count", "numeric"),
        "items": ("cin7_items", "numeric"),
        "gross": ("cin7_gross", "numeric"),
        "refunded": ("cin7_refunded", "numeric"),
        "ltv": ("cin7_ltv", "numeric"),
        "average_order_value": ("cin7_average_order_value", "numeric"),
        "favourite_category": ("cin7_favourite_category", "text"),
        "refund_count": ("cin7_refund_count", "numeric"),
        "last_refund_date": ("cin7_last_refund_date", "date"),
        "open_orders": ("cin7_open_orders", "numeric"),
        "currency": ("cin7_currency", "text"),
    }
    return [ContactField(attribute=name, string_id=field, type=kind) for name, (field, kind) in rows.items()]


class Contacts(_Policy):
    """Which attributes go to which contact field; consent is never written with yes."""

    key: Literal["email", "external_id"] = "email"
    write_opt_out: bool = False
    field_map: list[ContactField] = Field(default_factory=_default_field_map)

    @field_validator("field_map")
    @classmethod
    def _unambiguous(cls, rows: list[ContactField]) -> list[ContactField]:
        for fields in ([row.string_id for row in rows], [row.attribute for row in rows]):
            twice = sorted({name for name in fields if fields.count(name) > 1})
            if twice:
                raise ValueError(f"named twice: {', '.join(twice)}")
        forbidden = {"optin", "email"} & {row.string_id for row in rows}
        if forbidden:
            raise ValueError(
                f"{', '.join(sorted(forbidden))} cannot be mapped: e-mail is the key, opt-in is Emarsys' own"
            )
        return rows

    @validate_model(mode="after")
    def _keyed(self) -> Self:
        if self.key == "external_id" and all(row.attribute != "external_id" for row in self.field_map):
            self.field_map.append(ContactField(attribute="external_id", string_id="cin7_external_id"))
        return self

    @property
    def fingerprint(self) -> str:
        """Hash of the field map and consent policy: when it changes, every contact differs."""
        rows = [(row.attribute, row.string_id, row.type) for row in self.field_map if row.is_ours]
        return hashlib.md5(json.dumps([rows, self.write_opt_out]).encode(), usedforsecurity=False).hexdigest()


EventName = Literal[
    "first_purchase", "repeat_purchase", "order_shipped", "order_backordered", "refund_issued", "order_cancelled"
]


class Event(_Policy):
    """One external event: its name at Emarsys, whether consent is asked, and how late it may still go."""

    name: Text
    kind: Literal["transactional", "marketing"] = "transactional"
    deadline_hours: Annotated[int, Field(ge=1)] = 24
    enabled: bool = True


def _default_events() -> dict[EventName, Event]:
    return {
        "first_purchase": Event(name="cin7_first_purchase", kind="marketing", deadline_hours=48),
        "repeat_purchase": Event(name="cin7_repeat_purchase", kind="marketing", deadline_hours=48),
        "order_shipped": Event(name="cin7_order_shipped"),
        "order_backordered": Event(name="cin7_order_backordered"),
        "refund_issued": Event(name="cin7_refund_issued"),
        "order_cancelled": Event(name="cin7_order_cancelled"),
    }


class EngagementCloudAccount(_Policy):
    """What the vendor does not describe of the Engagement Cloud edition: paths, names, limits; and the account's ids."""

    business_area: Text | None = None
    store: Text = "main"
    sales_channel: Text = "online"
    event_configurations: dict[EventName, Text] = {}
    contacts_path: Text = "contact/v1/contacts"
    fields_path: Text = "contactfield/v1/fields"
    items_path: Text = "productItems"
    transactions_path: Text = "salesdata/v1/transactions"
    events_path: Text = "engagementevent/v1/integrations"
    key_field: Text = "primaryEmail"
    email_property: Text = "primaryEmail"
    quoted_keys: bool = False
    opt_in_field: Text = "optin"
    contact_properties: dict[Text, Text] = {
        "first_name": "firstName", "last_name": "lastName", "gender": "genderCode",
    }  # fmt: skip
    system_fields: list[Text] = [
        "birth_date", "address", "city", "state", "zip_code", "country", "phone", "mobile", "company_name",
        "registration_language", "salutation",
    ]  # fmt: skip
    item_properties: dict[Text, Text] = {
        "title": "title", "link": "link", "image": "image", "category": "category", "available": "available",
        "price": "price", "msrp": "msrp", "brand": "brand", "description": "description", "group_id": "groupId",
    }  # fmt: skip
    event_contact: Text = "email"
    event_id: Text = "trigger_id"
    event_data: Text = "data"
    items_per_call: Annotated[int, Field(ge=1)] = 500
    transactions_per_call: Annotated[int, Field(ge=1)] = 100
    resend_items_hours: Annotated[float, Field(gt=0)] = 24


class EmarsysAccount(_Policy):
    """What the account is like."""

    edition: Literal["emarsys", "engagement_cloud"] = "emarsys"
    engagement_cloud: EngagementCloudAccount = EngagementCloudAccount()
    sales_header: list[Text] = ["item", "price", "order", "timestamp", "email", "quantity"]
    create_missing: bool = False
    trigger_id_memory_hours: Annotated[float, Field(ge=0)] = 1

    @field_validator("sales_header")
    @classmethod
    def _known_columns(cls, columns: list[str]) -> list[str]:
        needed = {"item", "price", "order", "timestamp", "email", "quantity"}
        if set(columns) != needed or len(columns) != len(needed):
            raise ValueError(f"must be the columns {', '.join(sorted(needed))}, each once, in the order of the account")
        return columns


class DeliveryRules(_Policy):
    """How long a record that fails is tried again before it becomes a dead letter."""

    max_attempts: Annotated[int, Field(ge=1)] = 8
    retry_hours: Annotated[float, Field(gt=0)] = 48
    back_off_seconds: Annotated[float, Field(ge=0)] = 30


# Minute, hour, day of the month, month, day of the week: from, to.
_CRON = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def _cron(text: str) -> str:
    """A wrong one would keep the whole graph from loading."""
    fields = text.split()
    parts = [(part, span) for field, span in zip(fields, _CRON, strict=False) for part in field.split(",")]
    if len(fields) != len(_CRON) or not all(_is_cron_part(part, *span) for part, span in parts):
        raise ValueError('is no cron expression of five fields in numbers, such as "*/15 * * * *"')
    return text


def _is_cron_part(part: str, least: int, most: int) -> bool:
    found = re.fullmatch(r"(?:(\d{1,2})|(?:\*|(\d{1,2})-(\d{1,2}))(?:/(\d{1,2}))?)", part, re.ASCII)
    if not found:
        return False
    one, first, last, step = (None if number is None else int(number) for number in found.groups())
    numbers = [number for number in (one, first, last) if number is not None]
    return all(least <= number <= most for number in numbers) and numbers == sorted(numbers) and step != 0


Cron = Annotated[str, AfterValidator(_cron)]


class Schedules(_Policy):
    """Cron expressions, UTC."""

    stock: Cron = "*/15 * * * *"
    orders: Cron = "3-59/10 * * * *"
    customers: Cron = "5-59/15 * * * *"
    products: Cron = "8-59/15 * * * *"
    nightly: Cron = "17 1 * * *"
    prune: Cron = "47 4 * * *"


Days = Annotated[int, Field(ge=1)]


class Retention(_Policy):
    """How many days each class of data is kept before `prune` may remove it."""

    landing_days: Days = 30
    dry_runs_days: Days = 7
    bodies_days: Days = 180
    history_days: Days = 400
    snapshots_days: Days = 90
    rejected_days: Days = 90
    runs_days: Days = 60


class ReadBack(_Policy):
    """How often Emarsys is asked for what it holds."""

    cycle_days: Annotated[int, Field(ge=1)] = 1


class Threshold(_Policy):
    """Reached when any of these is: so many, such a share of all there are, or the oldest so many hours old."""

    count: Annotated[int, Field(ge=1)] | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    hours: Annotated[float, Field(gt=0)] | None = None

    def reached(self, count: int, share: float, hours: float) -> bool:
        return (
            (self.count is not None and count >= self.count)
            or (self.share is not None and share >= self.share)
            or (self.hours is not None and hours >= self.hours)
        )


class ExceptionRule(_Policy):
    """What differs for one class of exceptions: who answers for it, by when, and when it is a warning or critical."""

    owner: Text | None = None
    due_hours: Annotated[int, Field(ge=1)] | None = None
    warning: Threshold | None = None
    critical: Threshold | None = None


class AlertChannel(_Policy):
    """What an address of ``ALERT_URLS`` with this name takes: from which level on, of whom, and whether it is hushed."""

    name: Text
    severity: Literal["WARNING", "CRITICAL"] = "WARNING"
    owners: list[Text] = []
    quiet: bool = True


class Alerts(_Policy):
    """How old a source may get before somebody is told, who is told what, and how often the heartbeat is due."""

    stock_minutes: Annotated[int, Field(ge=1)] = 60
    orders_minutes: Annotated[int, Field(ge=1)] = 60
    nightly_hours: Annotated[int, Field(ge=1)] = 30
    quiet_hours: Annotated[str, StringConstraints(pattern=r"^\d\d:\d\d-\d\d:\d\d$")] | None = None
    time_zone: Text = "UTC"
    channels: list[AlertChannel] = []
    heartbeat_url: Annotated[str, StringConstraints(pattern=r"^https?://")] | None = None
    ui_url: Text = "http://127.0.0.1:3000"

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("is no time zone; one of IANA's names, such as Europe/Berlin") from None
        return name

    @field_validator("quiet_hours")
    @classmethod
    def _a_span(cls, span: str | None) -> str | None:
        if span:
            _span(span)
        return span

    def takes(self, channel: str, level: str, owner: str) -> bool:
        """Whether a channel is told of this; one that the policy does not name is told of everything."""
        rule = self._rule(channel)
        return (level == "CRITICAL" or rule.severity == "WARNING") and (not rule.owners or owner in rule.owners)

    def quiet(self, channel: str, at: time) -> bool:
        """Whether a channel gets nothing but CRITICAL at this time of day (of ``time_zone``)."""
        if not self.quiet_hours or not self._rule(channel).quiet:
            return False
        start, end = _span(self.quiet_hours)
        return start <= at < end if start <= end else at >= start or at < end

    def _rule(self, channel: str) -> AlertChannel:
        return next((rule for rule in self.channels if rule.name == channel), AlertChannel(name=channel))


def _span(text: str) -> tuple[time, time]:
    start, end = (time.fromisoformat(part) for part in text.split("-"))
    return start, end


class Merchant(_Policy):
    """The merchant's rules, as written in ``merchant.toml``."""

    armed: bool = False
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None
    availability: Availability
    prices: Prices = Prices()
    catalogue: Catalogue = Catalogue()
    customers: Customers = Customers()
    orders: Orders = Orders()
    contacts: Contacts = Contacts()
    events: dict[EventName, Event] = Field(default_factory=_default_events)
    emarsys: EmarsysAccount = EmarsysAccount()
    delivery: DeliveryRules = DeliveryRules()
    schedules: Schedules = Schedules()
    read_back: ReadBack = ReadBack()
    alerts: Alerts = Alerts()
    owners: dict[Text, Text] = {}
    exceptions: dict[Text, ExceptionRule] = {}
    retention: Retention = Retention()

    @field_validator("emarsys")
    @classmethod
    def _complete_for_the_edition(cls, account: EmarsysAccount, info: ValidationInfo) -> EmarsysAccount:
        if account.edition == "engagement_cloud":
            contacts: Contacts = info.data.get("contacts", Contacts())
            wrong = {
                "currency is needed": info.data.get("currency", "AUD") is None,
                "emarsys.engagement_cloud.business_area is needed": not account.engagement_cloud.business_area,
                "contacts.field_map cannot have choices": any(row.type == "choice" for row in contacts.field_map),
                "contacts.key must be email": contacts.key != "email",
            }
            if any(wrong.values()):
                raise ValueError(f"for the Engagement Cloud edition {', '.join(text for text in wrong if wrong[text])}")
        return account

    @field_validator("events")
    @classmethod
    def _all_events(cls, given: dict[EventName, Event]) -> dict[EventName, Event]:
        return {**_default_events(), **given}


_POLICY_EXAMPLES: Mapping[str, str] = {
    "availability": '[availability] with sellable_locations = ["Main Warehouse"]',
    "availability.sellable_locations": '["Main Warehouse"]',
    "currency": '"AUD"',
    "catalogue.link_template": '"https://shop.example.com/products/{sku}"',
    "prices.tier": "1",
    "armed": "true or false",
}


def _policy_faults(error: ValidationError, file: Path) -> Iterable[str]:
    schema = Merchant.model_json_schema()
    names = {name for table in (schema, *schema["$defs"].values()) for name in table.get("properties", ())}
    for fault in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in fault["loc"])
        last = str(fault["loc"][-1])
        near = difflib.get_close_matches(last, names - {last}, 1)
        wrong = {
            "missing": "is missing",
            "extra_forbidden": f"is not a setting ({f'did you mean {near[0]}?' if near else 'a spelling mistake?'})",
        }.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        example = _POLICY_EXAMPLES.get(name)
        yield f"{name} in {file}: {wrong}" + (f" (a good value: {example})" if example else "")


def load_merchant(file: Path) -> Merchant:
    """Policy from one TOML file. Raises `SettingsError` with every fault."""
    try:
        with file.open("rb") as handle:
            content: dict[str, Any] = tomllib.load(handle)
    except OSError as error:
        wrong = f"MERCHANT_TOML: {file} cannot be read: {error.strerror} (copy and edit merchant.toml)"
        raise SettingsError([wrong]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"{file} is not valid TOML: {error}"]) from None
    try:
        return Merchant.model_validate(content)
    except ValidationError as error:
        raise SettingsError(list(_policy_faults(error, file))) from None
