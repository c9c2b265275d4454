from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes, Initialises, WrapsLoss
from whet.core.targets import ClassTargets
from whet.data.audit.label_errors import confident_joint, noisy
from whet.data.split import deal_complete_folds
from whet.models.linear import out_of_fold_probs, units_of
from whet.models.net import Net

_WEIGHT = "sample_weight_N"


class ConfidentLearning(
    Method,
    WrapsLoss,
    Changes,
    Initialises,
    family="balance",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Before training, find samples that are probably mislabeled and exclude them from the loss.

    Use when: labels are noisy and the network is pretrained, so that its features already separate the classes.
    Do not use when: training starts from random weights. Random features carry little information, and correctly labeled samples
    are lost.
    Source: Northcutt et al. 2021, arXiv:1911.00068 (confident joint, prune by noise rate).
    Deviates: the out-of-fold probabilities are those of a linear classifier on the features of the initial network, with the
    penalty chosen by their log-loss. The samples found stay in the training order with weight 0.
    Shapes: one forward pass of the backbone over the training samples; loss (B,) times the weight of each sample, whose mean over
    the training samples is 1. A mixed sample has the weight of its main component.
    """

    one_class = True
    identity = {"max_fraction": 0.0}
    order = 65

    action: Annotated[
        Literal["prune", "reweight"],
        Field(
            description="prune: exclude the samples found; reweight: also increase the weights of the remaining samples of a class"
        ),
        Search(choices=("prune", "reweight")),
    ] = "prune"
    folds: Annotated[int, Field(ge=2, le=20, description="number of cross-validation folds")] = 5
    max_fraction: Annotated[
        float, Field(ge=0, lt=1, description="maximum fraction of a class that may be excluded; 0 excludes nothing")
    ] = 0.5

    def change(self, net: Net, context: Context) -> Net:
        if self.max_fraction > 0:
            # A buffer, so that a resumed training continues with the same weights.
            samples, device = int(context.class_counts_K.sum()), net.linear.weight.device
            net.register_buffer(_WEIGHT, torch.ones(samples, device=device))
        return net

    def initialise(self, net: Net, context: Context) -> None:
        if self.max_fraction == 0:
            return
        features_ND, targets, index_N, group_N = context.features()
        label_N = targets.probs_BK.argmax(dim=1).numpy()
        scored_M, probs_MK = out_of_fold(features_ND, targets, self.folds, group_N)
        if not len(scored_M):
            return
        found_N = np.ones(len(label_N))
        found_N[scored_M] = self._weights(
            probs_MK, label_N[scored_M], noisy(probs_MK, label_N[scored_M], self.max_fraction)
        )
        found = torch.from_numpy(found_N / found_N.mean())
        weight_N = net.get_buffer(_WEIGHT)
        weight_N[torch.from_numpy(index_N)] = found.to(weight_N)

    def wrap_loss(self, loss: Loss, net: Net, context: Context) -> Loss:
        if self.max_fraction == 0:
            return loss

        def weighted(outcome: Outcome) -> Tensor:
            weight_N = net.get_buffer(_WEIGHT)
            return (
                loss(outcome) * weight_N[torch.from_numpy(outcome.batch.index_B).to(weight_N.device, non_blocking=True)]
            )

        return weighted

    def _weights(self, probs_NK: np.ndarray, label_N: np.ndarray, found_N: np.ndarray) -> np.ndarray:
        weight_N = (~found_N).astype(float)
        if self.action == "reweight":
            joint_KK = confident_joint(probs_NK, label_N)
            size_K, kept_K = joint_KK.sum(axis=0), np.diag(joint_KK)
            weight_N *= np.divide(size_K, kept_K, out=np.ones_like(size_K), where=kept_K > 0)[label_N]
        return weight_N


def out_of_fold(
    features_ND: Tensor, targets: ClassTargets, folds: int, group_N: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(the indices of the scored samples (M,), their probabilities (M, K) by a linear classifier that was not fitted on them). A
    class is not scored if all its samples are duplicates or belong to one group, because the other folds would then contain no
    sample of it."""
    label_N = targets.probs_BK.argmax(dim=1).cpu().numpy()
    scored_M, fold_M = deal_complete_folds(label_N, units_of(features_ND, group_N), folds)
    if not len(scored_M):
        return scored_M, np.empty((0, targets.num_classes))
    rows = torch.from_numpy(scored_M)
    return scored_M, out_of_fold_probs(features_ND[rows], targets[rows], fold_M)
