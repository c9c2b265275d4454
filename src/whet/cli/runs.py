"""whet runs"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whet.cli import complete
from whet.cli.options import Json
from whet.core.errors import RecipeError, unknown
from whet.core.language import tr, translated

if TYPE_CHECKING:
    from whet.run_index import Entry, Gain, Score

NAME = "runs"
_SORTS = ("newest", "score")
_ENOUGH = 150  # columns of a terminal for the whole table
_COLOURS = {"running": "blue", "stopped": "yellow", "failed": "red"}


def command(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="[FOLDER]",
            help="The folder to list, with its subfolders. Default: runs.",
            autocompletion=complete.runs,
        ),
    ] = Path("runs"),
    sort: Annotated[
        str,
        typer.Option(
            metavar="ORDER", help="newest (first), or score (the best first).", autocompletion=complete.orders
        ),
    ] = "newest",
    inner: Annotated[
        bool, typer.Option("--all", help="Also list the runs inside of studies, tunings, improvements, …")
    ] = False,
    as_json: Json = False,
) -> None:
    """List runs, studies, improvements and ensembles with their state and score."""
    if sort not in _SORTS:
        raise RecipeError(unknown("--sort", sort, _SORTS))
    from whet.cli.screen import print_json, talk, then
    from whet.run_index import list_runs

    entries = list_runs(folder, inner=inner)
    if sort == "score":
        entries.sort(key=lambda entry: -entry.score.merit if entry.score is not None else float("inf"))
    if as_json:
        print_json([entry.to_dict() for entry in entries])
        return
    if not entries:
        talk().print(tr("no runs in {folder}", folder=folder))
        return
    _show(entries)
    resumable = next((one for one in entries if one.state == "stopped" and one.kind == "training"), None)
    usable = next((one for one in entries if one.state == "finished" and one.score is not None), None)
    if resumable is not None:
        then("train", "--resume", resumable.path)
    elif usable is not None:
        then("predict", usable.best_run or usable.path, "YOUR_SAMPLES")


def _show(entries: list[Entry]) -> None:
    from rich.text import Text

    from whet.cli.screen import one_line, print_table, results, table
    from whet.report.text import seconds
    from whet.run_index import KINDS, STATES

    screen = results()
    whole = not screen.is_terminal or screen.width >= _ENOUGH
    gains = any(entry.gain is not None for entry in entries)
    rows = table(
        tr("run"), tr("kind"), tr("state"), tr("score"), *([tr("gain")] if gains else []), tr("data"),
        *([tr("network")] if whole or not gains else []), tr("time"),
        *([tr("recipe"), tr("begun")] if whole else []),
    )  # fmt: skip
    for entry in entries:
        gain = [_gain(entry.gain) if entry.gain is not None else ""] if gains else []
        rows.add_row(
            str(entry.path),
            translated(KINDS[entry.kind]),
            Text(translated(STATES[entry.state]), _COLOURS.get(entry.state, "")),
            _score(entry.score, counted=whole) if entry.score is not None else "",
            *gain,
            Path(entry.data).name,
            *([Path(entry.network).name] if whole or not gains else []),
            seconds(entry.seconds) if entry.seconds is not None else "",
            *([entry.recipe, f"{entry.started.astimezone():%Y-%m-%d %H:%M}"] if whole else []),
        )
    print_table(screen, rows)
    for entry in entries:
        if entry.failure:
            screen.print(Text.assemble((tr("failed"), "red"), f"  {entry.path}: {one_line(screen, entry.failure)}"))


def _score(score: Score, *, counted: bool) -> str:
    """'accuracy 93.2 % (91.0 to 95.1), 431 test samples'"""
    from whet.core.task import metric_named
    from whet.report.text import between, part_name

    metric = metric_named(score.metric)
    text = f"{translated(metric.title)} {metric.shown(score.value)}"
    if score.low is not None and score.high is not None:
        text += f" ({between(metric.text(score.low), metric.text(score.high))})"
    if not counted:
        return text
    return text + tr(", ") + tr("{n} {part!t} samples", n=score.samples, part=part_name(score.part))


def _gain(gain: Gain) -> str:
    from whet.core.task import metric_named
    from whet.report.text import between

    metric = metric_named(gain.metric)
    band = between(metric.text(gain.low, "+"), metric.text(gain.high, "+"))
    return f"{metric.text(gain.mean, '+')} ({band})" + tr(", ") + translated(gain.verdict)
