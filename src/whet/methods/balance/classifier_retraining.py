from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context
from whet.core.method import Method, Search, Stage
from whet.models.linear import fit_linear
from whet.models.net import Net


class ClassifierRetraining(
    Method,
    stage=Stage.AFTER,
    family="balance",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """When training is over, fit the last layer anew with all classes counting alike; the features stay as they are.

    Use when: classes are uneven: features learn best from the data as they are, the decision between classes does not.
    Do not use when: the classes in use are as uneven as in training, or validation curves are to show the final model.
    Source: Kang et al. 2020, arXiv:1910.09217 (cRT).
    Deviates: the layer is solved as a convex problem (L-BFGS, each class weighted alike) on the training pictures as they are
    shown at prediction, instead of trained for some epochs with class-balanced sampling.
    Shapes: one pass of the backbone over the training pictures; features (N, D) -> a new last layer (K, D).
    """

    identity = None
    exceptions = {"identity": "a layer fitted anew is never the trained one"}
    one_class = True

    l2: Annotated[
        float,
        Field(gt=0, description="penalty on the layer's weights, half the squared norm times this"),
        Search(1e-5, 1e-1, log=True),
    ] = 1e-3

    def compress(self, net: Net, context: Context) -> Net:
        features_ND, targets, _ = context.features()
        net.eval()
        inputs_ND = _inputs(net, features_ND.to(net.linear.weight.device))
        share_K = targets.probs_BK.sum(dim=0).clamp(min=1)
        fit_linear(net.linear, inputs_ND, targets, self.l2, weight_N=(targets.probs_BK / share_K).sum(dim=1))
        return net


@torch.no_grad()
def _inputs(net: Net, features_ND: Tensor) -> Tensor:
    """What the last layer is given for these features: whatever the head does before it is kept."""
    seen: list[Any] = []
    handle = net.linear.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    try:
        net.head(features_ND)
    finally:
        handle.remove()
    return seen[0]
