"""Rounds of pseudo-labels: what is labelled, what is trained on it, and what is handed over."""

import numpy as np
import pytest
import torch
from tests.conftest import write_images

from whet.core.duration import Duration
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec
from whet.methods import PseudoLabel
from whet.methods.semi.rounds import top_share
from whet.training import guard
from whet.training.data_record import recorded_samples
from whet.training.job import train_run
from whet.training.pseudo_labels import with_pseudo_labels


def recipe(images, more, *methods, **train):
    return Recipe.from_dict(
        {
            "data": {"path": str(images), "unlabelled": str(more)},
            "model": {"architecture": "resnet9_slim", "weights": "none"},
            "train": {
                "budget": "6ep", "batch_size": 8, "image_size": 32, "precision": "fp32", "torch_threads": 1, "seed": 5, **train,
            },
            "methods": [{"sgd": {"lr": 0.02}}, *methods],
        }
    )  # fmt: skip


def test_the_surest_share_of_every_class_above_the_threshold():
    confidence = [np.array([0.9, 0.8, 0.7, 0.6]), np.array([0.5, 0.45, 0.4, 0.35]), np.empty(0)]
    assert top_share(confidence, 0.5, 0.0).tolist() == [
        0.8,
        0.45,
        np.inf,
    ]  # two of each, though the second is less sure
    assert top_share(confidence, 1.0, 0.65).tolist() == [0.65, 0.65, np.inf]  # 0.9, 0.8 and 0.7, and none
    assert top_share(confidence, 0.3, 0.0).tolist() == [0.8, 0.45, np.inf]  # rounded up


def test_every_round_labels_a_larger_share_and_has_an_equal_part_of_the_minutes():
    spec = DataSpec(path="a", unlabelled="b")
    third = Recipe(task="image-classification", data=spec, methods=(PseudoLabel(rounds=2, share=0.8),))
    third = third.setting(budget=Duration(30, "m"), seed=4)
    second = third.method("pseudo_label").predecessor(third)
    first = second.method("pseudo_label").predecessor(second)
    assert second.method("pseudo_label").share == pytest.approx(0.4) and "pseudo_label" not in first
    assert [one.train.budget.seconds / 60 for one in (first, second, third)] == [10, 20, 30]  # with those before
    assert first.train.seed == 4  # the same draws: the rounds are compared
    alone = third.replace(data=DataSpec(path="a"))
    assert alone.method("pseudo_label").predecessor(alone) is None


def test_labels_are_hard_and_have_the_weight():
    targets, weights = PseudoLabel(weight=0.25).pseudo_targets(np.array([[0.2, 0.7, 0.1], [0.6, 0.3, 0.1]]))
    assert targets.tolist() == [[0, 1, 0], [1, 0, 0]] and weights.tolist() == [0.25, 0.25]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("pseudo")
    images = write_images(root / "images", {"glass": 16, "metal": 16, "paper": 16})
    more = write_images(root / "more", {"glass": 12, "metal": 8, "other": 4}, seed=9)
    return train_run(recipe(images, more, {"pseudo_label": {"rounds": 1, "threshold": 0.4}}), root / "run")


def test_chosen_samples_are_trained_on_and_counted_apart(run):
    data, metrics = run.read_json(run.data), run.read_json(run.metrics)
    record = metrics["pseudo_labels"]
    assert sum(sum(counts.values()) for counts in data["counts"].values()) == 48 and data["unlabelled"] == 24
    assert len(recorded_samples(run)) == 48
    with np.load(run.pseudo_labels / "labels.npz") as arrays:
        ids, labels, probs, weights = (arrays[name] for name in ("ids", "labels", "probs", "weights"))
    assert 0 < len(ids) <= 24 and all(id_.startswith("unlabelled/") for id_ in ids)
    assert (probs.argmax(axis=1) == labels).all() and (weights == 1).all()
    assert record["chosen"] == len(ids) == sum(one["chosen"] for one in record["classes"].values())
    named = [id_.split("/")[1] for id_ in ids]
    right = [data["classes"].index(name) == label for name, label in zip(named, labels) if name != "other"]
    assert (record["compared"], record["agree"]) == (len(right), sum(right))
    assert any(f"pseudo_label: labels for {len(ids)} of 24 unlabelled images" in note for note in metrics["notes"])
    steps = [line for line in run.log_records() if line["event"] == "step"]
    train = sum(data["counts"]["train"].values())
    assert len(steps) == 6 * ((train + len(ids)) // 8)


def test_the_first_training_is_supervised(run):
    first = RunFolder(run.external_models / "pseudo_label")
    assert "pseudo_label" not in Recipe.load(first.recipe) and not first.pseudo_labels.is_dir()
    steps = [line for line in first.log_records() if line["event"] == "step"]
    assert len(steps) == 6 * (sum(first.read_json(first.data)["counts"]["train"].values()) // 8)


def test_the_cost_is_that_of_all_rounds(run):
    first = RunFolder(run.external_models / "pseudo_label")
    cost, before = (one.read_json(one.metrics)["cost"] for one in (run, first))
    own = cost["steps"] * 8 / cost["samples_per_second"]
    assert cost["train_seconds"] == pytest.approx(own + before["train_seconds"]) and before["train_seconds"] > 0


def test_validation_and_test_samples_are_as_without_them(run):
    from whet.data.read import read_data

    spec = Recipe.load(run.recipe).data
    table = read_data(spec)
    more = with_pseudo_labels(run, table)
    for split in ("val", "test"):
        assert more.part(split).frame["id"].tolist() == table.part(split).frame["id"].tolist()
        assert torch.equal(more.part(split).targets.probs_BK, table.part(split).targets.probs_BK)
    labelled = len(table.part("train"))
    targets = more.part("train").targets.probs_BK
    assert torch.equal(targets[:labelled], table.part("train").targets.probs_BK) and len(targets) > labelled


def test_soft_targets_and_weights_reach_the_batch(run):
    from whet.core.batch import Progress, Settings
    from whet.data.read import read_data
    from whet.methods import SGD
    from whet.testing.bench import make_bench
    from whet.training.source import RenderedSource, training_loader

    given = Recipe.load(run.recipe)
    train = with_pseudo_labels(run, read_data(given.data)).part("train")
    frame = train.frame.copy()
    rows = np.flatnonzero(frame["probs"].notna())
    soft = np.array([0.5, 0.3, 0.2])
    frame["probs"] = [soft if row in set(rows) else np.nan for row in range(len(frame))]
    frame.loc[rows, "weight"] = 0.5
    plan = make_bench((SGD(),)).plan
    plan.recipe = given
    source = RenderedSource(train.with_frame(frame), training_loader(train, given), plan, torch.device("cpu"), print)
    seen = 0
    for batch in source.batches(Progress(0, 1, 1), Settings(32), 0):
        for target, row, weight in zip(batch.targets.probs_BK, batch.index_B, batch.weight_B):
            if row in rows:
                assert target.tolist() == pytest.approx(soft.tolist()) and weight == 0.5
                seen += 1
            else:
                assert target.max() == 1 and weight == 1
    assert seen


def test_the_guard_compares_the_rounds_on_validation_samples(run):
    from whet.evaluate.evidence import read_evidence

    record = run.read_json(run.metrics)["guard"]
    first = RunFolder(run.external_models / "pseudo_label")
    handed = record["hands_over"]
    before = read_evidence(first, "val")
    loss = -np.log(before.probs_NK[np.arange(len(before)), before.labels])
    assert record["before"] == pytest.approx(loss.mean()) and record["samples"] == len(before)
    assert record["gain"] == pytest.approx(record["before"] - record["after"])
    assert handed == (not record["gain"] > guard.HYSTERESIS * record["standard_error"])
    same = (read_evidence(run, "val").probs_NK == before.probs_NK).all()
    assert same == handed


def test_the_report_tells_the_labels_and_whose_network_predicts(run):
    from whet.report import build_report

    page = build_report(run).read_text(encoding="utf-8")
    record = run.read_json(run.metrics)
    assert "Unlabelled samples" in page and "least confidence" in page and "handed over" in page
    assert f"{record['guard']['gain']:+.3f}" in page
    for name, one in record["pseudo_labels"]["classes"].items():
        assert f'<td>{name}</td><td class="n">{one["chosen"]}</td>' in page


def test_the_report_counts_the_labels_of_every_round(run, tmp_path):
    import shutil

    from whet.report.sections import unlabelled

    shutil.copytree(run.path, tmp_path / "second")
    shutil.copytree(run.path, tmp_path / "second" / "external_models" / "pseudo_label", dirs_exist_ok=True)
    found = unlabelled.context(RunFolder(tmp_path / "second"))
    labels = run.read_json(run.metrics)["pseudo_labels"]["classes"]
    assert found["labelled_rounds"] == 2
    assert [row["by_round"] for row in found["rows"]] == [[one["chosen"]] * 2 for one in labels.values()]
