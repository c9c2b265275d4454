"""The notebooks in examples/: their code runs on small data, and what is committed was made by it."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.conftest import write_images

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
pytestmark = pytest.mark.usefixtures("painted")


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_notebook", ROOT / "examples" / "run_notebook.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def shown(notebook: dict[str, Any]) -> str:
    """The HTML and text of all outputs."""
    outputs = [output for cell in cells(notebook) for output in cell["outputs"]]
    data = [output.get("data", {"text/plain": output.get("text", [])}) for output in outputs]
    return "".join("".join(text) for one in data for mime, text in one.items() if mime != "image/png")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_was_run_in_order_and_names_no_machine(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4 and all(cell["id"] for cell in notebook["cells"])
    assert [cell["execution_count"] for cell in cells(notebook)] == list(range(1, len(cells(notebook)) + 1))
    assert (
        sum(len(cell["outputs"]) > 0 for cell in cells(notebook)) >= len(cells(notebook)) - 1
    )  # all but the parameters
    text = shown(notebook)
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users|mnt|var)/", text)
    assert 'class="whet"' in text and "<script" not in text
    assert path.stat().st_size < 1_500_000


def test_there_are_two() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["texts", "waste_photos"]


@pytest.mark.slow
def test_waste_photos(runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "photos", {"glass": 60, "metal": 50, "paper": 40})
    monkeypatch.chdir(tmp_path)
    settings = {"WEIGHTS": "none", "ARCHITECTURE": "resnet9_slim", "BUDGET": "8st", "STUDY_BUDGET": "4st"} | {
        "PLAIN": "image/plain_from_scratch"
    }
    notebook = runner.run_notebook(ROOT / "examples" / "waste_photos.ipynb", settings)
    text = shown(notebook)
    for part in ("Data check", "right on test samples", "not assessed", "95 % interval", "finished in"):
        assert part in text
    images = [output for cell in cells(notebook) for output in cell["outputs"] if "image/png" in output.get("data", {})]
    assert len(images) == 4
    assert str(tmp_path) not in text


@pytest.mark.slow
def test_texts(runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    things, places = ["glass jar", "old paper", "tin can", "bottle"], ["river bank", "north shore", "city hall", "hill"]
    named = [("thing", word) for word in things] + [("place", word) for word in places]
    rows = [f"{label},what about the {word} number {n}?" for n in range(30) for label, word in named]
    (tmp_path / "texts.csv").write_text("label,text\n" + "\n".join(rows) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    notebook = runner.run_notebook(
        ROOT / "examples" / "texts.ipynb", {"DATA": "texts.csv", "BUDGET": "4st", "SEEDS": 2}
    )
    text = shown(notebook)
    assert "minus plain recipe" in text and "Who wrote Faust?" in text and str(tmp_path) not in text


def test_an_unknown_parameter_is_refused(runner: ModuleType, tmp_path: Path) -> None:
    made = {"cells": [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": ["A = 1\n"]}]}
    (tmp_path / "one.ipynb").write_text(json.dumps(made))
    with pytest.raises(SystemExit, match="no parameter B"):
        runner.run_notebook(tmp_path / "one.ipynb", {"B": "2"})


def test_the_outputs_of_a_cell(runner: ModuleType, tmp_path: Path) -> None:
    """What it prints, what it displays and updates, and the value of its last expression, unless that is None."""
    source = """\
from IPython.display import HTML, display
handle = display(HTML("<b>1</b>"), display_id=True)
handle.update(HTML("<b>2</b>"))
print(A)
A + 1"""
    parameters = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": ["A = 1"]}
    text = {"cell_type": "markdown", "metadata": {}, "source": ["# A"]}
    given = [parameters, text, {"cell_type": "code", "metadata": {}, "source": source.splitlines(keepends=True)}]
    (tmp_path / "one.ipynb").write_text(json.dumps({"cells": given}))
    first, _, second = runner.run_notebook(tmp_path / "one.ipynb", {"A": 5})["cells"]
    assert first["outputs"] == [] and second["execution_count"] == 2
    display, printed, result = second["outputs"]
    assert display["data"]["text/html"] == ["<b>2</b>"] and printed["text"] == ["5\n"]
    assert result["data"] == {"text/plain": ["6"]} and result["output_type"] == "execute_result"
