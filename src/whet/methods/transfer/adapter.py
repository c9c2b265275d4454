from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.attach import attach_after
from whet.models.net import Net

_PROBE_SIZE = {"image": 64, "text": 64, "audio": 1000}  # side in pixels, tokens, milliseconds
_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)


class Adapter(
    Method, Changes, family="transfer", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Freeze the pretrained weights and train the norms, the head and a small two-layer network after each block.

    Use when: the pretrained network is large and samples are few, or many models share one backbone.
    Do not use when: inference must be as fast as possible (lora adds no inference cost), or training starts from scratch.
    Source: Houlsby et al. 2019, arXiv:1902.00751; on the channels of convolutions: Rebuffi et al. 2017, arXiv:1705.08045.
    Deviates: one adapter per block instead of two per transformer layer. An adapter starts as the identity and is at most half as
    wide as its block. BatchNorm keeps its statistics.
    Shapes: x -> x + up(gelu(down(x))) over the channels of a block's output: (B, C, H, W), (B, C, L) for convolutions over
    tokens, otherwise (B, ..., C).
    """

    identity = None
    exceptions = {"identity": "a frozen backbone with adapters never equals a trained backbone"}
    order = 45  # freezes weights by name, so it runs after the methods that add or rename weights
    conflicts = frozenset({"finetune", "freeze", "linear_probe", "bitfit", "lora", "mixout"})

    size: Annotated[
        int,
        Field(ge=1, description="hidden width of the adapter, at most half the width of the block"),
        Search(8, 256, log=True),
    ] = 64

    def change(self, net: Net, context: Context) -> Net:
        widths = _widths(net)
        if not widths:
            raise NoEffectError("no block of the backbone outputs a tensor with channels to adapt")
        for name, (width, axis) in widths.items():
            part = Bottleneck(width, min(self.size, max(1, width // 2)), axis)
            attach_after(net.get_submodule(name), "adapter", part)
        trained = {
            f"{name}.{part}"
            for name, module in net.backbone.named_modules(prefix="backbone")
            if isinstance(module, (Bottleneck, *_NORMS))
            for part, _ in module.named_parameters()
        }
        net.freeze_backbone(but=trained)
        net.built_with(self)
        return net


class Bottleneck(nn.Module):
    """x + up(gelu(down(x))) over the channels, which are on axis `axis` of x. It is initialized to the identity."""

    def __init__(self, width: int, size: int, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.down, self.up = nn.Linear(width, size), nn.Linear(size, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, output: Any) -> Any:
        if isinstance(output, tuple):
            return (self(output[0]), *output[1:])
        change = self.up(F.gelu(self.down(output.movedim(self.axis, -1))))
        return output + change.movedim(-1, self.axis)


@torch.no_grad()
def _widths(net: Net) -> dict[str, tuple[int, int]]:
    """The number of channels of each block's output and their axis, by block name. They are found with blank inputs of two sizes:
    the channel axis has the same length for both. If more than one axis keeps its length (a model with a fixed image size), the
    channel axis is the second axis of 4D outputs and the last axis of all others."""
    size = net.spec.native_size or _PROBE_SIZE[net.spec.medium]
    shapes = _shapes(net, size)
    shorter = shapes if net.spec.medium == "image" else _shapes(net, size // 2)
    found = {}
    for name, shape in shapes.items():
        other = shorter[name]
        axes = [axis for axis in range(1, len(shape)) if shape[axis] == other[axis]] or [len(shape) - 1]
        usual = 1 if len(shape) == 4 else len(shape) - 1
        axis = usual if usual in axes else axes[0]
        found[name] = (shape[axis], axis)
    return found


def _shapes(net: Net, size: int) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Any:
        def noted(block: nn.Module, inputs: Any, output: Any) -> None:
            x = output[0] if isinstance(output, tuple) else output
            if isinstance(x, Tensor) and x.ndim > 1:
                found[name] = tuple(x.shape)

        return noted

    handles = [net.get_submodule(name).register_forward_hook(note(name)) for name in net.block_names]
    training = net.training
    try:
        net.eval()
        net.backbone(net.front.blank(1, size))
    finally:
        net.train(training)
        for handle in handles:
            handle.remove()
    return found
