"""Which cells of a map predict which object, and the share of every cell that an object covers."""

from __future__ import annotations

import torch
from torch import Tensor

RADIUS = 1.5  # cells
RADIUS_SHARE = 0.1  # of the side of an object


def shares_of(id_HW: Tensor, count: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(the share of the pixels of each cell that belong to each object, (count, h, w), the share that is unknown, (h, w)), of a map
    of object numbers as in `InstanceTargets`."""
    (H, W), (h, w) = id_HW.shape, size
    row_H, column_W = (
        (torch.arange(pixels, device=id_HW.device) * cells).div(pixels, rounding_mode="floor")
        for pixels, cells in ((H, h), (W, w))
    )
    place_HW = (id_HW.long() + 1) * (h * w) + row_H[:, None] * w + column_W
    pixels = torch.bincount(place_HW.flatten(), minlength=(count + 2) * h * w).view(count + 2, h, w)
    share = pixels / pixels.sum(dim=0).clamp(min=1)
    return share[2:], share[0]


def boxes_of(share_Nhw: Tensor) -> Tensor:
    """The box (y0, x0, y1, x1) of each object in cells, a whole number of them, (N, 4); zeros for one without pixels."""
    ends = []
    for axis in (1, 2):
        there_NS = share_Nhw.amax(dim=3 - axis) > 0
        first, last = there_NS.int().argmax(dim=1), there_NS.shape[1] - there_NS.flip(1).int().argmax(dim=1)
        any_N = there_NS.any(dim=1)
        ends.append((torch.where(any_N, first, 0), torch.where(any_N, last, 0)))
    (y0, y1), (x0, x1) = ends
    return torch.stack([y0, x0, y1, x1], dim=1)


def assigned(share_Nhw: Tensor, centre_N2: Tensor) -> Tensor:
    """The object that each cell predicts, int64 (h, w), -1 for none: of the objects around whose centre (y, x; in cells) it lies,
    the one with the smallest box. At least the cell of the centre itself belongs to an object that is not covered so.

    Source: the centre sampling of Tian, Shen, Chen, He 2019, arXiv:1904.01355 (FCOS), within 1.5 cells of the centre. Deviates: for
    one level, so also within a tenth of the side of the box, as in SOLO (arXiv:1912.04488) for large objects.
    """
    N, h, w = share_Nhw.shape
    none = torch.full((h, w), -1, device=share_Nhw.device)
    if not N:
        return none
    box_N4 = boxes_of(share_Nhw)
    side_N2 = (box_N4[:, 2:] - box_N4[:, :2]).float()
    reach_N2 = torch.minimum((RADIUS_SHARE * side_N2).clamp(min=RADIUS), (side_N2 / 2).clamp(min=0.5))
    near = []
    for axis, cells in enumerate((h, w)):
        middle_S = torch.arange(cells, device=share_Nhw.device) + 0.5
        near.append((middle_S - centre_N2[:, axis, None]).abs() <= reach_N2[:, axis, None])
    near_Nhw = near[0][:, :, None] & near[1][:, None] & (side_N2 > 0).all(dim=1)[:, None, None]
    area_N = side_N2.prod(dim=1)
    smallest_hw, object_hw = torch.where(near_Nhw, area_N[:, None, None], torch.inf).min(dim=0)
    return torch.where(smallest_hw.isfinite(), object_hw, none)


def chosen(object_L: Tensor, score_L: Tensor, most: int) -> Tensor:
    """Rows of the cells of objects: of each object those with the highest scores, at most `most` in all, but one of each."""
    objects = object_L.unique()
    each = max(1, most // max(1, len(objects)))
    if len(object_L) <= each:
        return torch.arange(len(object_L), device=object_L.device)
    by_score = torch.argsort(score_L, descending=True, stable=True)
    order = by_score[torch.argsort(object_L[by_score], stable=True)]
    sorted_L = object_L[order]
    first_L = torch.searchsorted(sorted_L, sorted_L)
    rank_L = torch.arange(len(order), device=order.device) - first_L
    return order[rank_L < each]
