from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from whet.core.errors import RecipeError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.descent import Descent, adam_direction
from whet.methods.optimize.groups import trained_weight, with_rates
from whet.models.net import Net

_QUINTIC = (3.4445, -4.7750, 2.0315)  # maps every singular value in (0, 1] to [0.7, 1.2] within five rounds


class Muon(
    Method,
    Optimizes,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Update the hidden weight matrices with their orthogonalized momentum, so that all directions change equally.

    Use when: training from scratch, networks with wide hidden layers.
    Do not use when: only the last layer is trained, or pretrained weights should change little.
    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks", kellerjordan.github.io/posts/muon.
    Deviates: the orthogonal factor is computed in the precision of the weights, not in bfloat16. Convolution kernels are scaled
    as flattened matrices.
    Shapes: hidden matrices are the weights of linear layers and convolutions (flattened to (out, in * kernel)) outside the head,
    or the parameters these are computed from (spectral_norm, weight_noise, mixout). AdamW in the same optimizer updates the head,
    embeddings, norms, biases and grouped convolutions.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}
    conflicts = frozenset({"bitfit", "linear_probe", "lora"})  # they leave no hidden matrix to train

    lr: Annotated[
        float, Field(gt=0, description="learning rate of the hidden matrices"), Search(1e-3, 0.1, log=True)
    ] = 0.02
    momentum: Annotated[
        float, Field(ge=0, lt=1, description="Nesterov momentum of the hidden matrices"), Search(0.85, 0.98)
    ] = 0.95
    adamw_lr: Annotated[
        float, Field(gt=0, description="learning rate of all other weights"), Search(1e-5, 1e-2, log=True)
    ] = 3e-4
    weight_decay: Annotated[
        float, Field(ge=0, description="decoupled: weights shrink by lr * this per step"), Search(1e-4, 0.3, log=True)
    ] = 0.01

    def optimizer(self, groups: list[dict[str, Any]], net: Net) -> torch.optim.Optimizer:
        hidden = _hidden(net)
        matrices, others = (
            [{**g, "params": [p for p in g["params"] if (p in hidden) == wanted]} for g in groups]
            for wanted in (True, False)
        )
        if not any(group["params"] for group in matrices):
            raise RecipeError("muon finds no hidden matrix to train; use adamw to train only a head")
        split = [
            {**group, "momentum": self.momentum} for group in with_rates(matrices, self.lr, self.weight_decay)
        ] + with_rates(others, self.adamw_lr, self.weight_decay)
        return _Muon([group for group in split if group["params"]])


def _hidden(net: Net) -> set[Tensor]:
    """The trained weights of linear layers and ungrouped convolutions outside the head."""
    last = set(net.head.modules())
    return {
        trained_weight(module)
        for module in net.modules()
        if module not in last
        and (isinstance(module, nn.Linear) or (isinstance(module, nn.modules.conv._ConvNd) and module.groups == 1))
    }


class _Muon(Descent):
    def change(self, weight: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        if "momentum" not in group:
            direction = adam_direction(gradient, state, 0.9, 0.95, epsilon=1e-10)
            weight.add_(direction, alpha=-group["lr"])
            return
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        state["momentum"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(state["momentum"], group["momentum"]).flatten(1)
        longer = max(1.0, ahead.shape[0] / ahead.shape[1]) ** 0.5
        weight.add_(orthogonal(ahead).reshape(weight.shape), alpha=-group["lr"] * longer)


def orthogonal(matrix: Tensor, rounds: int = 5) -> Tensor:
    """Approximately U V^T of the matrix's U S V^T, by Newton-Schulz: rounds of X <- Q X with Q = a + b A + c A^2 and A = X X^T.

    Every Q is a polynomial of the first A. All rounds therefore work on small square matrices (A <- Q A Q), and X is multiplied
    once by the product of all Q. For a 3 x 3 convolution this is less than half of the work.
    """
    a, b, c = _QUINTIC
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide / wide.norm().clamp(min=1e-7)
    gram, product = x @ x.T, None
    for number in range(1, rounds + 1):
        step = torch.addmm(b * gram, gram, gram, alpha=c)
        step.diagonal().add_(a)
        product = step if product is None else step @ product
        if number < rounds:
            gram = step @ gram @ step
    found = x if product is None else product @ x
    return found.T if wide is not matrix else found
