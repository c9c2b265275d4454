"""Pairs of neighbouring pixels with similar colours: they probably belong to the same object.

Source: Tian, Shen, Wang, Chen 2021, arXiv:2012.02310 (BoxInst), equations 5 and 6. Deviates: for several classes, two pixels agree
with the probability that both have the same class, the sum over the classes of the product of their probabilities; with two classes
this is the paper's.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

DILATION = 2  # pixels between neighbours
LEAST_SIMILARITY = 0.3  # of a pair that counts
_SCALE = 2.0  # of colour distances, the paper's theta


def lab(rgb_BCHW: Tensor) -> Tensor:
    """sRGB, 0 … 1, as CIE LAB (white D65): lightness 0 … 100, and two colour axes."""
    linear = torch.where(rgb_BCHW > 0.04045, ((rgb_BCHW.clamp(min=0) + 0.055) / 1.055) ** 2.4, rgb_BCHW / 12.92)
    to_xyz = linear.new_tensor(
        [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    )
    xyz = torch.einsum("ij,bjhw->bihw", to_xyz, linear) / linear.new_tensor([0.95047, 1.0, 1.08883])[:, None, None]
    x, y, z = torch.where(xyz > 0.008856, xyz.clamp(min=1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116).unbind(dim=1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def neighbours(x_BCHW: Tensor, dilation: int = DILATION) -> Tensor:
    """The values at the eight neighbours of every pixel, (B, 8, C, H, W): 3 x 3 pixels, `dilation` apart, without the middle one.
    Beyond the border they are 0."""
    height, width = x_BCHW.shape[2:]
    wide = pad(x_BCHW, [dilation] * 4)
    steps = [(y, x) for y in (0, 1, 2) for x in (0, 1, 2) if (y, x) != (1, 1)]
    moved = [wide[:, :, y * dilation : y * dilation + height, x * dilation : x * dilation + width] for y, x in steps]
    return torch.stack(moved, dim=1)


def colour_similarity(lab_BCHW: Tensor, dilation: int = DILATION) -> Tensor:
    """exp(-|c_i - c_j| / 2) of every pixel and its neighbours, (B, 8, H, W); 0 for neighbours beyond the border."""
    distance = (neighbours(lab_BCHW, dilation) - lab_BCHW[:, None]).norm(dim=2)
    inside = neighbours(torch.ones_like(lab_BCHW[:1, :1]), dilation)[:, :, 0]
    return torch.exp(-distance / _SCALE) * inside


def log_same(log_probs_BKHW: Tensor, dilation: int = DILATION) -> Tensor:
    """The logarithm of the probability that a pixel and its neighbour have the same class, (B, 8, H, W). For an object and its
    background, the two classes have the log-probabilities logsigmoid(x) and logsigmoid(-x)."""
    return torch.logsumexp(log_probs_BKHW[:, None] + neighbours(log_probs_BKHW, dilation), dim=2)


def pairwise_loss(log_probs_BKHW: Tensor, pairs_B8HW: Tensor, dilation: int = DILATION) -> Tensor:
    """The mean of -`log_same` over the chosen pairs of each image, (B,); 0 for an image without any. pairs_B8HW: bool, such as
    `colour_similarity(...) >= LEAST_SIMILARITY`, without pairs beyond the border."""
    lost = torch.where(pairs_B8HW, -log_same(log_probs_BKHW, dilation), 0)
    return lost.sum(dim=(1, 2, 3)) / pairs_B8HW.sum(dim=(1, 2, 3)).clamp(min=1)
