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
    Method, Optimizes, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Adam in the axes along which the gradients of each matrix really vary, found anew now and then.

    Use when: training from scratch with large batches; Adam is good and fewer steps are wanted.
    Do not use when: layers are very wide or steps very cheap: the turning costs more than it saves.
    Source: Vyas et al. 2024, arXiv:2409.11321.
    Deviates: the first step only finds the axes, as in the authors' code; norms and biases go by Adam and are not decayed; weights
    decay before the step, as in AdamW.
    Shapes: an axis of a weight tensor longer than `max_size` is not turned.
    """

    identity = None
    exceptions = {"identity": "a training needs an optimizer", "commutes": "only one optimizer can stand in a recipe"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-4, 1e-2, log=True)] = 3e-3
    beta1: Annotated[float, Field(ge=0, lt=1, description="memory of the gradient"), Search(0.9, 0.98)] = 0.95
    beta2: Annotated[
        float, Field(ge=0, lt=1, description="memory of its square and of the matrices"), Search(0.9, 0.999)
    ] = 0.95
    every: Annotated[int, Field(ge=1, description="steps from one turn of the axes to the next"), Search(1, 50)] = 10
    max_size: Annotated[int, Field(ge=1, description="longest axis that is turned")] = 10000
    weight_decay: Annotated[
        float, Field(ge=0, description="decoupled: weights shrink by lr * this a step"), Search(1e-4, 0.3, log=True)
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
        turned = [axis for axis, length in enumerate(weight.shape) if length <= self._method.max_size]
        if not state:
            state.update(step=0, mean=torch.zeros_like(gradient), square=torch.zeros_like(gradient))
            state["grams"] = [(1 - beta2) * gram(gradient, axis) for axis in turned]
            state["bases"] = [eigen(matrix)[1] for matrix in state["grams"]]
            return
        state["step"] += 1
        state["mean"].lerp_(gradient, 1 - beta1)
        inside, mean = gradient, state["mean"] / (1 - beta1 ** state["step"])
        for axis, basis in zip(turned, state["bases"]):
            inside, mean = along(basis.T, inside, axis), along(basis.T, mean, axis)
        state["square"].mul_(beta2).addcmul_(inside, inside, value=1 - beta2)
        direction = mean / ((state["square"] / (1 - beta2 ** state["step"])).sqrt() + 1e-8)
        for axis, basis in zip(turned, state["bases"]):
            direction = along(basis, direction, axis)
        weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-group["lr"])

        for axis, matrix in zip(turned, state["grams"]):
            matrix.lerp_(gram(gradient, axis), 1 - beta2)
        if state["step"] % self._method.every == 0:
            for place, axis in enumerate(turned):
                self._turn(state, place, axis)

    @staticmethod
    def _turn(state: dict[str, Any], place: int, axis: int) -> None:
        """One round of power iteration keeps the axes current. They are sorted by their eigenvalues before, and the mean squares
        along with them: QR keeps the space of the first columns, so it can only follow eigenvectors in falling order."""
        matrix, basis = state["grams"][place], state["bases"][place]
        order = (basis * (matrix @ basis)).sum(dim=0).argsort(descending=True, stable=True)
        state["square"] = state["square"].index_select(axis, order)
        state["bases"][place] = torch.linalg.qr(matrix @ basis[:, order]).Q.contiguous()
