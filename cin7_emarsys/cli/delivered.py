"""Commands about what was sent to Emarsys, and what a person does about it: ledger, replay, unknowns,
dead-letters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cin7_emarsys import disk, views
from cin7_emarsys.cli.terminal import (
    Json,
    Limit,
    Time,
    cannot,
    console,
    errors,
    filled,
    known,
    policy,
    settings,
    speaking,
    warehouse,
)
from cin7_emarsys.settings import ledger_url, paths

if TYPE_CHECKING:
    from cin7_emarsys.emarsys.ledger import Ledger

_PATIENCE = 5  # seconds for the warehouse, where the answer does not depend on it
app = typer.Typer()
unknowns = typer.Typer(help="Sales lines and events of which nobody knows whether Emarsys applied them.")
dead_letters = typer.Typer(
    help="Records that were refused, or tried too often: they wait for a person, or for a change."
)
app.add_typer(unknowns, name="unknowns")
app.add_typer(dead_letters, name="dead-letters")


class Flow(StrEnum):
    contacts = "contacts"
    catalogue = "catalogue"
    sales = "sales"
    events = "events"
    erasures = "erasures"  # contacts deleted at Emarsys because the person was erased


class Parking(StrEnum):
    """The flows whose records are parked when nobody knows: what goes twice there is there twice."""

    sales = "sales"
    events = "events"


class Outcome(StrEnum):
    accepted = "accepted"
    rejected = "rejected"
    retryable = "retryable"
    unknown = "unknown"


OfFlow = Annotated[Flow | None, typer.Option("--flow", help="Only of this flow.")]
OfParking = Annotated[Parking | None, typer.Option("--flow", help="Only of this flow.")]
Record = Annotated[int | None, typer.Option(help="This record.")]
Reason = Annotated[str, typer.Option(help="Why; kept with your name.", callback=filled)]


class Resolution(StrEnum):
    accepted = "accepted"
    not_applied = "not-applied"
    send_again = "send-again"


@contextmanager
def opened() -> Iterator[Ledger]:
    """The ledger of this place; ends the command when nothing answers what was asked, or it cannot be written."""
    from cin7_emarsys.emarsys.ledger import Ledger, LedgerUnwritable
    from cin7_emarsys.emarsys.repair import NothingThere
    from cin7_emarsys.schema import SchemaUnknown

    try:
        policy()  # in a folder that is no place of ours no ledger is made
        ledger = Ledger(ledger_url())
    except SchemaUnknown as error:
        raise cannot(error) from None
    try:
        yield ledger
    except NothingThere as error:
        views.complain(errors, str(error))
        raise typer.Exit(1) from None
    except LedgerUnwritable as error:
        raise cannot(error) from None
    finally:
        ledger.close()


@contextmanager
def changing() -> Iterator[Ledger]:
    """The same to write; who reads the copy in the warehouse sees it at once, or after the next run if it is held."""
    with opened() as ledger_:
        yield ledger_
        if paths().warehouse.exists():
            from cin7_emarsys.emarsys.projection import project
            from cin7_emarsys.warehouse.connections import Warehouse, WarehouseLocked

            try:
                project(ledger_, Warehouse(database=str(paths().warehouse), lock_wait_seconds=_PATIENCE))
            except (WarehouseLocked, disk.Unwritable) as error:
                views.complain(
                    errors, f"It is kept; `cin7-emarsys ledger` and the desk show it after the next run. {error}"
                )


@app.command()
def ledger(
    flow: OfFlow = None,
    outcome: Annotated[Outcome | None, typer.Option(help="Only with this outcome.")] = None,
    sku: Annotated[str | None, typer.Option(help="Sales lines of this item.")] = None,
    customer: Annotated[str | None, typer.Option(help="Records about this e-mail or customer id.")] = None,
    order: Annotated[str | None, typer.Option(help="Records about this order number.")] = None,
    batch: Annotated[int | None, typer.Option(help="Records of this batch.")] = None,
    since: Annotated[datetime | None, Time(help="Since this time (UTC).")] = None,
    at: Annotated[datetime | None, Time(help="What Emarsys should have held at this time (UTC) instead.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Everything that was sent to Emarsys, record by record, with its fate."""
    from cin7_emarsys.operations.explain import fetch

    if at and (outcome or since):
        raise cannot("--at shows what was accepted by then, so --outcome and --since mean nothing with it")
    asked = {"flow": flow, "batch": batch, "sku": sku, "customer": customer, "order": order, "limit": limit}
    with known(), warehouse().read() as connection:
        if at:
            facts = {"at": at, **fetch(connection, "ledger_at_summary", at=at)[0]}
            facts["held"] = fetch(connection, "ledger_at", at=at, **asked)
        else:
            facts = {
                "flows": fetch(connection, "ledger_summary"),
                "publications": fetch(connection, "ledger_publications", limit=5),
                "records": fetch(connection, "ledger", outcome=outcome, since=since, **asked),
            }
    if as_json:
        typer.echo(views.as_json(facts))
    elif at:
        console.print(views.delivered.held(facts))
    else:
        filtered = any((flow, outcome, sku, customer, order, batch, since))
        console.print(views.delivered.ledger(facts, filtered=filtered, limit=limit))


@app.command()
def replay(
    reason: Annotated[str | None, typer.Option(help="Why; kept with your name.", callback=filled)] = None,
    record: Record = None,
    batch: Annotated[int | None, typer.Option(help="All accepted records of this batch.")] = None,
    since: Annotated[datetime | None, Time(help="All accepted since this time (UTC).")] = None,
    until: Annotated[datetime | None, Time(help="And before this time (UTC).")] = None,
    flow: OfFlow = None,
    verbatim: Annotated[
        bool,
        typer.Option("--verbatim/--recomputed", help="Just as it was, now; or as it is by now, with the next run."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go again, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Sends again what Emarsys had accepted. Sales lines add up there and events send mails: what it still has is there
    twice then."""
    from cin7_emarsys.emarsys import replay as replaying
    from cin7_emarsys.emarsys.repair import NothingThere, now

    if record is None and batch is None and since is None:
        raise cannot("name what goes again: --record, --batch or --since")
    if not dry_run and not reason:
        raise cannot("a replay needs a --reason, which is kept (or --dry-run, which shows what would go)")
    chosen = replaying.Chosen(record=record, batch=batch, since=since, until=until, flow=flow)
    with opened() if dry_run else changing() as ledger_, speaking():
        facts = replaying.preview(ledger_, chosen)
        if not facts["records"]:
            raise NothingThere("no accepted record answers that; `cin7-emarsys ledger` shows what was sent")
        done = 0
        if not dry_run and verbatim:
            from cin7_emarsys.emarsys.delivery import Delivery

            replaying.may_go_verbatim(ledger_, chosen)  # all, before the first is sent
            for name in sorted(found["flow"] for found in facts["flows"]):
                delivery = Delivery(name, settings(), warehouse(), ledger_, None, dry_run=False)
                if delivery.report.dry_run:
                    raise cannot("armed is false in merchant.toml: nothing is sent")
                done += replaying.verbatim(delivery, chosen, reason or "")
        elif not dry_run:
            done = replaying.mark(ledger_, chosen, reason or "", "replay --recomputed", now())
    facts |= {"replayed": done, "dry_run": dry_run, "verbatim": verbatim}
    typer.echo(views.as_json(facts)) if as_json else console.print(views.delivered.replayed(facts))


@unknowns.command("list")
def list_unknowns(flow: OfParking = None, limit: Limit = 50, as_json: Json = False) -> None:
    """What is parked, oldest first. Exit code 1 when there is any."""
    from cin7_emarsys.emarsys import repair

    with opened() as ledger_:
        facts = repair.parked(ledger_, flow=flow, limit=limit)
    typer.echo(views.as_json(facts)) if as_json else console.print(views.delivered.parked(facts, flow))
    raise typer.Exit(1 if facts["records"] else 0)


@unknowns.command("resolve")
def resolve_unknowns(
    how: Annotated[Resolution, typer.Argument(help="What a look at Emarsys showed, or what is the lesser harm.")],
    reason: Reason,
    flow: OfParking = None,
    record: Record = None,
    batch: Annotated[int | None, typer.Option(help="All parked records of this batch.")] = None,
    as_json: Json = False,
) -> None:
    """Decides parked records: accepted (Emarsys has them), not-applied (they go with the next run), send-again (the same,
    though nobody knows: it may be twice then)."""
    from cin7_emarsys.emarsys import repair

    if flow is None and record is None and batch is None:
        raise cannot("name what is resolved: --record, --batch or --flow")
    with changing() as ledger_:
        done = repair.resolve(ledger_, how.value, reason, flow=flow, record=record, batch=batch)
    typer.echo(views.as_json({"resolved": done})) if as_json else console.print(
        views.delivered.resolved(done, how.value)
    )


@dead_letters.command("list")
def list_dead_letters(flow: OfFlow = None, limit: Limit = 50, as_json: Json = False) -> None:
    """What waits for a person, by kind and record by record, oldest first. Exit code 1 when there is any."""
    from cin7_emarsys.emarsys import repair

    with opened() as ledger_:
        facts = repair.letters(ledger_, flow=flow, limit=limit)
    typer.echo(views.as_json(facts)) if as_json else console.print(views.delivered.letters(facts, flow))
    raise typer.Exit(1 if facts["records"] else 0)


Code = Annotated[str | None, typer.Option(help="All with this code of the vendor.")]


@dead_letters.command("retry")
def retry_dead_letters(
    reason: Reason, flow: OfFlow = None, record: Record = None, code: Code = None, as_json: Json = False
) -> None:
    """They go again with the next run, as they are by then; their attempts count anew."""
    _settle("retried", reason, flow, record, code, as_json)


@dead_letters.command("drop")
def drop_dead_letters(
    reason: Reason, flow: OfFlow = None, record: Record = None, code: Code = None, as_json: Json = False
) -> None:
    """They never go again as they are; a contact that changes goes all the same."""
    _settle("dropped", reason, flow, record, code, as_json)


def _settle(
    how: Literal["retried", "dropped"],
    reason: str,
    flow: Flow | None,
    record: int | None,
    code: str | None,
    as_json: bool,
) -> None:
    from cin7_emarsys.emarsys import repair

    if flow is None and record is None and code is None:
        raise cannot("name which: --record, --flow or --code")
    with changing() as ledger_:
        done = repair.settle_letters(ledger_, how, reason, flow=flow, record=record, code=code)
    typer.echo(views.as_json({how: done})) if as_json else console.print(views.delivered.settled(done, how))
