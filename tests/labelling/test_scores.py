"""Margin, disagreement and the greedy k-center."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from whet.core.rng import Rng
from whet.labelling.scores import closeness, disagreement, k_center_greedy


def test_the_margin_is_that_of_the_two_likeliest_classes():
    probs_NK = np.array([[0.5, 0.5, 0.0], [0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    assert closeness(probs_NK, exclusive=True) == pytest.approx([1.0, 0.5, 0.0])
    assert closeness(np.array([[0.5, 1.0], [0.9, 0.2]]), exclusive=False) == pytest.approx([1.0, 0.4])


def test_disagreement_is_zero_among_equals_and_log_two_between_opposites():
    same = np.array([[[0.3, 0.7]], [[0.3, 0.7]]])
    opposite = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert disagreement(same, exclusive=True) == pytest.approx([0])
    assert disagreement(opposite, exclusive=True) == pytest.approx([np.log(2)])
    assert disagreement(opposite, exclusive=False) == pytest.approx([2 * np.log(2)])


def by_definition(x_ND, labelled_MD, count):
    """Sener & Savarese's algorithm with every distance computed anew."""
    order, distance = [], []
    for _ in range(count):
        centre = np.concatenate([labelled_MD, x_ND[order]]) if len(labelled_MD) or order else x_ND.mean(axis=0)[None]
        away_N = cdist(x_ND, centre).min(axis=1)
        away_N[order] = -1
        order.append(int(away_N.argmax()))
        distance.append(away_N.max())
    return order, distance


@settings(max_examples=30)
@given(count=st.integers(1, 9), labelled=st.integers(0, 5), seed=st.integers(0, 50))
def test_the_greedy_k_center_is_its_definition(count, labelled, seed):
    x_ND = Rng(seed).batch("x", 0, np.arange(9)).normal((3,))
    labelled_MD = Rng(seed).batch("y", 0, np.arange(labelled)).normal((3,))
    order, distance = by_definition(x_ND, labelled_MD, count)
    for array in (np.asarray, scipy.sparse.csr_matrix):
        found, away = k_center_greedy(array(x_ND), array(labelled_MD), count)
        assert found.tolist() == order and away == pytest.approx(distance, abs=1e-6)


def test_copies_are_chosen_last_and_no_more_than_there_are():
    x_ND = np.array([[0.0, 1], [0, 1], [1, 0], [1, 1]])
    found, away = k_center_greedy(x_ND, np.array([[1.0, 1]]), 9)
    assert found.tolist()[:2] == [0, 2] and sorted(found) == [0, 1, 2, 3] and away[2:] == pytest.approx([0, 0])
