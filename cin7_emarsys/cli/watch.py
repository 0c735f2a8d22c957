"""Commands for those who look after the place: exceptions, reconcile, alerts."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cin7_emarsys import views
from cin7_emarsys.cli.terminal import (
    Json,
    Limit,
    Time,
    cannot,
    console,
    filled,
    known,
    local,
    progressing,
    settings,
    speaking,
    warehouse,
)

app = typer.Typer()
exceptions = typer.Typer(
    help="What a person must look at: who answers for it, how old it is and what to do.", no_args_is_help=True
)
alerts = typer.Typer(help="Who is told when something goes wrong.", no_args_is_help=True)
app.add_typer(exceptions, name="exceptions")
app.add_typer(alerts, name="alerts")

Name = Annotated[str, typer.Argument(help="The class, as `exceptions list` names it.")]
Key = Annotated[str | None, typer.Option(help="Only this item of it.")]
Reason = Annotated[str, typer.Option(help="Why; kept with your name.", callback=filled)]


@exceptions.command("list")
def list_exceptions(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are resolved.")] = False,
    as_json: Json = False,
) -> None:
    """All that is open, the worst and oldest first. Exit code 1 when any is open and not ignored."""
    from cin7_emarsys.operations import exceptions as watched

    with known(), warehouse().read() as connection:
        rows = watched.listed(connection, everything=everything)
    typer.echo(views.as_json({"exceptions": rows})) if as_json else console.print(views.exceptions.listed(rows))
    raise typer.Exit(1 if any(row["state"] == "open" for row in rows) else 0)


@exceptions.command("show")
def show_exception(
    name: Name,
    limit: Limit = 50,
    everything: Annotated[bool, typer.Option("--all", help="Also items that are resolved.")] = False,
    as_json: Json = False,
) -> None:
    """One class: its causes, its open items, and what was decided about it."""
    from cin7_emarsys.operations import exceptions as watched

    with known(), warehouse().read() as connection:
        facts = watched.shown(connection, name, limit, everything=everything)
    typer.echo(views.as_json(facts)) if as_json else console.print(views.exceptions.shown(facts))


@exceptions.command("assign")
def assign_exception(
    name: Name,
    who: Annotated[str, typer.Argument(help="Who deals with it.", callback=filled)],
    reason: Reason,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Writes down who deals with a class, or with one item of it."""
    from cin7_emarsys.operations import exceptions as watched

    warehouse()
    with known():
        row = watched.assign(local(), name, who, reason, key)
    typer.echo(views.as_json(row)) if as_json else console.print(views.exceptions.decided(row))


@exceptions.command("ignore")
def ignore_exception(
    name: Name,
    until: Annotated[datetime, Time(help="Until then (UTC); a moment gone by ends it.")],
    reason: Reason,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """A class, or one item of it, alarms nobody until a moment. It is counted and shown all the same."""
    from cin7_emarsys.operations import exceptions as watched

    warehouse()
    with known():
        row = watched.ignore(local(), name, until, reason, key)
    typer.echo(views.as_json(row)) if as_json else console.print(views.exceptions.decided(row))


@app.command()
def reconcile(
    catalogue: Annotated[
        Path | None,
        typer.Option(help="An export of the product catalogue that was taken from Emarsys (CSV).", exists=True),
    ] = None,
    as_json: Json = False,
) -> None:
    """Asks Emarsys what it holds, and compares it with what it should: orphans both ways, drift, the balance.

    The product catalogue cannot be asked for: give an export of it to have it compared as well. Changes nothing at either
    vendor. Exit code 1 when somebody has to look at something.
    """
    from cin7_emarsys.operations import reconcile as reconciling
    from cin7_emarsys.reconciliation.catalogue_export import WrongFile

    loaded = settings()
    with known(), speaking(), progressing("reconcile", quiet=as_json):
        try:
            facts = reconciling.reconcile(loaded, warehouse(), catalogue)
        except WrongFile as error:
            raise cannot(error) from None
    typer.echo(views.as_json(facts)) if as_json else console.print(views.exceptions.reconciled(facts))
    raise typer.Exit(1 if facts["exceptions"] else 0)


@alerts.command("test")
def test_alerts(as_json: Json = False) -> None:
    """Sends a trial message to every channel. Exit code 1 when one does not take it."""
    import logging

    from cin7_emarsys.operations.alerts import trial

    log = logging.getLogger("cin7_emarsys.alerts")
    log.addHandler(logging.NullHandler())  # the console has it already
    outcome = trial(local().alert_urls, log)
    rows = [{"channel": name, "trouble": trouble} for name, trouble in outcome.items()]
    if as_json:
        typer.echo(views.as_json({"channels": rows}))
    else:
        console.print(views.grid(("channel", "took it"), ((r["channel"], r["trouble"] or "yes") for r in rows)))
    raise typer.Exit(1 if any(row["trouble"] for row in rows) else 0)
