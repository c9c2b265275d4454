"""Class activation maps: where in an image a classifier finds a class.

Source: Zhou et al. 2016, arXiv:1512.04150; over several scales and mirrored as Ahn, Kwak 2018, arXiv:1803.10464. The classifier's
last strided convolutions are dilated, so that its maps have stride 16 (arXiv:1412.7062).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, interpolate

from whet.core.errors import NoEffectError, RecipeError
from whet.models.front import to_device
from whet.models.maps import dilate
from whet.models.net import Net

_TRIED = 128  # pixels
_SAME = 1 - 1e-5  # cosine of features and their map


class Activations:
    """The maps of one classifier, whose features must be the mean or the maximum over a map, as those of convolutional networks
    are. Not for several threads at once."""

    def __init__(self, net: Net) -> None:
        self._net = net.eval().requires_grad_(False)
        self._name = self._last_map()
        with contextlib.suppress(NoEffectError):  # its maps are fine already
            dilate(net.backbone)
        self._kept: list[Tensor] = []
        net.backbone.get_submodule(self._name).register_forward_hook(
            lambda module, inputs, output: self._kept.append(output)
        )

    def _last_map(self) -> str:
        """The name of the module whose output, pooled over its cells, is the features."""
        found: dict[str, Tensor] = {}
        handles = [
            module.register_forward_hook(lambda module, inputs, output, name=name: found.__setitem__(name, output))
            for name, module in self._net.backbone.named_modules()
            if name
        ]
        x = torch.linspace(-1, 1, 3 * _TRIED**2, device=self._net.device).view(1, 3, _TRIED, _TRIED)
        try:
            with torch.no_grad():
                features_1D = self._net.backbone(x)
        finally:
            for handle in handles:
                handle.remove()
        for name, output in reversed(found.items()):
            spatial = isinstance(output, Tensor) and output.dim() == 4 and output.shape[2] > 1
            if spatial and _is_pooled(features_1D, output):
                return name
        raise RecipeError(
            f"{self._net.spec.architecture}: its features are not the mean or the maximum over a map of cells, so it does not show "
            "where a class is; accepted: convolutional networks such as google/mobilenet_v2_1.0_224, mobilenet_v2, resnet18"
        )

    @torch.no_grad()
    def of(self, pixels_HWC: np.ndarray, numbers: Sequence[int], sizes: Sequence[int], out: tuple[int, int]) -> Tensor:
        """The evidence for some classes, 0 … 1 with 1 at the maximum of each, float (K, *out): positive parts at several sizes of
        the image and of its mirror image, added."""
        weight_KD = self._net.linear.weight[list(numbers)]
        total = torch.zeros(len(numbers), *out, device=self._net.device)
        for size in sizes:
            square = cv2.resize(pixels_HWC, (size, size), interpolation=cv2.INTER_AREA)
            both = np.stack([square, square[:, ::-1]])
            self._kept.clear()
            self._net.backbone(self._net.prepare(both))
            maps_2Khw = torch.einsum("kd,bdhw->bkhw", weight_KD, self._kept[-1].float()).relu()
            maps_Khw = maps_2Khw[0] + maps_2Khw[1].flip(-1)
            total += interpolate(maps_Khw[None], out, mode="bilinear", align_corners=False)[0]
        return total / total.amax(dim=(1, 2), keepdim=True).clamp(min=1e-6)


def as_tensor(pixels_HWC: np.ndarray, device: torch.device) -> Tensor:
    """(1, 3, H, W), 0 … 1."""
    return to_device(torch.from_numpy(np.ascontiguousarray(pixels_HWC)), device).permute(2, 0, 1)[None].float() / 255


def _is_pooled(features_BD: Tensor, map_BCHW: Tensor) -> bool:
    """Whether features are the mean or the maximum over a map, times any number."""
    pooled = (map_BCHW.mean(dim=(2, 3)), map_BCHW.amax(dim=(2, 3)))
    return any(
        one.shape == features_BD.shape and bool((cosine_similarity(one, features_BD) > _SAME).all()) for one in pooled
    )
