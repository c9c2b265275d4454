"""Runs that predict masks as one model: the mean of their probabilities, pixel by pixel."""

import json

import numpy as np
import pytest
import torch
from tests.conftest import whet
from tests.end_to_end.test_instances import make_coco
from tests.end_to_end.test_instances import recipe as objects
from tests.end_to_end.test_segmentation import make_pairs, recipe

import whet as package
from whet.core.errors import RecipeError, RunError
from whet.core.run_folder import RunFolder
from whet.data.read import read_samples
from whet.evaluate.inference import prepared
from whet.models.decoders import resized
from whet.training.data_record import as_recorded
from whet.training.ensemble import ensemble_runs
from whet.training.job import train_run
from whet.training.saved import SavedModel


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_pairs(tmp_path_factory.mktemp("masks"))


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """Heads of stride 4 and 8, at image sizes of 32 and 48 pixels."""
    root = tmp_path_factory.mktemp("runs")
    settings = (({"head": "fpn"}, 32), ({"head": "lr_aspp"}, 48))
    made = [
        train_run(recipe(data, "tta", budget="4ep", model=model, image_size=size), root / model["head"])
        for model, size in settings
    ]
    return made, ensemble_runs(made, root / "both")


def test_its_probabilities_are_the_mean_of_those_of_the_runs(data, runs):
    made, both = runs
    cpu = torch.device("cpu")
    models = [SavedModel(run.model, cpu) for run in (both, *made)]
    frame = read_samples(recipe(data).data).frame.iloc[:3]
    with torch.inference_mode():
        x = torch.cat([x for x, _ in prepared(models[0].net, models[0].loader(frame, 1), 32)])
        combined, first = models[0].predictor(x), models[1].predictor(x)
        second = models[2].predictor(models[2].beside(models[1].net, "other").shown(x))
        assert first.shape[2:] != second.shape[2:]
        size = combined.shape[2:]
        mean = (resized(first, size).softmax(dim=1) + resized(second, size).softmax(dim=1)) / 2
    assert torch.allclose(combined.exp(), mean, atol=1e-5)
    assert torch.allclose(combined.exp().sum(dim=1), torch.ones(1), atol=1e-5)


def test_its_metrics_are_those_of_its_own_masks(data, runs):
    _, both = runs
    metrics = json.loads(both.metrics.read_text())
    again = package.load(both.path).evaluate(data, part="all")
    assert again["samples"] == 36
    table = as_recorded(both, read_samples(recipe(data).data)).part("test")
    hit = total = 0
    for found, masks in zip(
        package.load(both.path).segment(list(table.frame["path"])), table.frame["masks"], strict=True
    ):
        target = masks.class_map()
        hit += (found.found.map_HW == target)[target != 255].sum()
        total += (target != 255).sum()
    assert metrics["test"]["pixel_accuracy"] == pytest.approx(hit / total, abs=1e-9)
    assert metrics["notes"][0].startswith("the mean of 2 runs") and len(metrics["notes"]) == 1


def test_an_image_that_is_gone_is_named(data, runs, tmp_path, monkeypatch):
    made, _ = runs
    table = read_samples(recipe(data).data)
    lost = made[0].read_json(made[0].metrics)["test"]["samples"]
    test = as_recorded(made[0], table).part("test").frame
    assert len(test) == lost
    fewer = table.with_frame(table.frame[table.frame["digest"] != test["digest"].iloc[0]])
    monkeypatch.setattr("whet.training.ensemble.read_samples", lambda data: fewer)
    with pytest.raises(RunError, match=rf"1 predicted images are missing or changed; first: {test['id'].iloc[0]}"):
        ensemble_runs(made, tmp_path / "both")
    assert not list(tmp_path.iterdir())


def test_runs_on_other_masks_are_refused(data, runs, tmp_path):
    made, _ = runs
    other = make_pairs(tmp_path / "other", size=(44, 48))
    third = train_run(recipe(other, budget="1ep"), tmp_path / "third")
    with pytest.raises(RunError, match="predicted different samples"):
        ensemble_runs([made[0], third], tmp_path / "both")


def test_by_the_command_line_with_a_report(runs, tmp_path):
    made, _ = runs
    told = whet("ensemble", made[0].path, made[1].path, "--out", tmp_path / "both", "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["difference"]["low"] <= found["difference"]["mean"] <= found["difference"]["high"]
    assert "Images with the lowest IoU" in (tmp_path / "both" / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_objects_are_combined_at_one_image_size(tmp_path):
    path = make_coco(tmp_path / "discs", count=20)
    made = [train_run(objects(path, budget="1ep", seed=seed), tmp_path / f"run{seed}") for seed in range(2)]
    both = ensemble_runs(made, tmp_path / "both")
    metrics = json.loads(both.metrics.read_text())["test"]
    assert 0 <= metrics["mask_ap"] <= 1
    assert package.load(both.path).evaluate(part="test")["mask_ap"] == metrics["mask_ap"]
    saved = [SavedModel(run.model, torch.device("cpu")) for run in (both, *made)]
    x = torch.linspace(-1, 1, 3 * 48 * 48).sin().view(1, 3, 48, 48)
    with torch.inference_mode():
        combined, *each = [one.predictor(x) for one in saved]
    assert torch.allclose(combined[:, 3:], torch.stack(each)[:, :, 3:].mean(dim=0), atol=1e-5)  # heat and offsets
    larger = train_run(objects(path, budget="1ep", image_size=96), tmp_path / "larger")
    with pytest.raises(
        RecipeError, match=r"objects on .* cells cannot be combined .*; combine runs with the same image size"
    ):
        ensemble_runs([made[0], larger], tmp_path / "three")


def test_weights_are_not_fitted_to_masks(data, runs, tmp_path):
    made, _ = runs
    stacking = {"runs": [str(made[1].path)]}
    with pytest.raises(
        RecipeError, match=r"stacking.how = weighted: no weights are fitted to masks; accepted .*: mean"
    ):
        train_run(recipe(data, {"stacking": stacking}, budget="1ep"), tmp_path / "weighted")
    run = train_run(recipe(data, {"stacking": {**stacking, "how": "mean"}}, budget="1ep"), tmp_path / "mean")
    assert len(SavedModel(run.model, torch.device("cpu")).members) == 2


@pytest.mark.slow
@pytest.mark.sample
def test_networks_trained_together_predict_the_mean(data, tmp_path):
    run = train_run(recipe(data, {"deep_ensemble": {"members": 2}}, budget="1ep"), tmp_path / "run")
    saved = SavedModel(run.model, torch.device("cpu"))
    x = torch.linspace(-1, 1, 3 * 32 * 32).sin().view(1, 3, 32, 32)
    with torch.inference_mode():
        members = torch.stack([member(x).softmax(dim=1) for member in saved.members])
        assert len(members) == 2 and not torch.allclose(members[0], members[1])
        assert torch.allclose(saved.predictor(x).exp(), members.mean(dim=0), atol=1e-5)
    assert np.isfinite(RunFolder(run.path).read_json(run.metrics)["test"]["mean_iou"])
