"""The command line: parses, calls, prints. Nothing is decided or computed here.

Exit codes: 0 good, 1 found something wrong, 2 could not run.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

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


def main() -> None:
    """Entry point of the `cin7-emarsys` command."""
    app()


if __name__ == "__main__":
    main()
