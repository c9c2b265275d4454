import numpy as np
import pytest
import torch

from whet.core.outputs import Outputs
from whet.core.rng import Rng
from whet.core.targets import ClassTargets
from whet.methods import TemperatureScaling
from whet.methods.ensemble.temperature_scaling import best_temperature
from whet.tasks import SINGLE_LABEL


def answers(temperature, N=6000, K=4):
    """Logits that are right as often as they say once divided by `temperature`."""
    rng = Rng(0).batch("t", 0, np.arange(N))
    logits = 1.5 * rng.normal((K,))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.uniform()[:, None] > probs.cumsum(axis=1)).sum(axis=1)
    return torch.from_numpy(logits * temperature), SINGLE_LABEL.targets(torch.from_numpy(labels), K)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found(temperature):
    assert best_temperature(Outputs.of(*answers(temperature))) == pytest.approx(temperature, rel=0.06)


def test_it_calibrates_and_changes_no_decision():
    from whet.evaluate.calibration import calibration_error
    from whet.tasks.single_label import softmax

    logits, targets = answers(3.0)
    method = TemperatureScaling()
    scaled = method.wrap_predictor(lambda x: logits, method.fit(Outputs.of(logits, targets)), SINGLE_LABEL)(None)
    labels = targets.probs_BK.argmax(dim=1).numpy()
    assert torch.equal(scaled.argmax(dim=1), logits.argmax(dim=1))
    assert calibration_error(softmax(scaled.numpy()), labels) < 0.25 * calibration_error(
        softmax(logits.numpy()), labels
    )


def test_no_validation_sample_leaves_it_at_one():
    assert best_temperature(Outputs.of(torch.empty(0, 3), ClassTargets(torch.empty(0, 3), SINGLE_LABEL))) == 1.0


@pytest.mark.parametrize(("samples", "least"), [(8, 0.5), (30, 0.35)])
def test_few_samples_that_are_all_right_do_not_make_it_certain(samples, least):
    """The maximum likelihood is 0, certainty; a prior on log T holds it near 1 while samples are few."""
    logits = 2.5 * torch.eye(3).repeat(samples, 1)[:samples]
    found = best_temperature(Outputs.of(logits, SINGLE_LABEL.targets(torch.arange(samples) % 3, 3)))
    assert least < found < 1


def test_it_is_the_most_likely_under_the_prior():
    logits, targets = answers(2.0, N=50)
    found = best_temperature(Outputs.of(logits, targets))

    def posterior(log_t):
        loss = -(targets.probs_BK * (logits / np.exp(log_t)).log_softmax(dim=1)).sum()
        return float(loss) + log_t**2 / (2 * 0.5**2)

    grid = np.linspace(-2, 2, 4001)
    assert np.log(found) == pytest.approx(grid[np.argmin([posterior(t) for t in grid])], abs=2e-3)


def test_calibrated_answers_mostly_keep_their_temperature():
    logits, targets = answers(1.0, N=1200)
    rows = [slice(start, start + 60) for start in range(0, 1200, 60)]
    found = [TemperatureScaling().fit(Outputs.of(logits[part], targets[part]))["temperature"] for part in rows]
    assert found.count(1.0) >= len(found) / 2
