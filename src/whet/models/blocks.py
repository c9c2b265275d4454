"""The blocks of a backbone: the units for freezing, unfreezing, layer-wise learning rates and adapters."""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch import nn


def layer_of(parameter: str) -> str:
    """The name of the module that a parameter belongs to, also for parameters of a parametrised weight."""
    computed, found, _ = parameter.partition(".parametrizations.")
    return computed if found else parameter.rpartition(".")[0]


def split_blocks(backbone: nn.Module, prefix: str = "backbone") -> tuple[dict[str, list[str]], list[str]]:
    """(the blocks, the first nearest the input: module name -> its parameters' names; the parameter names that belong to the head).

    A block consists of the modules that share a name up to its first number ("encoder.layer.3"), or of one whole module outside the
    numbered lists, such as the embeddings or a stem. Norms belong to the module before them. Embedding tables and parameters of the
    network itself (such as a mask vector) belong to the first block. Modules after the last numbered block (a norm, a pooling head)
    belong to the head, except for a convolution, which is a block of its own.
    """
    units, loose = _units(backbone, prefix)
    numbered = [name for name in units if _number(name)]
    last = list(units).index(numbered[-1]) if numbered else len(units)
    modules = dict(backbone.named_modules(prefix=prefix))
    blocks: dict[str, list[str]] = {}
    early, tail = list(loose), list[str]()
    for place, (name, parameters) in enumerate(units.items()):
        layers = [modules[layer] for layer in dict.fromkeys(map(layer_of, parameters))]
        before = next(reversed(blocks), None)
        if name in numbered or not numbered:
            blocks[name] = parameters
        elif before and all(isinstance(layer, nn.Embedding) for layer in layers):
            early += parameters
        elif before and all(weight.ndim < 2 for layer in layers for weight in layer.parameters()):
            (tail if place > last and before in numbered else blocks[before]).extend(parameters)
        elif place > last and not any(isinstance(layer, nn.modules.conv._ConvNd) for layer in layers):
            tail += parameters
        else:
            blocks[name] = parameters
    if blocks:
        blocks[next(iter(blocks))].extend(early)
    return blocks, tail


def _units(backbone: nn.Module, prefix: str) -> tuple[dict[str, list[str]], list[str]]:
    """The parameters by numbered block, or else by the largest module without numbered blocks, in definition order; and those of
    modules that contain numbered blocks."""
    names = [name for name, _ in backbone.named_parameters(prefix=prefix)]
    holders = set(_above(filter(None, (_number(layer_of(name)) for name in names))))
    units: dict[str, list[str]] = {}
    loose = []
    for name in names:
        layer = layer_of(name)
        if layer in holders:
            loose.append(name)
            continue
        whole = next((above for above in _above([layer]) if above not in holders), layer) if holders else layer
        units.setdefault(_number(layer) or whole, []).append(name)
    return units, loose


def _number(layer: str) -> str | None:
    found = re.match(r".*?\.\d+(?=\.|$)", layer)
    return found[0] if found else None


def _above(names: Iterable[str]) -> Iterable[str]:
    """The parent modules of these, the outermost first."""
    for name in names:
        parts = name.split(".")
        yield from (".".join(parts[:count]) for count in range(1, len(parts)))
