"""Losses of whole regions of an image, which replace a part of the loss of its pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from whet.core.batch import Loss, Outcome
from whet.core.mask_targets import MaskTargets

RegionLoss = Callable[[Tensor, Tensor], Tensor]
"""Probabilities (B, K, H, W) and labels, uint8 (B, H, W) with IGNORE, -> a loss for every sample (B,)."""


def combined(loss: Loss, region_loss: RegionLoss, weight: float) -> Loss:
    """(1 - weight) * loss + weight * region loss. The region loss of mixed targets is the weighted sum over their layers."""

    def both(outcome: Outcome) -> Tensor:
        targets = cast(MaskTargets, outcome.batch.targets)
        probs_BKHW = targets.aligned(outcome.logits_BK).softmax(dim=1)
        regions_B = targets.by_layer(lambda label_BHW: region_loss(probs_BKHW, label_BHW))
        return regions_B if weight == 1 else (1 - weight) * loss(outcome) + weight * regions_B

    return both


def of_class(label_BHW: Tensor, num_classes: int) -> Tensor:
    """Whether each pixel has each class, bool (B, K, H, W); false everywhere for ignored pixels."""
    class_K11 = torch.arange(num_classes, device=label_BHW.device)[:, None, None]
    return label_BHW[:, None] == class_K11


def mean_of_present(value_BK: Tensor, present_BK: Tensor) -> Tensor:
    """The mean over the classes that occur in the labels of each image, (B,); 0 for an image without any."""
    return torch.where(present_BK, value_BK, 0).sum(dim=1) / present_BK.sum(dim=1).clamp(min=1)
