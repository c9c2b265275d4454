"""The guard: the network that is better on validation samples predicts; test samples decide nothing."""

import json
import shutil

import numpy as np
import pytest
from tests.conftest import write_images
from tests.methods.test_pseudo_label import recipe

from whet.core.method import Method, Unlabelled
from whet.core.recipe import Recipe
from whet.core.registry import registry
from whet.core.run_folder import RunFolder
from whet.core.stages import WrapsLoss
from whet.evaluate.evidence import read_evidence, write_evidence
from whet.training.guard import HYSTERESIS, gave_up, judged
from whet.training.job import train_run


class Spoiler(Method, WrapsLoss, family="semi", tasks={"image-classification"}):
    """Learn the opposite of the labels, if unlabelled samples are there.

    Use when: testing.  Do not use when: training.
    Source: Oliver et al. 2018, arXiv:1804.09170.
    """

    def unlabelled(self, problem):
        return Unlabelled(1.0, {"weak": ()})

    def wrap_loss(self, loss, net, context):
        return lambda outcome: -loss(outcome).clamp(max=3)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    root = tmp_path_factory.mktemp("guard")
    images = write_images(root / "images", {"glass": 16, "metal": 16, "paper": 16})
    more = write_images(root / "more", {"any": 9}, seed=9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry()._by_name, "spoiler", Spoiler)
        yield train_run(recipe(images, more, "spoiler", "supervised_guard", budget="3ep"), root / "run")


def supervised_of(run):
    return RunFolder(run.external_models / "supervised_guard")


def test_the_supervised_network_is_handed_over_where_the_method_loses(spoiled):
    metrics, first = spoiled.read_json(spoiled.metrics), supervised_of(spoiled)
    assert metrics["guard"]["hands_over"] and metrics["guard"]["after"] > metrics["guard"]["before"]
    for part in ("val", "test"):
        ours, theirs = (read_evidence(run, part) for run in (spoiled, first))
        assert (ours.ids == theirs.ids).all() and (ours.probs_NK == theirs.probs_NK).all()
        assert metrics[part] == first.read_json(first.metrics)[part]
    weights = [(run.model / "model.safetensors").read_bytes() for run in (spoiled, first)]
    assert weights[0] == weights[1]
    assert any("not better than the run before, whose network is handed over: log" in note for note in metrics["notes"])
    names = [method.name for method in Recipe.load(first.recipe).methods]
    assert "spoiler" not in names and "supervised_guard" not in names


def test_the_difference_is_paired_by_sample_and_must_exceed_half_a_standard_error(spoiled, tmp_path):
    """Known probabilities: the later run is better by 0.1 on average, with a known standard error."""
    folder, first = tmp_path / "run", supervised_of(spoiled)
    shutil.copytree(spoiled.path, folder)
    run, given = RunFolder(folder), Recipe.load(spoiled.requested)
    before = read_evidence(first, "val")

    def with_gains(gain_N):
        own_N = before.probs_NK[np.arange(len(before)), before.labels]
        probs_NK = before.probs_NK.copy()
        changed_N = own_N * np.exp(gain_N)
        probs_NK *= ((1 - changed_N) / (1 - own_N))[:, None]
        probs_NK[np.arange(len(before)), before.labels] = changed_N
        parts = {"val": type(before)(before.task, before.classes, before.ids, before.labels, probs_NK)}
        write_evidence(run, parts)
        return judged(run, given, trained=True)

    N = len(before)
    even = np.where(np.arange(N) % 2, 1.0, -1.0)
    even -= even.mean()
    error = even.std(ddof=1) / np.sqrt(N)
    for times, expected in ((HYSTERESIS * 0.9, True), (HYSTERESIS * 1.1, False), (-1.0, True), (0.0, True)):
        scale = -0.02  # keeps the probabilities below 1
        found = with_gains(scale * even + abs(scale) * times * error)
        assert found.record["gain"] == pytest.approx(abs(scale) * times * error, abs=1e-9)
        assert found.record["standard_error"] == pytest.approx(abs(scale) * error, rel=1e-6)
        assert found.hands_over == expected


def test_test_samples_decide_nothing(spoiled, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(spoiled.path, folder)
    run, given = RunFolder(folder), Recipe.load(spoiled.requested)
    known = judged(run, given, trained=True).record
    for one in (run, supervised_of(run)):
        write_evidence(one, {"val": read_evidence(one, "val")})  # the test part is gone
    assert judged(run, given, trained=True).record == known


def test_a_round_after_a_round_that_was_not_better_is_not_trained(spoiled, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(spoiled.path, folder / "external_models" / "supervised_guard")
    run, given = RunFolder(folder), Recipe.load(spoiled.requested)
    assert gave_up(run, given)
    before = RunFolder(folder / "external_models" / "supervised_guard")
    metrics = before.read_json(before.metrics)
    before.metrics.write_text(json.dumps(metrics | {"guard": metrics["guard"] | {"hands_over": False}}))
    assert not gave_up(run, given)
