"""Reconciling when somebody asks for it, not only at night: read back, compare, keep what is found as exceptions.

What belongs here: the order of it, and what it found in figures. What does not: the comparisons
(``warehouse/models/reconciliation``) and reading (``reconciliation``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cin7_emarsys.operations import exceptions as people
from cin7_emarsys.operations.explain import fetch
from cin7_emarsys.reconciliation import catalogue_export
from cin7_emarsys.reconciliation.read_back import read_contacts
from cin7_emarsys.settings import Settings
from cin7_emarsys.warehouse import exceptions, factory
from cin7_emarsys.warehouse.connections import Warehouse


def reconcile(settings: Settings, warehouse: Warehouse, catalogue: Path | None = None) -> dict[str, Any]:
    """Returns `contacts` (asked, found, not_read, rows_nobody_asked_for, ended_early), `catalogue` (of the export: items,
    left_out, columns; or null), `orphans` and `drift` (counts by kind), `balance` (the newest day) and `exceptions` (those
    of reconciliation that are open). Raises `AuthFailed`, `PermissionMissing` and `WrongFile`."""
    export = None
    if catalogue is not None:  # before anything is asked: a wrong file should cost no call
        with warehouse.write() as connection:
            now = max(exceptions.now(connection), datetime.now(UTC).replace(tzinfo=None))  # the file was taken just now
            export = catalogue_export.load(connection, catalogue, now)
    read = read_contacts(settings, warehouse, scope="due")
    models = [name for name, model in factory.models().items() if model.schema == "reconciliation"]
    conditions = [
        condition
        for condition in people.classes().values()
        if any(asset.startswith("reconciliation.") for asset in condition.assets)
    ]
    with warehouse.write() as connection:
        factory.build(connection, settings.merchant, models)
        exceptions.record(connection, conditions, settings.merchant)
        names = {condition.name for condition in conditions}
        found = {
            "contacts": {
                "asked": read.asked,
                "found": read.found,
                "not_read": read.not_read,
                "rows_nobody_asked_for": read.strangers,
                "ended_early": read.ended,
            },
            "catalogue": export and vars(export),
            "orphans": fetch(connection, "orphan_kinds"),
            "drift": fetch(connection, "drift_kinds"),
            "balance": fetch(connection, "balance"),
            "exceptions": [
                row for row in people.listed(connection) if row["class"] in names and row["state"] == "open"
            ],
        }
    warehouse.publish_copy(settings.paths.published)  # so that the desk says the same
    return found
