"""What is shown in a terminal, and what is left of it in a file."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

import whet.cli
from whet.cli import screen
from whet.cli.screen import Screen, print_table, results, table

LONG = "_".join(["class"] * 60)


def shown(terminal: bool, dumb: bool = False, steps: int = 500, seconds: float = 1.0, monkeypatch=None, first: int = 0):
    """What a training with steps of so many seconds prints."""
    now = [1000.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    environment = {"TERM": "dumb" if dumb else "xterm"}
    watch = Screen(Console(file=out, force_terminal=terminal, width=100, _environ=environment, markup=False))
    watch.phase("training")
    watch.steps(first, steps)
    for step in range(first + 1, steps + 1):
        now[0] += seconds
        watch.step({"step": step, "loss": 0.5})
    watch.end()
    return out.getvalue()


@pytest.mark.parametrize(("terminal", "dumb"), [(False, False), (True, True)])
def test_a_log_has_a_line_each_tenth_with_the_time_left(monkeypatch, terminal, dumb):
    told = shown(terminal, dumb, monkeypatch=monkeypatch)
    lines = told.splitlines()[1:]
    assert len(lines) == 10 and "\x1b" not in told
    assert lines[0] == "  step 50 of 500, loss 0.500, 7 min 30 s left" and lines[-1] == "  step 500 of 500, loss 0.500"


def test_a_short_training_prints_no_flood(monkeypatch):
    """A study has hundreds of short trainings."""
    assert len(shown(False, seconds=0.001, monkeypatch=monkeypatch).splitlines()) <= 2
    assert len(shown(False, seconds=0.05, monkeypatch=monkeypatch).splitlines()) <= 4


def test_a_resumed_training_counts_from_where_it_stopped(monkeypatch):
    lines = shown(False, first=250, monkeypatch=monkeypatch).splitlines()[1:]
    assert lines[0] == "  step 300 of 500, loss 0.500, 3 min 20 s left" and len(lines) == 5


def test_a_change_of_length_goes_on(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    watch = Screen(Console(file=out, force_terminal=False, width=100))
    watch.steps(0, 100)
    for step in range(1, 201):
        now[0] += 2.0
        watch.step({"step": step, "loss": 1.0})
        if step == 50:
            watch.steps(50, 200)
    lines = out.getvalue().splitlines()
    assert lines[4:6] == [
        "  step 50 of 100, loss 1.000, 1 min 40 s left",
        "  step 120 of 200, loss 1.000, 2 min 40 s left",
    ]


def test_a_terminal_has_one_live_bar(monkeypatch):
    told = shown(True, steps=3, monkeypatch=monkeypatch)
    assert "left" in told and "\x1b[2K" in told  # the line is erased in the end


def test_nothing_is_cut_in_a_pipe(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # set by many build servers
    monkeypatch.setenv("COLUMNS", "40")
    rows = table("class", "what")
    rows.add_row(LONG, "x " * 200)
    print_table(results(), rows)
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 2 and LONG in out and "…" not in out and "\x1b" not in out
    assert screen.one_line(results(), LONG) == LONG


def test_one_module_makes_consoles_and_tables():
    """So the rule holds for every command."""
    for path in Path(whet.cli.__file__).parent.glob("*.py"):
        if path.name != "screen.py":
            assert not re.search(r"\b(Table|Console)\(", path.read_text()), path.name
