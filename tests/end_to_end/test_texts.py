"""Texts through the whole road: trained, killed and resumed, asked, compared."""

from __future__ import annotations

import csv
import json

import pytest
from tests.conftest import whet

from whet import recipes
from whet.core.errors import DataError, RecipeError
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.spec import DataSpec, ModelSpec
from whet.training.job import train_run

_THINGS = {
    "glass": ("bottle", "jar", "window", "mirror"),
    "metal": ("can", "lid", "foil", "wire"),
    "paper": ("box", "letter", "newspaper", "carton"),
}
_FILLERS = ("an old", "a broken", "one more", "the small", "a clean", "somebody's")


def write_texts(path, count=40):
    """Sentences about a thing of each class, so that a bag of words can tell them."""
    rows = []
    for k, (name, things) in enumerate(_THINGS.items()):
        draws = Rng(k).batch("texts", 0, range(count)).uniform(shape=(2,))
        for thing, filler in draws:
            rows.append([f"This is {_FILLERS[int(6 * filler)]} {things[int(4 * thing)]}, what now?", name])
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["text", "label"], *rows])
    return path


def test_what_can_be_learnt_is_learnt_without_a_word_of_settings(text_run):
    assert text_run.recipe.task == "text-classification"
    assert text_run.recipe.model.architecture == "fast_text"
    assert text_run.metrics["test"]["accuracy"] > 0.9
    assert text_run.recipe.train.max_tokens == 16  # seven words and their marks, in steps of eight


@pytest.mark.slow
def test_short_names_are_told_by_how_they_end_the_rare_ones_too(tmp_path):
    """The shipped recipe for names, in classes that are 12 : 1; what stands at the end of one name stands within another."""
    ends = {"recyclable": "瓶罐纸", "wet": "皮核壳", "hazardous": "灯药漆"}
    anywhere, rows = "".join(ends.values()), []
    for k, (name, count) in enumerate({"recyclable": 240, "wet": 120, "hazardous": 20}.items()):
        for first, second, last, part in Rng(k).batch("names", 0, range(count)).uniform(shape=(4,)):
            text = f"{anywhere[int(9 * first)]}{'大小红绿旧新'[int(6 * second)]}{ends[name][int(3 * last)]}"
            rows.append([text, name, "test" if part < 0.3 else "train"])
    with (tmp_path / "names.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["text", "label", "split"], *rows])
    recipe = recipes.load("text/short_from_scratch").replace(data=DataSpec(path=str(tmp_path / "names.csv")))
    run = train_run(recipe.setting(torch_threads=1, loader_threads=1, budget="2ep"), tmp_path / "run")
    test = run.read_json(run.metrics)["test"]
    assert test["accuracy"] > 0.95
    assert test["worst_class"]["recall"] > 0.8


def test_texts_files_and_tables_are_asked(text_run, tmp_path):
    (tmp_path / "one.txt").write_text("a lid and some foil", encoding="utf-8")
    (tmp_path / "several.csv").write_text('text\n"an old letter, what now?"\na broken jar\n', encoding="utf-8")
    answers = text_run.predict(["one more newspaper", tmp_path / "one.txt", tmp_path / "several.csv"])
    assert answers["text"].tolist() == [
        "one more newspaper", "a lid and some foil", "an old letter, what now?", "a broken jar",
    ]  # fmt: skip
    assert answers["predicted"].tolist() == ["paper", "metal", "paper", "glass"]
    assert answers[[f"p:{name}" for name in text_run.classes]].sum(axis=1).tolist() == pytest.approx(
        [1.0] * 4, abs=1e-5
    )


def test_an_answer_does_not_depend_on_the_company(text_run):
    """Padding to the longest text of a batch changes nothing."""
    alone = text_run.predict(["a broken jar"])
    beside = text_run.predict(["a broken jar", "jar " * 14])
    assert alone["confidence"][0] == pytest.approx(beside["confidence"][0], abs=1e-6)


def test_the_report_shows_sentences(text_run):
    page = text_run.folder.report.read_text(encoding="utf-8")
    assert "Inputs of the model" in page and "<blockquote>This is " in page
    assert "images" not in page


@pytest.mark.slow
@pytest.mark.sample
def test_methods_rewrite_texts_and_the_run_says_so(texts, tmp_path):
    base = recipes.default(DataSpec(path=str(texts)), ModelSpec()).replace(data=DataSpec(path=str(texts)))
    recipe = recipes.change(base, add=("random_deletion", "token_mask"), settings=("train.budget=2ep",))
    folder = train_run(recipe, tmp_path / "run")
    seen = folder.read_json(folder.samples / "samples.json")["rows"]
    acted = {name for row in seen for variant in row["variants"] for name in variant["methods"]}
    assert "random_deletion" in acted
    changed = [variant["text"] != row["original"]["text"] for row in seen for variant in row["variants"]]
    told = [bool(variant["methods"]) for row in seen for variant in row["variants"]]
    assert changed == told


@pytest.mark.slow
@pytest.mark.sample
def test_the_same_seed_gives_the_same_run_whatever_the_threads(texts, tmp_path):
    def trained(threads):
        base = recipes.default(DataSpec(path=str(texts)), ModelSpec()).replace(data=DataSpec(path=str(texts)))
        settings = (
            "train.budget=2ep",
            f"train.loader_threads={threads}",
            "train.torch_threads=1",
            "train.precision=fp32",
        )
        recipe = recipes.change(base, add=("random_swap",), settings=settings)
        return train_run(recipe, tmp_path / f"with-{threads}").predictions.read_text()

    assert trained(1) == trained(3)


def test_images_for_a_run_on_texts_and_the_other_way_round_are_refused(text_run, texts, images):
    with pytest.raises(DataError, match="contains images; this run was trained on texts"):
        text_run.evaluate(images)
    recipe = recipes.load("image/plain_from_scratch").replace(data=DataSpec(path=str(texts)))
    with pytest.raises(RecipeError, match="contains texts, but the recipe's task is image-classification"):
        train_run(recipe, texts.parent / "refused")


def test_settings_of_another_medium_are_refused():
    with pytest.raises(RecipeError, match=r"train.image_size does not apply to text-classification"):
        Recipe(task="text-classification").setting(image_size=64)
    assert "image_size" not in Recipe(task="text-classification").to_yaml()


def test_by_the_command_line(text_run, texts, tmp_path):
    done = whet("predict", text_run.path, "an old mirror", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["predicted"] == "glass"
    done = whet("evaluate", text_run.path, texts, "--json")
    assert json.loads(done.stdout)["accuracy"] > 0.9
