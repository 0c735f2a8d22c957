"""What every command needs of the terminal: where it prints, how it refuses, how it shows progress.

What belongs here: the console, the settings and the warehouse or one sentence why not, exit codes. What does not: a command.

Exit codes: 0 good, 1 found something wrong, 2 could not run.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import duckdb
import typer
from rich.console import Console

from cin7_emarsys import progress, views
from cin7_emarsys.merchant import Merchant, SettingsError
from cin7_emarsys.settings import LocalSettings, Settings, load_local, load_policy, load_settings, paths

if TYPE_CHECKING:
    from cin7_emarsys.warehouse.connections import Warehouse

# A terminal says how wide it is; a file or a pipe does not.
console = Console(width=None if sys.stdout.isatty() else 130)
errors = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead (keys in docs/commands.md).")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many of them.")]


def _moment(text: str) -> datetime:
    """Naive UTC; a bare time of day is its latest."""
    now = datetime.now(UTC)
    try:
        if re.fullmatch(r"\d\d:\d\d(:\d\d)?", text):
            at = datetime.combine(now, time.fromisoformat(text), UTC)
            return (at if at <= now else at - timedelta(days=1)).replace(tzinfo=None)
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time: write 2026-11-25, 2026-11-25T14:03 or, for its latest, 14:03 (UTC)"
        ) from None
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


def filled(text: str | None) -> str | None:
    """What is kept for others to read says something."""
    if text is not None and not text.strip():
        raise typer.BadParameter("is blank, and it is kept for others to read")
    return text


Time = partial(typer.Option, parser=_moment, metavar="TIME")


def settings() -> Settings:
    """The checked settings; ends the command with every fault named."""
    try:
        return load_settings()
    except SettingsError as error:
        raise cannot(error) from None


def local() -> LocalSettings:
    """What needs no credentials; ends the command with every fault named."""
    try:
        return load_local()
    except SettingsError as error:
        raise cannot(error) from None


def policy() -> Merchant:
    """The merchant's rules alone; ends the command with every fault named."""
    try:
        return load_policy()
    except SettingsError as error:
        raise cannot(error) from None


def warehouse() -> Warehouse:
    """The warehouse, if one has been built; ends the command otherwise."""
    from cin7_emarsys.warehouse.connections import Warehouse

    where = paths().warehouse
    if not where.exists():
        raise cannot(f"there is no warehouse at {where} yet; run `cin7-emarsys sync nightly` first")
    return Warehouse(database=str(where))


def cannot(why: object) -> typer.Exit:
    """Says why the command could not run; raise what it returns."""
    views.complain(errors, str(why))
    return typer.Exit(2)


@contextmanager
def known() -> Iterator[None]:
    """Says in one sentence that something is not there (yet)."""
    from cin7_emarsys.operations.refusals import NotKnown

    try:
        yield
    except NotKnown as error:
        views.complain(errors, str(error))
        raise typer.Exit(1) from None
    except (duckdb.CatalogException, duckdb.BinderException):  # no table, or no column
        raise cannot("this version has not built the warehouse yet; run `cin7-emarsys sync nightly` first") from None


@contextmanager
def speaking() -> Iterator[None]:
    """Says in one sentence that a vendor did not answer as it should."""
    from cin7_emarsys.transport import TransportError

    try:
        yield
    except TransportError as error:
        raise cannot(error) from None


@contextmanager
def progressing(title: str, *, quiet: bool) -> Iterator[None]:
    """Shows how far the work is: a live line on a terminal, a line now and then elsewhere."""
    if quiet:
        yield
        return
    shown = [0.0]
    with errors.status(f"{title} …") as status:

        def show(what: str, done: int, total: int | None) -> None:
            text = f"{title} … {what} {done:,}" + (f" of {total:,}" if total else "")
            status.update(text)
            if not errors.is_terminal and monotonic() - shown[0] > 10:
                shown[0] = monotonic()
                errors.print(text, highlight=False)

        with progress.listen(show):
            yield
