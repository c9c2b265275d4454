"""Whole channels of a convolutional network: which belong together, which matter least, and the network without them."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from whet.core.errors import RecipeError
from whet.methods.augment_image.foreign import library
from whet.models.net import Net

_PROBE = {
    "image": 96,
    "audio": 1000,
}  # pixels, milliseconds of a sample to trace networks that have no size of their own
_TOLERANCE = 1e-3  # of the largest output
_LAYERS = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)


def remove_channels(net: Net, method: str, share: float, multiple: int) -> int:
    """Remove the least important channels of each group of layers in place: at least this share of them, so that a multiple of
    `multiple` is left, but not less than one. Returns the number of groups that lost channels. Raises RecipeError for a network
    that is not convolutional."""
    pruning = library(method, "torch_pruning", "whet[compress]")
    training, x = net.training, _probe(net, method)
    whole, names = copy.deepcopy(net).eval(), {id(module): name for name, module in net.named_modules()}
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")  # of parameters outside layers, which are left as they are
        graph = pruning.DependencyGraph().build_dependency(net.requires_grad_(), example_inputs=[x], verbose=False)
    importance, found = pruning.importance.GroupMagnitudeImportance(p=2), []
    for group in graph.get_all_groups(ignored_layers=[net.last], root_module_types=[nn.Conv2d, nn.Linear]):
        first = group[0].dep
        count = graph.get_out_channels(first.target.module)
        kept = max(multiple, int(count * (1 - share) + 1e-9) // multiple * multiple)
        if kept < count and all(_is_known(dep.target.module, names) for dep, _ in group):
            order = importance(group).detach().nan_to_num().argsort(stable=True)
            found.append((first.target.module, first.handler, order[: count - kept].tolist()))
    for layer, function, channels in found:
        group = graph.get_pruning_group(layer, function, channels)
        for dep, places in group:
            if id(dep.target.module) in names and graph.is_out_channel_pruning_fn(dep.handler):
                _silence(whole.get_submodule(names[id(dep.target.module)]), places)
        group.prune()
    _require_same(net.eval(), whole, x, method)
    net.train(training)
    return len(found)


def widths_of(net: Net) -> dict[str, tuple[int, int]]:
    """The input and output channels of each layer that can lose some, by name."""
    return {name: _width(module) for name, module in net.named_modules() if isinstance(module, _LAYERS)}


def set_widths(net: Net, widths: Mapping[str, tuple[int, int]]) -> None:
    """Give these layers other numbers of channels, and zeros as weights."""
    for name, (inputs, outputs) in widths.items():
        layer: Any = net.get_submodule(name)
        if isinstance(layer, nn.BatchNorm2d):
            layer.num_features = outputs
        elif isinstance(layer, nn.Linear):
            layer.in_features, layer.out_features = inputs, outputs
        else:
            layer.in_channels, layer.out_channels = inputs, outputs
            layer.groups = inputs if layer.groups > 1 else 1
            inputs //= layer.groups
        for key, tensor in [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]:
            shape = {1: (outputs,), 0: ()}.get(tensor.ndim, (outputs, inputs, *tensor.shape[2:]))
            resized = tensor.new_zeros(shape)
            setattr(layer, key, nn.Parameter(resized) if isinstance(tensor, nn.Parameter) else resized)


def _width(layer: Any) -> tuple[int, int]:
    if isinstance(layer, nn.BatchNorm2d):
        return layer.num_features, layer.num_features
    linear = isinstance(layer, nn.Linear)
    return (layer.in_features, layer.out_features) if linear else (layer.in_channels, layer.out_channels)


def _is_known(module: Any, names: Mapping[int, str]) -> bool:
    """Whether channels of this layer can be removed; operations of the graph are no layers. Groups of channels that are neither one
    nor all cannot."""
    if id(module) not in names:
        return not isinstance(module, nn.Parameter)
    grouped = isinstance(module, nn.Conv2d) and module.groups not in (1, module.out_channels)
    return isinstance(module, _LAYERS) and not grouped


def _probe(net: Net, method: str) -> Tensor:
    """A sample to trace the network by. RecipeError for a network of tokens."""
    blank = net.front(net.front.blank(1, net.spec.native_size or _PROBE[net.spec.medium]))
    x = torch.linspace(-1, 1, blank.numel(), device=blank.device).mul(1e3).sin().view(blank.shape)
    seen: list[int] = []
    handles = [
        module.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].ndim))
        for module in net.modules()
        if isinstance(module, nn.Linear)
    ]
    training = net.training
    with torch.no_grad():
        net.eval()(x)
    for handle in handles:
        handle.remove()
    net.train(training)
    if max(seen, default=0) > 2:
        raise RecipeError(
            f"{method}: {net.spec.architecture} applies linear layers to tokens or cells, as transformers do; accepted: "
            "convolutional networks such as google/mobilenet_v2_1.0_224, mobilenet_v2, resnet18, efficientnet_b0, yamnet; low_rank "
            "compresses both"
        )
    return x


@torch.no_grad()
def _silence(layer: Any, channels: list[Any]) -> None:
    """Let these outputs of a layer be zero."""
    for tensor in (layer.weight, layer.bias):
        if tensor is not None:
            tensor[[int(getattr(channel, "idx", channel)) for channel in channels]] = 0


@torch.no_grad()
def _require_same(net: Net, whole: Net, x: Tensor, method: str) -> None:
    """Raise RecipeError unless the network without channels predicts as the whole one whose channels are zero."""
    try:
        found, expected = net(x), whole(x)
    except RuntimeError as error:  # of a layer that expects other numbers of channels
        raise _cannot(net, method, str(error).partition("\n")[0]) from None
    if found.shape != expected.shape or not torch.allclose(
        found, expected, atol=_TOLERANCE * float(expected.abs().max())
    ):
        raise _cannot(net, method, "its outputs then differ from those with these channels at zero")


def _cannot(net: Net, method: str, reason: str) -> RecipeError:
    return RecipeError(f"{method}: channels of {net.spec.architecture} cannot be removed: {reason}")
