"""The command line interface, with one module per command. Heavy packages are imported only when a command runs.

Results are written to stdout, progress and notes to stderr. Exit codes: 0, success; 1, an error (printed in one line) or a
`--strict` check that found a problem; 2, an invalid option; 130, stopped by Ctrl-C; 143, stopped by SIGTERM.
"""

from __future__ import annotations

import os
import sys

import typer

from whet import __version__
from whet.cli import (
    augment,
    board,
    check,
    compare,
    compress,
    ensemble,
    evaluate,
    explain,
    export,
    group,
    improve,
    label,
    methods,
    predict,
    pretrain,
    report,
    serve,
    study,
    train,
    tune,
)
from whet.cli.help import Command, Group
from whet.cli.options import speaks
from whet.core.errors import WhetError
from whet.core.language import tr

app = typer.Typer(
    name="whet",
    cls=Group,
    rich_markup_mode=None,  # no markup: a [word] in brackets is printed unchanged
    help="Train a classifier on your own data and measure which techniques help.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for module in (
    check,
    group,
    augment,
    train,
    pretrain,
    study,
    tune,
    improve,
    ensemble,
    evaluate,
    predict,
    explain,
    label,
    compare,
    report,
    board,
    compress,
    export,
    serve,
    methods,
):
    app.command(module.NAME, cls=Command)(speaks(module.command))


_STOPPED = 130


def _version(show: bool) -> None:
    if show:
        typer.echo(f"whet {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


def main() -> None:
    """Run a command and exit with its exit code."""
    try:
        app()
    except WhetError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        _stop()
    except SystemExit as end:
        if (
            type(end) is SystemExit and end.code == _STOPPED
        ):  # typer exits this way after Ctrl-C; a run that saves a checkpoint first prints its own message
            _stop()
        raise


def _stop() -> None:
    """Print one line and exit immediately, without waiting for the threads that read samples."""
    typer.secho(tr("stopped"), err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_STOPPED)
