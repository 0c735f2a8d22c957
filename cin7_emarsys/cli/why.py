"""Commands that explain an item's availability."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from duckdb import DuckDBPyConnection

from cin7_emarsys import views
from cin7_emarsys.cli.terminal import Json, cannot, console, known, settings, warehouse

app = typer.Typer()
policies = typer.Typer(help="The merchant's rules: what a change of them would do.", no_args_is_help=True)
app.add_typer(policies, name="policy")

_TIME_ONLY = "%H:%M"
_MOMENTS = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d", _TIME_ONLY]


@app.command()
def explain(
    sku: Annotated[str, typer.Argument(help="The SKU, in any letter case.")],
    at: Annotated[
        datetime | None,
        typer.Option(help="As it was known at this time (UTC); a bare 14:03 is its latest.", formats=_MOMENTS),
    ] = None,
    as_json: Json = False,
) -> None:
    """Why an item is, or is not, available: on hand to available-to-sell, term by term, with rows and orders."""
    from cin7_emarsys.operations import explain as why

    with known(), warehouse().read() as connection:
        facts = why.explain_sku(connection, sku, at and _full(connection, at))
    typer.echo(views.as_json(facts)) if as_json else console.print(views.stock.explanation(facts))


def _full(connection: DuckDBPyConnection, at: datetime) -> datetime:
    """A time of day becomes its latest occurrence by Cin7's clock."""
    from cin7_emarsys.operations import explain as why

    if at.year != 1900:
        return at
    now: datetime = why.fetch(connection, "now")[0]["as_of"]
    day = datetime.combine(now, at.time())
    return day if day <= now else day - timedelta(days=1)


@policies.callback()
def _policy() -> None:
    pass


@policies.command("preview")
def policy_preview(
    file: Annotated[Path, typer.Argument(help="A changed merchant.toml.")],
    as_json: Json = False,
) -> None:
    """What a changed merchant.toml would change, tried on the newest trusted snapshot of stock.

    Sends nothing and changes nothing. Exit code 1: it would cause holds, or names a location that Cin7 does not know.
    """
    from cin7_emarsys.merchant import SettingsError, load_merchant
    from cin7_emarsys.operations.preview import preview

    running = settings().merchant
    try:
        changed = load_merchant(file)
    except SettingsError as error:
        raise cannot(error) from None
    with known(), warehouse().read() as connection:
        found = {"file": str(file), **preview(connection, running, changed)}
    typer.echo(views.as_json(found)) if as_json else console.print(views.policy.previewed(found))
    raise typer.Exit(1 if found["holds"] or found["unknown_locations"] else 0)
