from __future__ import annotations

import copy
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

_Box = tuple[float, float, float, float]


class TTA(Method, WrapsPredictor, family="ensemble", tasks={"image-classification", "semantic-segmentation"}):
    """Average the predicted probabilities over several views of each image (test-time augmentation).

    Use when: better predictions are worth several times the inference time.
    Do not use when: inference must be fast, or a mirrored image belongs to another class.
    Source: Krizhevsky et al. 2012; Simonyan & Zisserman 2015, arXiv:1409.1556.
    Shapes: x_BCHW -> log of the mean probabilities (B, K); the logits of the mean probabilities if samples may have several
    labels.
    """

    identity = {"flip": False, "vertical_flip": False, "zooms": ()}
    order = 30

    flip: Annotated[bool, Field(description="add the horizontally flipped image"), Search(choices=(True, False))] = True
    vertical_flip: Annotated[
        bool,
        Field(description="add the vertically flipped image; only if training used vertical flips"),
        Search(choices=(True, False)),
    ] = False
    zooms: Annotated[
        tuple[Annotated[float, Field(ge=1)], ...],
        Field(description="add the center of the image at these magnifications, for example 1.15"),
        Search(choices=((), (1.15,))),
    ] = ()

    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        if not self.flip and not self.vertical_flip and not self.zooms:
            return predictor

        return Views(predictor, task, self.flip, self.vertical_flip, self.zooms)


class Views(nn.Module):
    """Combines the outputs for several views of each image. The task undoes the effect of a flip or a zoom on an output."""

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
        self._in_one_batch = False

    def fixed(self) -> Views:
        """The same with all views in one batch: an exported graph then holds the network once."""
        other = copy.copy(self)
        other._in_one_batch = True
        return other

    def forward(self, x_BCHW: Tensor) -> Tensor:
        images: list[Tensor] = []
        places: list[tuple[tuple[int, ...], _Box | None]] = []
        for axes in self.flips:
            images.append(x_BCHW.flip(axes) if axes else x_BCHW)
            places.append((axes, None))
            for zoom in self.zooms:
                center, shown = _center(x_BCHW, zoom)
                images.append(center.flip(axes) if axes else center)
                places.append((axes, shown))
        combined: list[Tensor] = []
        for found, (axes, box) in zip(self._outputs(images), places):
            upright = self.task.undo(found.float(), axes)
            if box is None:
                whole = upright
                combined.append(whole)
            else:
                combined.append(self.task.unzoom(upright, whole, box))
        return self.task.combine(torch.stack(combined, dim=1))

    def _outputs(self, images: list[Tensor]) -> list[Tensor]:
        if not self._in_one_batch:
            return [self.predictor(one) for one in images]
        found = self.predictor(torch.cat(images))
        return list(found.reshape(len(images), -1, *found.shape[1:]).unbind())


def _center(x_BCHW: Tensor, zoom: float) -> tuple[Tensor, _Box]:
    """(the center of the images in their size, its top, left, height and width as shares of theirs)."""
    height, width = x_BCHW.shape[2:]
    h, w = max(1, round(height / zoom)), max(1, round(width / zoom))
    top, left = (height - h) // 2, (width - w) // 2
    center = x_BCHW[:, :, top : top + h, left : left + w]
    shown = F.interpolate(center, size=(height, width), mode="bilinear", align_corners=False)
    return shown, (top / height, left / width, h / height, w / width)
