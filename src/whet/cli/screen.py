"""Terminal output: results on stdout; a progress bar with the remaining time, metrics and notes on stderr, or a few plain lines if
stderr is not a terminal, or one that cannot move its cursor (TERM=dumb). NO_COLOR is respected. Markup is off, so text is printed
unchanged; styles are given separately (`Text.assemble`)."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from whet.core import strict_json
from whet.core.language import Sentence, tr, translated
from whet.training.log import Observer

if TYPE_CHECKING:
    import pandas as pd

    from whet.core.evidence import Metric
    from whet.evaluate.difference import Difference

_PLAIN_SECONDS, _PLAIN_LINES = (
    10.0,
    10,
)  # without a terminal: the least time between progress lines, the most lines of a training
_COLUMN = 7  # cells of the word before a path
_LETTERS = 90  # the most characters of an input text in one line


_WHOLE = 100_000  # columns if there is no terminal: wider than any line


def results() -> Console:
    """The console for results, on stdout. If stdout is not a terminal, lines are not wrapped, so that they can be searched, with
    FORCE_COLOR too."""
    shown = sys.stdout.isatty()
    options: dict[str, Any] = {} if shown else {"width": _WHOLE, "force_terminal": False}
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, **options)


def talk(quiet: bool = False) -> Console:
    """The console for progress and notes, on stderr. Lines are not wrapped, so that paths can be copied."""
    return Console(stderr=True, quiet=quiet, highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_json(value: Any) -> None:
    sys.stdout.write(strict_json.dumps(value) + "\n")


def table(*columns: str, right: tuple[int, ...] = ()) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(columns):
        made.add_column(name, justify="right" if number in right else "left", overflow="fold")
    return made


def print_table(to: Console, rows: Table) -> None:
    """Print a table. Cells that are too wide are wrapped, not cut."""
    to.print(rows, soft_wrap=False)


def show_card(to: Console, markdown: str) -> None:
    """Print a method card: rendered Markdown in a terminal, else the Markdown source."""
    from rich.markdown import Markdown

    if to.is_terminal:
        to.print(Markdown(markdown), soft_wrap=False)
    else:
        to.print(markdown)


def place(to: Console, what: str, path: str | Path, remark: str = "") -> None:
    """Print the path of an output, such as 'report  runs/a/report.html'. what: in the current language."""
    path = Path(os.path.relpath(path)) if Path(path).is_absolute() else path
    to.print(f"{_padded(what)} {shlex.quote(str(path))}{remark}")


def _padded(what: str) -> str:
    return set_cell_size(what, max(_COLUMN, cell_len(what)))


def hint(to: Console, what: str, text: str) -> None:
    """Print how an output that was not written can be had."""
    to.print(f"{_padded(what)} {text}", style="dim")


def then(*words: str | Path) -> None:
    """Print the command that usually follows."""
    talk().print(f"{_padded(tr('next'))} whet {' '.join(shlex.quote(str(word)) for word in words)}", style="dim")


def one_line(to: Console, text: str) -> str:
    """A text on one line; a long text is truncated in a terminal."""
    line = " ".join(text.split())
    return line if not to.is_terminal or len(line) <= _LETTERS else line[: _LETTERS - 1] + "…"


_COLOURS = {"helps": "green", "hurts": "red"}


def show_effects(to: Console, effects: pd.DataFrame, metric: str) -> None:
    """Print the table of a study: the effect of each technique with its interval and cost."""
    from whet.core.task import metric_named
    from whet.evaluate.difference import NOT_ASSESSED
    from whet.report.text import between

    chosen = metric_named(metric)
    rows = table(
        tr("technique"),
        translated(chosen.title),
        tr("95 % interval"),
        tr("p (Holm)"),
        tr("chance to help"),
        tr("time"),
        tr("verdict"),
        right=(1, 2, 3, 4, 5),
    )
    for row in effects.to_dict("records"):
        verdict = Text(translated(row["verdict"]), _COLOURS.get(row["verdict"], "dim"))
        if not row["seeds"]:
            rows.add_row(translated(row["factor"]), "", "", "", "", "", verdict)
            continue
        interval = between(chosen.text(row["low"], "+"), chosen.text(row["high"], "+"))
        effect, time_ = chosen.text(row["effect"], "+"), f"{100 * (row['time'] - 1):+.0f} %"
        has_verdict = row["verdict"] != NOT_ASSESSED
        p, chance = (f"{row['p_holm']:.2g}", f"{100 * row['chance_to_help']:.0f} %") if has_verdict else ("", "")
        rows.add_row(translated(row["factor"]), effect, interval, p, chance, time_, verdict + Text(_what_decides(row)))
    print_table(to, rows)


def measured(chosen: Metric, found: Difference, unit: str = "") -> tuple[tuple[str, str], str]:
    """A difference with its unit, interval and verdict, for `Text.assemble`."""
    low, high = chosen.text(found.low, "+"), chosen.text(found.high, "+")
    return (chosen.text(found.mean, "+") + translated(unit), "bold"), tr(
        " ({low} to {high}): {verdict!t}", low=low, high=high, verdict=found.verdict
    )


def _what_decides(row: dict[str, Any]) -> str:
    """The number of seeds or samples that would decide an undecided effect."""
    if not row["seeds_to_decide"] or row["seeds_to_decide"] != row["seeds_to_decide"]:  # NaN in a table of numbers
        return ""
    seeds, samples = row["seeds_to_decide"], row["samples_to_decide"]
    if samples:
        return tr("; {samples:.0f} more samples, {seeds:.0f} seeds would decide", samples=samples, seeds=seeds)
    return tr("; {seeds:.0f} seeds would decide", seeds=seeds)


class Screen(Observer):
    """Show the progress of a run. Phases and notes are English; they are shown in the current language."""

    def __init__(self, to: Console) -> None:
        self._console = to
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._validation = ""
        self._total = 0
        self._step, self._began = 0, (0, 0.0)  # the last step; step and time at the beginning
        self._lines, self._printed_at = 0, 0.0

    def phase(self, text: Sentence) -> None:
        self._stop()
        self._console.print(Text.assemble(("› ", "bold"), translated(text)))

    def note(self, text: Sentence) -> None:
        (self._bar.console if self._bar else self._console).print(f"  {translated(text)}", style="dim")

    def steps(self, done: int, total: int) -> None:
        self._total = total
        if done > 0 and done == self._step:  # the same training, of another length
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, total=total)
            return
        self._stop()
        self._step, self._began, self._lines = done, (done, time.monotonic()), done * _PLAIN_LINES // max(1, total)
        if not self._console.is_terminal or self._console.is_dumb_terminal:
            return
        self._bar = Progress(
            TextColumn("  " + tr("training")), BarColumn(bar_width=28), MofNCompleteColumn(),
            TextColumn("{task.fields[text]}", markup=False), TimeElapsedColumn(), TextColumn("·"),
            TimeRemainingColumn(), TextColumn(tr("left")),
            console=self._console, transient=True,
        )  # fmt: skip
        self._bar.start()
        self._task = self._bar.add_task("", total=total, completed=done, text="")

    def step(self, record: dict[str, Any]) -> None:
        self._step = record["step"]
        text = tr("loss {loss:.3f}", loss=record["loss"]) + self._validation
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=record["step"], text=text)
        else:
            self._plain(text)

    def _plain(self, text: str) -> None:
        """Print a line with the remaining time at each tenth of a training, but none soon after another."""
        now, step = time.monotonic(), self._step
        lines = step * _PLAIN_LINES // max(1, self._total)
        if lines <= self._lines or now - self._printed_at < _PLAIN_SECONDS:
            return
        self._lines, self._printed_at = lines, now
        from whet.report.text import seconds

        first, began = self._began
        left = (self._total - step) * (now - began) / max(1, step - first)
        where = tr("step {step} of {total}", step=step, total=self._total)
        if step < self._total:
            text += tr(", ") + tr("{time} left", time=seconds(left))
        self._console.print("  " + where + tr(", ") + text)

    def validated(self, record: dict[str, Any]) -> None:
        self._validation = _headline(record)

    def end(self) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None


def _headline(record: dict[str, Any]) -> str:
    """The first metric of a validation as text."""
    from whet.core.task import metrics_of_all_tasks

    known = metrics_of_all_tasks()
    name = next((key for key in record if key in known), None)
    if name is None:
        return ""
    return " · " + tr("validation {metric!t} {value}", metric=known[name].title, value=known[name].shown(record[name]))


def observer(quiet: bool) -> Observer:
    return Observer() if quiet else Screen(talk())
