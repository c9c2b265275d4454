"""The blocks of a backbone: what is frozen, unfrozen, slowed down and adapted together."""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch import nn


def layer_of(parameter: str) -> str:
    """The name of the module that a parameter belongs to, also where a weight of it is computed from this and other parameters."""
    computed, found, _ = parameter.partition(".parametrizations.")
    return computed if found else parameter.rpartition(".")[0]


def split_blocks(backbone: nn.Module, prefix: str = "backbone") -> tuple[dict[str, list[str]], list[str]]:
    """(the blocks, the first nearest the input: module name -> its parameters' names; the names that go with the head).

    A block is what shares a name up to its first number ("encoder.layer.3"), or one whole module outside the numbered lists: the
    embeddings, a stem. Norms belong to the module before them. Tables of embeddings and parameters that hang on the network itself
    (a mask's vector) belong to the first block. What follows the last numbered block (a norm, a pooling head) goes with the head,
    but for a convolution, which is a block of its own.
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
    """The parameters by the numbered block, or else by the largest module without one, in the order they are defined; and those
    that belong to a module with numbered blocks below it."""
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
    """The modules that hold these, the outermost first."""
    for name in names:
        parts = name.split(".")
        yield from (".".join(parts[:count]) for count in range(1, len(parts)))
