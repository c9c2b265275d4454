"""The head `cond_inst`: every cell predicts the class of the object whose centre is there, and a small network for its mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from whet.bundle.objects import cond_inst
from whet.core.errors import RecipeError
from whet.tasks.grouping import detection
from whet.tasks.heads.head import InstanceHead

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from whet.core.instance_targets import InstanceTargets
    from whet.core.masks import Detection

_GROUP = 177  # outputs of one network besides the classes and the quality: 169 parameters, 8 features
_MOST_CLASSES = _GROUP


class CondInst(InstanceHead):
    """The outputs: the logits of the K - 1 classes of objects; the logit of the quality of the mask, its IoU with the object; the
    parameters of a network for the mask (`models.dynamic_masks`) and the features of the pixel. Of several networks or views, the
    parameters and features of all: the logit of a mask is the sum of theirs.

    Source: Tian, Shen, Chen 2020, arXiv:2003.05664. Deviates: one level of stride 4 in place of five; the IoU of the mask in place
    of centre-ness; no boxes, so that duplicates are found by the overlap of their masks; masks begin as a diamond around their
    location.
    """

    takes_boxes = True

    def outputs(self, num_classes: int) -> int:
        if num_classes > _MOST_CLASSES:
            raise RecipeError(
                f"model.head = cond_inst: it has at most {_MOST_CLASSES} classes with the background, the data {num_classes}; use "
                "centre_offset"
            )
        return num_classes + _GROUP

    def classes(self, outputs_Chw: Tensor | np.ndarray) -> int:
        return (len(outputs_Chw) - 1) % _GROUP + 1

    def loss(self, outputs_BChw: Tensor, targets: InstanceTargets) -> Tensor:
        from whet.tasks.heads import cond_inst_loss

        return targets.by_layer(lambda layer: cond_inst_loss.loss(outputs_BChw, layer, targets.num_classes))

    def combine(self, outputs_BMChw: Tensor, weight_M: Tensor) -> Tensor:
        """The logits of the mean probabilities of classes and quality; the mean of the logits of each cell's mask."""
        import torch

        from whet.models.dynamic_masks import PARAMETERS, scaled

        K = self.classes(outputs_BMChw[0, 0])
        weight_M111 = weight_M.reshape(-1, 1, 1, 1)
        head, own = outputs_BMChw[:, :, :K], outputs_BMChw[:, :, K:].unflatten(2, (-1, _GROUP))
        mean = (head.double().sigmoid() * weight_M111).sum(dim=1)
        parameters, features = own[:, :, :, :PARAMETERS], own[:, :, :, PARAMETERS:]
        made = scaled(parameters.movedim(3, 1), weight_M.reshape(-1, 1, 1, 1)).movedim(1, 3)
        groups = torch.cat([made, features], dim=3).flatten(1, 3)
        return torch.cat([mean.logit(eps=1e-9).to(outputs_BMChw), groups], dim=1)

    def undo(self, outputs_BChw: Tensor, flipped: Sequence[int]) -> Tensor:
        """A flip turns the offsets along its axis round that the networks of the masks take in."""
        import torch

        from whet.models.dynamic_masks import PARAMETERS, mirrored

        outputs_BChw = outputs_BChw.flip(tuple(flipped))
        K = self.classes(outputs_BChw[0])
        own = outputs_BChw[:, K:].unflatten(1, (-1, _GROUP))
        turned = mirrored(own[:, :, :PARAMETERS].movedim(2, 1), tuple(flipped)).movedim(1, 2)
        return torch.cat([outputs_BChw[:, :K], torch.cat([turned, own[:, :, PARAMETERS:]], dim=2).flatten(1, 2)], dim=1)

    def detections(self, outputs_Chw: np.ndarray, size: tuple[int, int]) -> list[Detection]:
        return [detection(one) for one in cond_inst(outputs_Chw, self.classes(outputs_Chw), size)]
