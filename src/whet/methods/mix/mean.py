"""Weighted mean of each sample and its partner, for inputs and hidden states."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def mean_with_partners(partner_B: Tensor, weight_B: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a function x (B, ...) -> weight_B * x + (1 - weight_B) * x[partner_B] that keeps the dtype of x."""

    def mixed(x: Tensor) -> Tensor:
        lead = weight_B.to(x).view(-1, *[1] * (x.dim() - 1))
        return lead * x + (1 - lead) * x[partner_B]

    return mixed
