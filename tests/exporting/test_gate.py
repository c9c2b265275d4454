"""What counts as worse than a run."""

import numpy as np
import pytest
from tests.made_evidence import decided

from whet.core.errors import ParityError
from whet.exporting import gate
from whet.tasks import SINGLE_LABEL


def compared(before: np.ndarray, after: np.ndarray, certain: float | None):
    metric = SINGLE_LABEL.metric("accuracy")
    label_N = np.arange(len(before)) % 2
    pair = [decided(np.where(right_N, label_N, 1 - label_N), label_N, 2) for right_N in (before, after)]
    return gate._not_worse(metric, *pair, "the record", certain)


def test_a_model_is_refused_where_it_is_worse():
    right = np.ones(200, dtype=bool)
    few, many = right.copy(), right.copy()
    few[:2], many[:12] = False, False
    assert compared(right, few, None)["difference"] == pytest.approx(-0.01)  # one percentage point
    with pytest.raises(ParityError, match=r"100\.0 %.*predicted otherwise: 000000, 000001"):
        compared(right, many, None)
    assert compared(right, few, 0.0)["low"] < 0  # two samples are no evidence
    with pytest.raises(ParityError, match="worse than the record"):
        compared(right, many, 0.0)
    assert compared(many, right, 0.0)["difference"] > 0


def test_one_sample_of_few_may_change():
    right = np.ones(10, dtype=bool)
    one, two = right.copy(), right.copy()
    one[0], two[:2] = False, False
    compared(right, one, None)
    with pytest.raises(ParityError):
        compared(right, two, None)


def test_batches_have_several_sizes():
    sizes = [len(batch) for batch in gate._batches(range(64))]
    assert sizes[:5] == [1, 2, 5, 7, 16] and sum(sizes) == 64


def test_prepared_samples_are_compared_in_their_own_unit():
    ones = np.ones((4, 4, 3), np.uint8)
    assert gate.difference_of("image", ones, ones + 2) == 2
    assert gate.difference_of("audio", np.full(9, 1.1), np.ones(9)) == pytest.approx(0.1)
    ids = np.array([3, 4, 5])
    assert gate.difference_of("text", ids, np.array([3, 4, 5, 0, 0])) == 0
    assert gate.difference_of("text", ids, np.array([3, 4, 6])) == gate.difference_of("text", ids, ids[:2]) == np.inf


def test_a_smaller_model_may_cost_as_much_as_is_allowed():
    right = np.ones(200, dtype=bool)
    many = right.copy()
    many[:12] = False  # 6 points, certainly more than none and than 2
    assert compared(right, many, 0.1)["difference"] == pytest.approx(-0.06)
    with pytest.raises(ParityError):
        compared(right, many, 0.02)
