"""The head `own` of objects: the queries of Mask2Former and EoMT, each a class, or none, and a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from whet.bundle.objects import queries
from whet.core.errors import RunError
from whet.tasks.grouping import detection
from whet.tasks.heads.head import InstanceHead

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from whet.core.instance_targets import InstanceTargets
    from whet.core.masks import Detection


class Queries(InstanceHead):
    """The outputs of an image are those of `models.query_outputs`, (Q, H, w); in training those of all layers of the decoder,
    (L, Q, H, w). The classes are those of objects, and "no object" in place of the background.

    Source: Cheng, Misra, Schwing, Kirillov, Girdhar 2022, arXiv:2112.01527; Kerssies et al. 2025, arXiv:2503.19108.
    """

    by_cell = False

    def outputs(self, num_classes: int) -> int:
        """The class logits of a query."""
        return num_classes

    def classes(self, outputs_QHw: Tensor | np.ndarray) -> int:
        return int(outputs_QHw[0, 0, 0])

    def loss(self, outputs: Tensor, targets: InstanceTargets) -> Tensor:
        from whet.tasks.heads import query_loss

        return targets.by_layer(lambda layer: query_loss.loss(outputs, layer, targets.num_classes))

    def combine(self, outputs_BMQHw: Tensor, weight_M: Tensor) -> Tensor:
        import torch

        from whet.tasks.heads.combined_queries import combined

        _refuse_export()
        return torch.stack(
            [combined(outputs_MQHw, weight_M.flatten().to(outputs_MQHw)) for outputs_MQHw in outputs_BMQHw]
        )

    def undo(self, outputs_BQHw: Tensor, flipped: Sequence[int]) -> Tensor:
        from whet.models.query_outputs import logits_of, packed, unpacked

        _refuse_export()
        class_BQC, mask_BQhw = unpacked(outputs_BQHw, logits_of(outputs_BQHw))
        return packed(class_BQC, mask_BQhw.flip(tuple(flipped)))

    def detections(self, outputs_QHw: np.ndarray, size: tuple[int, int]) -> list[Detection]:
        return [detection(one) for one in queries(outputs_QHw, self.classes(outputs_QHw), size)]


def _refuse_export() -> None:
    """RunError while a graph is made: an assignment of queries to queries has no form there."""
    import torch

    if torch.compiler.is_exporting():
        raise RunError(
            "the queries of several views or networks are matched with each other, which no ONNX graph can do; export a run "
            "without tta, or one of the networks"
        )
