"""Converts the parameter groups of the plan to those of an optimizer; shared by the optimizers."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

from whet.core.errors import RecipeError


def with_rates(groups: list[dict[str, Any]], lr: float, weight_decay: float = 0.0) -> list[dict[str, Any]]:
    """Each group with its own learning rate, and with weight decay only if the group decays."""
    return [
        {"params": g["params"], "lr": lr * g["lr_scale"], "weight_decay": weight_decay if g["decay"] else 0.0}
        for g in groups
    ]


def at_one_rate(groups: list[dict[str, Any]], name: str) -> list[nn.Parameter]:
    """All weights, for an optimizer that has one step length for all of them."""
    if len({group["lr_scale"] for group in groups}) > 1:
        raise RecipeError(
            f"{name} takes one learning rate for all weights; it cannot be combined with methods that scale some rates"
        )
    return [parameter for group in groups for parameter in group["params"]]


def trained_weight(layer: nn.Module) -> Tensor:
    """The parameter of a layer's weight: the weight itself, or the parameter it is computed from (torch.nn.utils.parametrize).
    Reading `layer.weight` of such a layer would recompute it, which may draw random numbers or run an iteration."""
    if parametrize.is_parametrized(layer, "weight"):
        return layer.parametrizations["weight"].original  # type: ignore[index,union-attr]
    return layer.weight  # type: ignore[return-value]
