"""Progress in a notebook: one output that is updated in place, without widgets. Text and lines have the colours of the notebook."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from whet.core.language import Sentence, tr, tr_n, translated
from whet.core.task import metrics_of_all_tasks
from whet.training.log import Observer

_EVERY_SECONDS = 0.4
_SHOWN = 6  # phases and notes while it works; all of them can be unfolded at the end
_BAR = "background:#10a07c;height:6px;border-radius:3px"
_TRACK = (
    "background:rgba(128,140,135,.3);height:6px;border-radius:3px;width:220px;display:inline-block;vertical-align:2px"
)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook. IPython in a terminal is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


def default_observer() -> Observer:
    """What watches where nothing else was given: progress in a notebook, nothing elsewhere."""
    return NotebookProgress() if in_notebook() else Observer()


def default_counter() -> tuple[Callable[[Sentence, int], None], Callable[[int], None]]:
    """(begin, advance) for functions that count their own steps, such as `whet.check`; see `default_observer`."""
    watch, done = default_observer(), 0

    def begin(phase: Sentence, total: int) -> None:
        nonlocal done
        watch.phase(phase)
        if total:
            done = 0
            watch.steps(0, total)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        watch.step({"step": done})

    return begin, advance


class NotebookProgress(Observer):
    """Shows phases, notes, a bar with the remaining time, and the last validation."""

    def __init__(self) -> None:
        self._lines: list[tuple[bool, str]] = []  # whether it is a phase, and its text
        self._begun = self._shown_at = time.monotonic()
        self._steps: tuple[int, int] | None = None  # done, total
        self._first: tuple[int, float] = (0, 0.0)  # the step and the time at which the training went on
        self._validation = self._loss = ""
        self._handle: Any = None
        self._over = False

    def phase(self, text: Sentence) -> None:
        self._steps, self._validation, self._over = None, "", False
        self._lines.append((True, _short(translated(text))))
        self._show()

    def note(self, text: Sentence) -> None:
        self._lines.append((False, _short(translated(text))))
        self._show()

    def steps(self, done: int, total: int) -> None:
        self._steps, self._first = (done, total), (done, time.monotonic())
        self._loss, self._validation, self._over = "", "", False
        self._show()

    def step(self, record: dict[str, Any]) -> None:
        if self._steps is not None:
            self._steps = (record["step"], self._steps[1])
        if "loss" in record:
            self._loss = tr("loss {loss:.3f}", loss=record["loss"])
        if time.monotonic() - self._shown_at > _EVERY_SECONDS:
            self._show()

    def validated(self, record: dict[str, Any]) -> None:
        known = metrics_of_all_tasks()
        name = next((key for key in record if key in known), None)
        if name is not None:
            metric = known[name]
            self._validation = tr(
                "validation {metric!t} {value}", metric=metric.title, value=metric.shown(record[name])
            )
        self._show()

    def end(self) -> None:
        self._steps, self._over = None, True
        self._show()

    def _show(self) -> None:
        from IPython.display import HTML, display

        self._shown_at = time.monotonic()
        shown = HTML(self.html())
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)

    def html(self) -> str:
        """What is shown now."""
        if self._over:
            seconds = time.monotonic() - self._begun
            title = tr_n("finished in {n:.0f} second", "finished in {n:.0f} seconds", round(seconds))
            body = f"<details><summary>{escape(title)}</summary>{self._listed(self._lines)}</details>"
        else:
            body = self._listed(self._lines[-_SHOWN:]) + self._bar()
        return f'<div style="font:13px/1.5 system-ui,sans-serif;color:inherit;max-width:880px">{body}</div>'

    @staticmethod
    def _listed(lines: list[tuple[bool, str]]) -> str:
        return "".join(
            f"<div>› {escape(text)}</div>"
            if is_phase
            else f'<div style="opacity:.72;padding-left:1em">{escape(text)}</div>'
            for is_phase, text in lines
        )

    def _bar(self) -> str:
        if self._steps is None:
            return ""
        done, total = self._steps
        texts = [f"{done}/{total}", self._left(), self._loss, self._validation]
        share = f"{100 * done / max(total, 1):.1f}"
        shown = escape(" · ".join(one for one in texts if one))
        return f'<div><span style="{_TRACK}"><span style="{_BAR};display:block;width:{share}%"></span></span> {shown}</div>'

    def _left(self) -> str:
        assert self._steps is not None
        done, total = self._steps
        trained = done - self._first[0]
        if trained <= 0:
            return ""
        seconds = round((time.monotonic() - self._first[1]) / trained * (total - done))
        return f"{seconds // 60}:{seconds % 60:02d} " + tr("left")


def _short(text: str) -> str:
    """The text with paths below the current folder relative to it, so that a saved notebook names no folder of its author."""
    return text.replace(f"{Path.cwd()}{os.sep}", "")
