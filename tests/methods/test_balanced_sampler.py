import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.core.batch import Progress
from whet.core.errors import NoEffectError
from whet.core.rng import Rng
from whet.methods import BalancedSampler

LABELS = np.repeat([0, 1, 2], [60, 30, 10])


def arrange(power, labels=LABELS, epoch=0):
    order = Rng(0).shuffled("order", epoch, len(labels))
    return BalancedSampler(power=power).arrange(
        order, labels, Progress(epoch, 9, 1), Rng(0).batch("balanced_sampler", epoch, np.arange(len(labels)))
    )


def test_even_shares_at_power_one():
    assert sorted(np.bincount(LABELS[arrange(1.0)]).tolist()) == [33, 33, 34]


def test_square_root_shares_at_power_one_half():
    shares = np.sqrt([60, 30, 10])
    assert np.abs(np.bincount(LABELS[arrange(0.5)]) - 100 * shares / shares.sum()).max() < 1


@given(st.floats(0.01, 1.0), st.integers(0, 50))
def test_the_samples_of_a_class_take_turns(power, epoch):
    arranged = arrange(power, epoch=epoch)
    assert len(arranged) == 100
    for k in range(3):
        times = np.bincount(arranged, minlength=100)[k == LABELS]
        assert times.max() - times.min() <= 1


def test_classes_are_mixed_in_the_order_and_epochs_differ():
    first = LABELS[arrange(1.0)][:50]
    assert np.bincount(first).min() >= 8
    assert (arrange(1.0, epoch=0) != arrange(1.0, epoch=1)).any()


def test_even_classes_are_told():
    with pytest.raises(NoEffectError):
        arrange(1.0, np.array([0, 1, 0, 1]))
