from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from whet.core.batch import Context
from whet.core.errors import RecipeError
from whet.core.method import Method
from whet.core.stages import Changes, Compresses
from whet.models.linear import fit_best_linear, folds_of
from whet.models.net import Net


class ClassifierRetraining(
    Method,
    Compresses,
    Changes,
    family="balance",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """After training, refit the last layer with equal class weights. The features do not change.

    Use when: classes are imbalanced: features train best on the original data, the decision between classes does not.
    Do not use when: classes at inference are as imbalanced as in training, or validation curves should show the final model.
    Source: Kang et al. 2020, arXiv:1910.09217 (cRT).
    Deviates: the layer is solved as a convex problem (L-BFGS, equal class weights, the penalty with the best out-of-fold
    predictions) on the training samples preprocessed as at inference, instead of being trained for some epochs with
    class-balanced sampling.
    Shapes: one forward pass of the backbone over the training samples; features (N, D) -> a new last layer (K, D).
    """

    identity = None
    exceptions = {"identity": "a refitted layer never equals the trained one"}
    one_class = True

    def change(self, net: Net, context: Context) -> Net:
        if type(net.linear) is not nn.Linear:
            raise RecipeError(
                f"classifier_retraining refits a linear last layer, but this head ends in {type(net.linear).__name__}; "
                "accepted: head.form linear, mlp, gem or multi_sample_dropout"
            )
        return net

    def compress(self, net: Net, context: Context) -> Net:
        features_ND, targets, _, group_N = context.features(net.backbone)
        net.eval()
        inputs_ND = _inputs(net, features_ND.to(net.linear.weight.device))
        share_K = targets.probs_BK.sum(dim=0).clamp(min=1)
        weight_N = (targets.probs_BK / share_K).sum(dim=1)
        fit_best_linear(net.linear, inputs_ND, targets, folds_of(features_ND, targets, group_N=group_N), weight_N)
        return net


@torch.no_grad()
def _inputs(net: Net, features_ND: Tensor) -> Tensor:
    """The inputs of the last layer for these features, after the other layers of the head."""
    seen: list[Any] = []
    handle = net.linear.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    try:
        net.head(features_ND)
    finally:
        handle.remove()
    return seen[0]
