"""Forgetting a person: the order in which every place that names her is cleared.

What belongs here: the order, and the search that proves that nothing is left. What does not: whom it is about and what names
her (``person.py``), what is personal in a record of either vendor (``cin7/forgetting.py``, ``emarsys/erasure.py``), printing
(``cli``).

The order makes a broken-off erasure one that is finished by saying it again: first the salted hashes, so that nothing that
is read from now on brings her back; then Emarsys, the ledger and the files; last, in one transaction, the warehouse, from
which it is known which other addresses and accounts are hers.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from duckdb import DuckDBPyConnection

from cin7_emarsys import crash, locks, progress
from cin7_emarsys.cin7 import erasure as cin7
from cin7_emarsys.emarsys import deletion
from cin7_emarsys.emarsys import erasure as emarsys
from cin7_emarsys.emarsys.delivery import Delivery
from cin7_emarsys.emarsys.ledger import Ledger
from cin7_emarsys.emarsys.projection import project
from cin7_emarsys.emarsys.repair import now
from cin7_emarsys.erased import Erased
from cin7_emarsys.operations.jobs import DESCRIPTIONS
from cin7_emarsys.operations.person import (
    Erasure,
    books,
    by_place,
    find_person,
    in_files,
    lines_in_files,
    preview,
    search,
)
from cin7_emarsys.operations.refusals import CannotRun
from cin7_emarsys.settings import Settings
from cin7_emarsys.warehouse import factory
from cin7_emarsys.warehouse.connections import Warehouse
from cin7_emarsys.warehouse.gates import FLOWS


def erase(settings: Settings, email: str, reason: str, *, everywhere: bool = False) -> Erasure:
    """Forgets a person; ``everywhere`` deletes her contact at Emarsys as well. Waits for jobs that run; none starts then.

    Raises `NotKnown` when nothing names the address, `CannotRun` when Emarsys cannot be asked or did not delete the contact
    (then nothing but her hashes is written, and it is finished by saying it again), and a `TransportError`.
    """
    warehouse = Warehouse(database=str(settings.paths.warehouse))
    if everywhere:
        _may_delete(settings)
    with ExitStack() as stack:
        for name in _lock_names(settings):
            stack.enter_context(locks.held(settings.paths.locks, name))
        with warehouse.read() as connection:
            person = find_person(connection, email)
        done = Erasure(person, False)
        erased = Erased(settings.paths.state)
        known = all(erased.knows(name) for name in person.names)
        ledger = Ledger(settings.ledger_url)
        try:
            if not known and not everywhere:
                preview(settings, email)  # raises where there is nobody
            erased.add(person.names)
            crash.point("hashed")
            if everywhere:
                done.deleted_at_emarsys = _delete_there(settings, warehouse, ledger, erased, person.addresses)
            crash.point("deleted_there")
            progress.report("ledger", 0, None)
            found = emarsys.erase(ledger, erased, person.names, reason, now())
            done.places = found.places()
            crash.point("ledger_erased")
            done.places |= _clear_files(settings, erased, person.names)
            for left in settings.paths.leftovers():
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
            crash.point("files_erased")
            progress.report("warehouse", 0, None)
            project(ledger, warehouse)
            with warehouse.write() as connection:
                done.places |= _erase_in_warehouse(connection, settings, erased, person.names)
                done.left = search(connection, erased, person.names)
            crash.point("warehouse_erased")
            done.left |= emarsys.find(ledger, erased, person.names).places()
            done.left |= in_files(settings, erased, person.names)
        finally:
            ledger.close()
        progress.report("the freed pages of the warehouse file", 0, None)
        warehouse.write_anew()
        if settings.paths.published.exists():  # what readers see must not name her until the next run
            warehouse.publish_copy(settings.paths.published)
        shutil.rmtree(settings.paths.report, ignore_errors=True)  # it shows customer ids; the next night writes it anew
        erased.finish(person.names)
    return done


def _lock_names(settings: Settings) -> list[str]:
    """Every job and every delivery: what was read or planned before must not be written after."""
    used = {file.stem for file in settings.paths.locks.glob("job-*.lock")}
    return [*sorted(used | {f"job-{job}" for job in DESCRIPTIONS}), *(f"flow-{flow}" for flow in FLOWS)]


def _may_delete(settings: Settings) -> None:
    if settings.merchant.emarsys.edition == "engagement_cloud":
        raise CannotRun(
            "the Engagement Cloud edition has no call that deletes a contact: delete it in Emarsys by hand, and say it here "
            "without --everywhere"
        )
    if not settings.merchant.armed:
        raise CannotRun("armed is false in merchant.toml, so nothing is sent to Emarsys, not even a deletion")


def _delete_there(
    settings: Settings, warehouse: Warehouse, ledger: Ledger, erased: Erased, addresses: Sequence[str]
) -> int:
    delivery = Delivery(deletion.FLOW, settings, warehouse, ledger, None, dry_run=False)
    there = deletion.delete_contacts(delivery, erased, addresses)
    report = delivery.report
    if report.accepted < len(addresses):
        raise CannotRun(
            f"Emarsys deleted {report.accepted} of {len(addresses)} contacts (rejected {report.rejected}, unknown "
            f"{report.unknown}, not sent {report.retryable}); nothing else is erased yet. `cin7-emarsys ledger --flow "
            f"{deletion.FLOW}` says why; say it again, or without --everywhere"
        )
    return there


def _erase_in_warehouse(
    connection: DuckDBPyConnection, settings: Settings, erased: Erased, names: Sequence[str]
) -> dict[str, int]:
    """One transaction: what was read, the books, and all that is worked out from them. Returns place → rows."""
    read = cin7.erase(connection, settings.paths.landing, erased, names)
    found = books(connection, erased, names)
    for table, rowids in found.items():
        connection.execute(f"delete from {table} where list_contains($gone, rowid)", {"gone": rowids})
    factory.build(connection, settings.merchant)
    return by_place(read, found)


def _clear_files(settings: Settings, erased: Erased, names: Sequence[str]) -> dict[str, int]:
    lines: Counter[str] = Counter()
    for folder, file, named in lines_in_files(settings, erased, names):
        lines[folder] += len(named)
        _rewrite(file, erased, named)
    return dict(lines)


def _rewrite(file: Path, erased: Erased, named: set[int]) -> None:
    """A record becomes a tombstone; in other files the names alone go."""
    beside = file.with_name(f".{file.name}.erasing")
    with file.open("rb") as content, beside.open("wb") as kept:
        for number, line in enumerate(content):
            if number in named:
                text = line.decode(errors="replace")
                whole = file.suffix == ".ndjson"
                line = (json.dumps(erased.tombstone(text)) + "\n" if whole else erased.without(text)).encode()
            kept.write(line)
    beside.replace(file)
