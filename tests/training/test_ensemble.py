"""Finished runs as one model."""

import json
import shutil

import numpy as np
import pytest
from tests.conftest import whet, write_images

import whet as package
from whet.core.errors import RunError
from whet.core.recipe import Recipe, parse_methods
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec, ModelSpec
from whet.evaluate.evidence import read_evidence, write_evidence
from whet.training.ensemble import ensemble_runs
from whet.training.job import train_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two networks of different kinds; one calibrates its answers, the other asks twice."""
    root = tmp_path_factory.mktemp("fuse")
    data = write_images(root / "images", {"glass": 24, "metal": 24, "paper": 24})
    made = []
    for name, methods in (("resnet9_slim", ["temperature_scaling"]), ("lenet", ["tta"])):
        recipe = Recipe(
            data=DataSpec(path=str(data)), model=ModelSpec(architecture=name, weights="none"),
            methods=parse_methods(({"sgd": {"lr": 0.02}}, *methods)),
        ).setting(budget="2ep", batch_size=16, image_size=32, precision="fp32")  # fmt: skip
        made.append(train_run(recipe, root / name))
    return root, made


def test_its_answers_are_the_mean(runs):
    root, made = runs
    fused = ensemble_runs(made, root / "both")
    answers = [run.read_predictions().sort_values("id", ignore_index=True) for run in (fused, *made)]
    columns = [column for column in answers[0].columns if column.startswith("p:")]
    mean = np.mean([frame[columns].to_numpy(float) for frame in answers[1:]], axis=0)
    np.testing.assert_allclose(answers[0][columns].to_numpy(float), mean, atol=1e-5)
    predicted = np.array([column[2:] for column in columns])[mean.argmax(axis=1)]
    assert (answers[0]["predicted"] == predicted).all()
    test = answers[0]["split"] == "test"
    accuracy = fused.read_json(fused.metrics)["test"]["accuracy"]
    assert accuracy == pytest.approx((predicted == answers[0]["label"])[test].mean())


def test_the_model_itself_answers_so(runs):
    """Each network as it answers by itself: calibrated, or asked twice."""
    root, made = runs
    fused = ensemble_runs(made, root / "both")
    told = fused.read_predictions().query("split == 'test'").set_index("id")
    again = package.load(fused.path).predict([root / "images" / name for name in told.index])
    columns = [column for column in told.columns if column.startswith("p:")]
    np.testing.assert_allclose(again[columns].to_numpy(float), told[columns].to_numpy(float), atol=2e-3)


def test_it_needs_the_runs_no_more_and_is_a_run_like_any_other(runs, tmp_path):
    root, made = runs
    ensemble_runs(made, root / "both")
    moved = tmp_path / "moved"
    shutil.copytree(root / "both", moved)
    done = whet("predict", moved, root / "images" / "metal", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 24
    done = whet("compare", made[0].path, moved)
    assert done.returncode == 0, done.stderr


def test_cut_short_it_leaves_nothing_and_is_made_anew(runs, tmp_path, monkeypatch):
    _, made = runs

    def killed(*values, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("whet.training.ensemble.write_evidence", killed)
        with pytest.raises(KeyboardInterrupt):
            ensemble_runs(made, tmp_path / "both")
    assert not list(tmp_path.iterdir())
    assert ensemble_runs(made, tmp_path / "both").finished


def test_a_folder_that_holds_anything_is_refused_and_kept(runs, tmp_path):
    root, made = runs
    (tmp_path / "both" / "model").mkdir(parents=True)
    (tmp_path / "both" / "model" / "mine").write_text("mine")
    for path, reason in (
        (tmp_path / "both", "not written by whet"),
        (root / "images" / "new", "lies inside the data"),
    ):
        with pytest.raises(RunError, match=reason):
            ensemble_runs(made, path)
    assert [path.read_text() for path in (tmp_path / "both").rglob("*") if path.is_file()] == ["mine"]


def test_what_answered_other_samples_is_refused(runs, tmp_path):
    _, made = runs
    other = tmp_path / "other"
    shutil.copytree(made[1].path, other)
    parts = {part: read_evidence(made[1], part) for part in ("val", "test")}
    write_evidence(RunFolder(other), {**parts, "test": parts["test"].rows(np.arange(1, len(parts["test"])))})
    with pytest.raises(RunError, match="predicted different samples"):
        ensemble_runs([made[0], RunFolder(other)], tmp_path / "both")
    twice = ensemble_runs(made, tmp_path / "once")
    with pytest.raises(RunError, match="cannot be part of another ensemble"):
        ensemble_runs([twice, made[0]], tmp_path / "both")


def test_by_the_command_line_with_what_it_gains(runs, tmp_path):
    _, made = runs
    out = tmp_path / "both"
    told = whet("ensemble", made[0].path, made[1].path, "--out", out)
    assert told.returncode == 0, told.stderr
    assert "ensemble" in told.stdout
    assert "points" in told.stdout
    assert (out / "report.html").is_file()
    again = whet("ensemble", made[0].path, made[1].path, "--out", out)
    assert again.returncode == 1
    assert "already holds a run (finished)" in again.stderr
    once = whet("ensemble", made[0].path, made[0].path, "--out", tmp_path / "once")
    assert "two or more different runs" in once.stderr


def test_networks_of_other_image_sizes_are_told(runs, tmp_path):
    root, made = runs
    assert len(ensemble_runs(made, root / "both").read_json(root / "both" / "metrics.json")["notes"]) == 1
    shutil.copytree(made[1].path, tmp_path / "larger")
    file = tmp_path / "larger" / "model" / "whet.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"size": 48}))
    fused = ensemble_runs([made[0], RunFolder(tmp_path / "larger")], tmp_path / "both")
    assert "at each run's own size (32, 48 px)" in fused.read_json(fused.metrics)["notes"][1]
