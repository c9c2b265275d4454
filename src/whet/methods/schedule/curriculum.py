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
    """Begin training with the easy samples of each class and add harder ones over time.

    Use when: the network is pretrained and training is short, or some samples are hard or mislabeled.
    Do not use when: training starts from random weights, whose features do not show which samples are hard; or the hard samples
    matter most.
    Source: Bengio et al. 2009; Hacohen & Weinshall 2019, arXiv:1904.03626 (transfer scoring, pacing).
    Deviates: the difficulty of a sample is the out-of-fold prediction of a linear classifier on the features of the initial
    network. Samples are ranked within their class, so that the class proportions stay the same.
    Shapes: the length of an epoch does not change. The samples of the easiest fraction of each class are repeated in turn to fill
    it.
    """

    one_class = True
    identity = {"first_share": 1.0}

    first_share: Annotated[
        float, Field(gt=0, le=1, description="fraction of each class that the first epoch uses"), Search(0.2, 1.0)
    ] = 0.5
    full_at: Annotated[
        float, Field(gt=0, le=1, description="fraction of training after which all samples are used"), Search(0.2, 0.9)
    ] = 0.5

    def change(self, net: Net, context: Context) -> Net:
        if self.first_share < 1:
            # A buffer, so that a resumed training continues with the same ranks.
            samples, device = int(context.class_counts_K.sum()), net.linear.weight.device
            net.register_buffer(_RANK, torch.zeros(samples, device=device))
        return net

    def initialise(self, net: Net, context: Context) -> None:
        if self.first_share == 1:
            return
        features_ND, targets, index_N, group_N = context.features()
        label_N = targets.probs_BK.argmax(dim=1).numpy()
        scored_M, probs_MK = out_of_fold(features_ND, targets, _FOLDS, group_N)
        prob_N = np.ones(len(label_N))  # samples of a class without a score count as easy
        prob_N[scored_M] = probs_MK[np.arange(len(scored_M)), label_N[scored_M]]
        found = torch.from_numpy(ranks(prob_N, label_N))
        rank_N = net.get_buffer(_RANK)
        rank_N[torch.from_numpy(index_N)] = found.to(rank_N)

    def start(self, net: Net, context: Context) -> _Pacing:
        return _Pacing(net, self)


class _Pacing(Runtime, Arranges):
    """Selects the samples of an epoch."""

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
    """The fraction of its class that is easier than each sample, [0, 1): 0 for the sample whose class has the highest
    probability."""
    rank_N = np.empty(len(label_N), dtype=np.float32)
    for k in np.unique(label_N):
        members = np.flatnonzero(label_N == k)
        rank_N[members[np.argsort(-prob_N[members], kind="stable")]] = np.arange(len(members)) / len(members)
    return rank_N
