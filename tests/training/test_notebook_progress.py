"""Progress in a notebook, with a stand-in for IPython."""

from __future__ import annotations

import os
import sys
import types

import pytest

from whet.core.language import english, in_language
from whet.training.log import Observer
from whet.training.notebook_progress import NotebookProgress, default_counter, default_observer


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What each output of the cell showed, one text after another."""
    outputs: list[list[str]] = []

    def display(made: object, *, display_id: bool) -> object:
        assert display_id
        outputs.append([made.data])
        return types.SimpleNamespace(update=lambda again: outputs[-1].append(again.data))

    module, displays = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    module.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    displays.HTML, displays.display = (lambda data: types.SimpleNamespace(data=data)), display
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    return outputs


def test_outside_of_a_notebook_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert type(default_observer()) is Observer
    terminal = types.ModuleType("IPython")  # IPython in a terminal has a shell without a kernel
    terminal.get_ipython = lambda: types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "IPython", terminal)
    assert type(default_observer()) is Observer


def test_one_output_is_updated_in_place(shown: list[list[str]]) -> None:
    watch = default_observer()
    assert isinstance(watch, NotebookProgress)
    watch.phase(english("comparing"))
    watch.steps(0, 8)
    for step in range(1, 5):
        watch.step({"step": step, "loss": 0.5})
    watch.validated({"step": 4, "accuracy": 0.75})
    assert len(shown) == 1
    last = shown[0][-1]
    assert "comparing" in last and "4/8" in last and "width:50.0%" in last
    assert "loss 0.500" in last and "validation accuracy 75.0 %" in last and "left" in last
    watch.end()
    assert "<details>" in shown[0][-1] and "comparing" in shown[0][-1] and "4/8" not in shown[0][-1]


def test_the_end_of_one_run_of_a_study_is_not_the_end(shown: list[list[str]]) -> None:
    watch = NotebookProgress()
    watch.steps(0, 3)
    watch.end()
    watch.steps(0, 3)
    assert "0/3" in shown[0][-1] and "<details>" not in shown[0][-1]


def test_names_of_files_are_no_markup_and_no_folder_of_the_author(shown: list[list[str]]) -> None:
    watch = NotebookProgress()
    watch.phase(english("reading {data}", data=f"{os.getcwd()}/<b>photos"))
    assert "reading &lt;b&gt;photos" in shown[0][-1] and "<b>" not in shown[0][-1]


def test_what_counts_its_own_steps(shown: list[list[str]]) -> None:
    begin, advance = default_counter()
    begin(english("reading every text"), 10)
    advance(4)
    advance(1)
    begin(english("testing shortcuts"), 0)
    assert "0/10" in shown[0][1] and "testing shortcuts" in shown[0][-1] and "/10" not in shown[0][-1]


def test_in_chinese(shown: list[list[str]]) -> None:
    with in_language("zh"):
        watch = NotebookProgress()
        watch.phase(english("comparing"))
        watch.steps(0, 8)
        watch.end()
    assert "完成" in shown[0][-1] and "comparing" not in shown[0][-1]
