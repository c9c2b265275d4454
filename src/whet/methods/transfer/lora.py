from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import parametrize

from whet.core.batch import Context
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.methods.transfer.matrices import matrix_layers
from whet.models.net import Net


class LoRA(
    Method,
    Changes,
    family="transfer",
    name="lora",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Freeze the pretrained weights and train a low-rank update of each weight matrix, and the head.

    Use when: the pretrained network is large, samples are few, or there is little memory for the optimizer.
    Do not use when: training from scratch, or the network is small enough to fine-tune all weights.
    Source: Hu et al. 2021, arXiv:2106.09685. Convolutions as in Hugging Face's peft: the weight is treated as a matrix.
    Deviates: every linear layer and ungrouped convolution of the backbone is updated, not only the attention projections.
    Shapes: weight (O, I, ...) + alpha / rank * up (O, rank) @ down (rank, I ...). `up` is initialized to zero, so training starts
    from the pretrained network. The saved model holds plain weights with the update merged in.
    """

    identity = None
    exceptions = {"identity": "a low-rank update never equals full training"}
    order = 45  # freezes weights by name, so it runs after the methods that add or rename weights
    conflicts = frozenset({"finetune", "freeze", "linear_probe", "bitfit", "adapter", "mixout"})

    rank: Annotated[
        int, Field(ge=1, description="rank of the update, at most the rank of the weight"), Search(2, 64, log=True)
    ] = 8
    alpha: Annotated[
        float, Field(gt=0, description="the update is scaled by alpha / rank"), Search(1.0, 64.0, log=True)
    ] = 8.0

    def change(self, net: Net, context: Context) -> Net:
        for layer in matrix_layers(net):
            parametrize.register_parametrization(
                layer, "weight", LowRank(layer.weight, self.rank, self.alpha), unsafe=True
            )
        changes = [
            name for name, module in net.backbone.named_modules(prefix="backbone") if isinstance(module, LowRank)
        ]
        net.freeze_backbone(but=[f"{name}.{part}" for name in changes for part in ("down", "up")])
        return net


class LowRank(nn.Module):
    """weight -> weight + alpha / rank * up @ down, where the weight is a matrix with one row per output."""

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        outputs, inputs = len(weight), weight[0].numel()
        size = min(rank, outputs, inputs)
        self.scale = alpha / rank
        self.down = nn.Parameter(weight.new_empty(size, inputs))
        self.up = nn.Parameter(weight.new_zeros(outputs, size))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scale * (self.up @ self.down).view(weight.shape)
