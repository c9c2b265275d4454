import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whet.core.rng import Rng
from whet.core.targets import ClassTargets
from whet.tasks import MULTI_LABEL, SINGLE_LABEL


def some_targets(task=SINGLE_LABEL, B=6, K=4):
    probs = torch.from_numpy(Rng(0).batch("t", 0, np.arange(B)).uniform(shape=(K,)))
    return ClassTargets(probs / probs.sum(dim=1, keepdim=True) if task.exclusive else probs, task)


@given(st.floats(0, 0.9), st.floats(0, 1), st.sampled_from([SINGLE_LABEL, MULTI_LABEL]))
def test_mixing_and_smoothing_commute(epsilon, weight, task):
    targets = some_targets(task)
    partner, weights = torch.tensor([3, 4, 5, 0, 1, 2]), torch.full((6,), weight, dtype=torch.float64)
    one = targets.smooth(epsilon).mix(partner, weights)
    other = targets.mix(partner, weights).smooth(epsilon)
    assert torch.allclose(one.probs_BK, other.probs_BK, atol=1e-12)


@given(st.floats(0, 0.9), st.floats(0, 1))
def test_mass_is_kept(epsilon, weight):
    targets = some_targets().smooth(epsilon).mix(torch.arange(5, -1, -1), torch.full((6,), weight, dtype=torch.float64))
    assert torch.allclose(targets.probs_BK.sum(dim=1), torch.ones(6, dtype=torch.float64))


def test_labels_become_certain():
    targets = SINGLE_LABEL.targets(torch.tensor([2, 0]), 3)
    assert targets.probs_BK.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert targets.smooth(0.3).probs_BK[0].tolist() == pytest.approx([0.1, 0.1, 0.8])
    assert len(targets[torch.tensor([1])]) == 1


def test_multi_label_ignorance_is_one_half():
    assert ClassTargets(torch.tensor([[1.0, 0.0]]), MULTI_LABEL).smooth(0.2).probs_BK[0].tolist() == pytest.approx(
        [0.9, 0.1]
    )


@pytest.mark.parametrize("labels", [[3], [-1, 0]])
def test_labels_out_of_range_are_refused(labels):
    with pytest.raises(ValueError, match=r"0 … 2"):
        SINGLE_LABEL.targets(torch.tensor(labels), 3)
