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

_PROBE_SIZE = {"image": 64, "text": 64, "audio": 1000}  # pixels of a side, tokens, milliseconds
_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)


class Adapter(
    Method, Changes, family="transfer", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Keep the pretrained weights and train a small two-layer network behind each block, the norms and the head.

    Use when: a large pretrained network and few samples, or many models that share one backbone.
    Do not use when: prediction must be as fast as it can be (lora adds nothing to it), or training from scratch.
    Source: Houlsby et al. 2019, arXiv:1902.00751; on the channels of convolutions: Rebuffi et al. 2017, arXiv:1705.08045.
    Deviates: one adapter a block, not two a transformer layer; it starts as the identity, and is at most half as wide as its block.
    BatchNorm keeps its statistics.
    Shapes: x -> x + up(gelu(down(x))) over the channels of a block's output: (B, C, H, W), (B, C, L) of convolutions over tokens,
    else (B, ..., C).
    """

    identity = None
    exceptions = {"identity": "a frozen backbone with adapters is never the same as a trained one"}
    order = 45  # it freezes by name: after all that adds or renames weights
    conflicts = frozenset({"finetune", "freeze", "linear_probe", "bitfit", "lora", "mixout"})

    size: Annotated[
        int,
        Field(ge=1, description="width of the adapter's middle, at most half the block's"),
        Search(8, 256, log=True),
    ] = 64

    def change(self, net: Net, context: Context) -> Net:
        widths = _widths(net)
        if not widths:
            raise NoEffectError("no block of the backbone gives channels to adapt")
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
    """x + up(gelu(down(x))) over the channels, which lie on this axis of x. At first it gives x itself."""

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
    """The channels that each block of the backbone gives and the axis they lie on, by the block's name, found by showing it empty
    samples of two sizes: channels are as many for both. Where more than one axis stays (of images that are always brought to one
    size), they are the second of maps and the last of all else."""
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
