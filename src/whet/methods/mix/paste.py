"""Paste a region of one sample into another, for all kinds of targets. Shared by several methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from whet.core.batch import Batch, Instances
from whet.core.targets import Targets


@dataclass(frozen=True)
class Pasted:
    """The content to paste, one row per sample: images (B, C, H, W), targets and instances as in a Batch."""

    x: Tensor
    targets: Targets
    instances: tuple[Instances, ...] | None = None


def partners(batch: Batch, partner_B: Tensor) -> Pasted:
    """Return the unchanged partners as the content to paste."""
    return Pasted(
        batch.x[partner_B],
        batch.targets[partner_B],
        None if batch.instances is None else tuple(batch.instances[i] for i in partner_B.tolist()),
    )


def paste(batch: Batch, pasted: Pasted, region_BHW: Tensor) -> Batch:
    """Return the batch with `pasted` inside the region (bool (B, H, W)).

    Class targets are mixed in proportion to the pixels, masks are pasted. Instances are cut where the region covers them; instances
    without visible pixels are removed.
    """
    targets: Targets = batch.targets
    changes: dict[str, Any] = {
        "x": torch.where(region_BHW[:, None], pasted.x, batch.x),
        "targets": targets.paste(pasted.targets, region_BHW),
    }
    if batch.instances is not None and pasted.instances is not None:
        changes["instances"] = tuple(
            _cut(own, other, region_HW) for own, other, region_HW in zip(batch.instances, pasted.instances, region_BHW)
        )
    return batch.replace(**changes)


def _cut(own: Instances, other: Instances, region_HW: Tensor) -> Instances:
    mask_NHW = torch.cat([own.mask_NHW & ~region_HW, other.mask_NHW & region_HW])
    seen_N = mask_NHW.flatten(1).any(dim=1)
    return Instances(mask_NHW[seen_N], torch.cat([own.label_N, other.label_N])[seen_N])
