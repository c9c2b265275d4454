"""Several labels a sample through the whole road: images with squares of some colours, texts with some planted words."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import whet as package
from whet.checking import check
from whet.core.errors import DataError, RecipeError, RunError
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec
from whet.data.read import read_samples
from whet.evaluate.compare import compare_runs
from whet.methods import Sophia
from whet.studies.study import study
from whet.training.job import train_run

_COLOURS = {"blue": (50, 60, 220), "green": (40, 200, 60), "red": (220, 40, 40)}
_WORDS = {
    "bin": ("bin", "dustbin"),
    "bottle": ("bottle", "flask"),
    "can": ("can", "tin"),
    "paper": ("letter", "journal"),
}
_FILLERS = ("there", "is", "some", "old", "thing")


def planted(purpose, names, count, rate=0.4):
    """Label sets at random, some of them empty: bool (N, K)."""
    return Rng(3).batch(purpose, 0, np.arange(count)).uniform(shape=(len(names),)) < rate


def write_squares(root, count=150):
    """Images with a square of each of their colours, each in its own quarter; labels.csv names the colours."""
    root.mkdir(parents=True)
    rng = Rng(4).batch("squares", 0, np.arange(count))
    noise, place = rng.uniform(60, 140, (24, 24, 3)), rng.uniform(shape=(4,)).argsort(axis=1)
    rows = []
    for i, true in enumerate(planted("colours", _COLOURS, count)):
        for colour, quarter, there in zip(_COLOURS.values(), place[i], true):
            if there:
                y, x = 12 * (quarter // 2), 12 * (quarter % 2)
                noise[i, y + 1 : y + 11, x + 1 : x + 11] = colour
        Image.fromarray(noise[i].astype(np.uint8)).save(root / f"{i:03d}.png")
        rows.append([f"{i:03d}.png", json.dumps([name for name, there in zip(_COLOURS, true) if there])])
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["file", "label"], *rows])
    return root / "labels.csv"


def write_sentences(path, count=240):
    """Sentences with a word for each of their labels among words that say nothing; names between bars."""
    rng = Rng(5).batch("sentences", 0, np.arange(count))
    filler, which, place = rng.uniform(shape=(4,)), rng.uniform(shape=(4,)), rng.uniform(shape=(8,))
    rows = []
    for i, true in enumerate(planted("words", _WORDS, count)):
        words = [_FILLERS[int(5 * u)] for u in filler[i]]
        words += [two[int(2 * u)] for two, u, there in zip(_WORDS.values(), which[i], true) if there]
        sentence = " ".join(words[j] for j in np.argsort(place[i, : len(words)]))
        rows.append([sentence, "|".join(name for name, there in zip(_WORDS, true) if there)])
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["text", "label"], *rows])
    return path


def on_squares(data, budget="8ep", methods=("horizontal_flip", "tta", "temperature_scaling"), **settings):
    plain = {
        "data": {"path": str(data)},
        "model": {"architecture": "resnet9_slim"},
        "train": {"budget": budget, "batch_size": 16, "image_size": 24, "precision": "fp32", "torch_threads": 1,
                  "loader_threads": 1, **settings},
        "methods": [*methods, {"adamw": {"lr": 0.005}}, "one_cycle"],
    }  # fmt: skip
    return Recipe.from_dict(plain)


def on_sentences(data, budget="12ep", methods=(), **settings):
    plain = {
        "task": "text-classification",
        "data": {"path": str(data), "label_separator": "|"},
        "model": {"architecture": "fast_text"},
        "train": {"budget": budget, "batch_size": 16, "precision": "fp32", "torch_threads": 1, "loader_threads": 1, **settings},
        "methods": [*methods, {"adamw": {"lr": 0.02}}, "cosine"],
    }  # fmt: skip
    return Recipe.from_dict(plain)


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    return write_squares(tmp_path_factory.mktemp("data") / "squares")


@pytest.fixture(scope="module")
def sentences(tmp_path_factory):
    return write_sentences(tmp_path_factory.mktemp("data") / "sentences.csv")


@pytest.fixture(scope="module")
def seen(squares, tmp_path_factory):
    return package.train(squares, recipe=on_squares(squares), out=tmp_path_factory.mktemp("runs") / "squares")


@pytest.fixture(scope="module")
def read(sentences, tmp_path_factory):
    methods = ("token_mask", "temperature_scaling", "threshold_tuning")
    recipe = on_sentences(sentences, methods=methods)
    return package.train(sentences, recipe=recipe, out=tmp_path_factory.mktemp("runs") / "sentences")


def test_what_is_planted_is_found(seen, read):
    for run in (seen, read):
        result = run.metrics["test"]
        assert result["macro_f1"] > 0.95 and result["hamming_accuracy"] > 0.95 and result["accuracy"] > 0.85
        assert result["mean_average_precision"] > 0.97
        assert run.metrics["task"] == "multi-label" and "confusion" not in result


def test_predictions_hold_label_sets_that_are_read_back(seen):
    predicted = seen.predictions
    columns = predicted[[f"p:{name}" for name in _COLOURS]].to_numpy()
    assert [json.loads(cell) for cell in predicted["predicted"]] == [
        [name for name, p in zip(_COLOURS, row) if p > 0.5] for row in columns
    ]
    decided = np.maximum(columns, 1 - columns).prod(axis=1)
    assert predicted["confidence"].to_numpy() == pytest.approx(decided, abs=1e-5)
    assert columns.sum(axis=1).max() > 1.3  # each label by itself
    assert (
        seen.metrics["test"]["accuracy"]
        == (predicted["label"] == predicted["predicted"])[predicted["split"] == "test"].mean()
    )


def test_the_saved_model_answers_as_the_run_did(seen, squares):
    predicted = seen.predictions.query(
        "split == 'test'"
    )  # validation samples are answered by fits that did not see them
    again = seen.predict([squares.parent / id_ for id_ in predicted["id"]])
    assert again["predicted"].map(json.dumps).tolist() == predicted["predicted"].tolist()
    names = [f"p:{name}" for name in _COLOURS]
    assert np.abs(again[names].to_numpy() - predicted[names].to_numpy()).max() < 2e-5


def test_texts_are_asked(read):
    answers = read.predict(["there is tin some old journal", "there is some old thing", "old flask thing"])
    assert answers["predicted"].tolist() == [["can", "paper"], [], ["bottle"]]


def test_other_data_are_measured_where_the_labels_stand_alike(read, seen, sentences, squares, images, tmp_path):
    whole = read.evaluate(sentences)
    assert whole["samples"] == 240 and whole["macro_f1"] > 0.95
    lists = tmp_path / "lists.csv"
    frame = pd.read_csv(sentences, keep_default_na=False)
    frame.assign(label=[json.dumps([n for n in cell.split("|") if n]) for cell in frame["label"]]).to_csv(
        lists, index=False
    )
    assert read.evaluate(DataSpec(path=str(lists), label_column="label"))["log_loss"] == pytest.approx(
        whole["log_loss"]
    )
    assert seen.evaluate(squares, part="all")["samples"] == 150
    with pytest.raises(
        DataError, match="have exactly one class each; this run was trained on samples with any number of labels each"
    ):
        seen.evaluate(images)


def test_the_report_tells_what_was_missed_and_said_wrongly(seen, read):
    for run in (seen, read):
        page = run.folder.report.read_text(encoding="utf-8")
        assert "every label right" in page and "micro-F1" in page and "Hamming accuracy" in page
        assert "average precision" in page and "predicted wrongly" in page
        assert "What is taken for what" not in page
    wrong = seen.folder.read_json(seen.folder.mistakes / "mistakes.json")
    for entry in wrong["shown"]:
        assert entry["faults"] and all(fault["confidence"] >= 0.5 for fault in entry["faults"])


@pytest.fixture(scope="module")
def weak(sentences, tmp_path_factory):
    """Two seeds of a recipe that hardly learns."""
    root = tmp_path_factory.mktemp("runs")
    return [train_run(on_sentences(sentences, budget="3st", seed=seed), root / f"weak-s{seed}") for seed in (0, 1)]


@pytest.mark.parametrize("metric", ["accuracy", "hamming_accuracy", "macro_f1", "log_loss", "mean_average_precision"])
def test_runs_are_compared_on_the_same_samples(weak, read, sentences, tmp_path_factory, metric):
    reference, (found,), samples = compare_runs([weak[0], read.folder], metric)
    assert samples == read.metrics["test"]["samples"] == len(reference.evidence[0])
    assert found.difference.is_gain and found.difference.verdict == "not assessed"  # of one seed
    value = read.metrics["test"][metric]
    assert found.group.value_S[0] == pytest.approx(value, abs=1e-4)
    assert (found.mcnemar is not None) == (metric == "accuracy")


@pytest.mark.slow
def test_a_study_goes_by_decisions(sentences, tmp_path):
    base = on_sentences(sentences, budget="4ep", methods=("label_smoothing",))
    found = study(
        base,
        ["adamw.lr=0.0001:0.02"],
        design="add",
        seeds=3,
        metric="hamming_accuracy",
        confirming=False,
        out=tmp_path / "study",
    )
    (row,) = found.effects.to_dict("records")
    assert row["verdict"] == "helps" and row["effect"] > 0.1
    told = RunFolder(tmp_path / "study").read_json(tmp_path / "study" / "study.json")
    assert set(told["effects"][0]["per_class"]) <= set(_WORDS)
    assert "Hamming accuracy" in found.report.read_text()


def test_a_study_by_a_metric_of_label_sets_is_refused_where_each_sample_has_one_class(images, tmp_path):
    base = on_squares(images, methods=("horizontal_flip",))
    with pytest.raises(RunError, match=r"'micro_f1'.*the samples have exactly one class each"):
        study(base, ["horizontal_flip"], metric="micro_f1", out=tmp_path / "study")


@pytest.mark.parametrize(
    "method",
    ["balanced_sampler", "oversample", "drop_conflicts", "balanced_softmax", "ldam_drw", "logit_adjustment", "curriculum",
     "confident_learning", "classifier_retraining", "co_teaching"],
)  # fmt: skip
def test_methods_for_one_class_are_refused_by_name(sentences, tmp_path, method):
    recipe = on_sentences(sentences, budget="1st", methods=(method,))
    with pytest.raises(
        RecipeError, match=f"method '{method}' does not apply to samples with any number of labels each"
    ):
        train_run(recipe, tmp_path / "run")


@pytest.mark.slow
def test_an_ensemble_answers_label_by_label_and_class_weights_and_fisher_steps_are_right(sentences, tmp_path):
    recipe = on_sentences(sentences, budget="12ep", methods=({"deep_ensemble": {"members": 2}}, "class_weight"))
    run = package.Run(train_run(recipe, tmp_path / "run"))
    assert run.metrics["test"]["macro_f1"] > 0.8
    assert run.predict(["old tin some flask"])["predicted"][0] == ["bottle", "can"]
    fisher = recipe.only().with_methods(Sophia(lr=0.02, every=2))
    assert package.Run(train_run(fisher, tmp_path / "sophia")).metrics["test"]["macro_f1"] > 0.8


def test_the_check_tells_of_labels_that_differ_and_come_together(tmp_path):
    rows = [
        ["the same words", "a|b"],
        ["the same words", "a"],
        *([f"text number {i}", "a|b" if i % 2 else "c"] for i in range(40)),
    ]
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["text", "label"], *rows])
    found = check(DataSpec(path=str(tmp_path / "t.csv"), label_separator="|"), out=tmp_path / "check")
    by_kind = {finding.kind: finding for finding in found.findings}
    assert by_kind["label conflict"].notes == ('["a", "b"], ["a"]',)
    assert "b never occurs without a" in by_kind["label dependence"].text
    assert "most often together: a + b (21)" in by_kind["label sets"].text
    assert "exactly one class" in by_kind["not searched"].text
    again = read_samples(DataSpec(path=str(tmp_path / "check" / "cleaned.csv")))
    assert again.task.name == "multi-label" and again.classes == ("a", "b", "c") and len(again) == 40
