from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.axes import along, eigen, gram, unfolded
from whet.methods.optimize.descent import Descent
from whet.methods.optimize.groups import with_rates


class Shampoo(
    Method,
    Optimizes,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Adagrad with a full matrix for every axis of a weight tensor, which accounts for correlations between rows and columns.

    Use when: gradients are strongly correlated, batches are large, and there is time for the matrix roots.
    Do not use when: training is long. As with Adagrad, the learning rates never increase again; soap uses a moving average.
    Source: Gupta, Koren, Singer 2018, arXiv:1802.09568.
    Shapes: a tensor of k axes is multiplied along each axis by (sum of G G^T unfolded there)^(-1 / 2k). For an axis longer than
    `max_size` only the diagonal of that matrix is used, as in the paper.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-3, 1.0, log=True)] = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1, description="decay of the average gradient"), Search(0.0, 0.95)] = 0.9
    epsilon: Annotated[float, Field(gt=0, description="initial value of the diagonals of the matrices")] = 1e-4
    every: Annotated[int, Field(ge=1, description="steps between computations of the matrix roots"), Search(1, 50)] = 10
    max_size: Annotated[int, Field(ge=1, description="maximum length of an axis with a full matrix")] = 1200

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return _Shampoo(with_rates(groups, self.lr), self)


class _Shampoo(Descent):
    def __init__(self, groups: list[dict[str, Any]], method: Shampoo) -> None:
        super().__init__(groups)
        self._method = method

    def change(self, weight: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        if not state:
            shape = gradient.shape or (1,)
            state.update(step=0, momentum=torch.zeros_like(gradient), sums=[self._start(n, gradient) for n in shape])
        axes = gradient.reshape(gradient.shape or (1,))
        for axis, total in enumerate(state["sums"]):
            if total.ndim == 2:
                total += gram(axes, axis)
            else:
                total += unfolded(axes, axis).square().sum(dim=1)
        if state["step"] % self._method.every == 0:
            power = -1 / (2 * len(state["sums"]))
            state["roots"] = [_power(total, power) for total in state["sums"]]
        state["step"] += 1
        state["momentum"].lerp_(gradient, 1 - self._method.momentum)
        direction = state["momentum"].reshape(axes.shape)
        for axis, root in enumerate(state["roots"]):
            if root.ndim == 2:
                direction = along(root, direction, axis)
            else:
                direction = direction * root.view(-1, *[1] * (axes.ndim - axis - 1))
        weight.add_(direction.reshape(weight.shape), alpha=-group["lr"])

    def _start(self, length: int, like: Tensor) -> Tensor:
        diagonal = torch.full((length,), self._method.epsilon, dtype=like.dtype, device=like.device)
        return diagonal.diag() if length <= self._method.max_size else diagonal


def _power(total: Tensor, power: float) -> Tensor:
    """A power of a positive definite matrix or of a diagonal."""
    if total.ndim == 1:
        return total**power
    values, vectors = eigen(total)
    floor = torch.finfo(total.dtype).eps * values[0]
    return (vectors * values.clamp(min=floor) ** power) @ vectors.T
