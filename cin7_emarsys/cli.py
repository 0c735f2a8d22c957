"""The command line: parses, calls, prints. Nothing is decided or computed here.

Exit codes: 0 good, 1 found something wrong, 2 could not run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import duckdb
import typer
from rich.console import Console

from cin7_emarsys import progress, views
from cin7_emarsys.settings import Settings, SettingsError, load_settings, paths
from cin7_emarsys.warehouse.resource import Warehouse

# A terminal says how wide it is; a file or a pipe does not.
console = Console(width=None if sys.stdout.isatty() else 130)
errors = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead (keys in docs/commands.md).")]

app = typer.Typer(
    name="cin7-emarsys",
    help="Keeps SAP Emarsys true to Cin7 Core: stock, orders, products and customers.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root() -> None:
    pass


class Scale(StrEnum):
    small = "small"
    store = "store"
    chain = "chain"


class Job(StrEnum):
    stock = "stock"
    orders = "orders"
    customers = "customers"
    products = "products"
    nightly = "nightly"


class Limits(StrEnum):
    real = "real"
    fast = "fast"


@app.command()
def sandbox(
    more_faults: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    scale: Annotated[Scale, typer.Option(help="How big the simulated merchant is.")] = Scale.small,
    history: Annotated[
        Path | None, typer.Option(help="Replay real retail lines (Parquet) instead.", exists=True)
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same merchant.")] = 1,
    cin7_port: Annotated[int, typer.Option(help="Port of the Cin7 side; 0 takes a free one.")] = 8701,
    emarsys_port: Annotated[int, typer.Option(help="Port of the Emarsys side; 0 takes a free one.")] = 8702,
    limits: Annotated[Limits, typer.Option(help="The vendors' rate limits, or none to speak of.")] = Limits.real,
    window_seconds: Annotated[float | None, typer.Option(help="Shortens the vendors' minute (for trials).")] = None,
    faults: Annotated[list[str] | None, typer.Option(help="Faults to inject, by name.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON when ready: the environment.")
    ] = False,
) -> None:
    """Serves both vendors on this machine: a simulated merchant in Cin7 Core, and an Emarsys account.

    Leave it running and use another shell: [bold]cin7-emarsys sync nightly[/bold] finds it by itself as long as
    neither .env nor CIN7_*/EMARSYS_* variables point elsewhere.
    """
    from cin7_emarsys.sandbox.server import serve
    from cin7_emarsys.settings import paths

    serve(
        scale=scale.value,
        history=history,
        seed=seed,
        cin7_port=cin7_port,
        emarsys_port=emarsys_port,
        limits=limits.value,
        window_seconds=window_seconds,
        faults=[*(faults or []), *(more_faults or [])],
        json_output=as_json,
        env_file=None if as_json else paths().sandbox_env,
    )


@app.command()
def demo() -> None:
    """A simulated merchant, a first load, a day of business, a second sync, and a tour of what happened."""
    from cin7_emarsys import demo as tour

    try:
        code = tour.run(console)
    except tour.DemoRefused as error:
        raise _cannot(error) from None
    raise typer.Exit(code)


@app.command()
def setup(
    apply: Annotated[bool, typer.Option("--apply", help="Make the fields and events that are missing.")] = False,
    as_json: Json = False,
) -> None:
    """What the Emarsys account lacks: contact fields, external events, permissions. Nothing is made without --apply."""
    from cin7_emarsys.emarsys import setup as account
    from cin7_emarsys.emarsys.client import Emarsys

    with _speaking(), Emarsys(_settings()) as emarsys:
        merchant = _settings().merchant
        findings = account.survey(emarsys, merchant)
        if apply:
            made = account.make(emarsys, merchant, findings)
            findings = [*made, *account.survey(emarsys, merchant)] if made else findings
        findings += account.permissions(emarsys)
    if as_json:
        typer.echo(views.as_json({"findings": [vars(finding) for finding in findings]}))
    else:
        rows = ((finding.state, finding.what, finding.detail, finding.next_step) for finding in findings)
        console.print(views.grid(("", "what", "found", "what to do"), rows))
    raise typer.Exit(0 if all(finding.state in ("good", "made") for finding in findings) else 1)


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="Port on this machine; 0 takes a free one.")] = 8703,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON when ready: the address.")] = False,
) -> None:
    """Serves the product data file to Emarsys behind basic auth (FEED_USER, FEED_PASSWORD).

    It listens on this machine only: put a proxy with HTTPS before it, and its address into Predict Data Sources.
    """
    from cin7_emarsys.emarsys import feed
    from cin7_emarsys.emarsys.ledger import Ledger

    settings = _settings()

    def ready(bound: int) -> None:
        address = f"http://127.0.0.1:{bound}/{settings.merchant.catalogue.filename}"
        typer.echo(views.as_json({"url": address}) if as_json else f"product data file at {address}")

    feed.run(feed.create_app(settings, Ledger(settings.ledger_url)), port, ready)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Settings, credentials, clock, disk, locks, daemon: each line says good, watch or bad, and what to do."""
    from cin7_emarsys.operations.doctor import examine

    lines = examine()
    if as_json:
        typer.echo(views.as_json({"lines": [vars(line) for line in lines]}))
    else:
        rows = ((line.state, line.what, line.found, line.next_step) for line in lines)
        console.print(views.grid(("", "what", "found", "what to do"), rows))
    raise typer.Exit(1 if any(line.state == "bad" for line in lines) else 0)


@app.command()
def sync(
    job: Annotated[Job, typer.Argument(help="What to bring up to date.")],
    full: Annotated[bool, typer.Option("--full", help="Read everything anew, not only what changed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")] = False,
    release: Annotated[str | None, typer.Option(help="Free a hold of the circuit breaker first.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why it is released; kept.")] = None,
    as_json: Json = False,
) -> None:
    """Runs a job in this process: read from Cin7, work out, send to Emarsys. The run shows in the Dagster UI.

    It may be stopped at any time; the next run goes on where this one was.
    """
    from cin7_emarsys.operations import runs
    from cin7_emarsys.operations import sync as syncing

    settings = _settings()
    if release and not reason:
        raise _cannot("a release needs a --reason, which is kept")
    try:
        if release and reason:
            freed = syncing.release(settings, release, reason)
            console.print(f"released {release}: {freed} items", highlight=False)
        with _progress(f"sync {job.value}", quiet=as_json):
            outcome = syncing.sync(job.value, full=full, dry_run=dry_run)
    except runs.CannotRun as error:
        raise _cannot(error) from None
    if as_json:
        typer.echo(views.as_json(vars(outcome) | {"checks": [vars(check) for check in outcome.checks]}))
    else:
        console.print(views.summary(outcome))
        for change in syncing.would_send(settings, outcome.run_id):
            console.print(views.would_send(change))
    raise typer.Exit(0 if outcome.ok else 1)


@app.command()
def explain(
    sku: Annotated[str, typer.Argument(help="The SKU, in any letter case.")],
    at: Annotated[datetime | None, typer.Option(help="As it was at this time (UTC).")] = None,
    as_json: Json = False,
) -> None:
    """Why an item is, or is not, available: on hand to available-to-sell, term by term, with rows and orders."""
    from cin7_emarsys.operations import explain as why

    with _known(), _warehouse().read() as connection:
        facts = why.explain_sku(connection, sku, at or datetime.now(UTC).replace(tzinfo=None))
    if as_json:
        typer.echo(views.as_json(facts))
    else:
        console.print(views.waterfall(facts))
        console.print(views.evidence(facts))


@app.command()
def customer(
    who: Annotated[str, typer.Argument(help="E-mail, or Cin7's customer id.")],
    as_json: Json = False,
) -> None:
    """What a customer is worth: every invoice and refund that adds up to it, the contact as sent, the events."""
    from cin7_emarsys.operations import explain as why

    with _known(), _warehouse().read() as connection:
        facts = why.explain_customer(connection, who)
    typer.echo(views.as_json(facts)) if as_json else console.print(views.statement(facts))


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
    with _known(), _warehouse().read() as connection:
        facts = {
            "flows": fetch(connection, "ledger_summary"),
            "publications": fetch(connection, "ledger_publications", limit=5),
            "records": fetch(connection, "ledger", **asked),
        }
    typer.echo(views.as_json(facts)) if as_json else console.print(views.ledger(facts))


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        raise _cannot(error) from None


def _warehouse() -> Warehouse:
    where = paths().warehouse
    if not where.exists():
        raise _cannot(f"there is no warehouse at {where} yet; run `cin7-emarsys sync nightly` first")
    return Warehouse(database=str(where))


def _cannot(why: object) -> typer.Exit:
    views.complain(errors, str(why))
    return typer.Exit(2)


@contextmanager
def _known() -> Iterator[None]:
    """Says in one sentence that something is not there (yet)."""
    from cin7_emarsys.operations.explain import NotKnown

    try:
        yield
    except NotKnown as error:
        views.complain(errors, str(error))
        raise typer.Exit(1) from None
    except duckdb.CatalogException:
        raise _cannot("the warehouse has not been built yet; run `cin7-emarsys sync nightly` first") from None


@contextmanager
def _speaking() -> Iterator[None]:
    """Says in one sentence that a vendor did not answer as it should."""
    from cin7_emarsys.transport import TransportError

    try:
        yield
    except TransportError as error:
        raise _cannot(error) from None


@contextmanager
def _progress(title: str, *, quiet: bool) -> Iterator[None]:
    """Shows how far the work is: a live line on a terminal, a line now and then elsewhere."""
    if quiet:
        yield
        return
    shown = [0.0]
    with errors.status(f"{title} …") as status:

        def show(what: str, done: int, total: int | None) -> None:
            text = f"{title} … {what} {done:,}" + (f" of {total:,}" if total else "")
            status.update(text)
            if not errors.is_terminal and time.monotonic() - shown[0] > 10:
                shown[0] = time.monotonic()
                errors.print(text, highlight=False)

        with progress.listen(show):
            yield


def main() -> None:
    """Entry point of the `cin7-emarsys` command."""
    app()


if __name__ == "__main__":
    main()
