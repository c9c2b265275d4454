import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from whet.core.outputs import Outputs
from whet.core.rng import Rng
from whet.core.targets import ClassTargets
from whet.methods import TemperatureScaling, VectorScaling
from whet.methods.ensemble.vector_scaling import best_scaling
from whet.tasks import SINGLE_LABEL

SCALE, SHIFT = np.array([0.5, 1.0, 2.0, 1.5]), np.array([0.8, -0.4, 0.0, -0.4])


def answers(scale, shift, N=8000):
    """Logits that are right as often as they say once scaled and shifted, class by class."""
    rng = Rng(0).batch("v", 0, np.arange(N))
    true = 1.5 * rng.normal((len(scale),))
    probs = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    labels = (rng.uniform()[:, None] > probs.cumsum(axis=1)).sum(axis=1)
    return torch.from_numpy((true - shift) / scale), SINGLE_LABEL.targets(torch.from_numpy(labels), len(scale))


def log_loss(method, logits, targets):
    scaled = method.wrap_predictor(lambda x: logits, method.fit(Outputs.of(logits, targets)), SINGLE_LABEL)(None)
    return float(-(targets.probs_BK * scaled.log_softmax(dim=1)).sum(dim=1).mean())


def test_known_scales_and_shifts_are_found():
    scale, shift = best_scaling(*answers(SCALE, SHIFT))
    assert scale == pytest.approx(SCALE, rel=0.08)
    assert shift - shift.mean() == pytest.approx(
        SHIFT - SHIFT.mean(), abs=0.1
    )  # one shift for all classes says nothing


def test_it_beats_one_temperature_where_classes_are_wrong_in_different_ways():
    logits, targets = answers(SCALE, SHIFT)
    assert log_loss(VectorScaling(), logits, targets) < log_loss(TemperatureScaling(), logits, targets) - 0.05


def test_calibrated_answers_are_left_nearly_as_they_are():
    logits, targets = answers(np.ones(4), np.zeros(4))
    scale, shift = best_scaling(logits, targets)
    assert scale == pytest.approx(np.ones(4), abs=0.08)
    assert shift == pytest.approx(np.zeros(4), abs=0.08)
    assert log_loss(VectorScaling(), logits, targets) == pytest.approx(
        float(-(targets.probs_BK * logits.log_softmax(dim=1)).sum(dim=1).mean()), abs=2e-3
    )


def test_of_two_classes_it_is_scikit_learn_s_logistic_regression():
    """The log-odds are s1 z1 - s0 z0 + shift: a logistic regression on the two logits, without a penalty (many samples outweigh
    the prior)."""
    logits, targets = answers(np.array([0.7, 1.6]), np.array([0.5, -0.5]), N=40_000)
    labels = targets.probs_BK.argmax(dim=1).numpy()
    scale, shift = best_scaling(logits, targets)
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(logits.numpy(), labels)
    assert [-scale[0], scale[1]] == pytest.approx(reference.coef_[0], rel=5e-3)
    assert shift[1] - shift[0] == pytest.approx(reference.intercept_[0], rel=5e-3)


def test_no_validation_sample_leaves_it_as_it_is():
    fitted = VectorScaling().fit(Outputs.of(torch.empty(0, 3), ClassTargets(torch.empty(0, 3), SINGLE_LABEL)))
    assert fitted == {}


def test_separable_answers_stay_finite():
    logits = 5 * torch.eye(3).repeat(4, 1)
    scale, shift = best_scaling(logits, SINGLE_LABEL.targets(torch.arange(3).repeat(4), 3))
    assert np.isfinite(scale).all()
    assert scale.max() <= 20
    assert np.abs(shift).max() <= 20


def test_what_helps_no_held_out_sample_is_not_kept():
    logits, targets = answers(np.ones(4), np.zeros(4), N=60)
    kept = [VectorScaling().fit(Outputs.of(logits[i::3], targets[slice(i, None, 3)])) for i in range(3)]
    assert kept.count({}) >= 2
