"""What a person sees: a progress bar with the time left and live figures, notes, tables; or plain lines where nobody looks."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
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

from whet.train.log import Observer

if TYPE_CHECKING:
    import pandas as pd

_PLAIN_EVERY = 10.0  # seconds between lines where there is no screen
_LETTERS = 90  # of a person's text


def console(quiet: bool = False) -> Console:
    """For people: on stderr, so that stdout holds results only. Lines stay whole: a path broken in two cannot be copied."""
    return Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def table(*columns: str, right: tuple[int, ...] = ()) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(columns):
        made.add_column(name, justify="right" if number in right else "left")
    return made


def place(to: Console, what: str, path: str | Path, remark: str = "") -> None:
    """A line that says where something lies, to be copied: 'report  runs/a/report.html'."""
    path = Path(os.path.relpath(path)) if Path(path).is_absolute() else path
    to.print(f"{what:<7} {escape(shlex.quote(str(path)) + remark)}")


def then(to: Console, *words: str | Path) -> None:
    """The command that usually comes next, to be copied."""
    to.print(escape(f"next    whet {' '.join(shlex.quote(str(word)) for word in words)}"), style="dim")


def one_line(text: str) -> str:
    """A text on one line of a screen, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _LETTERS else line[: _LETTERS - 1] + "…"


def right_said(metrics: dict[str, Any]) -> str:
    """What the accuracy of a run is the share of."""
    return "with every label right" if metrics.get("multi_label") else "right"


_COLOURS = {"helps": "green", "hurts": "red"}


def show_effects(to: Console, effects: pd.DataFrame, metric: str) -> None:
    """A study's table: what each technique does, with its interval and price."""
    from whet.evaluate.compare import METRICS

    chosen = METRICS[metric]
    rows = table("technique", chosen.title, "95 % interval", "p (Holm)", "time", "verdict", right=(1, 2, 3, 4))
    for row in effects.to_dict("records"):
        verdict = f"[{_COLOURS.get(row['verdict'], 'dim')}]{row['verdict']}[/]"
        if not row["seeds"]:
            rows.add_row(row["factor"], "", "", "", "", verdict)
            continue
        interval = f"{chosen.text(row['low'], '+')} to {chosen.text(row['high'], '+')}"
        effect, time_ = chosen.text(row["effect"], "+"), f"{100 * (row['time'] - 1):+.0f} %"
        rows.add_row(row["factor"], effect, interval, f"{row['p_holm']:.2g}", time_, verdict)
    to.print(rows)


class Screen(Observer):
    """Shows a run while it goes on."""

    def __init__(self, to: Console) -> None:
        self._console = to
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._accuracy = ""
        self._said = 0.0

    def stage(self, text: str) -> None:
        self._stop()
        self._console.print(f"[bold]›[/] {escape(text)}")

    def note(self, text: str) -> None:
        (self._bar.console if self._bar else self._console).print(f"  [dim]{escape(text)}[/]")

    def steps(self, done: int, total: int) -> None:
        self._stop()
        self._total = total
        if not self._console.is_terminal:
            return
        self._bar = Progress(
            TextColumn("  training"), BarColumn(bar_width=28), MofNCompleteColumn(), TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(), TextColumn("·"), TimeRemainingColumn(), TextColumn("left"),
            console=self._console, transient=True,
        )  # fmt: skip
        self._bar.start()
        self._task = self._bar.add_task("", total=total, completed=done, text="")

    def step(self, record: dict[str, Any]) -> None:
        text = f"loss {record['loss']:.3f}{self._accuracy}"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=record["step"], text=text)
        elif time.monotonic() - self._said > _PLAIN_EVERY:
            self._said = time.monotonic()
            self._console.print(f"  step {record['step']} of {self._total}, {text}")

    def validated(self, record: dict[str, Any]) -> None:
        self._accuracy = f" · validation {100 * record['accuracy']:.1f} %"

    def end(self) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None


def observer(quiet: bool) -> Observer:
    return Observer() if quiet else Screen(console())
