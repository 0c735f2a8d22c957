"""Commands about what was sent to Emarsys, and what a person does about it: ledger, unknowns, dead-letters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cin7_emarsys import views
from cin7_emarsys.cli.terminal import Json, cannot, console, errors, known, settings, warehouse

if TYPE_CHECKING:
    from cin7_emarsys.emarsys.ledger import Ledger

app = typer.Typer()
unknowns = typer.Typer(help="Sales lines and events of which nobody knows whether Emarsys applied them.")
dead_letters = typer.Typer(
    help="Records that were refused, or tried too often: they wait for a person, or for a change."
)
app.add_typer(unknowns, name="unknowns")
app.add_typer(dead_letters, name="dead-letters")

Flow = Annotated[str | None, typer.Option(help="contacts, catalogue, sales or events.")]
Record = Annotated[int | None, typer.Option(help="This record.")]
Reason = Annotated[str, typer.Option(help="Why; kept with your name.")]
Limit = Annotated[int, typer.Option(help="At most so many records.")]


class Resolution(StrEnum):
    accepted = "accepted"
    not_applied = "not-applied"
    send_again = "send-again"


@contextmanager
def opened() -> Iterator[Ledger]:
    """The ledger of this place; ends the command when nothing answers what was asked, or it cannot be written."""
    from cin7_emarsys.emarsys.ledger import Ledger, LedgerUnwritable
    from cin7_emarsys.emarsys.repair import NothingThere

    ledger = Ledger(settings().ledger_url)
    try:
        yield ledger
    except NothingThere as error:
        views.complain(errors, str(error))
        raise typer.Exit(1) from None
    except LedgerUnwritable as error:
        raise cannot(error) from None
    finally:
        ledger.close()


@app.command()
def ledger(
    flow: Annotated[str | None, typer.Option(help="contacts, sales or events.")] = None,
    outcome: Annotated[str | None, typer.Option(help="accepted, rejected, retryable or unknown.")] = None,
    sku: Annotated[str | None, typer.Option(help="Sales lines of this item.")] = None,
    customer: Annotated[str | None, typer.Option(help="Records about this e-mail or customer id.")] = None,
    order: Annotated[str | None, typer.Option(help="Records about this order number.")] = None,
    batch: Annotated[int | None, typer.Option(help="Records of this batch.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Since this time (UTC).")] = None,
    limit: Annotated[int, typer.Option(help="At most so many records.")] = 50,
    as_json: Json = False,
) -> None:
    """Everything that was sent to Emarsys, record by record, with its fate."""
    from cin7_emarsys.operations.explain import fetch

    asked = {
        "flow": flow, "outcome": outcome, "sku": sku, "customer": customer, "order": order, "batch": batch,
        "since": since, "limit": limit,
    }  # fmt: skip
    with known(), warehouse().read() as connection:
        facts = {
            "flows": fetch(connection, "ledger_summary"),
            "publications": fetch(connection, "ledger_publications", limit=5),
            "records": fetch(connection, "ledger", **asked),
        }
    typer.echo(views.as_json(facts)) if as_json else console.print(views.delivered.ledger(facts))


@unknowns.command("list")
def list_unknowns(flow: Flow = None, limit: Limit = 50, as_json: Json = False) -> None:
    """What is parked, oldest first. Exit code 1 when there is any."""
    from cin7_emarsys.emarsys import repair

    with opened() as ledger_:
        facts = repair.parked(ledger_, flow=flow, limit=limit)
    typer.echo(views.as_json(facts)) if as_json else console.print(views.delivered.parked(facts))
    raise typer.Exit(1 if facts["records"] else 0)


@unknowns.command("resolve")
def resolve_unknowns(
    how: Annotated[Resolution, typer.Argument(help="What a look at Emarsys showed, or what is the lesser harm.")],
    reason: Reason,
    flow: Flow = None,
    record: Record = None,
    batch: Annotated[int | None, typer.Option(help="All parked records of this batch.")] = None,
    as_json: Json = False,
) -> None:
    """Decides parked records: accepted (Emarsys has them), not-applied (they go with the next run), send-again (the same,
    though nobody knows: it may be twice then)."""
    from cin7_emarsys.emarsys import repair

    if flow is None and record is None and batch is None:
        raise cannot("name what is resolved: --record, --batch or --flow")
    with opened() as ledger_:
        done = repair.resolve(ledger_, how.value, reason, flow=flow, record=record, batch=batch)
    typer.echo(views.as_json({"resolved": done})) if as_json else console.print(f"{done} records: {how.value}")


@dead_letters.command("list")
def list_dead_letters(flow: Flow = None, limit: Limit = 50, as_json: Json = False) -> None:
    """What waits for a person, by kind and record by record, oldest first. Exit code 1 when there is any."""
    from cin7_emarsys.emarsys import repair

    with opened() as ledger_:
        facts = repair.letters(ledger_, flow=flow, limit=limit)
    typer.echo(views.as_json(facts)) if as_json else console.print(views.delivered.letters(facts))
    raise typer.Exit(1 if facts["records"] else 0)


Code = Annotated[str | None, typer.Option(help="All with this code of the vendor.")]


@dead_letters.command("retry")
def retry_dead_letters(
    reason: Reason, flow: Flow = None, record: Record = None, code: Code = None, as_json: Json = False
) -> None:
    """They go again with the next run, as they are by then; their attempts count anew."""
    _settle("retried", reason, flow, record, code, as_json)


@dead_letters.command("drop")
def drop_dead_letters(
    reason: Reason, flow: Flow = None, record: Record = None, code: Code = None, as_json: Json = False
) -> None:
    """They never go again as they are; a contact that changes goes all the same."""
    _settle("dropped", reason, flow, record, code, as_json)


def _settle(
    how: Literal["retried", "dropped"],
    reason: str,
    flow: str | None,
    record: int | None,
    code: str | None,
    as_json: bool,
) -> None:
    from cin7_emarsys.emarsys import repair

    if flow is None and record is None and code is None:
        raise cannot("name which: --record, --flow or --code")
    with opened() as ledger_:
        done = repair.settle_letters(ledger_, how, reason, flow=flow, record=record, code=code)
    typer.echo(views.as_json({how: done})) if as_json else console.print(f"{done} dead letters {how}")
