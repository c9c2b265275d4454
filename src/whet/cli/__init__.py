"""The command line: one small file a command. Nothing heavy is imported before a command runs.

Results go to stdout, what is told on the way to stderr. Exit codes: 0, the work is done; 1, an error, told in a line, or a strict
check that found a problem; 2, a wrong option; 130, stopped by Ctrl-C; 143, ended by SIGTERM.
"""

from __future__ import annotations

import os
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
from whet.cli.help import Command, Group
from whet.core.errors import WhetError

app = typer.Typer(
    name="whet",
    cls=Group,
    rich_markup_mode=None,  # text is shown as it is: a [word] in brackets stays
    help="Sharpen a model on your own data, and measure which techniques helped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
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
    app.command(module.NAME, cls=Command)(module.command)


_STOPPED = 130


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
    """Run a command and end with its exit code."""
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
        ):  # typer's word for Ctrl-C; a run that saved first says so itself
            _stop()
        raise


def _stop() -> None:
    """One line, and out at once: threads that read samples are not waited for."""
    typer.secho("stopped", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_STOPPED)
