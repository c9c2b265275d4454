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
    Method,
    Changes,
    family="architecture",
    name="blurpool",
    tasks={"image-classification", "semantic-segmentation", "audio-classification"},
):
    """Blur feature maps before they are downsampled by two, so that predictions depend less on the position of an object.

    Use when: predictions change when an object moves by a pixel or two; training from scratch or fine-tuning for many epochs.
    Do not use when: the classes differ only in their finest details, or time is short.
    Source: Zhang 2019, arXiv:1904.11486.
    Deviates: the blur comes before a convolution of stride two, which is equivalent to a blur between the convolution and its
    subsampling. In the paper it also comes after the activation. Borders are padded by replication.
    Shapes: feature maps keep their sizes. A max pool becomes a max pool of stride one, followed by a blur of stride two.
    """

    identity = {"taps": 1}
    order = 11
    conflicts = frozenset({"linear_probe"})

    taps: Annotated[
        Literal[1, 3, 5], Field(description="width of the blur kernel; 1 is no blur"), Search(choices=(3, 5))
    ] = 3

    def change(self, net: Net, context: Context) -> Net:
        if self.taps == 1:
            return net
        strided: list[Any] = [
            m for m in net.backbone.modules() if isinstance(m, nn.Conv2d | nn.MaxPool2d) and _has_stride_two(m)
        ]
        if not strided:
            raise NoEffectError("no convolution and no max pool of the backbone has stride two")
        for layer in strided:
            if isinstance(layer, nn.Conv2d):
                attach_before(layer, "blurpool", _Blur(_TAPS[self.taps], stride=1))
            else:
                layer.stride = 1
                attach_after(layer, "blurpool", _Blur(_TAPS[self.taps], stride=2))
        net.built_with(self)
        return net


def _has_stride_two(layer: Any) -> bool:
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
