"""The feature maps inside a backbone, for heads that predict pixels.

A backbone returns one vector per image. Its blocks return maps on the way; the last block of each stride gives the map of that
stride. Forward hooks collect them, so that the backbone keeps its parameter names and its weight files.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from whet.core.errors import NoEffectError, RecipeError
from whet.models.blocks import split_blocks
from whet.models.same_padding import SamePaddedConv2d, own_padding

_PROBE = 64  # pixels of the image that is sent through the backbone to find the strides
_MAPS: ContextVar[dict[int, Tensor] | None] = ContextVar("maps", default=None)


class Maps:
    """The maps of a backbone in ascending stride. strides: (M,) input pixels per cell. channels: (M,)."""

    def __init__(self, backbone: nn.Module, name: str) -> None:
        found = _by_stride(backbone)
        if len(found) < 2:
            raise RecipeError(
                f"{name} has no feature maps of several strides, so a segmentation head cannot be attached; accepted: "
                "convolutional networks such as google/mobilenet_v2_1.0_224, mobilenet_v2, efficientnet_b0, resnet18"
            )
        self.strides = tuple(found)
        self.channels = tuple(channels for channels, _ in found.values())
        self.names = tuple(block for _, block in found.values())
        for place, block in enumerate(self.names):
            backbone.get_submodule(block).register_forward_hook(partial(_keep, place))

    def __call__(self, backbone: nn.Module, x_BCHW: Tensor) -> list[Tensor]:
        """The maps (B, C, H / stride, W / stride) for these images."""
        kept: dict[int, Tensor] = {}
        token = _MAPS.set(kept)
        try:
            backbone(x_BCHW)
        finally:
            _MAPS.reset(token)
        return [kept[place] for place in range(len(self.strides))]


def _keep(place: int, module: nn.Module, inputs: Any, output: Any) -> None:
    kept = _MAPS.get()
    if kept is not None:
        kept[place] = output[0] if isinstance(output, tuple) else output


def deepest_map(backbone: nn.Module, inputs: int) -> tuple[int, int, str] | None:
    """(stride, channels, name) of the last block with the coarsest map; None where there is none after the first block. inputs: the
    channels of a sample."""
    found = {
        stride: (channels, name)
        for stride, (channels, name) in _by_stride(backbone, inputs).items()
        if name != _blocks(backbone)[0]
    }
    return (stride := max(found), *found[stride]) if found else None


def _by_stride(backbone: nn.Module, inputs: int = 3) -> dict[int, tuple[int, str]]:
    """stride -> (channels, name) of the last block with that stride."""
    found: dict[int, tuple[int, str]] = {}
    training = backbone.training
    handles = []

    def look(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        output = output[0] if isinstance(output, tuple) else output
        if isinstance(output, Tensor) and output.dim() == 4 and 1 < output.shape[2] < _PROBE:
            found.pop(stride := _PROBE // output.shape[2], None)
            found[stride] = (output.shape[1], name)

    for name in _blocks(backbone):
        handles.append(backbone.get_submodule(name).register_forward_hook(partial(look, name)))
    try:
        device = next(backbone.parameters()).device
        with torch.no_grad():
            backbone.eval()(torch.zeros(1, inputs, _PROBE, _PROBE, device=device))
    finally:
        for handle in handles:
            handle.remove()
        backbone.train(training)
    return dict(sorted(found.items()))


def _blocks(backbone: nn.Module) -> list[str]:
    """The names of the blocks within the backbone, the first nearest the input."""
    return [name.removeprefix("backbone.") for name in split_blocks(backbone, prefix="backbone")[0]]


def dilate(backbone: nn.Module, stride: int = 16) -> None:
    """Keep the resolution at this stride: later strided convolutions get stride 1, and those after them dilation instead
    (DeepLab's output stride). Raises NoEffectError if there are none."""
    after = [name for each, (_, name) in _by_stride(backbone).items() if each == stride]
    blocks = _blocks(backbone)
    if not after:
        raise NoEffectError(f"the backbone has no map of stride {stride}")
    rate, changed = 1, False
    for block in blocks[blocks.index(after[0]) + 1 :]:
        for layer in backbone.get_submodule(block).modules():
            if not isinstance(layer, nn.Conv2d):
                continue
            strided = max(layer.stride) > 1
            if strided or (rate > 1 and max(layer.kernel_size) > 1):
                own_padding(backbone, layer)
                layer.__class__ = SamePaddedConv2d
                layer.stride, layer.dilation, layer.padding = (1, 1), (rate, rate), (0, 0)
                changed = True
            if strided:
                rate *= 2
    if not changed:
        raise NoEffectError(f"the backbone has no convolution with a stride after stride {stride}")
