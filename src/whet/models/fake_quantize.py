"""Simulated 8-bit integers: weights and activations are rounded as the exported int8 network rounds them, in floating point.

Activations: uint8, one scale and zero point for each tensor. Weights: symmetric, one scale for each output channel, of 7 bits,
which do not overflow on processors without VNNI (see `whet.exporting.int8`). A scale for each channel commutes with the factor that
a BatchNorm multiplies this channel by: the weights need not be folded with it before they are rounded.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from whet.models.attach import attach_after, attach_before
from whet.models.net import Net

LEVELS = 64  # of weights, on each side of zero
TOP = 255  # the largest value of an activation in uint8
_DECAY = 0.99  # of the averages of the ends of a range, per training step
_NAME = "fake_quantize"
_PROBE = {"image": 96, "audio": 1000}  # pixels, milliseconds: for networks that have no size of their own

Place = Literal["before", "after"]


class Simulation(nn.Module):
    """Whether a network computes with rounded numbers: for prediction always, in training if `on`. exact: never, while it is
    exported in floating point. A child of the network, so that `training` is that of the whole network, even where layers are
    frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.on = self.exact = False

    @property
    def rounds(self) -> bool:
        return not self.exact and (self.on or not self.training)


class WeightQuantizer(nn.Module):
    """A parametrisation: weights with the output channel first -> the same, rounded to 2 * LEVELS + 1 levels for each channel. The
    gradient passes through unchanged (Jacob et al. 2018)."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__()
        self._simulation = (simulation,)  # not as a child, whose mode would be that of a frozen layer

    def forward(self, weight: Tensor) -> Tensor:
        if not self._simulation[0].rounds:
            return weight
        scale = weight.detach().flatten(1).abs().amax(dim=1).clamp(min=1e-12) / LEVELS
        zero = torch.zeros(len(scale), dtype=torch.int32, device=weight.device)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -LEVELS, LEVELS)


class ActivationQuantizer(nn.Module):
    """Rounds a tensor to 256 levels between `low` and `high`, which are moving averages of the smallest and the largest value of
    training batches, zero included. The gradient passes through inside the range and is zero outside."""

    low: Tensor
    high: Tensor
    count: Tensor

    def __init__(self, simulation: Simulation) -> None:
        super().__init__()
        self._simulation = (simulation,)
        for name in ("low", "high"):
            self.register_buffer(name, torch.zeros(()))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        simulation = self._simulation[0]
        if simulation.training:
            self._observe(x)
        elif not self.count:  # before the first training step
            return x
        if not simulation.rounds:
            return x
        return torch.fake_quantize_per_tensor_affine(x, *self.parameters_of_range(), 0, TOP)

    @torch.no_grad()
    def _observe(self, x: Tensor) -> None:
        keep = ((1.0 + self.count) / (10.0 + self.count)).clamp(max=_DECAY) * (self.count > 0)
        for mean, now in zip((self.low, self.high), (x.amin().clamp(max=0), x.amax().clamp(min=0))):
            mean.lerp_(now.float(), 1 - keep)
        self.count += 1

    def parameters_of_range(self) -> tuple[Tensor, Tensor]:
        """(the scale, the zero point from 0 to TOP)."""
        scale = ((self.high - self.low) / TOP).clamp(min=1e-12)
        return scale, (-self.low / scale).round().clamp(0, TOP).to(torch.int32)

    def fixed(self) -> nn.Module:
        """The form for export."""
        if self._simulation[0].exact or not self.count:
            return nn.Identity()
        return QuantizeDequantize(*self.parameters_of_range())


class QuantizeDequantize(nn.Module):
    """The same in ONNX, a QuantizeLinear and a DequantizeLinear; for export alone."""

    scale: Tensor
    zero: Tensor

    def __init__(self, scale: Tensor, zero: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("zero", zero.to(torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        from torch.onnx.ops import symbolic

        ranged = (self.scale, self.zero)
        levels = symbolic("QuantizeLinear", (x, *ranged), dtype=torch.uint8, shape=x.shape)
        return symbolic("DequantizeLinear", (levels, *ranged), dtype=x.dtype, shape=x.shape)


@dataclass(frozen=True)
class Points:
    """Where a network rounds. weights: the layers with rounded weights. activations: modules after or before which a tensor is
    rounded."""

    weights: tuple[str, ...]
    activations: Mapping[str, Place]


def quantize_activations(net: Net, places: Mapping[str, Place]) -> Simulation:
    """Round tensors after or before these modules."""
    net.simulation = simulation = Simulation()
    for name, place in places.items():
        attach = attach_after if place == "after" else attach_before
        attach(net.get_submodule(name), f"{_NAME}_{place}", ActivationQuantizer(simulation))
    return simulation.train(net.training)


def quantize(net: Net, points: Points) -> None:
    """Round weights and activations."""
    simulation = quantize_activations(net, points.activations)
    for name in points.weights:
        parametrize.register_parametrization(net.get_submodule(name), "weight", WeightQuantizer(simulation))


def simulation_of(net: nn.Module) -> Simulation | None:
    return next((module for module in net.modules() if isinstance(module, Simulation)), None)


def set_exact(model: nn.Module, value: bool) -> bool:
    """Let the networks of this model compute without rounded activations, or with them again. Returns whether there are such."""
    found = [module for module in model.modules() if isinstance(module, Simulation)]
    for module in found:
        module.exact = value
    return bool(found)


@dataclass
class _Trace:
    """One forward pass: the input of every module, the modules that returned and took a tensor, and the calls. A tensor that an
    operation changed in place is another one."""

    inputs: dict[str, tuple[int, int]] = field(default_factory=dict)
    outputs: dict[str, tuple[int, int]] = field(default_factory=dict)
    returned_by: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    taken_by: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    values: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    alive: list[Tensor] = field(default_factory=list)  # so that no two have the same address

    def taken(self, name: str, module: nn.Module, given: tuple[Any, ...]) -> None:
        self.calls[name] += 1
        if given and isinstance(given[0], Tensor):
            self.inputs[name] = self._key(given[0])
            self.taken_by.setdefault(self.inputs[name], []).append(name)

    def returned(self, name: str, module: nn.Module, given: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            key = self.outputs[name] = self._key(output)
            if self.inputs.get(name) != key:  # not a module that returns its input
                self.returned_by.setdefault(key, []).append(name)

    def _key(self, tensor: Tensor) -> tuple[int, int]:
        self.alive.append(tensor)
        key = (id(tensor), tensor._version)
        if key not in self.values:
            self.values[key] = tensor.clone()
        return key


@torch.no_grad()
def find_points(net: Net) -> Points:
    """All layers but the first convolution and the last layer compute in integers; their inputs are rounded, and their outputs
    behind BatchNorm and activation."""
    found, training = _Trace(), net.training
    x = net.front(net.front.blank(1, net.spec.native_size or _PROBE[net.spec.medium]))
    x = torch.linspace(-1, 1, x.numel(), device=x.device).mul(1e3).sin().view(x.shape)  # no two values are equal
    modules = {name: one for name, one in net.named_modules() if name.startswith(("backbone.", "head"))}
    handles = [one.register_forward_pre_hook(partial(found.taken, name)) for name, one in modules.items()]
    handles += [one.register_forward_hook(partial(found.returned, name)) for name, one in modules.items()]
    try:
        net.eval()(x)
    finally:
        for handle in handles:
            handle.remove()
        net.train(training)
    layers = _layers(net, modules, found)
    places: dict[str, Place] = {}
    for name in layers:
        apart = net.maps is not None and name.startswith("head")  # maps are collected before they are rounded
        source = None if apart else _source(_unpadded(name, found), modules, found)
        places |= {name: "before"} if source is None else {source: "after"}
    for name in layers:
        end = _end(name, modules, found)
        if (source := _source(end, modules, found)) is not None:
            places.setdefault(source, "after")
    return Points(tuple(layers), places)


def _layers(net: Net, modules: Mapping[str, nn.Module], found: _Trace) -> list[str]:
    uses = Counter(id(parameter) for _, parameter in net.named_parameters(remove_duplicate=False))
    layers = [name for name in found.inputs if isinstance(modules[name], nn.Conv2d | nn.Linear)]
    first = next((name for name in layers if isinstance(modules[name], nn.Conv2d)), None)
    return [
        name
        for name in layers
        if name != first
        and modules[name] is not net.last
        and found.calls[name] == 1
        and all(uses[id(parameter)] == 1 for parameter in modules[name].parameters())
    ]


def _source(key: tuple[int, int], modules: Mapping[str, nn.Module], found: _Trace) -> str | None:
    """The module whose output a tensor is: one without children if possible. None where it is none's, or that of a module with
    several outputs."""
    able = [
        name
        for name in found.returned_by.get(key, ())
        if found.calls[name] == 1 and not isinstance(modules[name], nn.Sequential)
    ]
    return min(able, key=lambda name: any(True for _ in modules[name].children()), default=None)


def _unpadded(name: str, found: _Trace) -> tuple[int, int]:
    """The input of a layer, or that of the module around it, if this differs only by zeros at the borders: zero is a level."""
    key, outer = found.inputs[name], found.inputs.get(name.rpartition(".")[0])
    if outer is None or outer == key or found.returned_by.get(key):
        return key
    padded, x = found.values[key], found.values[outer]
    if x.ndim != 4 or padded.shape[:2] != x.shape[:2]:
        return key
    (height, width), (rows, columns) = x.shape[2:], padded.shape[2:]
    for top, left in itertools.product(range(rows - height + 1), range(columns - width + 1)):
        around = (left, columns - width - left, top, rows - height - top)
        if torch.equal(F.pad(x, around), padded):
            return outer
    return key


def _end(name: str, modules: Mapping[str, nn.Module], found: _Trace) -> tuple[int, int]:
    """The output of a layer behind the BatchNorm and the activation that follow it."""
    key = found.outputs[name]
    while True:
        users = found.taken_by.get(key, [])
        behind = [one for one in users if _is_elementwise(modules[one])]
        if len(behind) != 1 or len(users) != 1:
            return key
        after = found.outputs.get(behind[0], key)
        if after == key or found.values[after].shape != found.values[key].shape:
            return key
        key = after


def _is_elementwise(module: nn.Module) -> bool:
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return True
    return not any(True for _ in module.parameters()) and not any(True for _ in module.children())
