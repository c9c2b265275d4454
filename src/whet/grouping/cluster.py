"""The algorithms that divide samples into groups, and the samples that are unsure.

k-means (Lloyd 1957; k-means++, Arthur & Vassilvitskii 2007), Ward's linkage (Ward 1963), HDBSCAN (Campello et al. 2013). Ward's
linkage and HDBSCAN need all distances; above `MOST_IN_FULL` samples, that many of them are grouped, and each of the others joins
its nearest one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from whet.core.errors import RecipeError, unknown
from whet.core.rng import Rng

MOST_IN_FULL = 5_000
ALGORITHMS = ("kmeans", "ward", "hdbscan")
NOISE = -1
_STARTS, _BLOCK = 10, 1_024
UNSURE_MARGIN = 0.05  # a sample is unsure if the nearest other centre is less than 5 % farther than its own …
UNSURE_SPREAD = 3.0  # … or if it is farther from its centre than the median of its group plus three times the spread


def require_algorithm(name: str, groups: int | None) -> None:
    """RecipeError for an unknown algorithm, or a number of groups where the algorithm finds it."""
    if name not in ALGORITHMS:
        raise RecipeError(unknown("algorithm", name, ALGORITHMS))
    if name == "hdbscan" and groups is not None:
        raise RecipeError(
            f"--groups {groups}: hdbscan finds the number of groups itself; accepted with kmeans and ward"
        )


@dataclass(frozen=True)
class Clusters:
    """label_N: the group of each sample, 0 … K - 1; for the noise of HDBSCAN the group with the nearest centre. centre_KD: the mean
    of the sure samples of each group. distance_N: of each sample from the centre of its group. unsure_N: bool."""

    label_N: np.ndarray
    centre_KD: np.ndarray
    distance_N: np.ndarray
    unsure_N: np.ndarray


def partitions(
    name: str, x_ND: np.ndarray, counts: Sequence[int], seed: int, starts: int = _STARTS
) -> list[np.ndarray]:
    """The group of each sample, (N,), for each number of groups, by k-means or Ward's linkage."""
    return {"kmeans": _k_means, "ward": _ward}[name](x_ND, counts, seed, starts)


def _k_means(x_ND: np.ndarray, counts: Sequence[int], seed: int, starts: int) -> list[np.ndarray]:
    from sklearn.cluster import KMeans

    return [
        KMeans(count, n_init=starts, random_state=seed).fit_predict(x_ND)
        if count > 1
        else np.zeros(len(x_ND), dtype=np.int64)
        for count in counts
    ]


def _ward(x_ND: np.ndarray, counts: Sequence[int], seed: int, starts: int) -> list[np.ndarray]:
    from scipy.cluster.hierarchy import cut_tree, linkage

    def whole(part_MD: np.ndarray) -> np.ndarray:
        every_M = np.arange(len(part_MD))
        divided = [count for count in counts if count < len(part_MD)]
        cut_MC = cut_tree(linkage(part_MD, "ward"), divided) if divided else every_M[:, None]
        return np.stack([cut_MC[:, divided.index(k)] if k in divided else every_M for k in counts], axis=1)

    return list(_by_part(x_ND, seed, whole).T)


def hdbscan(x_ND: np.ndarray, seed: int) -> np.ndarray:
    """The group of each sample, -1 for noise. A group has at least 5 samples, and at least half the square root of their number."""
    from sklearn.cluster import HDBSCAN

    def whole(part_MD: np.ndarray) -> np.ndarray:
        least = max(5, round(np.sqrt(len(part_MD)) / 2))
        if len(part_MD) < 2 * least:
            return np.zeros((len(part_MD), 1), dtype=np.int64)
        return HDBSCAN(min_cluster_size=least, min_samples=1, copy=True).fit_predict(part_MD)[:, None]

    return _by_part(x_ND, seed, whole)[:, 0]


def _by_part(x_ND: np.ndarray, seed: int, whole: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The columns of labels that `whole` gives; beyond MOST_IN_FULL samples from their nearest one in a random part."""
    if len(x_ND) <= MOST_IN_FULL:
        return whole(x_ND)
    part_M = np.sort(Rng(seed).shuffled("group part", 0, len(x_ND))[:MOST_IN_FULL])
    return whole(x_ND[part_M])[nearest(x_ND, x_ND[part_M])[0]]


def nearest(x_ND: np.ndarray, centre_KD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the nearest centre of each row, (N,); the distances from the two nearest centres, ascending, (N, 2), inf where there is only
    one)."""
    which_N, two_N2 = np.empty(len(x_ND), dtype=np.int64), np.full((len(x_ND), 2), np.inf)
    for start in range(0, len(x_ND), _BLOCK):
        block = slice(start, start + _BLOCK)
        away_BK = distances(x_ND[block], centre_KD)
        which_N[block] = away_BK.argmin(axis=1)
        closest = np.partition(away_BK, 1, axis=1)[:, :2] if away_BK.shape[1] > 1 else away_BK
        two_N2[block, : closest.shape[1]] = closest
    return which_N, two_N2


def distances(x_BD: np.ndarray, centre_KD: np.ndarray) -> np.ndarray:
    """Euclidean distances (B, K)."""
    from sklearn.metrics import pairwise_distances

    return pairwise_distances(x_BD, centre_KD)


def clusters(label_N: np.ndarray, x_ND: np.ndarray) -> Clusters:
    """The groups of these labels, numbered by size, the largest first; groups of one size by their first sample.

    A sample is unsure if HDBSCAN calls it noise; if the centre of another group is less than UNSURE_MARGIN farther than that of its
    own, or even nearer; or if its distance exceeds the median of its group by more than UNSURE_SPREAD times 1.4826 times the median
    absolute deviation (Hampel 1974) and by more than a quarter."""
    label_N = _by_size(label_N)
    count, noise_N = int(label_N.max(initial=NOISE)) + 1, label_N == NOISE
    if count == 0:  # nothing but noise is one group, of which nothing is sure
        return Clusters(np.zeros_like(label_N), x_ND.mean(axis=0)[None], _from(x_ND, x_ND.mean(axis=0)), noise_N)
    centre_KD = np.stack([x_ND[label_N == k].mean(axis=0) for k in range(count)])
    label_N = np.where(noise_N, nearest(x_ND, centre_KD)[0], label_N)
    distance_N = _from(x_ND, centre_KD[label_N])
    unsure_N = noise_N | (other_distances(x_ND, centre_KD, label_N) < (1 + UNSURE_MARGIN) * distance_N)
    for k in range(count):
        own_N = (label_N == k) & ~noise_N
        median = np.median(distance_N[own_N])
        spread = 1.4826 * np.median(np.abs(distance_N[own_N] - median))
        unsure_N |= (label_N == k) & (distance_N > max(median + UNSURE_SPREAD * spread, 1.25 * median))
    return Clusters(label_N, centre_KD, distance_N, unsure_N)


def _from(x_ND: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x_ND - centre, axis=1)


def other_distances(x_ND: np.ndarray, centre_KD: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """The distance of each sample from the nearest centre of another group; inf where there is none."""
    found_N = np.full(len(x_ND), np.inf)
    if len(centre_KD) > 1:
        for start in range(0, len(x_ND), _BLOCK):
            block = slice(start, start + _BLOCK)
            away_BK = distances(x_ND[block], centre_KD)
            away_BK[np.arange(len(away_BK)), label_N[block]] = np.inf
            found_N[block] = away_BK.min(axis=1)
    return found_N


def _by_size(label_N: np.ndarray) -> np.ndarray:
    names_K, first_K, of_N, size_K = np.unique(label_N, return_index=True, return_inverse=True, return_counts=True)
    real_K = names_K != NOISE
    order = [k for k in np.lexsort((first_K, -size_K)) if real_K[k]]
    new_K = np.full(len(names_K), NOISE)
    new_K[order] = np.arange(len(order))
    return new_K[of_N.reshape(-1)]
