"""Commands about people: a customer's statement, who is written down to be the same person, and forgetting somebody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cin7_emarsys import views
from cin7_emarsys.cli.terminal import (
    Json,
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

if TYPE_CHECKING:
    from cin7_emarsys.operations.person import Erasure

Reason = Annotated[str, typer.Option(help="Why; it is kept.", callback=filled)]
Who = Annotated[str, typer.Argument(help="E-mail, or Cin7's customer id.")]


class _StatementUnlessNamed(TyperGroup):
    """`customer alias …` is a command; `customer` followed by anything else asks for a statement."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help", "-h"):
            args = ["statement", *args]
        return super().parse_args(ctx, args)


app = typer.Typer()
customer = typer.Typer(cls=_StatementUnlessNamed, no_args_is_help=True)
alias = typer.Typer(no_args_is_help=True)
customer.add_typer(
    alias, name="alias", help="Two addresses that are one person: written down by hand, with a reason, and taken back."
)
app.add_typer(
    customer,
    name="customer",
    help="What a customer is worth: `customer EMAIL` or `customer ID` prints the statement, every invoice and refund that "
    "adds up to it, why it changed, the contact as sent, the events. `customer alias` joins two addresses.",
)


@customer.command()
def statement(who: Who, as_json: Json = False) -> None:
    """The statement (what `customer EMAIL` prints)."""
    from cin7_emarsys.operations import explain as why

    with known(), warehouse().read() as connection:
        facts = why.explain_customer(connection, who)
    typer.echo(views.as_json(facts)) if as_json else console.print(views.people.statement(facts))


@contextmanager
def _writing() -> Iterator[None]:
    from cin7_emarsys.operations.refusals import CannotRun

    with known():
        try:
            yield
        except CannotRun as error:
            raise cannot(error) from None


@alias.command("add")
def add_alias(
    who: Annotated[str, typer.Argument(help="The address (or customer id) that is somebody else's too.")],
    person: Annotated[str, typer.Argument(help="Whose it is: the address or customer id that stays.")],
    reason: Reason,
    as_json: Json = False,
) -> None:
    """From the next sync on, all documents of the one count for the other. What was sent stays as sent."""
    from cin7_emarsys.operations import aliases

    warehouse()
    with _writing():
        row = aliases.add(local(), who, person, reason)
    typer.echo(views.as_json(row)) if as_json else console.print(views.people.joined(row))


@alias.command("remove")
def remove_alias(who: Annotated[str, typer.Argument(help="The alias.")], reason: Reason, as_json: Json = False) -> None:
    """Takes an alias back: from the next sync on each has its own documents again."""
    from cin7_emarsys.operations import aliases

    warehouse()
    with _writing():
        row = aliases.remove(local(), who, reason)
    typer.echo(views.as_json(row)) if as_json else console.print(views.people.parted(row))


@alias.command("list")
def list_aliases(as_json: Json = False) -> None:
    """Every written alias: who wrote it, when and why."""
    from cin7_emarsys.operations import aliases

    with known(), warehouse().read() as connection:
        rows = aliases.listed(connection)
    typer.echo(views.as_json({"aliases": rows})) if as_json else console.print(views.people.aliases(rows))


@app.command()
def erase(
    email: Annotated[str, typer.Argument(help="The person's e-mail.")],
    reason: Annotated[str | None, typer.Option(help="Why; it is kept, without the address.")] = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Delete the contact at Emarsys too. It cannot be taken back.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Forgets a person: in the warehouse, in the ledger, in landed files, and with --everywhere at Emarsys.

    Her orders go on counting, for nobody. Salted hashes stay, so that the next read does not bring her back. If it is broken
    off, say it again. Cin7 is the system of record: erase her there as well.
    """
    from cin7_emarsys.operations.person import facts, preview

    warehouse()
    if not dry_run and not (reason or "").strip():
        raise cannot("an erasure needs a --reason, which is kept (or --dry-run, which shows what would go)")
    if dry_run:
        with _writing():
            done = preview(settings(), email)
    else:
        done = _erased(email, reason or "", everywhere=everywhere, quiet=as_json)
    typer.echo(views.as_json(facts(done))) if as_json else console.print(views.people.erasure(done))
    raise typer.Exit(1 if done.left else 0)


def _erased(email: str, reason: str, *, everywhere: bool, quiet: bool) -> Erasure:
    from cin7_emarsys.emarsys.ledger import LedgerUnwritable
    from cin7_emarsys.operations.erase import erase
    from cin7_emarsys.schema import SchemaUnknown

    loaded = settings()
    try:
        with _writing(), speaking(), progressing("erase", quiet=quiet):
            return erase(loaded, email, reason, everywhere=everywhere)
    except (LedgerUnwritable, SchemaUnknown) as error:
        raise cannot(error) from None
    except (KeyboardInterrupt, RuntimeError) as error:  # the latter is DuckDB's for the former
        if isinstance(error, RuntimeError) and "interrupted" not in str(error):
            raise
        raise cannot(
            "broken off; say it again, in the same words, to finish it. Nothing of hers is sent meanwhile"
        ) from None
