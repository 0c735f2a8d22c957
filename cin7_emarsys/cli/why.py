"""Commands that explain an item's availability."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cin7_emarsys import views
from cin7_emarsys.cli.terminal import Json, Time, cannot, console, known, policy, warehouse

app = typer.Typer()
policies = typer.Typer(help="The merchant's rules: what a change of them would do.", no_args_is_help=True)
app.add_typer(policies, name="policy")


@app.command()
def explain(
    sku: Annotated[str, typer.Argument(help="The SKU, in any letter case.")],
    at: Annotated[datetime | None, Time(help="As it was known at this time (UTC); a bare 14:03 is its latest.")] = None,
    as_json: Json = False,
) -> None:
    """Why an item is, or is not, available: on hand to available-to-sell, term by term, with rows and orders."""
    from cin7_emarsys.operations import explain as why

    with known(), warehouse().read() as connection:
        facts = why.explain_sku(connection, sku, at)
    typer.echo(views.as_json(facts)) if as_json else console.print(views.stock.explanation(facts))


@policies.callback()
def _policy() -> None:
    pass


@policies.command("preview")
def policy_preview(
    file: Annotated[Path, typer.Argument(help="A changed merchant.toml.", exists=True, dir_okay=False)],
    as_json: Json = False,
) -> None:
    """What a changed merchant.toml would change, tried on the newest trusted snapshot of stock.

    Sends nothing and changes nothing. Exit code 1: it would cause holds, or names a location that Cin7 does not know.
    """
    from cin7_emarsys.merchant import SettingsError, load_merchant
    from cin7_emarsys.operations.preview import preview

    running = policy()
    try:
        changed = load_merchant(file)
    except SettingsError as error:
        raise cannot(error) from None
    with known(), warehouse().read() as connection:
        found = {"file": str(file), **preview(connection, running, changed)}
    typer.echo(views.as_json(found)) if as_json else console.print(views.policy.previewed(found))
    raise typer.Exit(1 if found["holds"] or found["unknown_locations"] else 0)
