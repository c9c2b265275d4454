from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.batch import Progress
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Arranges


class BalancedSampler(
    Method, Arranges, family="balance", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Sample rare classes more often and common classes less often, with the same number of samples per epoch.

    Use when: classes are imbalanced and the rare ones are equally important.
    Do not use when: rare classes have only a few samples, which the network would memorize; or samples may have several labels.
    Source: Kang et al. 2020, arXiv:1910.09217 (class-balanced and square-root sampling).
    Deviates: the class proportions are exact up to rounding, and the samples of a class are used in turn instead of being drawn
    with replacement.
    Shapes: sample indices (M,) -> sample indices (M,).
    """

    identity = {"power": 0.0}
    one_class = True
    conflicts = frozenset({"balanced_softmax", "class_weight", "ldam_drw", "logit_adjustment"})

    power: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="the share of a class with n samples is proportional to n^(1 - power): 0 is unchanged, 1 is balanced",
        ),
        Search(0.0, 1.0),
    ] = 1.0

    def arrange(self, order_M: np.ndarray, label_N: np.ndarray, progress: Progress, rng: BatchRng) -> np.ndarray:
        if self.power == 0:
            return order_M
        label_M = label_N[order_M]
        classes, counts = np.unique(label_M, return_counts=True)
        if len(set(counts.tolist())) == 1:
            raise NoEffectError("every class has the same number of training samples")
        shares = counts ** (1 - self.power)
        quotas = _rounded(shares / shares.sum() * len(order_M), len(order_M))
        chosen = [np.resize(order_M[label_M == k], quota) for k, quota in zip(classes, quotas)]
        return np.concatenate(chosen)[rng.permutation()]


def _rounded(shares: np.ndarray, total: int) -> np.ndarray:
    """Rounds the shares to integers with the same sum: the largest remainders are rounded up."""
    floors = np.floor(shares).astype(np.int64)
    short = total - int(floors.sum())
    floors[np.argsort(-(shares - floors), kind="stable")[:short]] += 1
    return floors
