"""`whet improve` on the command line, then `whet predict` with the result."""

import json
import re
from pathlib import Path

import pytest
from tests.conftest import whet, write_images
from tests.report.english import english_sentences

from whet.core.language import in_language
from whet.report.cards import of_improvement

TRAIN = "train: {budget: 2ep, batch_size: 8, image_size: 16, precision: fp32}\n"
PLAIN = TRAIN + "methods: [sgd, cosine]\n"
STRONG = TRAIN + "methods: [horizontal_flip, sgd, one_cycle, ema, tta]\n"

pytestmark = pytest.mark.usefixtures("painted")


@pytest.fixture(scope="module")
def improved(tmp_path_factory):
    root = tmp_path_factory.mktemp("improve")
    data = write_images(root / "images", {"glass": 40, "metal": 40, "paper": 40})
    (data / "glass" / "broken.jpg").write_bytes(b"not an image")
    (root / "plain.yaml").write_text(PLAIN)
    (root / "strong.yaml").write_text(STRONG)
    words = ["improve", data, "--architecture", "resnet9_slim", "--plain", root / "plain.yaml", "--strong",
             root / "strong.yaml", "--seeds", "2", "--out", root / "out", "--json"]  # fmt: skip
    first = whet(*words)
    assert first.returncode == 0, first.stderr
    return root, words, json.loads(first.stdout)


def test_the_difference_is_what_the_runs_say(improved):
    root, _, found = improved
    accuracies = {}
    for kind in ("plain", "strong"):
        metrics = [json.loads((root / "out" / f"{kind}-s{seed}" / "metrics.json").read_text()) for seed in (0, 1)]
        accuracies[kind] = sum(m["test"]["accuracy"] for m in metrics) / 2
        assert found["values"][kind] == pytest.approx(accuracies[kind])
    assert found["recommended"] == "strong"
    d = found["difference"]
    assert d["mean"] == pytest.approx(accuracies["strong"] - accuracies["plain"])
    assert d["low"] <= d["mean"] <= d["high"] and d["seeds"] == 2


def test_the_report_says_it_and_names_the_broken_file(improved):
    _, _, found = improved
    page = Path(found["report"]).read_text(encoding="utf-8")
    assert "broken.jpg" in page and "95 %" in page
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page)  # nothing from the network


def test_what_a_notebook_shows_of_it(improved):
    _, _, found = improved
    d = found["difference"]
    html = of_improvement(Path(found["path"]))
    assert f"{100 * d['mean']:+.1f}".replace("-", "−") in html and "strong" in html and "reference" in html
    with in_language("zh"):
        assert english_sentences(of_improvement(Path(found["path"]))) == []


def test_the_report_in_chinese(improved):
    root, _, found = improved
    done = whet("report", root / "out", "--language", "zh")
    assert done.returncode == 0, done.stderr
    page = Path(found["report"]).read_text(encoding="utf-8")
    assert "各类别的差异" in page
    assert english_sentences(page, "broken.jpg") == []  # the decoder's reason
    assert whet("report", root / "out").returncode == 0


def test_called_again_it_repeats_nothing_and_says_the_same(improved):
    root, words, found = improved
    logs = {path: path.stat().st_mtime_ns for path in (root / "out").glob("*/log.jsonl")}
    assert len(logs) == 4
    again = whet(*words)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == found
    assert logs == {path: path.stat().st_mtime_ns for path in logs}


def test_the_best_run_predicts(improved):
    root, _, found = improved
    done = whet("predict", found["best_run"], root / "images" / "metal", "--json")
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert len(answers) == 40 and {answer["predicted"] for answer in answers} <= {"glass", "metal", "paper"}


@pytest.mark.slow
def test_with_a_study_what_hurts_is_left_out(tmp_path):
    """A fifth of the rate at which anything is learnt: `constant` keeps it, and what takes its place at the end does not matter."""
    import whet
    from whet.core.recipe import Recipe

    data = write_images(tmp_path / "images", {"glass": 40, "metal": 40, "paper": 40}, size=(16, 20))
    strong = STRONG.replace(", ema, tta", ", {l2: {strength: 10.0}}").replace("batch_size: 8", "batch_size: 16")
    (tmp_path / "plain.yaml").write_text(PLAIN)
    (tmp_path / "strong.yaml").write_text(strong)
    found = whet.improve(
        data, architecture="resnet9_slim", plain=tmp_path / "plain.yaml", strong=tmp_path / "strong.yaml", budget="6ep",
        seeds=1, studying=True, out=tmp_path / "out",
    )  # fmt: skip
    rows = found.study.effects.set_index("factor")
    assert set(rows.index) == {"horizontal_flip", "l2"}
    assert rows.loc["l2", "verdict"] == "hurts"
    asked = {name: Recipe.load(tmp_path / "out" / f"{name}-s0" / "requested.yaml") for name in ("strong", "improved")}
    assert "l2" in asked["strong"] and "l2" not in asked["improved"] and "horizontal_flip" in asked["improved"]
    assert found.values.keys() == {"plain", "strong", "improved"}
    story = json.loads((tmp_path / "out" / "improvement.json").read_text())
    assert story["changes"] == ["without l2"]
    assert "Effects of the techniques" in found.report.read_text()
    assert {path.name for path in (tmp_path / "out" / "study").iterdir()} >= {"study.json", "effects.csv", "runs"}


def test_what_is_worth_a_question():
    """Not what the recipe is built on, nor what changes no decision."""
    from whet import recipes
    from whet.improvement.questions import techniques

    recipe = recipes.load("image/waste")
    asked = {method.name for method in techniques(recipe)}
    assert {"random_resized_crop", "mixup", "label_smoothing", "ema", "tta"} <= asked
    left = {method.name for method in recipe.methods} - asked
    assert left == {"finetune", "freeze", "adamw", "warmup", "cosine", "temperature_scaling"}


@pytest.mark.parametrize(("size", "share"), [("auto", 1.0), ("85%", 0.6), (224, 0.6)])
def test_a_study_looks_at_smaller_images_but_where_they_are_small(size, share):
    from whet.core.recipe import Recipe
    from whet.improvement import questions

    assert questions.share_of_size(Recipe().setting(image_size=size), alone=True) == share
