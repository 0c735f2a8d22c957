"""Commands that move data: sync, and plan, which says what that would cost."""

from __future__ import annotations

import signal
from enum import StrEnum
from typing import Annotated

import typer

from cin7_emarsys import views
from cin7_emarsys.cli.terminal import Json, cannot, console, errors, progressing, settings, speaking

app = typer.Typer()


class Job(StrEnum):
    stock = "stock"
    orders = "orders"
    customers = "customers"
    products = "products"
    nightly = "nightly"


@app.command()
def sync(
    job: Annotated[Job, typer.Argument(help="What to bring up to date.")],
    full: Annotated[bool, typer.Option("--full", help="Read everything anew, not only what changed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")] = False,
    release: Annotated[
        str | None, typer.Option(help="Free a hold, or an untrusted snapshot's row drop, first.")
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option(help="A guard that does not hold for this run, by its name (docs/commands.md).")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why it is released or overridden; kept.")] = None,
    as_json: Json = False,
) -> None:
    """Runs a job in this process: read from Cin7, work out, send to Emarsys. The run shows in the Dagster UI.

    It may be stopped at any time; the next run goes on where this one was.
    """
    from cin7_emarsys.operations import sync as syncing
    from cin7_emarsys.operations.refusals import CannotRun

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch under way is finished first
    loaded = settings()
    if (release or override) and not (reason or "").strip():
        raise cannot("a release or an override needs a --reason, which is kept")
    overrides = dict.fromkeys(override or [], reason or "")
    try:
        if release and reason:
            freed = syncing.release(loaded, release, reason)
            (errors if as_json else console).print(f"released {release}: {freed}", highlight=False)
        with progressing(f"sync {job.value}", quiet=as_json):
            outcome = syncing.sync(job.value, full=full, dry_run=dry_run, overrides=overrides)
    except CannotRun as error:
        raise cannot(error) from None
    if as_json:
        typer.echo(views.as_json(vars(outcome) | {"checks": [vars(check) for check in outcome.checks]}))
    else:
        console.print(views.runs.summary(outcome))
        for change in syncing.would_send(loaded, outcome.run_id):
            console.print(views.runs.would_send(change))
    raise typer.Exit(0 if outcome.ok else 1)


@app.command()
def plan(
    job: Annotated[Job, typer.Argument(help="What would be brought up to date.")] = Job.nightly,
    as_json: Json = False,
) -> None:
    """What a sync would cost now: calls and minutes, lane by lane, against what is left of the vendors' limits.

    It counts what is known here; what has changed at Cin7 meanwhile comes on top. Nothing is read but the total of a list
    that has never been read, and nothing is sent.
    """
    from cin7_emarsys.operations.plan import plan as reckon

    with speaking():
        found = reckon(settings(), job.value)
    typer.echo(views.as_json(found)) if as_json else console.print(views.runs.planned(found))
