"""What a finished run reads, and that it knows its samples again by their content."""

from __future__ import annotations

import csv
import json
import shutil

import pytest

import whet as package
from tests.conftest import whet, write_images
from whet import recipes
from whet.core.errors import DataError
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec
from whet.training.data_record import data_fingerprint

_WORDS = {"glass": ("jar", "bottle"), "metal": ("can", "foil")}


def write_table(path, rows):
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["text", "body", "label", "stars"], *rows])
    return path


def rows_of(path):
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines()))[1:]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Trained on the columns body and stars; text tells the opposite, and label holds something else."""
    root = tmp_path_factory.mktemp("columns")
    other = {"glass": "metal", "metal": "glass"}
    rows = []
    for name, words in _WORDS.items():
        for i, draw in enumerate(Rng(0).batch(name, 0, range(40)).uniform(shape=())):
            word, wrong = words[int(2 * draw)], _WORDS[other[name]][int(2 * draw)]
            # One in ten is wrong, so that there is something to explain.
            rows.append([f"one {wrong} number {i}", f"one {word if i % 10 else wrong} number {i}", f"x{i % 2}", name])
    table = write_table(root / "t.csv", rows)
    data = DataSpec(path=str(table), text_column="body", label_column="stars", val_fraction=0.2, test_fraction=0.3)
    recipe = recipes.load("text/plain_from_scratch").replace(data=data)
    return package.train(
        table, recipe=recipe.setting(torch_threads=1, loader_threads=1), budget="30ep", out=root / "run"
    )


def test_the_columns_that_were_found_are_written_into_the_run(finished_run, tmp_path):
    rows = [[f"{word} {i}", name] for name, words in _WORDS.items() for word in words for i in range(8)]
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["Sentence", "category"], *rows])
    made = package.train(tmp_path / "t.csv", budget="1st", out=tmp_path / "run")
    assert (made.recipe.data.text_column, made.recipe.data.label_column) == ("Sentence", "category")
    assert package.load(finished_run).recipe.data.file_column is None  # of a folder


def test_evaluate_and_predict_read_the_columns_of_the_training(run):
    table = run.path.parent / "t.csv"
    measured = run.evaluate(table)
    assert measured["accuracy"] > 0.8 and measured["samples"] == 80
    answers = run.predict(table)
    assert answers["text"][1] == "one jar number 1" or answers["text"][1] == "one bottle number 1"
    by_text = run.predict(table, text_column="text")
    assert (answers["predicted"] != by_text["predicted"]).mean() > 0.8
    assert run.evaluate(DataSpec(path=str(table), text_column="text"))["accuracy"] < 0.3


def test_a_table_without_the_column_of_the_training_is_refused(run, tmp_path):
    (tmp_path / "t.csv").write_text("text,stars\none jar,glass\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"'body'.*trained on this column"):
        run.evaluate(tmp_path / "t.csv")
    assert "body" in run.predict(tmp_path / "t.csv")["error"][0]
    assert run.predict(tmp_path / "t.csv", text_column="text")["predicted"].tolist() == ["glass"]


def test_predict_where_nothing_can_be_read_ends_with_one(run, tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    for words in (("", "  "), (tmp_path / "t.csv",)):
        done = whet("predict", run.path, *words, "--json")
        assert done.returncode == 1
        assert all(row["error"] and row["predicted"] == "" for row in json.loads(done.stdout))
    assert whet("predict", run.path, "", "one jar", "--json").returncode == 0
    done = whet("predict", run.path, tmp_path / "missing.csv")
    assert done.returncode == 1 and "no such file" in done.stderr


def test_parts_of_the_own_data_are_those_of_the_training(run):
    split = run.folder.read_json(run.folder.data)["counts"]
    train = run.evaluate(part="train")
    assert train["samples"] == sum(split["train"].values()) == train["trained_on"]
    assert train["accuracy"] > run.metrics["test"]["accuracy"] - 0.1 and train["part"] == "train"
    whole = run.evaluate(part="all")
    assert whole["samples"] == 80 and whole["trained_on"] == train["samples"]
    assert whole["validated_on"] == sum(split["val"].values())
    assert run.evaluate()["accuracy"] == run.metrics["test"]["accuracy"]
    assert run.evaluate(part="val")["accuracy"] == run.metrics["val"]["accuracy"]
    done = whet("evaluate", run.path, "--part", "train")
    assert done.returncode == 0 and "training samples" in done.stdout + done.stderr
    assert "trained on" in done.stdout + done.stderr


def test_samples_that_were_trained_on_are_counted_by_content(run, tmp_path):
    """Under other names, in another order, beside new ones."""
    old = rows_of(run.path.parent / "t.csv")
    new = [["", f"a new jar {i}", "", "glass"] for i in range(5)]
    measured = run.evaluate(write_table(tmp_path / "other.csv", [*new, *reversed(old)]))
    assert measured["samples"] == 85
    assert measured["trained_on"] == run.evaluate(part="train")["samples"]


def test_the_mistakes_are_explained_after_the_table_was_sorted_anew(run, tmp_path):
    before = {one.name: (one.label, one.predicted, tuple(piece.text for piece in one.explanation.pieces))
              for one in run.explain(most=50)}  # fmt: skip
    assert before
    table = run.path.parent / "t.csv"
    old = rows_of(table)
    kept = table.read_bytes()
    try:
        write_table(table, sorted(old, key=lambda row: row[1][::-1]))
        after = {one.name: (one.label, one.predicted, tuple(piece.text for piece in one.explanation.pieces))
                 for one in run.explain(most=50)}  # fmt: skip
    finally:
        table.write_bytes(kept)
    assert 0 < len(after) <= len(before)
    assert after == {name: before[name] for name in after}


def test_the_fingerprint_tells_data_apart(run, finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / "copy")
    assert data_fingerprint(RunFolder(tmp_path / "copy")) == data_fingerprint(RunFolder(finished_run))
    assert data_fingerprint(run.folder) != data_fingerprint(RunFolder(finished_run))


def test_images_of_a_table_and_what_is_no_image(finished_run, tmp_path):
    data = write_images(tmp_path / "new", {"glass": 2}, seed=9)
    (data / "a.heic").write_bytes(b"x")
    with (tmp_path / "list.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([["file"], ["new/glass/000.png"], ["new/none.png"], [""]])
    run = package.load(finished_run)
    answers = run.predict([tmp_path / "list.csv", data])
    assert [bool(error) for error in answers["error"]] == [False, True, True, True, False]
    assert answers["predicted"][0] and not answers["predicted"][3]
