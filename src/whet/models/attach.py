"""Attaches modules before or after a layer without renaming it: weight files, freezing and learning rates by name remain valid."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn


def attach_after(layer: nn.Module, name: str, part: nn.Module) -> None:
    """Apply one more module to the output of the layer; it becomes a child of the layer with this name."""
    while isinstance(layer, nn.Sequential):  # a Sequential would run a new child a second time
        layer = layer[-1]
    layer.add_module(name, part)
    layer.register_forward_hook(partial(_after, name))


def attach_before(layer: nn.Module, name: str, part: nn.Module) -> None:
    """Apply one more module to the input of the layer; it becomes a child of the layer with this name."""
    while isinstance(layer, nn.Sequential):
        layer = layer[0]
    layer.add_module(name, part)
    layer.register_forward_pre_hook(partial(_before, name))


def _after(name: str, layer: nn.Module, inputs: Any, output: Any) -> Any:
    return layer.get_submodule(name)(output)


def _before(name: str, layer: nn.Module, inputs: tuple[Any, ...]) -> Any:
    return (layer.get_submodule(name)(inputs[0]), *inputs[1:])
