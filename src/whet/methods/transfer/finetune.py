from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method, Search, Stage
from whet.models.net import Net


class Finetune(
    Method,
    stage=Stage.MODEL,
    family="transfer",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Train the weights of the pretrained network: all of them, or all but the blocks nearest the picture.

    The first blocks find edges and colours, which rarely need to change, and cost the most time, as their pictures are large.

    Use when: there are at least some dozens of samples a class.
    Do not use when: samples are so few that only a linear probe holds up.
    Source: Yosinski et al. 2014, arXiv:1411.1792.
    """

    identity = {"freeze": 0.0, "batch_norm": "update"}
    conflicts = frozenset({"linear_probe"})

    freeze: Annotated[
        float,
        Field(ge=0, lt=1, description="share of the backbone's blocks, from the picture on, that stay as they are"),
        Search(0.0, 0.7),
    ] = 0.0
    batch_norm: Annotated[
        Literal["update", "keep"],
        Field(description="new statistics from the new pictures, or those of the pre-training (for small batches)"),
        Search(choices=("update", "keep")),
    ] = "update"

    def change(self, net: Net, context: Context) -> Net:
        net.freeze_blocks(int(self.freeze * (len(net.blocks()) - 1)))
        if self.batch_norm == "update":
            return net
        norms = [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        if not norms:
            raise NoEffectError("batch_norm: keep, but the model has no BatchNorm layer")
        net.resting += norms
        return net
