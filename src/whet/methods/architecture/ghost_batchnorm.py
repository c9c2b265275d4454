from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.net import Net

_ALL = 65536


class GhostBatchNorm(
    Method,
    Changes,
    family="architecture",
    name="ghost_batchnorm",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Compute the BatchNorm statistics over small parts of the batch, which keeps the noise of small batches.

    Use when: batches are large (256 and more) and generalize worse than small ones.
    Do not use when: batches are already small.
    Source: Hoffer, Hubara, Soudry 2017, arXiv:1705.08741.
    Shapes: a batch (B, C, ...) is normalized in max(1, B // size) parts of nearly equal size. Inference does not change.
    """

    identity = {"size": _ALL}
    conflicts = frozenset({"linear_probe"})

    size: Annotated[int, Field(ge=2, le=_ALL, description="samples per part"), Search(choices=(8, 16, 32, 64))] = 32

    def change(self, net: Net, context: Context) -> Net:
        norms = [module for module in net.backbone.modules() if type(module) in _GHOSTS]
        if not norms:
            raise NoEffectError("the backbone has no BatchNorm")
        for norm in norms:
            norm.__class__ = _GHOSTS[type(norm)]
            norm.ghost_size = self.size  # type: ignore[assignment]
        return net


class _Ghost(nn.Module):
    """A mixin placed before a BatchNorm class. It calls the forward of that class on each part of the batch."""

    ghost_size: int

    def forward(self, x: Tensor) -> Tensor:
        parts = len(x) // self.ghost_size if self.training else 1
        if parts < 2:
            return super().forward(x)
        return torch.cat([super(_Ghost, self).forward(part) for part in x.tensor_split(parts)])


class _GhostBatchNorm1d(_Ghost, nn.BatchNorm1d):
    pass


class _GhostBatchNorm2d(_Ghost, nn.BatchNorm2d):
    pass


_GHOSTS: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: _GhostBatchNorm1d,
    nn.BatchNorm2d: _GhostBatchNorm2d,
}
