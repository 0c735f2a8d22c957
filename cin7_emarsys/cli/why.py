"""Commands that explain: an item's availability, a customer's value."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from cin7_emarsys import views
from cin7_emarsys.cli.terminal import Json, console, known, warehouse

app = typer.Typer()


@app.command()
def explain(
    sku: Annotated[str, typer.Argument(help="The SKU, in any letter case.")],
    at: Annotated[datetime | None, typer.Option(help="As it was at this time (UTC).")] = None,
    as_json: Json = False,
) -> None:
    """Why an item is, or is not, available: on hand to available-to-sell, term by term, with rows and orders."""
    from cin7_emarsys.operations import explain as why

    with known(), warehouse().read() as connection:
        facts = why.explain_sku(connection, sku, at or datetime.now(UTC).replace(tzinfo=None))
    if as_json:
        typer.echo(views.as_json(facts))
    else:
        console.print(views.stock.waterfall(facts))
        console.print(views.stock.evidence(facts))


@app.command()
def customer(
    who: Annotated[str, typer.Argument(help="E-mail, or Cin7's customer id.")],
    as_json: Json = False,
) -> None:
    """What a customer is worth: every invoice and refund that adds up to it, the contact as sent, the events."""
    from cin7_emarsys.operations import explain as why

    with known(), warehouse().read() as connection:
        facts = why.explain_customer(connection, who)
    typer.echo(views.as_json(facts)) if as_json else console.print(views.people.statement(facts))
