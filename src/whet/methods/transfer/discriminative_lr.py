from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Context
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.net import Net


class DiscriminativeLR(
    Method, Changes, family="transfer", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Train the pretrained backbone at a smaller learning rate than the new head.

    Use when: fine-tuning pretrained weights with a head that starts at random.
    Do not use when: training from scratch; or the rates should fall block by block (layerwise_lr).
    Source: Howard & Ruder 2018, arXiv:1801.06146 (discriminative fine-tuning), in the form of two groups of fast.ai.
    Deviates: two rates instead of one for every layer, which is layerwise_lr.
    Shapes: scales the learning rate of every backbone weight by `backbone`.
    """

    identity = {"backbone": 1.0}
    conflicts = frozenset({"layerwise_lr", "linear_probe"})

    backbone: Annotated[
        float,
        Field(gt=0, le=1, description="the backbone's rate as a share of the head's"),
        Search(0.01, 1.0, log=True),
    ] = 0.1

    def change(self, net: Net, context: Context) -> Net:
        if self.backbone < 1:
            net.scale_lr([name for name, _ in net.backbone.named_parameters(prefix="backbone")], self.backbone)
        return net
