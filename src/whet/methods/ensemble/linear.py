"""Modules behind a predictor that change its logits alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from whet.core.batch import Predictor


class Tempered(nn.Module):
    """Logits (B, K) -> logits / temperature."""

    def __init__(self, predictor: Predictor, temperature: float) -> None:
        super().__init__()
        self.predictor, self.temperature = predictor, temperature

    def forward(self, x: Tensor) -> Tensor:
        return self.predictor(x) / self.temperature


class ScaledLogits(nn.Module):
    """Logits (B, K) -> scale * logits + shift, by one number or a number a class."""

    scale: Tensor
    shift: Tensor

    def __init__(self, predictor: Predictor, scale: Any = 1.0, shift: Any = 0.0) -> None:
        super().__init__()
        self.predictor = predictor
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float64), persistent=False)
        self.register_buffer("shift", torch.as_tensor(shift, dtype=torch.float64), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        logits_BK = self.predictor(x)
        return logits_BK * self.scale.to(logits_BK) + self.shift.to(logits_BK)


class LinearCombination(nn.Module):
    """Logits of several models (B, M, K) -> the sum of theirs, by a scale for each model, and a bias for each class (B, K)."""

    scale_M: Tensor
    bias_K: Tensor

    def __init__(self, predictor: Predictor, scale_M: Sequence[float], bias_K: Sequence[float]) -> None:
        super().__init__()
        self.predictor = predictor
        self.register_buffer("scale_M", torch.tensor(scale_M), persistent=False)
        self.register_buffer("bias_K", torch.tensor(bias_K), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        outputs_BMK = self.predictor(x)
        return torch.einsum("bmk,m->bk", outputs_BMK, self.scale_M.to(outputs_BMK)) + self.bias_K.to(outputs_BMK)
