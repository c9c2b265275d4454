from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context, Loss, Outcome
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes, WrapsLoss
from whet.models.net import Net, new_head


class Head(
    Method,
    Changes,
    WrapsLoss,
    family="transfer",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Replace the linear head on the backbone's pooled features with another kind of head.

    Use when: mlp: the backbone stays frozen and the classes are not linearly separable in its features; cosine: there are many
    classes, they are imbalanced or have few samples each, and features differ in norm; gem: the object that determines the class
    is a small part of the image; multi_sample_dropout: fine-tuning overfits and ordinary dropout slows training down.
    Do not use when: the backbone is fine-tuned on plenty of samples. A linear head then performs as well.
    Source: mlp: Rumelhart, Hinton, Williams 1986; cosine: Gidaris & Komodakis 2018, arXiv:1804.09458; gem: Radenović et al. 2018,
    arXiv:1711.02512; multi_sample_dropout: Inoue 2019, arXiv:1905.09788.
    Deviates: gem replaces the pooling layer inside the backbone and clamps negative features to zero.
    Shapes: features (B, D) -> mlp: linear(relu(linear(x))); cosine: scale * cos(x, weight of the class), the scale trained, (B,
    K); gem: the mean over positions of x^p, to the power 1 / p, p trained from 3; multi_sample_dropout: the mean of the losses
    (B,) over `samples` dropout masks of the features under one linear layer.
    """

    identity = {"form": "linear"}
    order = 10
    conflicts = frozenset({"linear_probe_then_finetune"})

    form: Annotated[
        Literal["linear", "mlp", "cosine", "gem", "multi_sample_dropout"],
        Field(description="kind of head on the features"),
        Search(choices=("linear", "mlp", "cosine", "gem", "multi_sample_dropout")),
    ] = "mlp"
    hidden: Annotated[int, Field(ge=1, description="width of the hidden layer of mlp"), Search(64, 2048, log=True)] = (
        512
    )
    scale: Annotated[float, Field(gt=0, description="initial scale of cosine"), Search(5.0, 40.0, log=True)] = 10.0
    drop: Annotated[
        float, Field(ge=0, lt=1, description="fraction of features that multi_sample_dropout drops"), Search(0.1, 0.7)
    ] = 0.5
    samples: Annotated[
        int, Field(ge=1, description="number of dropout masks of multi_sample_dropout"), Search(2, 16)
    ] = 8

    def change(self, net: Net, context: Context) -> Net:
        classes = net.spec.outputs
        if self.form == "linear":
            return net
        if self.form == "mlp":
            net.head = nn.Sequential(nn.Linear(net.width, self.hidden), nn.ReLU(), new_head(self.hidden, classes))
        elif self.form == "cosine":
            net.head = Cosine(net.width, classes, self.scale)
        elif self.form == "multi_sample_dropout":
            net.head = nn.Sequential(nn.Dropout(self.drop), new_head(net.width, classes))
        else:
            net.backbone.set_submodule(_pooling(net), GeM())
        net.built_with(self)
        return net

    def wrap_loss(self, loss: Loss, net: Net, context: Context) -> Loss:
        if self.form != "multi_sample_dropout":
            return loss

        def mean_over_masks(outcome: Outcome) -> Tensor:
            total_B = loss(outcome)
            for _ in range(self.samples - 1):
                assert outcome.features_BD is not None
                with outcome.precision():
                    again_BK = net.head(outcome.features_BD).float()
                total_B = total_B + loss(outcome.with_logits(again_BK))
            return total_B / self.samples

        return mean_over_masks


def _pooling(net: Net) -> str:
    """The name of the backbone's last global pooling layer."""
    kinds = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
    found = [
        name
        for name, module in net.backbone.named_modules()
        if isinstance(module, kinds) and module.output_size in (1, (1, 1))
    ]
    if not found:
        raise NoEffectError(f"{net.spec.architecture} has no global pooling layer that gem could replace")
    return found[-1]


class GeM(nn.Module):
    """Generalized mean over all positions, (B, D, H, W) -> (B, D, 1, 1). It is the mean at p = 1 and approaches the maximum as p
    grows."""

    def __init__(self, p: float = 3.0) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))

    def forward(self, x_BDHW: Tensor) -> Tensor:
        # In float32, because powers in bfloat16 are inaccurate. Values are divided by the maximum to avoid overflow.
        x = x_BDHW.float().clamp(min=1e-6)
        largest = x.detach().amax(dim=(2, 3), keepdim=True)
        mean = (x / largest).pow(self.p).mean(dim=(2, 3), keepdim=True)
        return (largest * mean.pow(1 / self.p)).to(x_BDHW.dtype)


class Cosine(nn.Linear):
    """Features (B, D) -> scale * cosine similarity with the weight vector of each class, (B, K)."""

    def __init__(self, features: int, classes: int, scale: float) -> None:
        super().__init__(features, classes, bias=False)
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x_BD: Tensor) -> Tensor:
        return self.scale * F.linear(F.normalize(x_BD, dim=1), F.normalize(self.weight, dim=1))
