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
    """Show rare classes more often and common ones less, at the same number of samples an epoch.

    Use when: classes are uneven and the rare ones matter as much.
    Do not use when: rare classes have a handful of samples, which would then be learnt by heart; a sample may have several
    classes.
    Source: Kang et al. 2020, arXiv:1910.09217 (class-balanced and square-root sampling).
    Deviates: shares are met exactly up to rounding, and the samples of a class take turns, instead of being drawn with
    replacement.
    Shapes: sample numbers (M,) -> sample numbers (M,).
    """

    identity = {"power": 0.0}
    one_class = True
    conflicts = frozenset({"balanced_softmax", "class_weight", "ldam_drw", "logit_adjustment"})

    power: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="a class of n samples gets a share proportional to n^(1 - power): 0 as it is, 1 even",
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
        quotas = _whole(shares / shares.sum() * len(order_M), len(order_M))
        chosen = [np.resize(order_M[label_M == k], quota) for k, quota in zip(classes, quotas)]
        return np.concatenate(chosen)[rng.permutation()]


def _whole(shares: np.ndarray, total: int) -> np.ndarray:
    """Shares as whole numbers with the same sum: the largest remainders are rounded up."""
    floors = np.floor(shares).astype(np.int64)
    short = total - int(floors.sum())
    floors[np.argsort(-(shares - floors), kind="stable")[:short]] += 1
    return floors
