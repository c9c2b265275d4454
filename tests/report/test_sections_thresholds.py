"""What the page computes a threshold from."""

import numpy as np
import pytest

from whet.core.evidence import Predictions
from whet.core.rng import Rng
from whet.report.sections.thresholds import at, counts
from whet.tasks import MULTI_LABEL, SINGLE_LABEL


def evidence(exclusive):
    draws = Rng(0).batch("probs", 0, np.arange(200))
    ids = np.array([f"{i:03d}" for i in range(200)])
    if exclusive:
        probs = draws.uniform(0.01, 1, (4,)) ** 4
        probs /= probs.sum(axis=1, keepdims=True)
        return Predictions(SINGLE_LABEL, ("a", "b", "c", "d"), ids, np.arange(200) % 4, probs)
    return Predictions(MULTI_LABEL, ("a", "b"), ids, draws.uniform(0, 1, (2,)) < 0.4, draws.uniform(0, 1, (2,)))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.83])
def test_one_class_each(share):
    given = evidence(True)
    found = at(counts(given, 100), round(100 * share))
    used_N = given.probs_NK.max(axis=1) >= share
    right_N = given.predicted == given.labels
    assert found["answered"] == used_N.mean()
    assert found["precision"] == pytest.approx(right_N[used_N].mean())
    assert found["recall"] == pytest.approx((right_N & used_N).mean())
    assert found["wrong"] == (~right_N & used_N).sum()


def test_several_labels_each():
    given = evidence(False)
    found = at(counts(given, 1000), 700)
    predicted_NK = given.probs_NK >= 0.7
    assert found["precision"] == pytest.approx(given.labels[predicted_NK].mean())
    assert found["recall"] == pytest.approx(predicted_NK[given.labels].mean())
    assert found["answered"] == pytest.approx(predicted_NK.sum(axis=1).mean())


def test_no_prediction_reaches_the_threshold():
    assert at({"samples": 2, "support": [2], "calls": [[0, 50, 1, 1]]}, 99) == {
        "precision": None, "interval": (0.0, 1.0), "recall": 0.0, "answered": 0.0, "wrong": 0,
    }  # fmt: skip
