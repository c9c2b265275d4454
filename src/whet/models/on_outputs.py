"""Modules after a predictor that use only its outputs."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class OnOutputs(nn.Module):
    """A module that changes the outputs of a predictor. `change` never receives inputs, so that cached outputs need not be
    predicted again."""

    def __init__(self, predictor: nn.Module) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.predictor(x))

    def change(self, outputs: Tensor) -> Tensor:
        raise NotImplementedError


def behind(predictor: nn.Module) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """(the innermost predictor, the function applied to its outputs)."""
    layers: list[OnOutputs] = []
    while isinstance(predictor, OnOutputs):
        layers.append(predictor)
        predictor = predictor.predictor

    def changed(outputs: Tensor) -> Tensor:
        for layer in reversed(layers):
            outputs = layer.change(outputs)
        return outputs

    return predictor, changed
