from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from whet.core.batch import Context, Progress
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import Arranges, Changes, Initialises, Watches
from whet.methods.balance.confident_learning import out_of_fold
from whet.models.net import Net

_RANK = "curriculum_rank_N"
_FOLDS = 5


class Curriculum(
    Method,
    Watches,
    Changes,
    Initialises,
    family="schedule",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Begin with the samples that are easy to tell apart, and let the harder ones join.

    Use when: the network is pretrained and training is short, or some samples are hard or wrongly labelled.
    Do not use when: training starts from random weights, whose features say little about what is hard; or hard samples are what
    matters.
    Source: Bengio et al. 2009; Hacohen & Weinshall 2019, arXiv:1904.03626 (transfer scoring, pacing).
    Deviates: how hard a sample is, a linear classifier on the starting network's features says that was not fitted on it; samples
    are ranked within their class, so that classes keep their shares.
    Shapes: an epoch is as long as ever; the easiest share of each class takes turns to fill it.
    """

    one_class = True
    identity = {"first_share": 1.0}

    first_share: Annotated[
        float, Field(gt=0, le=1, description="share of each class that the first epoch shows"), Search(0.2, 1.0)
    ] = 0.5
    full_at: Annotated[
        float, Field(gt=0, le=1, description="where in training all samples take part"), Search(0.2, 0.9)
    ] = 0.5

    def change(self, net: Net, context: Context) -> Net:
        if self.first_share < 1:
            # A buffer, so that a resumed training goes on with the same ranks.
            samples, device = int(context.class_counts_K.sum()), net.linear.weight.device
            net.register_buffer(_RANK, torch.zeros(samples, device=device))
        return net

    def initialise(self, net: Net, context: Context) -> None:
        if self.first_share == 1:
            return
        features_ND, targets, index_N, group_N = context.features()
        label_N = targets.probs_BK.argmax(dim=1).numpy()
        judged_M, probs_MK = out_of_fold(features_ND, targets, _FOLDS, group_N)
        sure_N = np.ones(len(label_N))  # a class that is all one look is not judged, and easy
        sure_N[judged_M] = probs_MK[np.arange(len(judged_M)), label_N[judged_M]]
        found = torch.from_numpy(ranks(sure_N, label_N))
        rank_N = net.get_buffer(_RANK)
        rank_N[torch.from_numpy(index_N)] = found.to(rank_N)

    def start(self, net: Net, context: Context) -> _Pacing:
        return _Pacing(net, self)


class _Pacing(Runtime, Arranges):
    """Chooses the samples of an epoch."""

    def __init__(self, net: Net, method: Curriculum) -> None:
        self._net, self._method = net, method

    def arrange(self, order_M: np.ndarray, label_N: np.ndarray, progress: Progress, rng: BatchRng) -> np.ndarray:
        first, full_at = self._method.first_share, self._method.full_at
        share = first + (1 - first) * min(1.0, progress.fraction / full_at)
        if share >= 1:
            return order_M
        rank_N = self._net.get_buffer(_RANK).cpu().numpy()
        return np.resize(order_M[rank_N[order_M] < share], len(order_M))


def ranks(prob_N: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """The share of its class that is easier than each sample, [0, 1): 0 for the one whose class is the most probable."""
    rank_N = np.empty(len(label_N), dtype=np.float32)
    for k in np.unique(label_N):
        members = np.flatnonzero(label_N == k)
        rank_N[members[np.argsort(-prob_N[members], kind="stable")]] = np.arange(len(members)) / len(members)
    return rank_N
