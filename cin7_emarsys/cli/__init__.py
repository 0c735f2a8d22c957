"""The command line: parses, calls, prints. Nothing is decided or computed here.

One module for each kind of command; what they share of the terminal, exit codes included, stands in ``terminal.py``.
"""

from __future__ import annotations

import gc
import sys

import typer

from cin7_emarsys import disk
from cin7_emarsys.cli import delivered, people, place, watch, why, work
from cin7_emarsys.cli.terminal import cannot
from cin7_emarsys.schema import SchemaUnknown
from cin7_emarsys.warehouse.connections import WarehouseLocked

app = typer.Typer(
    name="cin7-emarsys",
    help="Keeps SAP Emarsys true to Cin7 Core: stock, orders, products and customers.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (place, work, why, people, delivered, watch):
    app.add_typer(commands.app)


@app.callback()
def _root() -> None:
    disk.only_ours()


def main() -> None:
    """Entry point of the `cin7-emarsys` command. A store that cannot be used is told in one sentence."""
    gc.set_threshold(20_000)  # to look for garbage after each 700 objects takes a tenth of the start of a command
    try:
        app()
    except (disk.Unwritable, SchemaUnknown, WarehouseLocked) as error:
        sys.exit(cannot(error).exit_code)
