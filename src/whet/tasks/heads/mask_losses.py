"""Losses of the masks of N objects, (N,) each."""

from __future__ import annotations

from torch import Tensor

_LEAST = 1e-5


def dice_loss(prob_NP: Tensor, target_NP: Tensor) -> Tensor:
    """1 - 2 sum(p t) / (sum(p²) + sum(t²)), as V-Net has it (Milletari et al. 2016, arXiv:1606.04797); the least at p = t, also for
    shares."""
    shared_N = (prob_NP * target_NP).sum(dim=1)
    return 1 - 2 * shared_N / (prob_NP.square().sum(dim=1) + target_NP.square().sum(dim=1)).clamp(min=_LEAST)


def projection_loss(prob_Nhw: Tensor, box_Nhw: Tensor) -> Tensor:
    """The dice losses of the two projections of a mask, the greatest probability of each column and of each row, against those of
    its box, summed.

    Source: Tian, Shen, Wang, Chen 2021, arXiv:2012.02310 (BoxInst).
    """
    down, across = (dice_loss(prob_Nhw.amax(dim=axis), box_Nhw.amax(dim=axis)) for axis in (1, 2))
    return down + across


def iou_of(prob_NP: Tensor, target_NP: Tensor) -> Tensor:
    """The IoU of the cells with a probability and a share above 0.5; of the shares themselves for an object without such a cell."""
    found_NP, wanted_NP = (prob_NP > 0.5).float(), (target_NP > 0.5).float()
    small_N1 = wanted_NP.sum(dim=1, keepdim=True) == 0
    found_NP, wanted_NP = prob_NP.where(small_N1, found_NP), target_NP.where(small_N1, wanted_NP)
    shared_N = found_NP.minimum(wanted_NP).sum(dim=1)
    return shared_N / found_NP.maximum(wanted_NP).sum(dim=1).clamp(min=_LEAST)
