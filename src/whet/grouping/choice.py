"""The number of groups, by silhouette and bootstrap stability.

Sources: Rousseeuw 1987 (silhouette); Ben-Hur et al. 2002 and Fang & Wang 2012 (stability under resampling)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whet.core.rng import Rng
from whet.grouping.cluster import nearest, partitions

LOOKED_AT = 2_000  # samples; more are represented by that many of them
COUNTS = (*range(2, 13), 14, 16, 18, 20, 23, 26, 30)
"""The numbers of groups that are compared, as far as there are more different samples."""
_BOOTSTRAPS, _STARTS, _STARTS_OF_BOOTSTRAPS = 10, 4, 2
_AS_GOOD = 0.9


@dataclass(frozen=True)
class Candidate:
    """groups: their number. silhouette: its mean, -1 … 1. stability: the mean adjusted Rand index, at most 1, between the groups
    and those of samples drawn with replacement."""

    groups: int
    silhouette: float
    stability: float

    @property
    def score(self) -> float:
        return max(self.silhouette, 0.0) * max(self.stability, 0.0)


def looked_at(x_ND: np.ndarray, seed: int) -> np.ndarray:
    """The numbers of the samples that represent all of them, at most LOOKED_AT."""
    return np.sort(Rng(seed).shuffled("group sample", 0, len(x_ND))[:LOOKED_AT])


def candidates(algorithm: str, x_ND: np.ndarray, counts: list[int], seed: int) -> list[Candidate]:
    """Silhouette and stability for each number of groups, at least 2 and fewer than the samples."""
    from sklearn.metrics import adjusted_rand_score

    if not counts:
        return []
    x_MD = x_ND[looked_at(x_ND, seed)]
    found = partitions(algorithm, x_MD, counts, seed, _STARTS)
    agreement_KB = np.empty((len(counts), _BOOTSTRAPS))
    for b in range(_BOOTSTRAPS):
        uniform_M = Rng(seed).batch("group bootstrap", b, np.arange(len(x_MD))).uniform()
        drawn_MD = x_MD[np.unique((uniform_M * len(x_MD)).astype(np.int64))]
        there = len(np.unique(drawn_MD, axis=0))
        resampled = partitions(algorithm, drawn_MD, [min(k, there) for k in counts], seed, _STARTS_OF_BOOTSTRAPS)
        for row, (label_M, label_B) in enumerate(zip(found, resampled)):
            centre_KD = np.stack([drawn_MD[label_B == k].mean(axis=0) for k in np.unique(label_B)])
            agreement_KB[row, b] = adjusted_rand_score(label_M, nearest(x_MD, centre_KD)[0])
    stability = agreement_KB.mean(axis=1)
    return [
        Candidate(k, silhouette(x_MD, label_M), float(agreed)) for k, label_M, agreed in zip(counts, found, stability)
    ]


def silhouette(x_MD: np.ndarray, label_M: np.ndarray) -> float:
    """The mean silhouette; NaN for one group, and if every sample is a group."""
    from sklearn.metrics import silhouette_score

    groups = len(np.unique(label_M))
    return float(silhouette_score(x_MD, label_M)) if 1 < groups < len(label_M) else float("nan")


def chosen(found: list[Candidate]) -> int:
    """The largest number of groups whose silhouette times stability is at least 0.9 of the best: a person can merge groups that
    belong together, and cannot divide one. One group if there is nothing to choose, or no number scores above 0."""
    best = max((candidate.score for candidate in found), default=0.0)
    return max((c.groups for c in found if c.score >= _AS_GOOD * best), default=1) if best > 0 else 1
