"""Foreign material: unlabelled samples that are far from every class.

The distance of a sample to a class is 1 minus its mean cosine similarity to the nearest five samples of the class. A sample is far
from a class if 95 % of the samples of the class are nearer to the others of the class, and foreign if it is far from every class.
Labelled samples are measured in the same way, so the share of foreign ones among them tells what chance alone gives.

Source: the distance to the k-th neighbour as a measure of novelty: Ramaswamy et al. 2000; on deep features: Sun et al. 2022,
arXiv:2204.06507.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from whet.core.language import Sentence, english
from whet.core.media import plural
from whet.data.audit.finding import Finding, in_order

_NEAREST = 5
_WITHIN = 0.95  # share of the samples of a class that are nearer
_MOST_OWN = 2000  # labelled samples of a class
_BLOCK = 1024
_WARNED = 0.05  # share beyond what chance gives, from which foreign material is a warning
_SHOWN = 30


@dataclass(frozen=True)
class Foreign:
    """far_M: for each unlabelled sample its distance to the nearest class, in units of the distance that 95 % of the samples of the
    class keep: foreign above 1. by_chance: the share of the labelled samples above 1."""

    far_M: np.ndarray
    by_chance: float

    @property
    def foreign_M(self) -> np.ndarray:
        return self.far_M > 1

    @property
    def share(self) -> float:
        return float(self.foreign_M.mean())


def measure_foreign(own_ND: Any, label_N: np.ndarray, more_MD: Any) -> Foreign:
    """own_ND, more_MD: features of labelled and unlabelled samples, dense, or sparse with rows of length 1. label_N: class
    numbers. Classes with one sample are left out; if there is no other, all samples are one class."""
    own_ND, more_MD = _directions(own_ND), _directions(more_MD)
    far_M, far_N = np.full(more_MD.shape[0], np.inf), np.full(own_ND.shape[0], np.inf)
    numbers, counts = np.unique(label_N, return_counts=True)
    if (counts < 2).all():
        label_N, numbers, counts = np.zeros_like(label_N), np.zeros(1, dtype=np.int64), np.array([len(label_N)])
    for number in numbers[counts > 1]:
        members = np.flatnonzero(label_N == number)[:_MOST_OWN]
        class_CD = own_ND[members]
        own_N = _distances(own_ND, class_CD, itself=members)
        usual = max(float(np.quantile(own_N[members], _WITHIN)), 1e-6)
        far_N = np.minimum(far_N, own_N / usual)
        far_M = np.minimum(far_M, _distances(more_MD, class_CD) / usual)
    return Foreign(far_M, float((far_N > 1).mean()))


def _directions(features_ND: Any) -> Any:
    if issparse(features_ND):
        return features_ND
    return features_ND / (np.linalg.norm(features_ND, axis=1, keepdims=True) + 1e-6)


def _distances(some_ND: Any, class_CD: Any, itself: np.ndarray | None = None) -> np.ndarray:
    """The distance of each sample to a class, (N,). itself: the rows of `some_ND` that are the samples of the class."""
    found = []
    nearest = min(_NEAREST, class_CD.shape[0] - 1)
    for start in range(0, some_ND.shape[0], _BLOCK):
        block = some_ND[start : start + _BLOCK] @ class_CD.T
        alike_BC = np.asarray(block.todense()) if issparse(block) else np.array(block)
        if itself is not None:
            here = (itself >= start) & (itself < start + len(alike_BC))
            alike_BC[itself[here] - start, np.flatnonzero(here)] = -np.inf
        found.append(1 - np.partition(alike_BC, -nearest, axis=1)[:, -nearest:].mean(axis=1))
    return np.concatenate(found) if found else np.empty(0)


def check_foreign(found: Foreign, ids: list[str], medium: str, how: Sentence) -> list[Finding]:
    """The finding, with the most distant samples first. how: the features."""
    if not len(ids):
        return []
    rows = np.argsort(-found.far_M, kind="stable")[: min(_SHOWN, int(found.foreign_M.sum()))]
    text = english(
        "{share:.0f} % of the {n:,} unlabelled {samples!t} are far from every class in {how!t}; of the labelled ones, "
        "{chance:.0f} % are as far by chance",
        share=100 * found.share, n=len(ids), samples=plural(medium), how=how, chance=100 * found.by_chance,
    )  # fmt: skip
    severity = "warning" if found.share > found.by_chance + _WARNED else "fact"
    entries = [((ids[row],), english("{times:.1f} times the usual distance", times=found.far_M[row])) for row in rows]
    return [in_order(english("foreign unlabelled samples"), severity, text, entries)]  # type: ignore[arg-type]
