from __future__ import annotations

from typing import Annotated, Any

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome
from whet.core.masks import IGNORE
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss
from whet.methods.balance.regions import combined


class BoundaryLoss(Method, WrapsLoss, family="balance", tasks={"semantic-segmentation"}):
    """Penalise probability by its distance from the boundary of the target class.

    Use when: classes cover few pixels, or boundaries matter.
    Do not use when: masks are coarse, or steps must be cheap: distances are computed for every image and class on the CPU.
    Source: Kervadec et al. 2019, arXiv:1812.07032 (the weight rises during training, as there).
    Deviates: distances are fractions of the diagonal of the image; the mean over all pixels that are not ignored.
    Shapes: (1 - w) * loss (B,) + w * mean over pixels of the sum over classes of p * distance (B,), where the distance to the
    boundary is negative inside the class, and w rises linearly from 0 to weight. Classes without a boundary in the image have
    distance 0.
    """

    identity = {"weight": 0.0}
    order = 22
    waits = "the distances of the targets are computed on the CPU"

    weight: Annotated[
        float, Field(ge=0, le=1, description="share of this loss in the total at the end of training"), Search(0.1, 0.9)
    ] = 0.5

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.weight == 0:
            return loss

        def rising(outcome: Outcome) -> Tensor:
            return combined(loss, boundary_loss, self.weight * outcome.progress.fraction)(outcome)

        return rising


def boundary_loss(probs_BKHW: Tensor, label_BHW: Tensor) -> Tensor:
    """The mean over pixels of the probabilities times the signed distances, (B,)."""
    classes = label_BHW.unique().tolist()
    label, distance = label_BHW.cpu().numpy(), np.zeros(probs_BKHW.shape, dtype=np.float32)
    for label_HW, distance_KHW in zip(label, distance):
        for k in classes:
            if k != IGNORE:
                distance_KHW[k] = signed_distance(label_HW, k)
    valid_BHW = label_BHW != IGNORE
    pixel_BHW = (probs_BKHW * torch.from_numpy(distance).to(probs_BKHW)).sum(dim=1)
    return torch.where(valid_BHW, pixel_BHW, 0).sum(dim=(1, 2)) / valid_BHW.sum(dim=(1, 2)).clamp(min=1)


def signed_distance(label_HW: np.ndarray, class_number: int) -> np.ndarray:
    """The distance of each pixel to the boundary of a class as a fraction of the diagonal, negative inside, float32 (H, W); 0 where
    the class fills the image or does not occur. The boundary lies half way between pixels. Ignored pixels are on neither side."""
    inside_HW = label_HW == class_number
    outside_HW = (label_HW != IGNORE) & ~inside_HW
    if not inside_HW.any() or not outside_HW.any():
        return np.zeros(label_HW.shape, dtype=np.float32)
    to_inside, to_outside = (
        cv2.distanceTransform((~side_HW).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        for side_HW in (inside_HW, outside_HW)
    )
    pixels_HW = np.where(inside_HW, 0.5 - to_outside, to_inside - 0.5)
    return (pixels_HW / np.hypot(*label_HW.shape)).astype(np.float32)
