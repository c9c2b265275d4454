from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.axes import along, eigen, gram
from whet.methods.optimize.descent import Descent, adam_direction
from whet.methods.optimize.groups import with_rates


class SOAP(
    Method,
    Optimizes,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Adam in the eigenbasis of the gradients of each matrix, which is updated at intervals.

    Use when: training from scratch with large batches; Adam works well and you want fewer steps.
    Do not use when: layers are very wide or steps are very cheap. The rotation then costs more than it saves.
    Source: Vyas et al. 2024, arXiv:2409.11321.
    Deviates: the first step only computes the basis, as in the authors' code. Norms and biases are updated by Adam and are not
    decayed. Weights decay before the step, as in AdamW.
    Shapes: an axis of a weight tensor longer than `max_size` is not rotated.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-4, 1e-2, log=True)] = 3e-3
    beta1: Annotated[float, Field(ge=0, lt=1, description="decay of the average gradient"), Search(0.9, 0.98)] = 0.95
    beta2: Annotated[
        float,
        Field(ge=0, lt=1, description="decay of the averages of its square and of the matrices"),
        Search(0.9, 0.999),
    ] = 0.95
    every: Annotated[int, Field(ge=1, description="steps between updates of the basis"), Search(1, 50)] = 10
    max_size: Annotated[int, Field(ge=1, description="maximum length of an axis that is rotated")] = 10000
    weight_decay: Annotated[
        float, Field(ge=0, description="decoupled: weights shrink by lr * this per step"), Search(1e-4, 0.3, log=True)
    ] = 0.01

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return _SOAP(with_rates(groups, self.lr, self.weight_decay), self)


class _SOAP(Descent):
    def __init__(self, groups: list[dict[str, Any]], method: SOAP) -> None:
        super().__init__(groups)
        self._method = method

    def change(self, weight: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        beta1, beta2 = self._method.beta1, self._method.beta2
        if weight.ndim < 2:
            direction = adam_direction(gradient, state, beta1, beta2)
            weight.add_(direction, alpha=-group["lr"])
            return
        rotated = [axis for axis, length in enumerate(weight.shape) if length <= self._method.max_size]
        if not state:
            state.update(step=0, mean=torch.zeros_like(gradient), square=torch.zeros_like(gradient))
            state["grams"] = [(1 - beta2) * gram(gradient, axis) for axis in rotated]
            state["bases"] = [eigen(matrix)[1] for matrix in state["grams"]]
            return
        state["step"] += 1
        state["mean"].lerp_(gradient, 1 - beta1)
        in_basis, mean = gradient, state["mean"] / (1 - beta1 ** state["step"])
        for axis, basis in zip(rotated, state["bases"]):
            in_basis, mean = along(basis.T, in_basis, axis), along(basis.T, mean, axis)
        state["square"].mul_(beta2).addcmul_(in_basis, in_basis, value=1 - beta2)
        direction = mean / ((state["square"] / (1 - beta2 ** state["step"])).sqrt() + 1e-8)
        for axis, basis in zip(rotated, state["bases"]):
            direction = along(basis, direction, axis)
        weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-group["lr"])

        for axis, matrix in zip(rotated, state["grams"]):
            matrix.lerp_(gram(gradient, axis), 1 - beta2)
        if state["step"] % self._method.every == 0:
            for number, axis in enumerate(rotated):
                self._update_basis(state, number, axis)

    @staticmethod
    def _update_basis(state: dict[str, Any], number: int, axis: int) -> None:
        """Update the basis with one power iteration. The columns are first sorted by their eigenvalues, together with the mean
        squares: QR preserves the span of the first columns, so it can only follow eigenvectors in descending order."""
        matrix, basis = state["grams"][number], state["bases"][number]
        order = (basis * (matrix @ basis)).sum(dim=0).argsort(descending=True, stable=True)
        state["square"] = state["square"].index_select(axis, order)
        state["bases"][number] = torch.linalg.qr(matrix @ basis[:, order]).Q.contiguous()
