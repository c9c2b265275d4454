from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Predictor
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsPredictor
from whet.core.task import Task


class TTA(Method, WrapsPredictor, family="ensemble", tasks={"image-classification"}):
    """Answer several views of each image and take the mean of the probabilities (test-time augmentation).

    Use when: a better answer is worth a few times the time at prediction.
    Do not use when: predictions must be fast, or a mirrored image means something else.
    Source: Krizhevsky et al. 2012; Simonyan & Zisserman 2015, arXiv:1409.1556.
    Shapes: x_BCHW -> log of the mean probabilities (B, K); the logits of the mean probabilities where several classes may be true.
    """

    identity = {"flip": False, "vertical_flip": False, "zooms": ()}
    order = 30

    flip: Annotated[bool, Field(description="also the mirrored image"), Search(choices=(True, False))] = True
    vertical_flip: Annotated[
        bool,
        Field(description="also the image upside down; only where training saw it so"),
        Search(choices=(True, False)),
    ] = False
    zooms: Annotated[
        tuple[float, ...],
        Field(description="also the image's middle at these magnifications, 1.15 and the like"),
        Search(choices=((), (1.15,))),
    ] = ()

    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        if not self.flip and not self.vertical_flip and not self.zooms:
            return predictor

        return Views(predictor, task, self.flip, self.vertical_flip, self.zooms)


class Views(nn.Module):
    """One output for several views of each image; what a flip did to an output is undone by the task."""

    def __init__(
        self, predictor: Predictor, task: Task, flip: bool, vertical_flip: bool, zooms: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.predictor, self.task, self.zooms = predictor, task, zooms
        flips: list[tuple[int, ...]] = [()]
        if flip:
            flips += [(-1,)]
        if vertical_flip:
            flips += [(*axes, -2) for axes in flips]
        self.flips = flips

    def forward(self, x_BCHW: Tensor) -> Tensor:
        seen = [x_BCHW, *(_middle(x_BCHW, zoom) for zoom in self.zooms)]
        outputs = [
            self.task.undo(self.predictor(view.flip(axes) if axes else view).float(), axes)
            for axes in self.flips
            for view in seen
        ]
        return self.task.combine(torch.stack(outputs, dim=1))


def _middle(x_BCHW: Tensor, zoom: float) -> Tensor:
    height, width = x_BCHW.shape[2:]
    h, w = max(1, round(height / zoom)), max(1, round(width / zoom))
    top, left = (height - h) // 2, (width - w) // 2
    middle = x_BCHW[:, :, top : top + h, left : left + w]
    return F.interpolate(middle, size=(height, width), mode="bilinear", align_corners=False)
