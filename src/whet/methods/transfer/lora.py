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
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Keep the pretrained weights and train a change of low rank to each, and the head.

    Use when: a large pretrained network, few samples, or little memory for the optimizer.
    Do not use when: training from scratch, or the network is small enough to fine-tune whole.
    Source: Hu et al. 2021, arXiv:2106.09685. Convolutions as in Hugging Face's peft: their weight read as a matrix.
    Deviates: every linear layer and ungrouped convolution of the backbone is changed, not the attention's projections only.
    Shapes: weight (O, I, ...) + alpha / rank * up (O, rank) @ down (rank, I ...); `up` starts at zero, so training starts from the
    pretrained network. The finished model holds plain weights with the change added in.
    """

    identity = None
    exceptions = {"identity": "a low-rank change is never the same as a trained network"}
    order = 45  # it freezes by name: after all that adds or renames weights
    conflicts = frozenset({"finetune", "freeze", "linear_probe", "bitfit", "adapter", "mixout"})

    rank: Annotated[
        int, Field(ge=1, description="rank of the change, at most that of the weight"), Search(2, 64, log=True)
    ] = 8
    alpha: Annotated[float, Field(gt=0, description="the change counts alpha / rank"), Search(1.0, 64.0, log=True)] = (
        8.0
    )

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
    """weight -> weight + alpha / rank * up @ down, as a matrix with a row an output."""

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
