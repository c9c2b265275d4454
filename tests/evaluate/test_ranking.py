"""Average precision and area under ROC equal scikit-learn's, and their intervals cover."""

import numpy as np
import pytest
from scipy.special import ndtr
from sklearn.metrics import average_precision_score, roc_auc_score

from whet.core.rng import Rng
from whet.evaluate.ranking import area_interval, precision_interval, ranking


@pytest.mark.parametrize("steps", [3, 1000])  # with and without many ties
@pytest.mark.parametrize("seed", range(4))
def test_the_areas_are_those_of_scikit_learn(seed: int, steps: int) -> None:
    draws = Rng(seed).batch("scores", 0, np.arange(60))
    member_N = draws.uniform(0, 1) < 0.3
    score_N = np.round((draws.uniform(0, 1) + 0.5 * member_N) * steps) / steps
    found = ranking(score_N, member_N)
    assert found is not None
    assert found.average_precision == pytest.approx(average_precision_score(member_N, score_N))
    assert found.area == pytest.approx(roc_auc_score(member_N, score_N))


def test_a_class_of_no_sample_or_of_all_has_no_ranking() -> None:
    assert ranking(np.array([0.1, 0.2]), np.array([False, False])) is None
    assert ranking(np.array([0.1, 0.2]), np.array([True, True])) is None


def test_the_curves_by_hand() -> None:
    """From the top: right, wrong, right."""
    found = ranking(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]))
    assert found is not None
    assert found.precision_at(np.array([0.0, 0.5, 0.51, 1.0])).tolist() == [1.0, 1.0, 2 / 3, 2 / 3]
    assert found.recall_at(np.array([0.5, 1.0])).tolist() == pytest.approx([0.5, 1.0], abs=0.5)
    assert (found.average_precision, found.area) == pytest.approx(((1 + 2 / 3) / 2, 0.5))


def test_intervals_contain_the_estimate_and_know_that_a_perfect_one_is_uncertain() -> None:
    for value in (0.0, 0.5, 0.93, 1.0):
        for low, high in (precision_interval(value, 20), area_interval(value, 20, 80)):
            assert 0 <= low <= value <= high <= 1
            assert high - low > 0.01
    assert area_interval(1.0, 10, 90)[0] < area_interval(1.0, 100, 900)[0]


def test_the_interval_of_the_area_covers() -> None:
    """Normal scores with a true area of 0.9: 20 members, 80 others."""
    draws = Rng(0).batch("covers", 0, np.arange(400))
    noise = draws.normal((100,))
    shift = 2**0.5 * 1.2815515655  # ndtr(shift / sqrt(2)) = 0.9
    assert ndtr(shift / 2**0.5) == pytest.approx(0.9)
    member_N = np.arange(100) < 20
    inside = 0
    for row in noise:
        found = ranking(row + shift * member_N, member_N)
        assert found is not None
        low, high = area_interval(found.area, 20, 80)
        inside += low <= 0.9 <= high
    assert 0.92 <= inside / 400 <= 0.99
