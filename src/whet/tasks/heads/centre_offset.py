"""The head `centre_offset`: a class map, the heat of centres, and the offset of every pixel to the centre of its object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from whet.bundle.objects import OFFSET_UNIT
from whet.core.masks import IGNORE
from whet.tasks.grouping import GROUPINGS, ClassMap, Grouped, centre_offset, objects_of
from whet.tasks.heads.head import Detections, InstanceHead

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from whet.core.instance_targets import InstanceTargets, ObjectLayer
    from whet.core.masks import Detection

_BESIDE = 3  # outputs besides the classes: heat, offset y, offset x
HEAT_SIGMA = 2.0  # cells
HEAT_WEIGHT, OFFSET_WEIGHT = 1.0, 0.3  # of the loss, relative to cross-entropy
_LEAST_HEAT = 3.14159 * HEAT_SIGMA**2 / 4  # the sum of the squared heat of one centre in a corner


class CentreOffset(InstanceHead):
    def outputs(self, num_classes: int) -> int:
        return num_classes + _BESIDE

    def classes(self, outputs_Chw: Tensor | np.ndarray) -> int:
        return len(outputs_Chw) - _BESIDE

    def loss(self, outputs_BChw: Tensor, targets: InstanceTargets) -> Tensor:
        """Of the layers of the targets, the sum of four: the mean cross-entropy of the pixels; 1 - Dice of the pixels of objects,
        of any class; the squared error of the heat, a Gaussian around every centre, relative to that of no heat; and the absolute
        error of the offsets relative to that of offsets of zero. Unknown pixels have no loss.

        Source: Cheng et al. 2020, arXiv:1911.10194. Deviates: the paper's weights, 200 times the mean squared error and 0.01 times
        the offset in pixels, suit few large objects on large images; relative errors suit any number and size. Dice for small
        objects: cross-entropy alone is mostly about the background. The Gaussian has a standard deviation of 2 cells. An object
        that the border or another object cuts has the centre of its visible part.
        """
        import torch
        from torch.nn.functional import cross_entropy

        from whet.core.mask_targets import resized

        K, (h, w) = targets.num_classes, outputs_BChw.shape[2:]
        H, W = targets.id_MBHW.shape[2:]
        heat_Bhw, offset_B2hw = outputs_BChw[:, K], outputs_BChw[:, K + 1 :] * OFFSET_UNIT
        logits_BKHW = resized(outputs_BChw[:, :K], (H, W))
        cell_2 = offset_B2hw.new_tensor([H / h, W / w])
        y_h, x_w = (torch.arange(side, device=offset_B2hw.device) + 0.5 for side in (h, w))
        at_2hw = torch.stack([y_h[:, None].expand(h, w), x_w.expand(h, w)])
        row_h, column_w = (y_h * cell_2[0]).long(), (x_w * cell_2[1]).long()

        def of_layer(layer: ObjectLayer) -> Tensor:
            label_BHW = layer.label_BHW
            pixel_BHW = cross_entropy(logits_BKHW, label_BHW, ignore_index=IGNORE, reduction="none")
            classes_B = pixel_BHW.sum(dim=(1, 2)) / (label_BHW != IGNORE).sum(dim=(1, 2)).clamp(min=1)
            id_Bhw = layer.id_BHW[:, row_h][:, :, column_w]
            centre_BN2 = layer.centre_BN2 / cell_2
            known_Bhw, inside_Bhw = id_Bhw >= 0, id_Bhw > 0
            target_Bhw = _heat(centre_BN2, y_h, x_w)
            heat_B = _total((heat_Bhw - target_Bhw).square(), known_Bhw)
            heat_B = heat_B / _total(target_Bhw.square(), known_Bhw).clamp(min=_LEAST_HEAT)
            place_BN = (id_Bhw.clamp(min=1) - 1).long().flatten(1)
            own_B2hw = centre_BN2.gather(1, place_BN[..., None].expand(-1, -1, 2)).transpose(1, 2).unflatten(2, (h, w))
            wanted_B2hw = own_B2hw - at_2hw
            away_B = _total((offset_B2hw - wanted_B2hw).abs().sum(dim=1), inside_Bhw)
            away_B = away_B / _total(wanted_B2hw.abs().sum(dim=1), inside_Bhw).clamp(min=1)
            return classes_B + _no_overlap(logits_BKHW, label_BHW) + HEAT_WEIGHT * heat_B + OFFSET_WEIGHT * away_B

        return targets.by_layer(of_layer)

    def combine(self, outputs_BMChw: Tensor, weight_M: Tensor) -> Tensor:
        """The logarithm of the mean of the probabilities of each pixel; the mean of heat and offsets."""
        import torch

        K, weight_M111 = self.classes(outputs_BMChw[0, 0]), weight_M.reshape(-1, 1, 1, 1)
        classes = torch.logsumexp(outputs_BMChw[:, :, :K].log_softmax(dim=2) + weight_M111.log(), dim=1)
        return torch.cat([classes, (outputs_BMChw[:, :, K:] * weight_M111).sum(dim=1)], dim=1)

    def undo(self, outputs_BChw: Tensor, flipped: Sequence[int]) -> Tensor:
        """A flip turns the offset along its axis round."""
        outputs_BChw = outputs_BChw.flip(tuple(flipped))
        for axis in flipped:  # the last two outputs are the offsets along the last two axes
            outputs_BChw[:, axis] = -outputs_BChw[:, axis]
        return outputs_BChw

    def detections(self, outputs_Chw: np.ndarray, size: tuple[int, int]) -> list[Detection]:
        return self._grouped(centre_offset, outputs_Chw, size)

    @property
    def groupings(self) -> dict[str, Detections]:
        """Those that use the class map alone."""
        return {name: partial(self._grouped, GROUPINGS[name]) for name in ("connected_components", "distance_peaks")}

    def _grouped(
        self, grouping: Callable[[ClassMap], Grouped], outputs_Chw: np.ndarray, size: tuple[int, int]
    ) -> list[Detection]:
        return objects_of(ClassMap.of(outputs_Chw, self.classes(outputs_Chw), size), grouping)


def _heat(centre_BN2: Tensor, y_h: Tensor, x_w: Tensor) -> Tensor:
    """A Gaussian around every centre, the highest where several overlap, (B, h, w). All in cells."""
    from torch import exp

    down_BNh = (centre_BN2[..., 0, None] - y_h).square()
    across_BNw = (centre_BN2[..., 1, None] - x_w).square()
    return exp(-(down_BNh[..., None] + across_BNw[:, :, None]).amin(dim=1) / (2 * HEAT_SIGMA**2))


def _total(value_BHW: Tensor, there_BHW: Tensor) -> Tensor:
    """The sum of the values that count, (B,)."""
    return (value_BHW * there_BHW).sum(dim=(1, 2))


def _no_overlap(logits_BKHW: Tensor, label_BHW: Tensor) -> Tensor:
    """1 - soft Dice of the pixels of objects, whatever their class, (B,); 0 where there are none."""
    known_BHW, inside_BHW = label_BHW != IGNORE, (label_BHW > 0) & (label_BHW != IGNORE)
    found_BHW = (1 - logits_BKHW.softmax(dim=1)[:, 0]) * known_BHW
    shared_B, area_B = _total(found_BHW, inside_BHW), inside_BHW.sum(dim=(1, 2))
    return (area_B > 0) * (1 - 2 * shared_B / (found_BHW.sum(dim=(1, 2)) + area_B).clamp(min=1))
