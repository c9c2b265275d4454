from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Context
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.net import Net


class DiscriminativeLR(
    Method,
    Changes,
    family="transfer",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Train the pretrained backbone with a smaller learning rate than the new head.

    Use when: fine-tuning pretrained weights with a randomly initialized head.
    Do not use when: training from scratch, or if the learning rate should decrease block by block (layerwise_lr).
    Source: Howard & Ruder 2018, arXiv:1801.06146 (discriminative fine-tuning), with two parameter groups as in fast.ai.
    Deviates: two learning rates instead of one for every layer, which is layerwise_lr.
    Shapes: multiplies the learning rate of every backbone weight by `backbone`.
    """

    identity = {"backbone": 1.0}
    conflicts = frozenset({"layerwise_lr", "linear_probe"})

    backbone: Annotated[
        float,
        Field(gt=0, le=1, description="learning rate of the backbone as a fraction of the head's"),
        Search(0.01, 1.0, log=True),
    ] = 0.1

    def change(self, net: Net, context: Context) -> Net:
        if self.backbone < 1:
            net.scale_lr([name for name, _ in net.backbone.named_parameters(prefix="backbone")], self.backbone)
        return net
