from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad

from whet.core.batch import Predictor
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsPredictor
from whet.core.task import Task


class Tiles(Method, WrapsPredictor, family="ensemble", tasks={"semantic-segmentation"}):
    """Predict large images in overlapping windows and blend their outputs.

    Use when: the images are predicted at a larger size than in training (train.eval_size), so that small objects keep their size.
    Do not use when: the class of a pixel depends on the whole image.
    Source: Ronneberger, Fischer, Brox 2015, arXiv:1505.04597 (overlap-tile strategy).
    Deviates: the weight of a window falls linearly towards its edges.
    Shapes: x_BCHW -> outputs (B, K, h, w) at the stride of the head: the weighted mean of the outputs of the windows. The last
    window of a row or column ends at the edge of the image. An image that fits into one window is predicted as it is.
    """

    identity = {"window": 0}
    order = 20
    by_cell = True
    example = {"window": 12}

    window: Annotated[
        int, Field(ge=0, description="side of a window in pixels, best the training size; 0 for the whole image")
    ] = 256
    overlap: Annotated[
        float, Field(ge=0, le=0.75, description="overlap of two windows as a fraction of their side"), Search(0.0, 0.5)
    ] = 0.25

    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        return Tiled(predictor, self.window, self.overlap) if self.window > 0 else predictor


class Tiled(nn.Module):
    def __init__(self, predictor: Predictor, window: int, overlap: float) -> None:
        super().__init__()
        self.predictor, self.window, self.overlap = predictor, window, overlap

    def forward(self, x_BCHW: Tensor) -> Tensor:
        height, width = x_BCHW.shape[2:]
        h, w = min(self.window, height), min(self.window, width)
        if (h, w) == (height, width):
            return self.predictor(x_BCHW)
        first = self.predictor(x_BCHW[:, :, :h, :w]).float()
        cells = (first.shape[-2], first.shape[-1])
        stride = max(1, round(h / cells[0]))
        x_BCHW = pad(x_BCHW, (0, -width % stride, 0, -height % stride), mode="replicate")
        sides = [side // stride for side in x_BCHW.shape[2:]]
        weight_hw = _taper(cells[0], self.overlap, first)[:, None] * _taper(cells[1], self.overlap, first)
        total, weights = first.new_zeros((*first.shape[:-2], *sides)), first.new_zeros(sides)
        for top in starts(sides[0], cells[0], self.overlap):
            for left in starts(sides[1], cells[1], self.overlap):
                y, x = top * stride, left * stride
                outputs = first if y == x == 0 else self.predictor(x_BCHW[:, :, y : y + h, x : x + w]).float()
                total[..., top : top + cells[0], left : left + cells[1]] += weight_hw * outputs
                weights[top : top + cells[0], left : left + cells[1]] += weight_hw
        return total / weights


def starts(size: int, window: int, overlap: float) -> list[int]:
    """The first cell of every window along one axis; the last window ends at the edge."""
    step = max(1, round(window * (1 - overlap)))
    return [*range(0, size - window, step), size - window]


def _taper(size: int, overlap: float, like: Tensor) -> Tensor:
    """Weights (size,) that rise from both edges over the overlap, to 1."""
    place = torch.arange(size, device=like.device, dtype=torch.float32) + 0.5
    return (torch.minimum(place, size - place) / max(1.0, size * overlap)).clamp(max=1)
