from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.attach import attach_after
from whet.models.net import Net
from whet.models.residual import residual_branches


class StochasticDepth(
    Method,
    Changes,
    family="regularize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Skip random residual branches during training, independently for each sample and with a higher probability in later layers.

    Use when: a deep residual network or a transformer overfits.
    Do not use when: the network has only a few branches, or training is short.
    Source: Huang et al. 2016, arXiv:1603.09382.
    Deviates: a branch that is kept is scaled up during training instead of being scaled down at inference.
    Shapes: branch number l of L is skipped with probability prob * l / L. The mask depends only on (seed, step).
    """

    identity = {"prob": 0.0}
    conflicts = frozenset({"linear_probe"})

    prob: Annotated[
        float,
        Field(ge=0, lt=1, description="probability of skipping the last branch; the paper uses 0.5 for 110 layers"),
        Search(0.05, 0.5),
    ] = 0.2

    def change(self, net: Net, context: Context) -> Net:
        branches = residual_branches(net.backbone)
        if not branches:
            raise NoEffectError(f"no residual branch is known in {net.spec.architecture}")
        if self.prob > 0:
            for number, branch in enumerate(branches, 1):
                attach_after(branch.end, "stochastic_depth", _DropBranch(self.prob * number / len(branches)))
        return net


class _DropBranch(nn.modules.dropout._DropoutNd):
    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * F.dropout(x.new_ones((len(x), *[1] * (x.dim() - 1))), self.p)
