"""A task from outside, in one class: ordinal regression by cumulative logits. It trains, is compared, studied and reported, and
neither the loop nor the plan, the comparison, the study or the report knows of it."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import binary_cross_entropy_with_logits

import whet
from whet.core.evidence import Metric
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.stages import Stage
from whet.core.targets import ClassTargets
from whet.core.task import VectorTask, tasks
from whet.evaluate.compare import compare_runs
from whet.report import build_report
from whet.studies.study import study
from whet.training.job import train_run

GRADES = ("0", "1", "2", "3")


def absolute_error_N(evidence):
    return np.abs(evidence.predicted - evidence.labels).astype(float)


class Ordinal(VectorTask):
    """Classes in an order: K - 1 logits, each of the sample's grade lying above one of the steps. Source: Frank & Hall 2001."""

    name = "ordinal"
    title = "one grade each"
    problems = {"image-ordinal-regression": "image"}
    metrics = {
        "mean_absolute_error": Metric(
            "mean absolute error", absolute_error_N, is_mean=True, smaller_is_better=True, is_share=False
        )
    }
    headline = "mean_absolute_error"
    followed = ("mean_absolute_error",)

    def reads(self, labels):
        return labels == "class"

    def allows(self, problem, method):
        return "image-classification" in method.tasks and method.stage not in (Stage.BATCH, Stage.LOSS, Stage.PREDICT)

    def targets(self, labels, num_classes):
        above = torch.as_tensor(np.array(labels))[:, None] > torch.arange(num_classes - 1)
        return ClassTargets(above.to(torch.float32), self)

    def outputs(self, num_classes):
        return num_classes - 1

    def loss(self, outputs_BK, targets):
        return binary_cross_entropy_with_logits(outputs_BK, targets.probs_BK, reduction="none").sum(dim=1)

    def combine(self, outputs_BMK, weights=None):
        return outputs_BMK.mean(dim=1)

    def probabilities(self, outputs_NK):
        above = np.minimum.accumulate(1 / (1 + np.exp(-outputs_NK)), axis=1)
        edges = np.column_stack([np.ones(len(above)), above, np.zeros(len(above))])
        return edges[:, :-1] - edges[:, 1:]

    def decide(self, probs_NK):
        return (probs_NK.cumsum(axis=1) < 0.5).sum(axis=1)  # the median

    def strata(self, evidence):
        return evidence.labels

    def measure(self, evidence):
        errors_N = absolute_error_N(evidence)
        return {"samples": len(evidence), "mean_absolute_error": float(errors_N.mean())}

    def prediction(self, probs_K, classes):
        grade = int(self.decide(probs_K[None])[0])
        return classes[grade], float(probs_K[grade])

    def cell(self, target, classes):
        return classes[int(target)]


@pytest.fixture(scope="module", autouse=True)
def registered():
    whet.register(Ordinal)
    yield
    del tasks()._by_name["ordinal"]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Images that are the brighter the higher their grade; some noise."""
    folder = tmp_path_factory.mktemp("graded")
    draws = Rng(2).batch("pixels", 0, np.arange(160))
    level, noise = draws.uniform(-15, 15), draws.uniform(-10, 10, (16, 16, 3))
    rows = []
    for i in range(160):
        grade = i % len(GRADES)
        pixels = (50 + 50 * grade + level[i] + noise[i]).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")
        rows.append([f"{i:03d}.png", GRADES[grade]])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "label"], *rows])
    return folder / "labels.csv"


def recipe(data, *methods, budget="6ep", seed=0):
    return Recipe.from_dict(
        {
            "task": "image-ordinal-regression",
            "data": {"path": str(data), "test_fraction": 0.25, "val_fraction": 0.2},
            "model": {"architecture": "resnet9_slim", "weights": "none"},
            "train": {
                "budget": budget, "batch_size": 16, "image_size": 16, "precision": "fp32", "torch_threads": 1,
                "loader_threads": 1, "seed": seed,
            },
            "methods": [*methods, {"adamw": {"lr": 0.005}}, "one_cycle"],
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(graded, tmp_path_factory):
    return train_run(recipe(graded), tmp_path_factory.mktemp("runs") / "plain", report=build_report)


def test_it_learns_and_is_measured_by_its_own_metric(run):
    metrics = run.read_json(run.metrics)
    assert metrics["task"] == "ordinal"
    assert metrics["test"]["mean_absolute_error"] < 0.5  # guessing gives 1.25, always the middle 1
    assert "accuracy" not in metrics["test"]


def test_its_head_has_an_output_a_step_and_the_saved_model_predicts_the_same(run, graded):
    loaded = whet.load(run.path)
    assert loaded._model._saved.net.spec.outputs == len(GRADES) - 1
    part = loaded.predictions.query("split == 'test'")
    again = loaded.predict([graded.parent / id_ for id_ in part["id"]])
    assert again["predicted"].tolist() == part["predicted"].tolist()
    assert loaded.evaluate()["mean_absolute_error"] == run.read_json(run.metrics)["test"]["mean_absolute_error"]


def test_its_report_leads_with_its_metric(run):
    page = run.report.read_text(encoding="utf-8")
    assert "mean absolute error on test samples" in page and "trained from scratch" in page
    assert "Calibration" not in page


def test_runs_of_it_are_compared(run, graded, tmp_path):
    other = train_run(recipe(graded, budget="1ep"), tmp_path / "short")
    reference, (found,), samples = compare_runs([run, other], "mean_absolute_error")
    own = other.read_json(other.metrics)["test"]["mean_absolute_error"]
    assert found.difference.mean == pytest.approx(own - reference.value_S[0]) and samples == 40
    with pytest.raises(whet.WhetError, match="one grade each"):
        compare_runs([run, other], "accuracy")


@pytest.mark.slow
def test_it_is_studied(graded, tmp_path):
    base = recipe(graded, budget="1ep")
    study(
        base, ["horizontal_flip"], design="add", seeds=3, budget="1ep",
        metric="mean_absolute_error", out=tmp_path / "study", confirming=False,
    )  # fmt: skip
    story = json.loads((tmp_path / "study" / "study.json").read_text())
    assert story["metric"] == "mean_absolute_error" and [e["factor"] for e in story["effects"]] == ["horizontal_flip"]
    assert story["effects"][0]["seeds"] == 3


def test_what_means_nothing_for_it_is_refused(graded):
    with pytest.raises(whet.WhetError, match="method 'mixup'"):
        recipe(graded, "mixup")
