"""Commands about the place itself: sandbox, demo, setup, serve, desk, report, doctor."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cin7_emarsys import views
from cin7_emarsys.cli.terminal import Json, cannot, console, local, policy, progressing, settings, speaking
from cin7_emarsys.settings import paths

app = typer.Typer()


class Scale(StrEnum):
    small = "small"
    store = "store"
    chain = "chain"


class Limits(StrEnum):
    real = "real"
    fast = "fast"


class Edition(StrEnum):
    emarsys = "emarsys"
    engagement_cloud = "engagement_cloud"


Port = partial(typer.Option, min=0, max=65535)


@contextmanager
def _listening() -> Iterator[None]:
    """Says in one sentence that a port cannot be had."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise cannot(f"{error.strerror}; stop what uses it, or name another (0 takes a free one)") from None


@app.command()
def sandbox(
    more_faults: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    scale: Annotated[Scale, typer.Option(help="How big the simulated merchant is.")] = Scale.small,
    history: Annotated[
        Path | None, typer.Option(help="Replay real retail lines (Parquet) instead.", exists=True)
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same merchant.")] = 1,
    cin7_port: Annotated[int, Port(help="Port of the Cin7 side; 0 takes a free one.")] = 8701,
    emarsys_port: Annotated[int, Port(help="Port of the Emarsys side; 0 takes a free one.")] = 8702,
    limits: Annotated[Limits, typer.Option(help="The vendors' rate limits, or none to speak of.")] = Limits.real,
    window_seconds: Annotated[float | None, typer.Option(help="Shortens the vendors' minute (for trials).")] = None,
    edition: Annotated[Edition, typer.Option(help="Which of the two products the account has.")] = Edition.emarsys,
    faults: Annotated[list[str] | None, typer.Option(help="Faults to inject, by name.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON when ready: the environment.")
    ] = False,
) -> None:
    """Serves both vendors on this machine: a simulated merchant in Cin7 Core, and an Emarsys account.

    Leave it running and use another shell: [bold]cin7-emarsys sync nightly[/bold] finds it by itself as long as
    neither .env nor CIN7_*/EMARSYS_* variables point elsewhere.
    """
    from cin7_emarsys.sandbox.faults import default_specs
    from cin7_emarsys.sandbox.server import serve

    names = [*(faults or []), *(more_faults or [])]
    try:
        default_specs(names)
    except ValueError as error:
        raise cannot(error) from None
    with _listening():
        serve(
            scale=scale.value,
            history=history,
            seed=seed,
            cin7_port=cin7_port,
            emarsys_port=emarsys_port,
            limits=limits.value,
            window_seconds=window_seconds,
            faults=names,
            json_output=as_json,
            env_file=None if as_json else paths().sandbox_env,
            edition=edition.value,
        )


@app.command()
def demo() -> None:
    """A simulated merchant, a first load, a day of business, a second sync, and a tour of what happened."""
    from cin7_emarsys import demo as tour

    try:
        code = tour.run(console)
    except tour.DemoRefused as error:
        raise cannot(error) from None
    raise typer.Exit(code)


@app.command()
def setup(
    apply: Annotated[bool, typer.Option("--apply", help="Make the fields and events that are missing.")] = False,
    as_json: Json = False,
) -> None:
    """What the Emarsys account lacks: contact fields, external events, permissions. Nothing is made without --apply."""
    from cin7_emarsys.emarsys import setup as account
    from cin7_emarsys.emarsys.engagement_cloud import connect

    loaded = settings()
    with speaking(), connect(loaded) as emarsys:
        merchant = loaded.merchant
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
    port: Annotated[int, Port(help="Port on this machine; 0 takes a free one.")] = 8703,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON when ready: the address.")] = False,
) -> None:
    """Serves the product data file to Emarsys behind basic auth (FEED_USER, FEED_PASSWORD).

    It listens on this machine only: put a proxy with HTTPS before it, and its address into Predict Data Sources.
    """
    from cin7_emarsys.emarsys import feed
    from cin7_emarsys.emarsys.ledger import Ledger

    loaded = settings()

    def ready(bound: int) -> None:
        address = f"http://127.0.0.1:{bound}/{loaded.merchant.catalogue.filename}"
        typer.echo(views.as_json({"url": address}) if as_json else f"product data file at {address}")

    with _listening():
        feed.run(feed.create_app(loaded, Ledger(loaded.ledger_url)), port, ready)


@app.command()
def desk(
    port: Annotated[int, Port(help="Port on this machine; 0 takes a free one.")] = 8704,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON when ready: the address.")] = False,
) -> None:
    """Serves the operators' pages, read-only and on this machine only, until it is stopped.

    Is it safe to send; availability; back in stock; orphans; balance and delivery; look-up: as the last run left it.
    """
    from cin7_emarsys.desk.app import create_app
    from cin7_emarsys.desk.source import Published
    from cin7_emarsys.emarsys.feed import run

    rules = policy()

    def ready(bound: int) -> None:
        address = f"http://127.0.0.1:{bound}/"
        typer.echo(views.as_json({"url": address}) if as_json else f"the desk is at {address}")

    with _listening():
        run(create_app(Published(paths().published), rules), port, ready)


@app.command()
def report(
    out: Annotated[Path | None, typer.Option(help="Folder of the pages; var/report unless given.")] = None,
    month: Annotated[str | None, typer.Option(help="Close this month (YYYY-MM) instead of writing the pages.")] = None,
    as_json: Json = False,
) -> None:
    """Writes the operators' pages as files: HTML to read, CSV to reckon with; no address and no name of a customer.

    With --month: Cin7's invoices less credit notes, what counts here, and what Emarsys was told, day by day, with every
    difference named. Exit code 1: something is parked, refused, on its way, still to be read or does not add up, or the
    month has no documents.
    """
    from cin7_emarsys.desk import month as months
    from cin7_emarsys.desk import report as writing
    from cin7_emarsys.desk.source import NothingPublished, Published

    rules, places = policy(), paths()
    published = Published(places.published)
    try:
        if month:
            with published.read() as facts:
                closed = months.close(facts, month)
        else:
            written = writing.write(published, rules, (out or places.report).absolute())
    except (NothingPublished, months.NoSuchMonth, writing.NotAReport) as error:
        raise cannot(error) from None
    except OSError as error:
        raise cannot(f"the report cannot be written to {out or places.report}: {error.strerror or error}") from None
    if month:
        typer.echo(views.as_json(closed)) if as_json else console.print(views.months.closed(closed))
        raise typer.Exit(0 if closed["settled"] else 1)
    if as_json:
        typer.echo(views.as_json(vars(written)))
    else:
        console.print(f"{written.folder / 'index.html'}: {written.files} files, {written.bytes / 1e6:.1f} MB")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Settings, credentials, clock, disk, locks, feed, pools, ticks, daemon: each good, watch or bad, and what to do."""
    from cin7_emarsys.operations.doctor import examine

    lines = examine()
    if as_json:
        typer.echo(views.as_json({"lines": [vars(line) for line in lines]}))
    else:
        rows = ((line.state, line.what, line.found, line.next_step) for line in lines)
        console.print(views.grid(("", "what", "found", "what to do"), rows))
    raise typer.Exit(1 if any(line.state == "bad" for line in lines) else 0)


@app.command()
def prune(
    apply: Annotated[bool, typer.Option("--apply", help="Remove it.")] = False,
    as_json: Json = False,
) -> None:
    """What is older than the policy keeps it (\\[retention] in merchant.toml), class by class. Nothing goes without --apply.

    What a later decision needs stays, however old: open unknowns and dead letters, what is in force, what was accepted last.
    """
    from cin7_emarsys import locks
    from cin7_emarsys.operations.prune import prune as find
    from cin7_emarsys.operations.refusals import CannotRun
    from cin7_emarsys.operations.sync import instance

    loaded = local()
    try:
        with progressing("prune", quiet=as_json), locks.held(loaded.paths.locks, "job-prune"), instance() as opened:
            found = find(loaded, opened, apply=apply)
    except CannotRun as error:
        raise cannot(error) from None
    if as_json:
        typer.echo(views.as_json({"applied": apply, "aged": [vars(aged) for aged in found]}))
    else:
        console.print(views.runs.aged(found, applied=apply))
