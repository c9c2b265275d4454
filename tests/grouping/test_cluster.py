"""The algorithms, the samples that are unsure, and the number of groups."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from whet.core.errors import RecipeError
from whet.core.rng import Rng
from whet.evaluate.reduce import reduced
from whet.grouping import cluster
from whet.grouping.choice import Candidate, candidates, chosen, silhouette
from whet.grouping.cluster import clusters, hdbscan, nearest, partitions, require_algorithm


def blobs(counts, spread=0.3, dims=4, seed=0):
    """Samples around corners of a cube, 4 apart, and the corner of each."""
    label_N = np.repeat(np.arange(len(counts)), counts)
    corner_KD = 4.0 * np.array([[k >> d & 1 for d in range(dims)] for k in range(1, len(counts) + 1)])
    noise_ND = Rng(seed).batch("blobs", 0, np.arange(len(label_N))).normal((dims,))
    return corner_KD[label_N] + spread * noise_ND, label_N


def test_ward_and_k_means_are_those_of_scikit_learn():
    x_ND, _ = blobs([9, 8, 7, 6], spread=2.0)
    for count, label_N in zip((2, 3, 5), partitions("ward", x_ND, [2, 3, 5], 0)):
        theirs_N = AgglomerativeClustering(count, linkage="ward").fit_predict(x_ND)
        assert adjusted_rand_score(label_N, theirs_N) == 1
    (ours_N,) = partitions("kmeans", x_ND, [3], 7)
    assert (ours_N == KMeans(3, n_init=10, random_state=7).fit_predict(x_ND)).all()


def test_the_silhouette_is_its_formula():
    x_ND, label_N = blobs([5, 6, 4], spread=1.5)
    away_NN = np.linalg.norm(x_ND[:, None] - x_ND[None], axis=2)
    widths = []
    for i, own in enumerate(label_N):
        a = away_NN[i, label_N == own].sum() / ((label_N == own).sum() - 1)
        b = min(away_NN[i, label_N == k].mean() for k in set(label_N.tolist()) - {own})
        widths.append((b - a) / max(a, b))
    assert silhouette(x_ND, label_N) == pytest.approx(np.mean(widths))
    assert silhouette(x_ND, label_N) == pytest.approx(silhouette_samples(x_ND, label_N).mean())
    assert np.isnan(silhouette(x_ND, np.zeros(15, int))) and np.isnan(silhouette(x_ND, np.arange(15)))


@pytest.mark.parametrize("algorithm", ["kmeans", "ward"])
def test_the_number_of_blobs_is_found(algorithm):
    x_ND, label_N = blobs([20, 15, 12, 10])
    compared = candidates(algorithm, x_ND, [2, 3, 4, 5], 0)
    assert chosen(compared) == 4
    best = next(one for one in compared if one.groups == 4)
    assert best.stability == pytest.approx(1)
    assert best.silhouette == pytest.approx(silhouette_samples(x_ND, label_N).mean())
    assert compared == candidates(algorithm, x_ND, [2, 3, 4, 5], 0)


def test_of_numbers_that_are_as_good_the_largest_is_chosen():
    assert chosen([Candidate(2, 0.50, 1.0), Candidate(5, 0.60, 0.76), Candidate(9, 0.40, 1.0)]) == 5
    assert chosen([]) == 1 and chosen([Candidate(2, -0.1, 0.9), Candidate(3, 0.2, -0.01)]) == 1


def test_groups_are_numbered_by_size_and_equal_ones_by_their_first_sample():
    x_N1 = np.array([[9.0], [0.0], [5.0], [0.1], [5.1], [0.2], [9.1]])
    found = clusters(np.array([7, 3, 2, 3, 2, 3, 7]), x_N1)
    assert found.label_N.tolist() == [1, 0, 2, 0, 2, 0, 1]
    assert found.centre_KD[:, 0] == pytest.approx([0.1, 9.05, 5.05])
    assert found.distance_N == pytest.approx([0.05, 0.1, 0.05, 0, 0.05, 0.1, 0.05])
    assert not found.unsure_N.any()


def test_samples_between_groups_and_far_ones_are_unsure():
    line = np.linspace(-0.5, 0.5, 21)
    x_ND = np.concatenate([[[a, 0.0] for a in line], [[4 + a, 0.0] for a in line], [[2.02, 0.0], [0.0, 3.0]]])
    label_N = np.repeat([0, 1], 21).tolist() + [0, 0]
    found = clusters(np.array(label_N), x_ND)
    assert np.flatnonzero(found.unsure_N).tolist() == [42, 43]


def test_noise_is_unsure_and_joins_the_nearest_group():
    x_ND, label_N = blobs([30, 30])
    x_ND = np.concatenate([x_ND, [[30.0, 0, 0, 0]], [[0.0, 30, 0, 0]]])
    raw_N = hdbscan(x_ND, 0)
    assert raw_N[60:].tolist() == [-1, -1]
    found = clusters(raw_N, x_ND)
    assert found.unsure_N[60:].all() and (found.label_N >= 0).all()
    assert (found.label_N[60:] == nearest(x_ND[60:], found.centre_KD)[0]).all()
    sure_N = ~found.unsure_N[:60]
    assert sure_N.mean() > 0.8 and adjusted_rand_score(found.label_N[:60][sure_N], label_N[sure_N]) == 1
    assert clusters(np.full(5, -1), x_ND[:5]).unsure_N.all()


@pytest.mark.parametrize("algorithm", ["ward", "hdbscan"])
def test_many_samples_join_the_nearest_of_a_part(algorithm, monkeypatch):
    monkeypatch.setattr(cluster, "MOST_IN_FULL", 60)
    x_ND, label_N = blobs([60, 50, 40])
    found_N = hdbscan(x_ND, 0) if algorithm == "hdbscan" else partitions("ward", x_ND, [3], 0)[0]
    sure_N = found_N >= 0
    assert sure_N.mean() > 0.8 and adjusted_rand_score(found_N[sure_N], label_N[sure_N]) == 1


def test_one_sample_and_as_many_groups_as_samples():
    x_ND, _ = blobs([3, 3], spread=1.0)
    for algorithm in ("kmeans", "ward"):
        one_N, all_N = partitions(algorithm, x_ND, [1, 6], 0)
        assert len(set(one_N.tolist())) == 1 and len(set(all_N.tolist())) == 6
        found = clusters(all_N, x_ND)
        assert found.distance_N.max() == 0 and not found.unsure_N.any()
        assert partitions(algorithm, x_ND[:1], [1], 0)[0].tolist() == [0]
    assert hdbscan(x_ND[:1], 0).tolist() == [0]


def test_algorithms_are_known_and_hdbscan_takes_no_number():
    with pytest.raises(RecipeError, match="unknown algorithm 'kmean'"):
        require_algorithm("kmean", None)
    with pytest.raises(RecipeError, match="hdbscan finds the number"):
        require_algorithm("hdbscan", 3)


def test_the_space_keeps_the_angles_between_features():
    x_ND, _ = blobs([7, 6, 5])
    space_ND, longer_ND = reduced(x_ND, 0), reduced(x_ND * np.arange(1, 19)[:, None], 0)
    unit_ND = x_ND / np.linalg.norm(x_ND, axis=1, keepdims=True)
    wanted_NN = np.linalg.norm(unit_ND[:, None] - unit_ND[None], axis=2)
    for found_ND in (space_ND, longer_ND, reduced(scipy.sparse.csr_matrix(x_ND), 0)):
        assert np.linalg.norm(found_ND[:, None] - found_ND[None], axis=2) == pytest.approx(wanted_NN, abs=1e-9)


def test_features_without_variance_are_one_point():
    assert reduced(np.ones((4, 3)), 0).tolist() == [[0.0]] * 4
    assert reduced(np.zeros((4, 3)), 0).tolist() == [[0.0]] * 4
    assert reduced(np.array([[1.0, 2.0]]), 0).tolist() == [[0.0]]
