"""Commands that explain an item's availability."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer
from duckdb import DuckDBPyConnection

from cin7_emarsys import views
from cin7_emarsys.cli.terminal import Json, console, known, warehouse

app = typer.Typer()

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
