"""The cadences: one job each, a whole run from source to check, and the schedules that start them.

What belongs here: which assets a cadence covers and how often it runs. What does not: what the assets do.
"""

# Dagster reads the annotations of its functions, so they must not be postponed.
from collections.abc import Mapping, Sequence
from typing import Any

from dagster import (
    AssetKey,
    AssetSelection,
    DefaultScheduleStatus,
    JobDefinition,
    MetadataValue,
    OpExecutionContext,
    ScheduleDefinition,
    define_asset_job,
    in_process_executor,
    job,
    op,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from cin7_emarsys.merchant import Schedules, SettingsError
from cin7_emarsys.settings import load_policy
from cin7_emarsys.settings_resource import SettingsResource

DESCRIPTIONS: Mapping[str, str] = {
    "stock": "Sale headers and unallocated orders, then an availability snapshot, a second look at what comes back, "
    "then the product file: what may be promised now.",
    "orders": "New and changed sales, then contacts, sales data and events at Emarsys; the contacts sent are read back, and "
    "what was sent is accounted for.",
    "customers": "Changed customers, then their contacts at Emarsys; those sent are read back.",
    "products": "Changed products, then the product file.",
    "nightly": "Everything: full reads, all exports, read-back and reconciliation.",
}
# What each cadence reads, and the exports it ends in; the models in between follow from the lineage.
_READS: Mapping[str, Sequence[str]] = {
    "stock": (
        "raw/sale_headers",
        "raw/credit_note_headers",
        "raw/unallocated_sales",
        "raw/availability",
        "raw/snapshots",
        "raw/snapshot_untrusted_skus",
        "raw/vanished",
        "raw/second_looks",
        "raw/second_look_rows",
    ),
    "orders": (
        "raw/sale_headers",
        "raw/credit_note_headers",
        "raw/unallocated_sales",
        "raw/sales",
        "raw/credit_notes",
    ),
    "customers": ("raw/customers",),
    "products": ("raw/products", "raw/product_families"),
}
_EXPORTS: Mapping[str, Sequence[str]] = {
    "stock": ("emarsys/catalogue",),
    "orders": ("emarsys/contacts", "emarsys/sales", "emarsys/events"),
    "customers": ("emarsys/contacts",),
    "products": ("emarsys/catalogue",),
}
_STATEMENT = (
    "mart/customer_value_lines",
    "mart/customer_value_changes",
    "mart/value_lines_seen",
    "mart/aliases",
    "mart/account_addresses",
)
_READ_BACK = ("reconciliation/contacts_read", "reconciliation/drift")
_NIGHTLY_FULL = ("products", "product_families", "customers")
_FULL = (*_NIGHTLY_FULL, "sale_headers")
_FLOWS = ("contacts", "catalogue", "sales", "events")


def _assets(*keys: str) -> AssetSelection:
    return AssetSelection.assets(*(AssetKey.from_user_string(key) for key in keys))


def _selection(job: str) -> AssetSelection:
    if job == "nightly":
        return AssetSelection.all()
    exports = _assets(*_EXPORTS[job])
    models: AssetSelection = exports.upstream() & AssetSelection.key_prefixes("staging", "mart")
    if job in ("stock", "products"):  # the history of a state belongs to the run that changes the state
        models = models | _assets("mart/availability_events", "mart/evidence")
    if job != "customers":  # wherever the stock is compared with the orders, by the newest of them
        models = models | _assets("staging/allocated_orders")
    if job in ("orders", "customers"):  # the statement and its history belong to the runs that change values
        models = models | _assets(*_STATEMENT, *_READ_BACK)
    if job == "orders":  # it builds all that is compared but for this, so that what it sent is accounted for at once
        models = models | _assets("mart/excluded") | AssetSelection.key_prefixes("reconciliation")
    if job in ("stock", "orders"):
        # what is in doubt or too long on its way is known at once, also while the other one hangs
        models = models | AssetSelection.key_prefixes("delivery")
    return _assets(*_READS[job]) | models | exports


def flows_of(job: str) -> tuple[str, ...]:
    """The flows that a job sends."""
    return _FLOWS if job == "nightly" else tuple(key.split("/")[1] for key in _EXPORTS[job])


def run_config(job: str, *, full: bool = False, dry_run: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Run configuration of a job: full reads (the nightly job always reads products and customers whole), dry run.

    Contacts are read back at night in their turn, by the other jobs only those just sent.
    """
    whole = _FULL if full else _NIGHTLY_FULL if job == "nightly" else ()
    reads = (
        ("products", "product_families", "customers", "sale_headers")
        if job == "nightly"
        else tuple(key.split("/")[1] for key in _READS[job])
    )
    ops: dict[str, Any] = {f"raw__{name}": {"config": {"full": True}} for name in whole if name in reads}
    if job != "nightly" and "contacts" in flows_of(job):
        ops["reconciliation__contacts_read"] = {"config": {"scope": "sent"}}
    if dry_run:
        ops |= {f"emarsys__{flow}": {"config": {"dry_run": True}} for flow in flows_of(job)}
    config: dict[str, Any] = {"ops": ops} if ops else {}
    if quiet:
        config["loggers"] = {"console": {"config": {"log_level": "CRITICAL"}}}
    return config


jobs = [
    define_asset_job(
        job,
        selection=_selection(job),
        description=description,
        tags={"cin7_emarsys/job": job, "cin7_emarsys/pace": "quick" if job == "stock" else "slow"},
        metadata={"docs": MetadataValue.path("docs/operations.md")},
    )
    for job, description in DESCRIPTIONS.items()
]


def _cadence() -> Schedules:
    """The schedules of the policy; the defaults while there is none that can be read (`doctor` says what is wrong)."""
    try:
        return load_policy().schedules
    except SettingsError:
        return Schedules()


@op(description="Removes what is older than the policy keeps it ([retention] in merchant.toml).")
def remove_aged(context: OpExecutionContext, settings: SettingsResource) -> None:
    from cin7_emarsys.operations.prune import prune as removing

    for aged in removing(settings.load(), context.instance, apply=True):
        context.log.info(f"{aged.place}: {aged.rows} older than {aged.days} days removed")


@job(
    executor_def=in_process_executor,
    description="Retention: removes what is older than the policy keeps it. `cin7-emarsys prune` shows what that would be.",
    tags={"cin7_emarsys/job": "prune", "cin7_emarsys/pace": "slow"},
)
def prune() -> None:
    remove_aged()


def _schedule(
    each: UnresolvedAssetJobDefinition | JobDefinition, description: str, config: Mapping[str, Any] | None = None
) -> ScheduleDefinition:
    return ScheduleDefinition(
        name=f"{each.name}_schedule",
        job=each,
        run_config=config,
        cron_schedule=getattr(_cadence(), each.name),
        execution_timezone="UTC",
        default_status=DefaultScheduleStatus.STOPPED,
        description=f"{description} Switch it on in the UI.",
    )


schedules = [
    *(_schedule(each, DESCRIPTIONS[each.name], run_config(each.name)) for each in jobs),
    _schedule(prune, "Retention: removes what is older than the policy keeps it."),
]
