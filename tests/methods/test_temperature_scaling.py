import numpy as np
import pytest
import torch

from whet.core.rng import Rng
from whet.core.targets import Targets
from whet.methods import TemperatureScaling
from whet.methods.ensemble.temperature_scaling import best_temperature


def answers(temperature, N=6000, K=4):
    """Logits that are right as often as they say once divided by `temperature`."""
    rng = Rng(0).batch("t", 0, np.arange(N))
    logits = 1.5 * rng.normal((K,))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.uniform()[:, None] > probs.cumsum(axis=1)).sum(axis=1)
    return torch.from_numpy(logits * temperature), Targets.from_labels(torch.from_numpy(labels), K)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found(temperature):
    assert best_temperature(*answers(temperature)) == pytest.approx(temperature, rel=0.06)


def test_it_calibrates_and_changes_no_decision():
    from whet.evaluate.calibration import calibration_error
    from whet.evaluate.metrics import softmax

    logits, targets = answers(3.0)
    method = TemperatureScaling()
    scaled = method.wrap_predictor(lambda x: logits, method.fit(logits, targets))(None)
    labels = targets.probs_BK.argmax(dim=1).numpy()
    assert torch.equal(scaled.argmax(dim=1), logits.argmax(dim=1))
    assert calibration_error(softmax(scaled.numpy()), labels) < 0.25 * calibration_error(
        softmax(logits.numpy()), labels
    )


def test_no_validation_sample_leaves_it_at_one():
    assert best_temperature(torch.empty(0, 3), Targets(torch.empty(0, 3))) == 1.0
