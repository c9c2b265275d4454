from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.attach import attach_after, attach_before
from whet.models.net import Net

_TAPS = {3: (1.0, 2.0, 1.0), 5: (1.0, 4.0, 6.0, 4.0, 1.0)}


class BlurPool(
    Method, Changes, family="architecture", name="blurpool", tasks={"image-classification", "audio-classification"}
):
    """Blur feature maps a little before they are halved, so that the answer depends less on where a thing stands.

    Use when: answers flip as a thing moves by a pixel or two; training from scratch or a longer fine-tuning.
    Do not use when: things are told apart by their finest details, or time is short.
    Source: Zhang 2019, arXiv:1904.11486.
    Deviates: in front of a convolution of stride two the blur comes before it, which is the same as between it and its
    subsampling; the paper's also lies behind the activation. Borders are repeated.
    Shapes: maps keep their sizes. A max pool becomes a dense one whose maps are blurred, then halved.
    """

    identity = {"taps": 1}
    order = 11
    conflicts = frozenset({"linear_probe"})

    taps: Annotated[Literal[1, 3, 5], Field(description="width of the blur; 1 is none"), Search(choices=(3, 5))] = 3

    def change(self, net: Net, context: Context) -> Net:
        if self.taps == 1:
            return net
        halving: list[Any] = [
            m for m in net.backbone.modules() if isinstance(m, nn.Conv2d | nn.MaxPool2d) and _halves(m)
        ]
        if not halving:
            raise NoEffectError("no convolution and no max pool of the backbone halves its maps")
        for layer in halving:
            if isinstance(layer, nn.Conv2d):
                attach_before(layer, "blurpool", _Blur(_TAPS[self.taps], stride=1))
            else:
                layer.stride = 1
                attach_after(layer, "blurpool", _Blur(_TAPS[self.taps], stride=2))
        net.built_with(self)
        return net


def _halves(layer: Any) -> bool:
    return layer.stride in (2, (2, 2))


class _Blur(nn.Module):
    kernel: Tensor

    def __init__(self, taps: tuple[float, ...], stride: int) -> None:
        super().__init__()
        row = torch.tensor(taps) / sum(taps)
        self.stride = stride
        self.register_buffer("kernel", (row[:, None] * row[None, :])[None, None], persistent=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        C, kernel = x_BCHW.shape[1], self.kernel.to(x_BCHW.dtype)
        padded = F.pad(x_BCHW, [kernel.shape[-1] // 2] * 4, mode="replicate")
        return F.conv2d(padded, kernel.expand(C, -1, -1, -1), stride=self.stride, groups=C)
