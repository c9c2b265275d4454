"""Pixel-adaptive mask refinement: soft masks spread to neighbouring pixels of similar colour.

Source: Araslanov, Roth 2020, arXiv:2005.08104, section 4.2, with its settings.
"""

from __future__ import annotations

import torch
from torch import Tensor

from whet.core.colour_pairs import neighbours

DILATIONS = (1, 2, 4, 8, 12, 24)
ITERATIONS = 10
_SHARPNESS = 0.1  # of the local standard deviation


def refine(
    masks_BKHW: Tensor, rgb_BCHW: Tensor, iterations: int = ITERATIONS, dilations: tuple[int, ...] = DILATIONS
) -> Tensor:
    """Refined masks, (B, K, H, W). In each round the value of a pixel becomes the mean of its neighbours' values, 3 x 3 at each
    dilation, weighted by the softmax of -|colour difference| / (0.1 * local standard deviation), mean over the channels. rgb: any
    scale; beyond the border the nearest pixel repeats."""
    alike_BNHW = _affinity(rgb_BCHW, dilations)
    parts = alike_BNHW.split(8, dim=1)
    for _ in range(iterations):
        masks_BKHW = torch.stack(
            [
                (neighbours(masks_BKHW, dilation, repeat=True) * part[:, :, None]).sum(dim=1)
                for dilation, part in zip(dilations, parts, strict=True)
            ]
        ).sum(dim=0)
    return masks_BKHW


def _affinity(rgb_BCHW: Tensor, dilations: tuple[int, ...]) -> Tensor:
    """The weight of every neighbour, with sum 1 at each pixel, (B, 8 * dilations, H, W)."""
    around_BNCHW = torch.cat([neighbours(rgb_BCHW, dilation, repeat=True) for dilation in dilations], dim=1)
    middle_BNCHW = rgb_BCHW[:, None].expand(-1, len(dilations), -1, -1, -1)
    spread_BCHW = torch.cat([around_BNCHW, middle_BNCHW], dim=1).std(dim=1)
    difference = (around_BNCHW - rgb_BCHW[:, None]).abs() / (1e-8 + _SHARPNESS * spread_BCHW[:, None])
    return (-difference.mean(dim=2)).softmax(dim=1)
