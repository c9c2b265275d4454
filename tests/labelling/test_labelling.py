"""`whet label`: what is proposed, and labelling by rounds."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import train_small, whet, write_images
from tests.grouping.test_grouping import require_self_contained, rows_of

import whet as package
from whet.core.errors import DataError, OutputError, RecipeError
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec
from whet.labelling.labelling import _without_near_copies
from whet.labelling.merged import _filled_in
from whet.labelling.scores import closeness
from whet.training.data_record import recorded_samples


@pytest.fixture(scope="module")
def more(finished_run, tmp_path_factory) -> Path:
    """New photos, with copies of each other and of photos that the run knows, and files that cannot be read."""
    root = tmp_path_factory.mktemp("more") / "more"
    write_images(root, {"a": 8, "b": 7}, seed=9)
    shutil.copy(root / "a" / "000.png", root / "again.png")
    shutil.copy(finished_run.parent / "images" / "glass" / "003.jpg", root / "known.jpg")
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    return root


@pytest.fixture(scope="module")
def proposed(finished_run, more, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("proposed") / "round1"
    done = whet("label", more, "--run", finished_run, "--out", out, "--count", "6")
    assert done.returncode == 0, done.stderr
    assert "6 of 15 samples without a label" in done.stdout and "broken.jpg" in done.stderr
    return out


def test_the_least_certain_predictions_are_proposed_first(finished_run, more, proposed):
    rows = rows_of(proposed / "to_label.csv")
    assert list(rows[0]) == ["rank", "id", "file", "guess", "confidence", "label"]
    assert [row["rank"] for row in rows] == list("123456") and {row["label"] for row in rows} == {""}
    run = package.load(finished_run)
    predictions = run.predict([*sorted((more / "a").iterdir()), *sorted((more / "b").iterdir())])
    probs_NK = predictions[[f"p:{name}" for name in run.classes]].to_numpy()
    score = dict(zip(predictions["file"], closeness(probs_NK, exclusive=True)))
    best = sorted(score, key=lambda file: -score[file])[:6]
    files = [str((proposed / row["file"]).resolve()) for row in rows]
    assert {Path(file).name for file in files} == {Path(file).name for file in best}
    by_file = dict(zip(predictions["file"], predictions["predicted"]))
    assert all(row["guess"] in by_file.values() for row in rows)
    story = json.loads((proposed / "label.json").read_text(encoding="utf-8"))
    assert (story["unlabelled"], story["labelled"], story["copies"], story["left_out"]["count"]) == (15, 1, 1, 1)
    require_self_contained(proposed / "report.html")


@pytest.mark.parametrize("by", ["disagreement", "coreset"])
def test_other_strategies_propose_each_content_once(by, finished_run, more, tmp_path):
    found = package.label(more, run=finished_run, count=50, by=by, threads=1)
    assert len(found.table) == 15 and found.table["id"].is_unique and "known.jpg" not in set(found.table["id"])
    assert (np.diff(found.score_N) <= 1e-9).all() and (found.score_N >= 0).all()
    renamed = shutil.copytree(more, tmp_path / "renamed")
    for number, path in enumerate(sorted((renamed / "a").iterdir())):
        path.rename(path.with_name(f"z{9 - number}{path.suffix}"))
    again = package.label(renamed, run=finished_run, count=50, by=by, threads=1)
    assert again.score_N == pytest.approx(found.score_N) and list(again.table["guess"]) == list(found.table["guess"])


def test_two_runs_disagree_where_they_predict_different_classes(finished_run, more):
    same = package.label(more, run=[finished_run, finished_run], count=3, by="disagreement", threads=1)
    assert same.score_N == pytest.approx([0, 0, 0], abs=1e-9)


def test_near_copies_are_proposed_once(finished_run, tmp_path):
    from PIL import Image

    from whet.data.read import read_without_labels

    y, x = np.mgrid[0:96, 0:96]
    for name, phase in (("one", 0.0), ("other", 2.0)):
        pixels = np.stack(
            [127 + 100 * np.sin(x / 7 + phase + c) * np.cos(y / (5 + phase) + c) for c in range(3)], axis=2
        )
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{name}.png")
    Image.open(tmp_path / "one.png").resize((80, 80)).save(tmp_path / "smaller.png")
    table, _ = read_without_labels(DataSpec(path=str(tmp_path)), "image", 1)
    assert table.frame["id"].tolist() == ["one.png", "other.png", "smaller.png"]
    assert _without_near_copies(table, np.array([2, 1, 0]), 1).tolist() == [0, 1]


def test_labelling_by_rounds(finished_run, more, proposed, tmp_path):
    """Propose, fill in, merge, train, propose again: the labelled samples are in training, and no longer proposed."""
    work = tmp_path / "work"
    shutil.copytree(proposed, work / "round1")
    for folder in (more, finished_run.parent / "images"):
        shutil.copytree(folder, work / folder.name)
    data, out = work / "more", work / "round1"
    rows = rows_of(out / "to_label.csv")
    for row in rows[:4]:
        row["label"] = "glass" if "/a/" in row["file"] else "paper"
    rows[4]["label"] = " wood "
    with (out / "to_label.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(
            {**row, "file": str(data / Path(row["file"]).parent.name / Path(row["file"]).name)} for row in rows
        )
    done = whet("label", out, "--labels", "--json")
    assert done.returncode == 0, done.stderr
    merged = json.loads(done.stdout)
    assert merged["new_classes"] == ["wood"] and merged["empty"] == 1 and sum(merged["counts"].values()) == 5
    table = rows_of(out / "labelled.csv")
    record = recorded_samples(RunFolder.open(finished_run))
    assert len(table) == len(record) + 5 and merged["before"] == len(record)
    assert [row["split"] for row in table] == [*record["split"], *["train"] * 5]
    assert [row["label"] for row in table[: len(record)]] == record["label"].tolist()
    with pytest.raises(OutputError, match="holds labels, which are never overwritten"):
        package.label(data, run=finished_run, out=out, force=True)
    trained = train_small(out / "labelled.csv", work / "run2", budget="1ep")
    assert trained.returncode == 0, trained.stderr
    again = package.label(data, run=work / "run2", count=50, threads=1)
    copied = "a/000.png" in {row["id"] for row in rows[:5]}  # again.png
    assert again.unlabelled == len(again.table) == 10 and again.labelled == 5 + 1 + copied
    assert not {row["id"] for row in rows[:5]} & set(again.table["id"])


@pytest.mark.parametrize("cells", [["a|b", "", "b"], ['["a", "b"]', "", '["b"]']])
def test_several_labels_are_filled_in_as_lists_or_with_a_separator(cells, tmp_path):
    with (tmp_path / "to_label.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([["file", "label"], *([f"{k}.jpg", cell] for k, cell in enumerate(cells))])
    frame, labels = _filled_in(tmp_path / "to_label.csv", DataSpec(), several=True)
    assert labels == [("a", "b"), None, ("b",)] and frame["file"].tolist() == ["0.jpg", "1.jpg", "2.jpg"]


def test_what_cannot_be_proposed_is_refused(finished_run, more, tmp_path):
    images = finished_run.parent / "images"
    with pytest.raises(DataError, match="every one of its 90 images has a label already"):
        package.label(images, run=finished_run)
    with pytest.raises(RecipeError, match="unknown strategy 'marginal'"):
        package.label(more, run=finished_run, by="marginal")
    with pytest.raises(OutputError, match="holds no samples to label"):
        package.merge_labels(tmp_path)
    assert whet("label", more, "--out", tmp_path / "x").returncode == 1


def test_rows_of_a_table_that_have_a_label_do_not_count(finished_run, more, tmp_path):
    names = sorted(path.name for path in (more / "a").iterdir())
    lines = ["file,label", *(f"{more / 'a' / name},{'glass' if k < 3 else ''}" for k, name in enumerate(names))]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    found = package.label(tmp_path / "table.csv", run=finished_run, threads=1)
    assert found.labelled == 3 and found.unlabelled == 5
    assert {Path(file).name for file in found.table["file"]} == set(names[3:])
