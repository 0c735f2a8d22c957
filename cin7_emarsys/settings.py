"""Every setting, typed and checked; the only reader of the environment.

What belongs here: the merchant's rules (``merchant.toml``), what is secret or local (environment, ``.env``), and where
files live. What does not: anything that acts on them.

Two sources, one `Settings`:

* ``merchant.toml`` (path in ``MERCHANT_TOML``) carries policy and may be committed: no secret stands in it;
* the environment, or ``.env`` in the working directory, carries credentials, addresses and local paths.

When neither ``.env`` nor any ``CIN7_*``/``EMARSYS_*`` variable exists, a running sandbox is found by the file it leaves
in the state folder, so that two shells on a fresh clone find each other; a configured place never falls back to it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from dagster import ConfigurableResource
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError, field_validator
from pydantic import model_validator as validate_model
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

CIN7_HOST = "inventory.dearsystems.com"
CIN7_MAX_CALLS_PER_MINUTE = 60

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class SettingsError(Exception):
    """The settings are not usable. The text lists every fault at once: field, what is wrong, a good value."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        noun = "setting is" if len(faults) == 1 else "settings are"
        super().__init__(f"{len(faults)} {noun} missing or wrong:\n" + "\n".join(f"  - {fault}" for fault in faults))


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
    max_row_drop: Share = 0.2
    restock_threshold: Annotated[int, Field(ge=1)] = 1
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
    filename: Annotated[str, StringConstraints(pattern=r"^[\w.-]+\.csv$")] = "products.csv"
    max_shrink: Share = 0.2


class Customers(_Policy):
    """Who counts as a person, and who as wholesale."""

    generic_customers: list[Text] = []
    wholesale_price_tiers: list[Text] = []
    wholesale_tags: list[Text] = []
    include_wholesale: bool = True


class Orders(_Policy):
    """How documents count."""

    revenue_charges: list[Text] = []
    history_sales_data: bool = False
    settle_minutes: Count = 5


class ContactField(_Policy):
    """One row of the field map: our attribute, the Emarsys field it fills, and who answers for it."""

    attribute: Text
    string_id: Text
    type: Literal["text", "numeric", "date", "choice"] = "text"
    owner: Text = "marketing"
    system_of_record: Text = "Cin7 Core"


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


class EmarsysAccount(_Policy):
    """What the account is like."""

    edition: Literal["emarsys"] = "emarsys"
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


class Schedules(_Policy):
    """Cron expressions, UTC."""

    stock: Text = "*/15 * * * *"
    orders: Text = "3-59/10 * * * *"
    customers: Text = "5-59/15 * * * *"
    products: Text = "8-59/15 * * * *"
    nightly: Text = "17 1 * * *"


class Alerts(_Policy):
    """How old a source may get before somebody is told, and how often the heartbeat is due."""

    stock_minutes: Annotated[int, Field(ge=1)] = 60
    orders_minutes: Annotated[int, Field(ge=1)] = 60
    nightly_hours: Annotated[int, Field(ge=1)] = 30
    heartbeat_url: Text | None = None
    ui_url: Text = "http://127.0.0.1:3000"


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
    schedules: Schedules = Schedules()
    alerts: Alerts = Alerts()

    @field_validator("events")
    @classmethod
    def _all_events(cls, given: dict[EventName, Event]) -> dict[EventName, Event]:
        return {**_default_events(), **given}


@dataclass(frozen=True)
class Paths:
    """Where files live. Everything that is not the warehouse itself stands beside it, in the state folder."""

    warehouse: Path

    @property
    def state(self) -> Path:
        return self.warehouse.parent

    @property
    def landing(self) -> Path:
        return self.state / "landing"

    @property
    def rate(self) -> Path:
        return self.state / "rate"

    @property
    def locks(self) -> Path:
        return self.state / "locks"

    @property
    def outbox(self) -> Path:
        return self.state / "outbox"

    @property
    def feed(self) -> Path:
        return self.state / "feed"

    @property
    def heartbeat(self) -> Path:
        return self.state / "heartbeat"

    @property
    def sandbox_env(self) -> Path:
        return self.state / "sandbox.env"


@dataclass(frozen=True)
class Cin7Settings:
    """Address and credentials of the Cin7 Core account; ``calls_per_minute`` calls go in each ``window_seconds``."""

    base_url: str
    account_id: SecretStr
    application_key: SecretStr
    calls_per_minute: int
    window_seconds: float


@dataclass(frozen=True)
class EmarsysSettings:
    """Addresses and credentials of the Emarsys account; ``calls_per_minute`` calls go in each ``window_seconds``."""

    base_url: str
    token_url: str
    client_id: SecretStr
    client_secret: SecretStr
    hapi_url: str
    merchant_id: str
    sales_token: SecretStr
    calls_per_minute: int
    window_seconds: float


@dataclass(frozen=True)
class FeedSettings:
    """Basic-auth credentials with which Emarsys fetches the product data file."""

    user: str
    password: SecretStr


# An example of a good value for each variable, shown beside a fault.
_EXAMPLES: dict[str, str] = {
    "CIN7_BASE_URL": f"https://{CIN7_HOST}/ExternalApi/v2",
    "CIN7_ACCOUNT_ID": "the account id shown under Integrations > API in Cin7 Core (a GUID)",
    "CIN7_APPLICATION_KEY": "the application key shown under Integrations > API (a GUID); use a key of its own",
    "CIN7_CALLS_PER_MINUTE": "50",
    "CIN7_WINDOW_SECONDS": "60",
    "EMARSYS_BASE_URL": "https://api.emarsys.net/api",
    "EMARSYS_TOKEN_URL": "https://auth.emarsys.net/oauth2/token",
    "EMARSYS_CLIENT_ID": "the client id of an API credential (Management > Security Settings)",
    "EMARSYS_CLIENT_SECRET": "the secret shown once when that credential was made",
    "EMARSYS_HAPI_URL": "https://admin.scarabresearch.com/hapi",
    "EMARSYS_MERCHANT_ID": "16 characters, from Predict Data Sources > Sales Data > API upload details",
    "EMARSYS_SALES_TOKEN": "the token shown on the same page",
    "EMARSYS_CALLS_PER_MINUTE": "800",
    "EMARSYS_WINDOW_SECONDS": "60",
    "FEED_USER": "emarsys",
    "FEED_PASSWORD": "a long random password",
    "LEDGER": "sqlite:///var/ledger.sqlite",
    "WAREHOUSE": "var/warehouse.duckdb",
    "MERCHANT_TOML": "merchant.toml",
    "ALERT_URLS": "mailtos://user:password@example.com, slack://token/channel",
}


class _Environment(BaseSettings):
    """The flat environment; names are upper-cased for the outside."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=False, env_ignore_empty=True)

    cin7_base_url: str = f"https://{CIN7_HOST}/ExternalApi/v2"
    cin7_account_id: SecretStr
    cin7_application_key: SecretStr
    cin7_calls_per_minute: Annotated[int, Field(ge=1)] = 50
    cin7_window_seconds: Annotated[float, Field(gt=0)] = 60
    emarsys_base_url: str = "https://api.emarsys.net/api"
    emarsys_token_url: str = "https://auth.emarsys.net/oauth2/token"  # noqa: S105 - an address
    emarsys_client_id: SecretStr
    emarsys_client_secret: SecretStr
    emarsys_hapi_url: str = "https://admin.scarabresearch.com/hapi"
    emarsys_merchant_id: Text
    emarsys_sales_token: SecretStr
    emarsys_calls_per_minute: Annotated[int, Field(ge=1)] = 800
    emarsys_window_seconds: Annotated[float, Field(gt=0)] = 60
    feed_user: Text
    feed_password: SecretStr
    warehouse: Path = Path("var/warehouse.duckdb")
    ledger: str | None = None
    merchant_toml: Path = Path("merchant.toml")
    alert_urls: Annotated[list[SecretStr], NoDecode] = []
    crash_at: str | None = None

    @field_validator("alert_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [url.strip() for url in value.split(",") if url.strip()] if isinstance(value, str) else value

    @field_validator("cin7_base_url", "emarsys_base_url", "emarsys_token_url", "emarsys_hapi_url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        local = parts.hostname in ("127.0.0.1", "localhost", "::1")
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            raise ValueError("must be an https address (plain http only on this machine)")
        if parts.username or parts.password:
            raise ValueError("must not carry credentials")
        return value.rstrip("/")

    @field_validator(
        "cin7_account_id", "cin7_application_key", "emarsys_client_id", "emarsys_client_secret", "emarsys_sales_token"
    )
    @classmethod
    def _filled(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().strip():
            raise ValueError("is empty")
        return value

    @validate_model(mode="after")
    def _within_the_vendors_limit(self) -> Self:
        if urlsplit(self.cin7_base_url).hostname == CIN7_HOST and (
            self.cin7_calls_per_minute > CIN7_MAX_CALLS_PER_MINUTE or self.cin7_window_seconds < 60
        ):
            raise ValueError(
                "CIN7_CALLS_PER_MINUTE: Cin7 Core takes 60 calls in 60 seconds for one key; keep it at 50 in 60 seconds"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings


class Settings:
    """Everything that was set, checked. Immutable by convention; secrets are `SecretStr`."""

    def __init__(self, environment: _Environment, merchant: Merchant) -> None:
        self._environment = environment
        self.merchant = merchant

    @cached_property
    def paths(self) -> Paths:
        return Paths(self._environment.warehouse)

    @cached_property
    def cin7(self) -> Cin7Settings:
        env = self._environment
        return Cin7Settings(
            base_url=env.cin7_base_url,
            account_id=env.cin7_account_id,
            application_key=env.cin7_application_key,
            calls_per_minute=env.cin7_calls_per_minute,
            window_seconds=env.cin7_window_seconds,
        )

    @cached_property
    def emarsys(self) -> EmarsysSettings:
        env = self._environment
        return EmarsysSettings(
            base_url=env.emarsys_base_url,
            token_url=env.emarsys_token_url,
            client_id=env.emarsys_client_id,
            client_secret=env.emarsys_client_secret,
            hapi_url=env.emarsys_hapi_url,
            merchant_id=env.emarsys_merchant_id,
            sales_token=env.emarsys_sales_token,
            calls_per_minute=env.emarsys_calls_per_minute,
            window_seconds=env.emarsys_window_seconds,
        )

    @cached_property
    def feed(self) -> FeedSettings:
        return FeedSettings(user=self._environment.feed_user, password=self._environment.feed_password)

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy address of the ledger; by default a SQLite file beside the warehouse."""
        return self._environment.ledger or f"sqlite:///{self.paths.state / 'ledger.sqlite'}"

    @property
    def alert_urls(self) -> list[SecretStr]:
        return self._environment.alert_urls

    @property
    def crash_at(self) -> str | None:
        """Name of the point at which the process kills itself; for crash tests only."""
        return self._environment.crash_at


def _env_files() -> tuple[Path, ...]:
    """``.env``; or, when nothing at all is configured, the file a running sandbox has left."""
    dotenv = Path(".env")
    if dotenv.exists():
        return (dotenv,)
    sandbox = paths().sandbox_env
    return (sandbox,) if sandbox.exists() and not configured() else ()


def configured() -> bool:
    """Whether anybody has set this place up at all: a ``.env``, or a variable of either vendor."""
    return Path(".env").exists() or any(name.upper().startswith(("CIN7_", "EMARSYS_")) for name in os.environ)


def paths() -> Paths:
    """Where files live, read without checking anything else (used when the definitions are imported)."""

    class _Where(BaseSettings):
        model_config = SettingsConfigDict(extra="ignore", env_file=".env", env_ignore_empty=True)
        warehouse: Path = Path("var/warehouse.duckdb")

    return Paths(_Where().warehouse)


def _environment_faults(error: ValidationError) -> Iterable[str]:
    for fault in error.errors(include_input=False, include_url=False):
        name = str(fault["loc"][0]).upper() if fault["loc"] else ""
        message = fault["msg"].removeprefix("Value error, ")
        if not name:  # a rule over several variables names them itself
            yield message
            continue
        wrong = "is missing" if fault["type"] == "missing" else message
        example = _EXAMPLES.get(name)
        yield f"{name} {wrong}" + (f" (a good value: {example})" if example else "")


_POLICY_EXAMPLES: Mapping[str, str] = {
    "availability": '[availability] with sellable_locations = ["Main Warehouse"]',
    "availability.sellable_locations": '["Main Warehouse"]',
    "currency": '"AUD"',
    "catalogue.link_template": '"https://shop.example.com/products/{sku}"',
    "prices.tier": "1",
    "armed": "true or false",
}


def _policy_faults(error: ValidationError, file: Path) -> Iterable[str]:
    for fault in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in fault["loc"])
        wrong = {
            "missing": "is missing",
            "extra_forbidden": "is not a setting (a spelling mistake?)",
        }.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        example = _POLICY_EXAMPLES.get(name)
        yield f"{name} in {file}: {wrong}" + (f" (a good value: {example})" if example else "")


def load_merchant(file: Path) -> Merchant:
    """Policy from one TOML file. Raises `SettingsError` with every fault."""
    try:
        with file.open("rb") as handle:
            content: dict[str, Any] = tomllib.load(handle)
    except FileNotFoundError:
        raise SettingsError([f"MERCHANT_TOML: {file} does not exist (copy and edit merchant.toml)"]) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{file} is not valid TOML: {error}"]) from None
    try:
        return Merchant.model_validate(content)
    except ValidationError as error:
        raise SettingsError(list(_policy_faults(error, file))) from None


def load_settings() -> Settings:
    """Settings from ``merchant.toml`` and the environment. Raises `SettingsError` naming every fault of both."""
    faults: list[str] = []
    environment: _Environment | None = None
    merchant: Merchant | None = None
    try:
        environment = _Environment(_env_file=_env_files())
        toml = environment.merchant_toml
    except ValidationError as error:
        faults += _environment_faults(error)
        toml = Path(os.environ.get("MERCHANT_TOML") or "merchant.toml")
    try:
        merchant = load_merchant(toml)
    except SettingsError as error:
        faults += error.faults
    if environment is None or merchant is None:
        raise SettingsError(faults)
    return Settings(environment, merchant)


class SettingsResource(ConfigurableResource[None]):
    """The settings as a Dagster resource, read when a run starts, not when the definitions are imported."""

    def load(self) -> Settings:
        """Raises `SettingsError`."""
        return load_settings()
