"""Heads for segmentation: the feature maps of a backbone -> logits (B, K, h, w) at the stride of the finest map used.

Each takes the strides and channels of the maps (`whet.models.maps.Maps`) and ends in a 1x1 convolution `classifier`. Convolutions
are depthwise separable, because these heads run at high resolution. A branch that is pooled to one value has no BatchNorm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from whet.core.mask_targets import resized
from whet.models.dynamic_masks import FEATURES, PARAMETERS, first_parameters

_ASPP_RATES = (6, 12, 18)
_FIRST_SHARE = 0.01  # of the cells with an object, as predicted at first


def _project(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


def _separable(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=dilation, dilation=dilation, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs), nn.ReLU(), *_project(inputs, outputs),
    )  # fmt: skip


def _classifier(inputs: int, classes: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, classes, 1)
    nn.init.normal_(layer.weight, std=0.01)
    with torch.no_grad():
        cast(Tensor, layer.bias).zero_()
    return layer


class Decoder(nn.Module):
    """output_stride: the stride at which the backbone stops reducing the resolution, None for the backbone's own."""

    output_stride: ClassVar[int | None] = None
    classifier: nn.Conv2d

    @property
    def last(self) -> nn.Linear | nn.Conv2d:
        """The layer that returns the logits."""
        return self.classifier


class FPN(Decoder):
    """Feature pyramid: each map, with all coarser ones added, is projected, smoothed, resized to stride 4 and summed.

    Source: Kirillov, Girshick, He, Dollár 2019, arXiv:1901.02446 (semantic FPN). Deviates: depthwise separable convolutions, one
    per level, BatchNorm in place of GroupNorm.
    """

    def __init__(self, strides: Sequence[int], channels: Sequence[int], classes: int, width: int = 128) -> None:
        super().__init__()
        self.used = [place for place, stride in enumerate(strides) if stride >= 4] or [len(strides) - 1]
        self.laterals = nn.ModuleList(nn.Conv2d(channels[place], width, 1) for place in self.used)
        self.smooth = nn.ModuleList(_separable(width, width) for _ in self.used)
        self.classifier = _classifier(width, classes)

    def forward(self, maps: list[Tensor]) -> Tensor:
        return self.classifier(self.joined(maps))

    def joined(self, maps: list[Tensor]) -> Tensor:
        """The levels in one map (B, width, h, w)."""
        levels = [lateral(maps[place]) for lateral, place in zip(self.laterals, self.used)]
        for place in range(len(levels) - 2, -1, -1):
            levels[place] = levels[place] + resized(levels[place + 1], levels[place].shape[2:])
        total = self.smooth[0](levels[0])
        for smooth, level in zip(list(self.smooth)[1:], levels[1:]):
            total = total + resized(smooth(level), total.shape[2:])
        return total


class CentreOffset(FPN):
    """For objects: the feature pyramid, refined with the map of half its stride, and a branch of its own for their centres. The
    outputs are the logits of K classes, the heat of centres, and the offset (y, x) of every cell to the centre of its object, in
    one tensor (B, K + 3, h, w) at stride 2: at stride 4, masks of objects of a dozen pixels are too coarse.

    Source: Cheng et al. 2020, arXiv:1911.10194 (Panoptic-DeepLab). Deviates: a feature pyramid in place of two decoders with
    dilated convolutions.
    """

    def __init__(self, strides: Sequence[int], channels: Sequence[int], classes: int, width: int = 64) -> None:
        super().__init__(strides, channels, classes, width)
        narrow, first = width // 2, self.used[0]
        self.finer = first - 1 if first and 2 * strides[first - 1] == strides[first] else None
        skip = 0 if self.finer is None else channels[self.finer]
        self.narrow = _project(width, narrow)
        self.objects = nn.Sequential(_separable(width, width), _separable(width, narrow))
        self.refine = _separable(narrow + skip, narrow)
        self.classifier = _classifier(2 * narrow, classes)

    def forward(self, maps: list[Tensor]) -> Tensor:
        joined = self.joined(maps)
        coarse = torch.cat([self.narrow(joined), self.objects(joined)], dim=1)
        skips = [] if self.finer is None else [maps[self.finer]]
        size = skips[0].shape[2:] if skips else torch.Size(2 * side for side in joined.shape[2:])
        pixels, objects = resized(coarse, size).chunk(2, dim=1)
        return self.classifier(torch.cat([self.refine(torch.cat([pixels, *skips], dim=1)), objects], dim=1))


class CondInst(FPN):
    """For objects: the feature pyramid and the branch of its own. The outputs (B, K + 177, h, w) are those of
    `tasks.heads.cond_inst`. At first objects are rare, and masks a diamond around the location.

    Source: Tian, Shen, Chen 2020, arXiv:2003.05664. Deviates: one level of stride 4; one 1x1 convolution for all outputs.
    """

    def __init__(self, strides: Sequence[int], channels: Sequence[int], classes: int, width: int = 128) -> None:
        super().__init__(strides, channels, classes, width)
        self.objects = nn.Sequential(_separable(width, width), _separable(width, width))
        self.classifier = _classifier(2 * width, classes)
        features = classes - FEATURES
        with torch.no_grad():
            bias = cast(Tensor, self.classifier.bias)
            bias[: features - PARAMETERS - 1] = -math.log(1 / _FIRST_SHARE - 1)
            bias[features - PARAMETERS : features] = first_parameters()
            nn.init.normal_(self.classifier.weight[features:], std=(2 * width) ** -0.5)

    def forward(self, maps: list[Tensor]) -> Tensor:
        joined = self.joined(maps)
        return self.classifier(torch.cat([joined, self.objects(joined)], dim=1))


class LRASPP(Decoder):
    """The coarsest map, gated by its own mean, and a skip from stride 8: the cheapest head.

    Source: Howard et al. 2019, arXiv:1905.02244 (LR-ASPP). Deviates: the mean over the whole map in place of a 49 x 49 average.
    """

    output_stride = 16

    def __init__(self, strides: Sequence[int], channels: Sequence[int], classes: int, width: int = 128) -> None:
        super().__init__()
        self.low = _nearest(strides, 8)
        self.project = _project(channels[-1], width)
        self.gate = nn.Conv2d(channels[-1], width, 1)
        self.skip = nn.Conv2d(channels[self.low], classes, 1)
        self.classifier = _classifier(width, classes)

    def forward(self, maps: list[Tensor]) -> Tensor:
        deep, low = maps[-1], maps[self.low]
        gated = self.project(deep) * self.gate(deep.mean(dim=(2, 3), keepdim=True)).sigmoid()
        return self.classifier(resized(gated, low.shape[2:])) + self.skip(low)


class DeepLabV3Plus(Decoder):
    """Dilated convolutions at several rates on the coarsest map, joined with the map of stride 4.

    Source: Chen, Zhu, Papandreou, Schroff, Adam 2018, arXiv:1802.02611. Deviates: 128 channels in the pyramid, no BatchNorm on the
    pooled branch.
    """

    output_stride = 16

    def __init__(self, strides: Sequence[int], channels: Sequence[int], classes: int, width: int = 128) -> None:
        super().__init__()
        self.low = _nearest(strides, 4)
        self.pyramid = nn.ModuleList(
            [_project(channels[-1], width), *(_separable(channels[-1], width, rate) for rate in _ASPP_RATES)]
        )
        self.pooled = nn.Sequential(nn.Conv2d(channels[-1], width, 1), nn.ReLU())
        self.join = _project(width * (len(self.pyramid) + 1), width)
        self.skip = _project(channels[self.low], 48)
        self.refine = nn.Sequential(_separable(width + 48, width), _separable(width, width))
        self.classifier = _classifier(width, classes)

    def forward(self, maps: list[Tensor]) -> Tensor:
        deep, low = maps[-1], maps[self.low]
        branches = [branch(deep) for branch in self.pyramid]
        branches.append(self.pooled(deep.mean(dim=(2, 3), keepdim=True)).expand_as(branches[0]))
        joined = resized(self.join(torch.cat(branches, dim=1)), low.shape[2:])
        return self.classifier(self.refine(torch.cat([joined, self.skip(low)], dim=1)))


class UNet(Decoder):
    """From the coarsest map back to the finest, joined with each map on the way: for small things, and for random weights.

    Source: Ronneberger, Fischer, Brox 2015, arXiv:1505.04597. Deviates: depthwise separable convolutions; the backbone is the
    contracting path.
    """

    def __init__(self, strides: Sequence[int], channels: Sequence[int], classes: int, width: int = 256) -> None:
        super().__init__()
        deep, steps = channels[-1], []
        for place in range(len(channels) - 2, -1, -1):
            outputs = max(32, min(width, width * strides[place] // strides[-1] * 2))
            steps.append(nn.Sequential(_separable(deep + channels[place], outputs), _separable(outputs, outputs)))
            deep = outputs
        self.steps = nn.ModuleList(steps)
        self.classifier = _classifier(deep, classes)

    def forward(self, maps: list[Tensor]) -> Tensor:
        x = maps[-1]
        for step, skip in zip(self.steps, reversed(maps[:-1])):
            x = step(torch.cat([resized(x, skip.shape[2:]), skip], dim=1))
        return self.classifier(x)


def _nearest(strides: Sequence[int], wanted: int) -> int:
    """The place of the stride closest to this one."""
    return min(range(len(strides)), key=lambda place: abs(strides[place] - wanted))


DECODERS: dict[str, type[Decoder]] = {
    "fpn": FPN,
    "lr_aspp": LRASPP,
    "deeplab_v3_plus": DeepLabV3Plus,
    "unet": UNet,
    "centre_offset": CentreOffset,
    "cond_inst": CondInst,
}
"""The heads by their name in a recipe (`model.head`)."""
