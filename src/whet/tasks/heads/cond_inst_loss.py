"""The loss of the head `cond_inst`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from whet.core.instance_targets import ObjectLayer
from whet.models.dynamic_masks import PARAMETERS, mask_logits
from whet.tasks.heads.assignment import assigned, chosen, shares_of
from whet.tasks.heads.mask_losses import dice_loss, iou_of

MOST_MASKS = 64  # of an image in one step; more if it has more objects
_ALPHA, _GAMMA = 0.25, 2


def loss(outputs_BChw: Tensor, layer: ObjectLayer, num_classes: int) -> Tensor:
    """(B,), the sum of three: the focal loss of the classes of all cells that are not unknown, by the number of cells that predict
    an object; of these cells the mean of the dice loss of their masks and of the cross-entropy of the quality. Of the masks of an
    object only those with the highest scores are trained."""
    H, W = layer.id_BHW.shape[1:]
    cell_2 = layer.centre_BN2.new_tensor([H / outputs_BChw.shape[2], W / outputs_BChw.shape[3]])
    rows = zip(outputs_BChw.float(), layer.id_BHW, layer.class_BN, layer.centre_BN2 / cell_2, strict=True)
    return torch.stack([_of_image(*row, num_classes) for row in rows])


def _of_image(outputs_Chw: Tensor, id_HW: Tensor, class_N: Tensor, centre_N2: Tensor, K: int) -> Tensor:
    h, w = outputs_Chw.shape[1:]
    share_Nhw, unknown_hw = shares_of(id_HW, len(class_N), (h, w))
    object_hw = assigned(share_Nhw, centre_N2)
    positive_hw = object_hw >= 0
    counts_hw = (unknown_hw < 0.5) | positive_hw
    class_hw = torch.where(positive_hw, class_N[object_hw.clamp(min=0)], 0)
    target_khw = one_hot(class_hw, K)[..., 1:].movedim(2, 0).to(outputs_Chw)
    focal_hw = focal_loss(outputs_Chw[: K - 1], target_khw).sum(dim=0)
    total = (focal_hw * counts_hw).sum() / positive_hw.sum().clamp(min=1)
    y_L, x_L = positive_hw.nonzero(as_tuple=True)
    object_L, own_LC = object_hw[y_L, x_L], outputs_Chw[:, y_L, x_L].T
    if not len(object_L):
        return total + 0 * outputs_Chw[K - 1 :].sum()  # every output has a gradient
    score_L = own_LC[:, : K - 1].detach().gather(1, class_N[object_L][:, None] - 1)[:, 0] + own_LC[:, K - 1].detach()
    row_L = chosen(object_L, score_L, MOST_MASKS)
    object_L, own_LC = object_L[row_L], own_LC[row_L]
    at_L2 = torch.stack([y_L[row_L], x_L[row_L]], dim=1) + 0.5
    logits_Lhw = mask_logits(outputs_Chw[K + PARAMETERS :], own_LC[:, K : K + PARAMETERS], at_L2)
    known_p = (unknown_hw == 0).flatten()
    prob_Lp, target_Lp = logits_Lhw.sigmoid().flatten(1) * known_p, share_Nhw.flatten(1)[object_L] * known_p
    quality_L = binary_cross_entropy_with_logits(
        own_LC[:, K - 1], iou_of(prob_Lp.detach(), target_Lp), reduction="none"
    )
    return total + (dice_loss(prob_Lp, target_Lp) + quality_L).mean()


def focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Of independent classes, in the shape of the logits: -a (1 - p)² log p, with a = 0.25, where the target is 1, and
    -(1 - a) p² log(1 - p) where it is 0.

    Source: Lin, Goyal, Girshick, He, Dollár 2017, arXiv:1708.02002.
    """
    prob = logits.sigmoid()
    away, weight = torch.where(target > 0, 1 - prob, prob), torch.where(target > 0, _ALPHA, 1 - _ALPHA)
    return weight * away**_GAMMA * binary_cross_entropy_with_logits(logits, target, reduction="none")
