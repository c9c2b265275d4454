from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.net import Net


class LayerwiseLr(
    Method,
    Changes,
    family="transfer",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Decrease the learning rate layer by layer from the head to the input.

    Use when: fine-tuning a deep pretrained network, above all a transformer.
    Do not use when: training from scratch.
    Source: Clark et al. 2020, arXiv:2003.10555 (ELECTRA); Bao et al. 2022, arXiv:2106.08254 (BEiT). With decay 0.385 (1 / 2.6) it
    equals the discriminative fine-tuning of Howard & Ruder 2018, arXiv:1801.06146 (ULMFiT).
    Shapes: multiplies the learning rate of the block d blocks before the head by decay^d.
    """

    identity = {"decay": 1.0}
    conflicts = frozenset({"linear_probe"})

    decay: Annotated[
        float,
        Field(gt=0, le=1, description="factor on the learning rate from one block to the previous block"),
        Search(0.35, 1.0),
    ] = 0.9

    def change(self, net: Net, context: Context) -> Net:
        blocks = net.blocks()
        if len(blocks) < 2:
            raise NoEffectError("the model has only one block")
        if self.decay < 1:
            for depth, names in enumerate(reversed(blocks)):
                net.scale_lr(names, self.decay**depth)
        return net
