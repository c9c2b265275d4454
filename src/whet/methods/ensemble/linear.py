"""Modules that wrap a predictor and change only its logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from whet.core.batch import Predictor
from whet.models.on_outputs import OnOutputs


class Tempered(OnOutputs):
    """Logits (B, K) -> logits / temperature."""

    def __init__(self, predictor: Predictor, temperature: float) -> None:
        super().__init__(predictor)
        self.temperature = temperature

    def change(self, outputs: Tensor) -> Tensor:
        return outputs / self.temperature


class ScaledLogits(OnOutputs):
    """Logits (B, K) -> scale * logits + shift, where scale and shift are scalars or have one value per class."""

    scale: Tensor
    shift: Tensor

    def __init__(self, predictor: Predictor, scale: Any = 1.0, shift: Any = 0.0) -> None:
        super().__init__(predictor)
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float64), persistent=False)
        self.register_buffer("shift", torch.as_tensor(shift, dtype=torch.float64), persistent=False)

    def change(self, outputs: Tensor) -> Tensor:
        return outputs * self.scale.to(outputs) + self.shift.to(outputs)


class LinearCombination(OnOutputs):
    """Logits of several models (B, M, K) -> their sum, with one scale per model and one bias per class (B, K)."""

    scale_M: Tensor
    bias_K: Tensor

    def __init__(self, predictor: Predictor, scale_M: Sequence[float], bias_K: Sequence[float]) -> None:
        super().__init__(predictor)
        self.register_buffer("scale_M", torch.tensor(scale_M), persistent=False)
        self.register_buffer("bias_K", torch.tensor(bias_K), persistent=False)

    def change(self, outputs: Tensor) -> Tensor:
        return torch.einsum("bmk,m->bk", outputs, self.scale_M.to(outputs)) + self.bias_K.to(outputs)
