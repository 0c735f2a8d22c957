"""Commands about what was sent to Emarsys: ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from cin7_emarsys import views
from cin7_emarsys.cli.terminal import Json, console, known, warehouse

app = typer.Typer()


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
