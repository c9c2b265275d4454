"""The command line: one small file a command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys

import typer

from whet import __version__
from whet.cli import (
    augment,
    check,
    compare,
    ensemble,
    evaluate,
    explain,
    improve,
    methods,
    predict,
    report,
    study,
    train,
    tune,
)
from whet.core.errors import WhetError

app = typer.Typer(
    name="whet",
    help="Sharpen a model on your own data, and measure which techniques helped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    check,
    augment,
    train,
    study,
    tune,
    improve,
    ensemble,
    evaluate,
    predict,
    explain,
    compare,
    report,
    methods,
):
    app.command(module.NAME)(module.command)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"whet {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and end."
    ),
) -> None:
    pass


def main() -> None:
    """Run a command; an error raised on purpose is one line on stderr and exit code 1, a wrong option exit code 2."""
    try:
        app()
    except WhetError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
