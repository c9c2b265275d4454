"""The command line interface, with one module per command. Heavy packages are imported only when a command runs.

Results are written to stdout, progress and notes to stderr. Exit codes: 0, success; 1, an error (printed in one line) or a
`--strict` check that found a problem; 2, an invalid option; 130, stopped by Ctrl-C; 143, stopped by SIGTERM.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

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
    runs,
    serve,
    study,
    train,
    tune,
    weights,
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
    epilog="Exit codes: 0 success; 1 an error, or a check that did not pass; 2 a wrong option or argument; 130 stopped by Ctrl-C; "
    "143 ended by SIGTERM.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
_PANELS: dict[str, tuple[ModuleType, ...]] = {
    "Data": (check, group, label, augment),
    "Training": (improve, train, pretrain, study, tune, ensemble),
    "Results": (runs, board, evaluate, compare, predict, explain, report),
    "Deployment": (export, compress, serve),
    "Reference": (methods, weights),
}
for _title, _modules in _PANELS.items():
    for _module in _modules:
        app.command(_module.NAME, cls=Command, rich_help_panel=_title)(speaks(_module.command))


_STOPPED = 130


def _version(show: bool) -> None:
    if show:
        typer.echo(f"whet {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    ctx: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(_first_steps())


def _first_steps() -> str:
    """What a person does first."""
    steps = (
        ("whet check DATA", tr("find what is wrong with the data: broken files, duplicates, wrong labels, leaks")),
        ("whet improve DATA", tr("train, measure which techniques help, and report the gain; whet train DATA: one run")),
        ("whet predict RUN NEW", tr("predict new samples with a finished run; whet export and whet serve: use it elsewhere")),
    )  # fmt: skip
    lines = [tr("Train a classifier on your own data and measure which techniques help."), ""]
    lines += [f"  {command:<22}{what}" for command, what in steps]
    lines += ["", tr("DATA is a folder with one subfolder for each class, or a table. All commands: whet --help")]
    return "\n".join(lines)


def main() -> None:
    """Run a command and exit with its exit code."""
    try:
        app()
    except WhetError as error:
        from whet.cli.screen import talk

        talk().print(f"error: {error}", style="red")
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
