"""The loss of the objects that queries predict: every object is matched with one query."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, grid_sample, interpolate, softplus

from whet.core.instance_targets import ObjectLayer
from whet.models.query_outputs import unpacked

POINTS = 12544  # of a mask, at most one per pixel of the image
_OVERSAMPLED, _UNCERTAIN_SHARE = 3, 0.75
_CLASS_WEIGHT, _MASK_WEIGHT, _DICE_WEIGHT = 2.0, 5.0, 5.0  # of the loss and of the cost of a match
_SEEDED = torch.default_generator  # seeded by the training step with `torch_scope` of whet.core.rng
_NO_OBJECT_WEIGHT = 0.1  # of a query without an object, in the cross-entropy


@dataclass(frozen=True)
class _Truth:
    """The objects with pixels of one image: their classes, from 0 without the background, and masks; and which pixels are known,
    float (1, H, W), or None where all are."""

    class_N: Tensor
    mask_NHW: Tensor
    known_1HW: Tensor | None

    @classmethod
    def of(cls, id_HW: Tensor, class_N: Tensor) -> _Truth:
        ids_N = id_HW.unique()
        ids_N = ids_N[ids_N > 0]
        known_HW = id_HW >= 0
        known_1HW = None if known_HW.all() else known_HW[None].float()
        return cls(class_N[ids_N.long() - 1] - 1, (id_HW == ids_N[:, None, None]).float(), known_1HW)

    def known_at(self, points_NP2: Tensor) -> Tensor:
        """Whether all pixels around these points are known, float (N, P)."""
        if self.known_1HW is None:
            return torch.ones_like(points_NP2[..., 0])
        return (_sampled(self.known_1HW.expand(len(points_NP2), -1, -1), points_NP2) > 0.999).float()


def loss(outputs: Tensor, layer: ObjectLayer, num_classes: int) -> Tensor:
    """(B,), from the outputs (B, Q, H, w) of the last layer of a decoder, or of all its layers, (B, L, Q, H, w), the sum of theirs.
    Of a layer the sum of three: twice the cross-entropy of the classes of the queries, where those without an object have a weight
    of 0.1; and five times each the binary cross-entropy and 1 - Dice of the masks of matched queries, at sampled points, three
    quarters of them where the mask is least certain; means over the objects of the image. Unknown pixels have no loss, nor does a
    query without an object whose mask lies mostly on them.

    Source: Cheng et al. 2022, arXiv:2112.01527 (Mask2Former); EoMT (arXiv:2503.19108) uses the same. Deviates: means over the
    objects of an image in place of those of the batch, so that the loss of an image does not depend on the others; no more points
    than the image has pixels.
    """
    if outputs.dim() == 4:
        outputs = outputs[:, None]
    with torch.autocast(outputs.device.type, enabled=False):
        class_BLQC, mask_BLQhw = unpacked(outputs.float(), num_classes)
        found = []
        for class_LQC, mask_LQhw, id_HW, class_N in zip(class_BLQC, mask_BLQhw, layer.id_BHW, layer.class_BN):
            truth = _Truth.of(id_HW, class_N)
            parts = [_of_image(class_QC, mask_Qhw, truth) for class_QC, mask_Qhw in zip(class_LQC, mask_LQhw)]
            found.append(torch.stack(parts).sum())
    return torch.stack(found) + 0 * outputs.flatten(1).sum(dim=1)  # what is not finite anywhere, is not in the loss


def _of_image(class_QC: Tensor, mask_Qhw: Tensor, truth: _Truth) -> Tensor:
    query_M, object_M = matched(class_QC, mask_Qhw, truth.class_N, truth.mask_NHW, truth.known_1HW)
    none = class_QC.shape[1] - 1
    class_Q = torch.full_like(class_QC[:, 0], none, dtype=torch.long)
    class_Q[query_M] = truth.class_N[object_M]
    weight_Q = torch.where(class_Q == none, _NO_OBJECT_WEIGHT, 1.0)
    if truth.known_1HW is not None:
        weight_Q = weight_Q * ~((class_Q == none) & _mostly_unknown(mask_Qhw, truth.known_1HW))
    total = cross_entropy(class_QC, class_Q, reduction="none") @ weight_Q / weight_Q.sum().clamp(min=1e-9)
    total = _CLASS_WEIGHT * total
    if not len(query_M):
        return total
    mask_Mhw, count = mask_Qhw[query_M], max(1, len(truth.class_N))
    with torch.no_grad():
        points_MP2 = uncertain_points(mask_Mhw, _points(truth.mask_NHW))
        target_MP, known_MP = _sampled(truth.mask_NHW[object_M], points_MP2), truth.known_at(points_MP2)
    logits_MP = _sampled(mask_Mhw, points_MP2)
    crossed_MP = binary_cross_entropy_with_logits(logits_MP, target_MP, reduction="none")
    crossed_M = (crossed_MP * known_MP).sum(dim=1) / known_MP.sum(dim=1).clamp(min=1)
    prob_MP, target_MP = logits_MP.sigmoid() * known_MP, target_MP * known_MP
    dice_M = 1 - (2 * (prob_MP * target_MP).sum(dim=1) + 1) / (prob_MP.sum(dim=1) + target_MP.sum(dim=1) + 1)
    return total + (_MASK_WEIGHT * crossed_M + _DICE_WEIGHT * dice_M).sum() / count


@torch.no_grad()
def matched(
    class_QC: Tensor, mask_Qhw: Tensor, class_N: Tensor, mask_NHW: Tensor, known_1HW: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(queries, objects) that belong together, (min(Q, N),) each: the assignment with the least sum of costs. A cost that is not
    finite is the greatest."""
    if not len(class_N):
        return class_N, class_N
    with torch.autocast(class_QC.device.type, enabled=False):
        cost_QN = _costs(class_QC.float(), mask_Qhw.float(), _Truth(class_N, mask_NHW, known_1HW))
    greatest = torch.finfo(torch.float32).max
    cost_QN = torch.nan_to_num(cost_QN, nan=greatest, posinf=greatest, neginf=greatest)
    query_M, object_M = (torch.as_tensor(one, device=class_QC.device) for one in linear_sum_assignment(cost_QN.cpu()))
    return query_M, object_M


def _costs(class_QC: Tensor, mask_Qhw: Tensor, truth: _Truth) -> Tensor:
    """(Q, N), weighted as the loss: minus the probability of the class, and the cross-entropy and 1 - Dice of the masks at common
    points."""
    points_1P2 = _drawn((1, _points(truth.mask_NHW), 2), mask_Qhw)
    known_1P = truth.known_at(points_1P2)
    logits_QP, target_NP = (_sampled(one, points_1P2.expand(len(one), -1, -1)) for one in (mask_Qhw, truth.mask_NHW))
    target_NP = target_NP * known_1P
    crossed_QN = softplus(-logits_QP) @ target_NP.T + softplus(logits_QP) @ (known_1P - target_NP).T
    crossed_QN = crossed_QN / known_1P.sum().clamp(min=1)
    prob_QP = logits_QP.sigmoid() * known_1P
    dice_QN = 1 - (2 * prob_QP @ target_NP.T + 1) / (prob_QP.sum(dim=1)[:, None] + target_NP.sum(dim=1) + 1)
    class_QN = -class_QC.softmax(dim=1)[:, truth.class_N]
    return _MASK_WEIGHT * crossed_QN + _CLASS_WEIGHT * class_QN + _DICE_WEIGHT * dice_QN


def uncertain_points(mask_Mhw: Tensor, count: int) -> Tensor:
    """Points (x, y; 0 … 1) for every mask, (M, count, 2): of three times as many random ones those with the smallest absolute
    logits, and a quarter that are random.

    Source: Kirillov, Wu, He, Girshick 2020, arXiv:1912.08193 (PointRend).
    """
    M, uncertain = len(mask_Mhw), int(_UNCERTAIN_SHARE * count)
    random_MR2 = _drawn((M, _OVERSAMPLED * count, 2), mask_Mhw)
    least_MU = _sampled(mask_Mhw, random_MR2).abs().neg().topk(uncertain, dim=1).indices
    chosen_MU2 = random_MR2.gather(1, least_MU[..., None].expand(-1, -1, 2))
    return torch.cat([chosen_MU2, _drawn((M, count - uncertain, 2), mask_Mhw)], dim=1)


def _drawn(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Uniform on 0 … 1, the same on every device."""
    return torch.rand(shape, generator=_SEEDED).to(like.device, non_blocking=True)


def _points(mask_NHW: Tensor) -> int:
    return min(POINTS, mask_NHW.shape[1] * mask_NHW.shape[2])


def _sampled(map_NHW: Tensor, points_NP2: Tensor) -> Tensor:
    """The values of the maps at points of their own (x, y; 0 … 1), bilinear, (N, P)."""
    return grid_sample(map_NHW[:, None], 2 * points_NP2[:, :, None] - 1, align_corners=False)[:, 0, :, 0]


def _mostly_unknown(mask_Qhw: Tensor, known_1HW: Tensor) -> Tensor:
    """Whether most of the predicted pixels of each mask are unknown, bool (Q,)."""
    known_hw = interpolate(known_1HW[None], size=mask_Qhw.shape[1:], mode="area")[0, 0]
    inside_Qhw = mask_Qhw.detach() > 0
    return (inside_Qhw * (1 - 2 * known_hw)).sum(dim=(1, 2)) > 0
