"""The share of the predictions for unlabelled samples that are targets: per step in the log, in the metrics and in the report."""

import numpy as np
import pytest
from tests.conftest import write_images
from tests.methods.test_pseudo_label import recipe

from whet.report import build_report
from whet.training.accepted import accepted_metrics, nothing_accepted
from whet.training.job import train_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("accepted")
    images = write_images(root / "images", {"glass": 16, "metal": 16, "paper": 16})
    more = write_images(root / "more", {"any": 12}, seed=9)

    def run(name, **settings):
        return train_run(
            recipe(images, more, {name: settings}, budget="4st"), root / f"{name}-{len(list(root.iterdir()))}"
        )

    return run


def shares_of(run):
    return [record["accepted"] for record in run.log_records() if record["event"] == "step"]


def test_every_target_is_accepted_without_a_threshold(trained):
    run = trained("fixmatch", threshold=0.0)
    assert shares_of(run) == [1.0] * 4
    assert run.read_json(run.metrics)["accepted"] == {"mean": 1.0, "first": 1.0, "last": 1.0}
    page = build_report(run).read_text(encoding="utf-8")
    assert (
        "were targets (or their mean weight): 100.0 % in the first tenth of the training, 100.0 % in the last" in page
    )


def test_a_run_that_accepts_nothing_says_so(trained):
    run = trained("fixmatch", threshold=0.9999)
    metrics = run.read_json(run.metrics)
    assert shares_of(run) == [0.0] * 4 and metrics["accepted"]["mean"] == 0
    assert "confident enough to be a target: this run learned from labelled samples only" in metrics["notes"][-1]


def test_softmatch_records_the_mean_weight(trained):
    run = trained("softmatch")
    shares = shares_of(run)
    assert all(0 < share <= 1 for share in shares)
    found = run.read_json(run.metrics)
    assert found["accepted"] == pytest.approx({"mean": np.mean(shares), "first": shares[0], "last": shares[-1]})
    assert nothing_accepted(found) is None


def test_rounds_that_label_nothing_say_so_and_other_runs_do_not(trained):
    labels = {"method": "pseudo_label", "of": 12, "classes": {}}
    assert "learned from labelled samples only" in nothing_accepted({"pseudo_labels": {**labels, "chosen": 0}})
    assert nothing_accepted({"pseudo_labels": {**labels, "chosen": 1}}) is None
    assert nothing_accepted({}) is None
    assert accepted_metrics(trained("mean_teacher")) == {}
