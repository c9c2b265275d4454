from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context, Loss, Outcome
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss


class Orthogonal(
    Method,
    WrapsLoss,
    family="regularize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Penalize the distance of the filters of every layer from an orthonormal set.

    Use when: deep networks are trained from scratch, without BatchNorm or with large learning rates.
    Do not use when: fine-tuning, because pretrained filters are far from orthogonal.
    Source: Bansal, Chen, Wang 2018, arXiv:1810.09102 (soft orthogonality).
    Deviates: uses the smaller of the two Gram matrices, so that the penalty can reach zero in every layer. The strength is
    constant. Grouped convolutions are excluded.
    Shapes: loss (B,) + strength * sum |W W' - 1|^2 over the trained weights as matrices (out, inputs).
    """

    identity = {"strength": 0.0}
    order = 93

    strength: Annotated[
        float,
        Field(ge=0, description="factor on the squared distance from an orthonormal set"),
        Search(1e-6, 1e-1, log=True),
    ] = 1e-4

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.strength == 0:
            return loss
        layers: list[Any] = [layer for layer in net.modules() if _is_a_matrix(layer)]
        if not layers:
            raise NoEffectError("the model has no trained convolution or linear layer")

        def penalized(outcome: Outcome) -> torch.Tensor:
            return loss(outcome) + self.strength * sum(distance(layer.weight) for layer in layers)

        return penalized


def _is_a_matrix(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        return layer.weight.requires_grad and layer.groups == 1
    return isinstance(layer, nn.Linear) and layer.weight.requires_grad


def distance(weight: Tensor) -> Tensor:
    """The squared Frobenius distance of the smaller Gram matrix from the identity."""
    rows = weight.flatten(1)
    gram = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
    return (gram - torch.eye(len(gram)).to(gram)).square().sum()
