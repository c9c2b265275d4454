"""`whet study` and `whet tune` with methods that learn from unlabelled samples: both learn in every step and in rounds."""

import csv
import json

import pytest
from tests.conftest import whet
from tests.end_to_end.test_texts import write_texts

from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder

pytestmark = [pytest.mark.slow, pytest.mark.sample]

RECIPE = """
task: text-classification
model: {architecture: text_cnn, weights: none}
train: {budget: 3st, batch_size: 8, precision: fp32, torch_threads: 1, loader_threads: 1}
methods: [{adamw: {lr: 0.01}}]
"""


@pytest.fixture
def few(tmp_path):
    """A table, unlabelled texts, a recipe."""
    data = write_texts(tmp_path / "texts.csv", 16)
    with (tmp_path / "more.csv").open("w", newline="", encoding="utf-8") as handle:
        texts = [f"Here we have a {word} {number} again, do we not?" for number in range(8) for word in ("jar", "can")]
        csv.writer(handle).writerows([["text"], *([text] for text in texts)])
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return data, tmp_path / "more.csv", tmp_path / "recipe.yaml"


def runs_with(folder, method):
    runs = [RunFolder(path) for path in sorted((folder / "runs").iterdir())]
    return [run for run in runs if method in Recipe.load(run.requested)]


def test_a_study_of_methods_in_steps_and_in_rounds(few, tmp_path):
    data, more, recipe = few
    out, methods = tmp_path / "study", "adamatch,pseudo_label,fixmatch+supervised_guard"
    done = whet("study", data, "--unlabelled", more, "--recipe", recipe, "--methods", methods, "--design", "add",
                "--budget", "3st", "--seeds", "2", "--out", out)  # fmt: skip
    assert done.returncode == 0, done.stderr
    story = json.loads((out / "study.json").read_text(encoding="utf-8"))
    assert not story["failures"] and story["seeds"] == 2
    assert {effect["factor"] for effect in story["effects"]} == {
        "adamatch",
        "pseudo_label",
        "fixmatch + supervised_guard",
    }
    kept = {"adamatch": "accepted", "pseudo_label": "pseudo_labels", "fixmatch": "guard"}
    for method, figures in kept.items():
        found = runs_with(out, method)
        assert len(found) >= 2 and all(figures in run.read_json(run.metrics) for run in found)
    assert Recipe.load(out / "recommended.yaml").data.unlabelled == str(more)


def test_a_search_for_the_threshold(few, tmp_path):
    data, more, recipe = few
    recipe.write_text(RECIPE.replace("]", ", fixmatch]"), encoding="utf-8")
    out = tmp_path / "tune"
    done = whet("tune", data, "--unlabelled", more, "--recipe", recipe, "--search", "fixmatch.threshold=0.1:0.9",
                "--trials", "2", "--budget", "3st", "--out", out)  # fmt: skip
    assert done.returncode == 0, done.stderr
    runs = runs_with(out, "fixmatch")
    assert len({Recipe.load(run.requested).method("fixmatch").threshold for run in runs}) >= 2
    assert all("accepted" in run.read_json(run.metrics) for run in runs)
