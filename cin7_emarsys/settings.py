"""Every setting, typed and checked; the only reader of the environment.

What belongs here: what is secret or local (environment, ``.env``), and where files live. What does not: the merchant's
rules (``merchant.py``), and anything that acts on a setting.

Two sources, one `Settings`:

* ``merchant.toml`` (path in ``MERCHANT_TOML``) carries policy and may be committed: no secret stands in it;
* the environment, or ``.env`` in the working directory, carries credentials, addresses and local paths.

When neither ``.env`` nor any ``CIN7_*``/``EMARSYS_*`` variable exists, a running sandbox is found by the file it leaves
in the state folder, so that two shells on a fresh clone find each other; a configured place never falls back to it.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from cin7_emarsys import crash
from cin7_emarsys.merchant import Merchant, SettingsError, Text, load_merchant

CHANNEL = re.compile(r"^([A-Za-z][\w-]*)=(?=[A-Za-z0-9+.-]+://)")
"""The name before an address of ``ALERT_URLS``."""
CIN7_HOST = "inventory.dearsystems.com"
CIN7_MAX_CALLS_PER_MINUTE = 60


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
    def published(self) -> Path:
        """The read-only copy of the warehouse for desk and BI, replaced at the end of each run."""
        return self.state / "published.duckdb"

    @property
    def report(self) -> Path:
        return self.state / "report"

    @property
    def heartbeat(self) -> Path:
        return self.state / "heartbeat"

    @property
    def projecting(self) -> Path:
        """Lines of the ledger on their way into the warehouse."""
        return self.state / "projecting.ndjson"

    def leftovers(self) -> list[Path]:
        """What a killed process left half-made, with whoever is in it; the next one of its kind overwrites it.

        With a number (of the process) in its name it is of an earlier version, or the report.
        """
        copy, warehouse, report = f".{self.published.name}", self.warehouse.name, f".{self.report.name}"
        kinds = (
            self.projecting.name, f"{copy}.new", f"{copy}.[0-9]*.new", f"{warehouse}.new", f"{warehouse}.new.wal",
            f"{warehouse}.[0-9]*.new", f"{warehouse}.tmp", f"{report}.[0-9]*.new", f"{report}.[0-9]*.old",
        )  # fmt: skip
        return sorted(file for kind in kinds for file in self.state.glob(kind))

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
    cloud_url: str
    token_url: str
    client_id: SecretStr
    client_secret: SecretStr
    hapi_url: str
    merchant_id: str
    integration_id: str
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
    "EMARSYS_CLOUD_URL": "https://api.sap.emarsys.net/api",
    "EMARSYS_TOKEN_URL": "https://auth.emarsys.net/oauth2/token",
    "EMARSYS_CLIENT_ID": "the client id of an API credential (Management > Security Settings)",
    "EMARSYS_CLIENT_SECRET": "the secret shown once when that credential was made",
    "EMARSYS_HAPI_URL": "https://admin.scarabresearch.com/hapi",
    "EMARSYS_INTEGRATION_ID": "the id of the integration under which the event configurations stand (a GUID)",
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


class _Where(BaseSettings):
    model_config = SettingsConfigDict(extra="ignore", env_file=".env", env_ignore_empty=True)
    warehouse: Path = Path("var/warehouse.duckdb")
    ledger: str | None = None


class _Local(_Where):
    merchant_toml: Path = Path("merchant.toml")
    alert_urls: Annotated[list[SecretStr], NoDecode] = []

    @field_validator("alert_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [url.strip() for url in value.split(",") if url.strip()] if isinstance(value, str) else value

    @field_validator("alert_urls")
    @classmethod
    def _told_apart(cls, urls: list[SecretStr]) -> list[SecretStr]:
        names = [found[1] for url in urls if (found := CHANNEL.match(url.get_secret_value()))]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:  # what one of them took would be taken for told to both
            raise ValueError(f"has more than one address named {', '.join(twice)}")
        return urls


class _Environment(_Local):
    """The flat environment; names are upper-cased for the outside."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=False, env_ignore_empty=True)

    cin7_base_url: str = f"https://{CIN7_HOST}/ExternalApi/v2"
    cin7_account_id: SecretStr
    cin7_application_key: SecretStr
    cin7_calls_per_minute: Annotated[int, Field(ge=1)] = 50
    cin7_window_seconds: Annotated[float, Field(gt=0)] = 60
    emarsys_base_url: str = "https://api.emarsys.net/api"
    emarsys_cloud_url: str = "https://api.sap.emarsys.net/api"
    emarsys_token_url: str = "https://auth.emarsys.net/oauth2/token"  # noqa: S105 - an address
    emarsys_client_id: SecretStr
    emarsys_client_secret: SecretStr
    emarsys_hapi_url: str = "https://admin.scarabresearch.com/hapi"
    emarsys_integration_id: str = ""
    emarsys_merchant_id: Text
    emarsys_sales_token: SecretStr
    emarsys_calls_per_minute: Annotated[int, Field(ge=1)] = 800
    emarsys_window_seconds: Annotated[float, Field(gt=0)] = 60
    feed_user: Text
    feed_password: SecretStr
    crash_at: Annotated[str | None, Field(validate_default=True)] = None  # trials only, see crash.py

    @field_validator("cin7_base_url", "emarsys_base_url", "emarsys_cloud_url", "emarsys_token_url", "emarsys_hapi_url")
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

    @field_validator("crash_at")
    @classmethod
    def _arm(cls, value: str | None) -> str | None:
        crash.arm(value)
        return value

    @field_validator("cin7_calls_per_minute", "cin7_window_seconds")
    @classmethod
    def _within_the_vendors_limit(cls, value: float, info: ValidationInfo) -> float:
        host = urlsplit(info.data.get("cin7_base_url", "")).hostname
        more = value > CIN7_MAX_CALLS_PER_MINUTE if info.field_name == "cin7_calls_per_minute" else value < 60
        if host == CIN7_HOST and more:
            raise ValueError("asks for more than Cin7 Core takes: 60 calls in 60 seconds for one key")
        return value

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


class _CloudEnvironment(_Environment):
    """An account of the Engagement Cloud edition has no upload of sales data, and fetches no file: nobody knows these."""

    emarsys_merchant_id: str = ""
    emarsys_sales_token: SecretStr = Field(default_factory=lambda: SecretStr(secrets.token_urlsafe()))
    feed_user: str = ""
    feed_password: SecretStr = Field(default_factory=lambda: SecretStr(secrets.token_urlsafe()))


class _PolicyFile(BaseSettings):
    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)
    merchant_toml: Path = Path("merchant.toml")


class LocalSettings:
    """What needs no credentials of a vendor: the merchant's rules, where files are, and who is told."""

    def __init__(self, local: _Local, merchant: Merchant) -> None:
        self._local = local
        self.merchant = merchant

    @cached_property
    def paths(self) -> Paths:
        return Paths(self._local.warehouse)

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy address of the ledger; by default a SQLite file beside the warehouse."""
        return _ledger_url(self._local.ledger, self.paths)

    @property
    def alert_urls(self) -> list[SecretStr]:
        return self._local.alert_urls


class Settings(LocalSettings):
    """Everything that was set, checked. Immutable by convention; secrets are `SecretStr`."""

    def __init__(self, environment: _Environment, merchant: Merchant) -> None:
        super().__init__(environment, merchant)
        self._environment = environment

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
            cloud_url=env.emarsys_cloud_url,
            token_url=env.emarsys_token_url,
            client_id=env.emarsys_client_id,
            client_secret=env.emarsys_client_secret,
            hapi_url=env.emarsys_hapi_url,
            merchant_id=env.emarsys_merchant_id,
            integration_id=env.emarsys_integration_id,
            sales_token=env.emarsys_sales_token,
            calls_per_minute=env.emarsys_calls_per_minute,
            window_seconds=env.emarsys_window_seconds,
        )

    @cached_property
    def feed(self) -> FeedSettings:
        return FeedSettings(user=self._environment.feed_user, password=self._environment.feed_password)


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
    return Paths(_Where().warehouse)


def ledger_url() -> str:
    """Where the ledger is, for what needs no credentials."""
    return _ledger_url(_Where().ledger, paths())


def _ledger_url(given: str | None, places: Paths) -> str:
    return given or f"sqlite:///{places.state / 'ledger.sqlite'}"


def _environment_faults(error: ValidationError) -> Iterable[str]:
    for fault in error.errors(include_input=False, include_url=False):
        name = str(fault["loc"][0]).upper()
        wrong = "is missing" if fault["type"] == "missing" else fault["msg"].removeprefix("Value error, ")
        example = _EXAMPLES.get(name)
        yield f"{name} {wrong}" + (f" (a good value: {example})" if example else "")


def load_policy() -> Merchant:
    """The merchant's rules alone, for what needs no credentials. Raises `SettingsError`."""
    return load_merchant(_PolicyFile(_env_file=_env_files()).merchant_toml)


def load_local() -> LocalSettings:
    """What needs no credentials of a vendor. Raises `SettingsError` naming every fault."""
    return LocalSettings(*_loaded(lambda _: _Local))


def load_settings() -> Settings:
    """Settings from ``merchant.toml`` and the environment. Raises `SettingsError` naming every fault of both."""

    def kind(merchant: Merchant | None) -> type[_Environment]:
        cloud = merchant is not None and merchant.emarsys.edition == "engagement_cloud"
        return _CloudEnvironment if cloud else _Environment

    return Settings(*_loaded(kind))


_Read = TypeVar("_Read", bound=_Local)


def _loaded(kind: Callable[[Merchant | None], type[_Read]]) -> tuple[_Read, Merchant]:
    faults: list[str] = []
    environment: _Read | None = None
    merchant: Merchant | None = None
    files = _env_files()
    try:
        merchant = load_policy()
    except SettingsError as error:
        faults += error.faults
    try:
        environment = kind(merchant)(_env_file=files)
    except ValidationError as error:
        faults = [*_environment_faults(error), *faults]
    if environment is None or merchant is None:
        hint = "" if files or configured() else "to try it without accounts: `cin7-emarsys sandbox` in another shell"
        raise SettingsError(faults, hint)
    return environment, merchant
