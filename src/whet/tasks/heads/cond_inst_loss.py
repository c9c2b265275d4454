"""The loss of the head `cond_inst`, for objects with masks and for those of which only the box is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid, one_hot

from whet.core.colour_pairs import pairwise_loss
from whet.core.instance_targets import ObjectLayer, Pairs
from whet.models.dynamic_masks import PARAMETERS, mask_logits
from whet.tasks.heads.assignment import assigned, chosen, shares_of
from whet.tasks.heads.mask_losses import dice_loss, iou_of, projection_loss

MOST_MASKS = 64  # of an image in one step; more if it has more objects
_ALPHA, _GAMMA = 0.25, 2


def loss(outputs_BChw: Tensor, layer: ObjectLayer, num_classes: int) -> Tensor:
    """(B,), the sum of three: the focal loss of the classes of all cells that are not unknown, by the number of cells that predict
    an object; of these cells the mean of the loss of their masks and of the cross-entropy of the quality. Of the masks of an object
    only those with the highest scores are trained: with the dice loss, or with the losses of BoxInst where only the box is
    known."""
    H, W = layer.id_BHW.shape[1:]
    cell_2 = layer.centre_BN2.new_tensor([H / outputs_BChw.shape[2], W / outputs_BChw.shape[3]])
    rows = zip(
        outputs_BChw.float(), layer.id_BHW, layer.class_BN, layer.boxed_BN, layer.centre_BN2 / cell_2, strict=True
    )
    pairs = layer.pairs
    alike: list[Pairs | None] = [None] * len(outputs_BChw)
    if pairs is not None:
        alike = [replace(pairs, alike_B8hw=one_8hw) for one_8hw in pairs.alike_B8hw]
    return torch.stack([_of_image(*row, one, num_classes) for row, one in zip(rows, alike, strict=True)])


def _of_image(
    outputs_Chw: Tensor, id_HW: Tensor, class_N: Tensor, boxed_N: Tensor, centre_N2: Tensor, pairs: Pairs | None, K: int
) -> Tensor:
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
    masks = _Masks(logits_Lhw, share_Nhw[object_L], unknown_hw == 0)
    (whole_L,), (boxed_L,) = (chosen_L.nonzero(as_tuple=True) for chosen_L in (~boxed_N[object_L], boxed_N[object_L]))
    lost_L, quality_L = (torch.cat(both) for both in zip(masks.rows(whole_L).dice(), masks.rows(boxed_L).box(pairs)))
    logits_L = own_LC[torch.cat([whole_L, boxed_L]), K - 1]
    return total + (lost_L + binary_cross_entropy_with_logits(logits_L, quality_L, reduction="none")).mean()


@dataclass(frozen=True)
class _Masks:
    """Predicted masks, the shares of the cells that belong to their objects, and which cells are known."""

    logits_Lhw: Tensor
    share_Lhw: Tensor
    known_hw: Tensor

    def rows(self, row_L: Tensor) -> _Masks:
        return _Masks(self.logits_Lhw[row_L], self.share_Lhw[row_L], self.known_hw)

    def dice(self) -> tuple[Tensor, Tensor]:
        """(the loss, the IoU of the masks with the objects), (L,) each."""
        prob_Lp, target_Lp = ((one * self.known_hw).flatten(1) for one in (self.logits_Lhw.sigmoid(), self.share_Lhw))
        return dice_loss(prob_Lp, target_Lp), iou_of(prob_Lp.detach(), target_Lp)

    def box(self, pairs: Pairs | None) -> tuple[Tensor, Tensor]:
        """The same of objects of which only the box is known: the projection loss, and the pairwise loss of the cells in the box;
        the IoU of the projections on both axes, multiplied. Without pairs, and until they have begun, the dice loss of the box too:
        the projections alone say nothing about most cells."""
        prob_Lhw, target_Lhw = (one * self.known_hw for one in (self.logits_Lhw.sigmoid(), self.share_Lhw))
        sides = [(prob_Lhw.amax(dim=axis), target_Lhw.amax(dim=axis)) for axis in (1, 2)]
        (across_Lw, across_iou_L), (down_Lh, down_iou_L) = ((one, iou_of(prob.detach(), one)) for prob, one in sides)
        lost_L = projection_loss(prob_Lhw, target_Lhw)
        box_Lhw = down_Lh[:, :, None] * across_Lw[:, None] * self.known_hw
        if pairs is None or pairs.begun < 1:
            filled_L = dice_loss(prob_Lhw.flatten(1), box_Lhw.flatten(1))
            lost_L = lost_L + (1 - (pairs.begun if pairs else 0.0)) * filled_L
        if pairs is not None and len(lost_L):
            inside_Lhw = box_Lhw > 0
            log_probs_L2hw = torch.stack([logsigmoid(self.logits_Lhw), logsigmoid(-self.logits_Lhw)], dim=1)
            lost_L = lost_L + pairs.weight * pairwise_loss(log_probs_L2hw, pairs.alike_B8hw & inside_Lhw[:, None])
        return lost_L, across_iou_L * down_iou_L


def focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Of independent classes, in the shape of the logits: -a (1 - p)² log p, with a = 0.25, where the target is 1, and
    -(1 - a) p² log(1 - p) where it is 0.

    Source: Lin, Goyal, Girshick, He, Dollár 2017, arXiv:1708.02002.
    """
    prob = logits.sigmoid()
    away, weight = torch.where(target > 0, 1 - prob, prob), torch.where(target > 0, _ALPHA, 1 - _ALPHA)
    return weight * away**_GAMMA * binary_cross_entropy_with_logits(logits, target, reduction="none")
