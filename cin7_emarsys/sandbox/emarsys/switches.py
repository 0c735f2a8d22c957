"""What a test can change about the simulated account: one model, changed through `POST /_sandbox/switches`.

Each switch stands for something that differs between accounts, or that the vendor does not document.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

PERMISSIONS = (
    "contact.update",
    "contact.create",
    "contact.delete",
    "contact.getdata",
    "contact.list",
    "contact.contactid.verify",
    "field.get",
    "field.list",
    "field.create",
    "field.singlechoice.trans.list",
    "field.multichoice.list",
    "externalevent.list",
    "externalevent.get",
    "externalevent.create",
    "externalevent.trigger",
    "externalevent.usages",
    "customer.settings",
)
_SALES_REQUIRED = ("item", "price", "order", "timestamp", "quantity")


class Switches(BaseModel):
    """Times in seconds. The defaults are a fresh account with everything allowed."""

    model_config = ConfigDict(extra="forbid")

    edition: Literal["emarsys", "engagement_cloud"] = "emarsys"
    """An account belongs to one; the calls of the other one do not exist for it."""

    # Access
    permissions: dict[str, bool] = Field(default_factory=dict)
    """Only what is not allowed needs to be named: `{"contact.update": false}`."""
    token_lifetime: float = Field(default=3600, gt=0)
    rate_limit: int | None = None
    """Calls per window and credential; null = none."""
    rate_window: float = Field(default=60, gt=0)
    throttle_body: Literal["envelope", "bare"] = "envelope"
    retry_after: bool = False
    """Whether a 429 carries `Retry-After`."""
    rate_headers: bool = True
    """Whether answers tell how many calls are left."""
    forbidden_body: bool = True
    """Whether a 403 says anything."""
    oversize_status: Literal[413, 400] = 413
    content_type_html: bool = False
    """Correct JSON under `Content-Type: text/html`."""

    # Contacts
    indexed_fields: list[str] | None = None
    """Custom fields usable as key and in contact/query, by id or string id; null: those whose name has "external" or
    "customer_id"."""
    email_case: Literal["sensitive", "insensitive"] = "sensitive"
    email_conflict: Literal["error", "duplicate"] = "error"
    """When a contact keyed on another field is given an e-mail that another contact has."""
    text_overflow: Literal["error", "truncate"] = "error"
    read_only: Literal["error", "ignored"] = "error"
    invalid_value_scope: Literal["row", "batch"] = "row"
    errors_empty_shape: Literal["absent", "array", "object"] = "absent"
    unasked_rows: int = Field(default=0, ge=0)
    """So many rows of contacts that nobody asked for come with each answer of contact/getdata."""
    field_slots: int = Field(default=200, ge=0)
    race: Literal["off", "created", "lost"] = "off"
    """Two overlapping PUTs with the same new key: the later one is told "already exists" (created), or both are and
    nothing is created (lost)."""
    race_code: Literal[2009, 2006] = 2009
    race_window: float = Field(default=0.1, ge=0)

    # Events
    interactions: bool = False
    event_listeners: list[str] | None = None
    """Names of the events that a mail or program listens to; null = all."""
    program_events: list[str] = []
    """Of these, the events that an automation program listens to; an e-mail campaign listens to the others."""
    trigger_memory: float = Field(default=86_400, ge=0)
    campaign_deduplication: bool = True
    """False: a trigger id that comes again is dropped for events of programs only, not of e-mail campaigns."""

    # Sales
    sales_header: list[str] = ["item", "price", "order", "timestamp", "email", "quantity"]
    sales_mode: Literal["additive", "replace"] = "additive"
    load_delay: float = Field(default=0, ge=0)
    """From the acceptance of a sales file to the moment at which its customers are looked up."""

    # Catalogue
    catalogue_bom: Literal["accept", "reject"] = "accept"
    push_feeds_tactics: bool = True
    tactic_check: Literal["auto", "manual"] = "auto"
    low_stock_field: str = "c_low_stock"
    low_stock_threshold: int = 5
    price_drop_percent: float = Field(default=10, gt=0)

    # Engagement Cloud
    service_prefixes: dict[str, str] = {"productItems": "", "integrations": "engagementevent/v1"}
    """What stands before these paths."""
    max_bytes: int = Field(default=1_000_000, gt=0)
    max_items: int = Field(default=500, gt=0)
    max_transactions: int = Field(default=100, gt=0)
    unsaved_contact: Literal["not_saved", "refused"] = "not_saved"
    """A new contact that is not saved, for example because it exists: 200 with "notSavedContacts", or 400."""
    quoted_keys: bool = False
    """Whether a path names a contact as `(field='value')`."""
    stale_items: Literal["ignored", "applied"] = "ignored"
    """An item whose eventTime is older than the stored one's."""
    transactions_enabled: bool = True

    @field_validator("permissions")
    @classmethod
    def _known(cls, value: dict[str, bool]) -> dict[str, bool]:
        if unknown := [name for name in value if name not in PERMISSIONS]:
            raise ValueError(f"unknown permissions {unknown}; known: {', '.join(PERMISSIONS)}")
        return value

    @field_validator("sales_header", mode="before")
    @classmethod
    def _columns(cls, value: Any) -> Any:
        columns = value.split(",") if isinstance(value, str) else value
        if isinstance(columns, list):
            missing = [name for name in _SALES_REQUIRED if name not in columns]
            if missing or ("email" in columns) == ("customer" in columns):
                raise ValueError(f"needs {', '.join(_SALES_REQUIRED)} and one of email, customer")
        return columns

    def changed(self, patch: dict[str, Any]) -> "Switches":
        """A copy with `patch`; permissions are merged. Raises pydantic's ValidationError (a ValueError)."""
        patch = dict(patch)
        if isinstance(patch.get("permissions"), dict):
            patch["permissions"] = {**self.permissions, **patch["permissions"]}
        return Switches.model_validate({**self.model_dump(), **patch})
