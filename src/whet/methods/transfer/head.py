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
    """Put another head than a linear layer on the backbone's mean features.

    Use when: mlp: the backbone stays frozen and the classes are not linear in its features; cosine: classes are many, uneven or
    have few samples each, and features differ in length; gem: what tells the classes apart is a small part of the image;
    multi_sample_dropout: fine-tuning overfits and ordinary dropout makes training long.
    Do not use when: the backbone is fine-tuned on plenty of samples: a linear head then does as well.
    Source: mlp: Rumelhart, Hinton, Williams 1986; cosine: Gidaris & Komodakis 2018, arXiv:1804.09458; gem: Radenović et al. 2018,
    arXiv:1711.02512; multi_sample_dropout: Inoue 2019, arXiv:1905.09788.
    Deviates: gem takes the place of the pooling inside the backbone, and negative features count as none.
    Shapes: features (B, D) -> mlp: linear(relu(linear(x))); cosine: scale * cos(x, weight of the class), the scale trained, (B, K);
    gem: mean over places of x^p, to the power 1 / p, p trained from 3; multi_sample_dropout: the mean of the losses (B,) of so many
    dropped features under one linear layer.
    """

    identity = {"form": "linear"}
    order = 10
    conflicts = frozenset({"linear_probe_then_finetune"})

    form: Annotated[
        Literal["linear", "mlp", "cosine", "gem", "multi_sample_dropout"],
        Field(description="what stands behind the features"),
        Search(choices=("linear", "mlp", "cosine", "gem", "multi_sample_dropout")),
    ] = "mlp"
    hidden: Annotated[int, Field(ge=1, description="width of the hidden layer of mlp"), Search(64, 2048, log=True)] = (
        512
    )
    scale: Annotated[float, Field(gt=0, description="of cosine, at the start"), Search(5.0, 40.0, log=True)] = 10.0
    drop: Annotated[
        float, Field(ge=0, lt=1, description="share of features dropped by multi_sample_dropout"), Search(0.1, 0.7)
    ] = 0.5
    samples: Annotated[int, Field(ge=1, description="draws of multi_sample_dropout"), Search(2, 16)] = 8

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

        def mean_over_draws(outcome: Outcome) -> Tensor:
            total_B = loss(outcome)
            for _ in range(self.samples - 1):
                assert outcome.features_BD is not None
                with outcome.precision():
                    again_BK = net.head(outcome.features_BD).float()
                total_B = total_B + loss(outcome.with_logits(again_BK))
            return total_B / self.samples

        return mean_over_draws


def _pooling(net: Net) -> str:
    """The name of the backbone's last pooling of all places."""
    kinds = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
    found = [
        name
        for name, module in net.backbone.named_modules()
        if isinstance(module, kinds) and module.output_size in (1, (1, 1))
    ]
    if not found:
        raise NoEffectError(f"{net.spec.architecture} has no pooling over all places that gem could replace")
    return found[-1]


class GeM(nn.Module):
    """Generalised mean over all places, (B, D, H, W) -> (B, D, 1, 1): the mean at p = 1, the largest value as p grows."""

    def __init__(self, p: float = 3.0) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))

    def forward(self, x_BDHW: Tensor) -> Tensor:
        # In float32, as a power of a bfloat16 number is a rough one; of shares of the largest, so that none overflows.
        x = x_BDHW.float().clamp(min=1e-6)
        largest = x.detach().amax(dim=(2, 3), keepdim=True)
        mean = (x / largest).pow(self.p).mean(dim=(2, 3), keepdim=True)
        return (largest * mean.pow(1 / self.p)).to(x_BDHW.dtype)


class Cosine(nn.Linear):
    """Features (B, D) -> scale * cosine of the angle to the weight of each class, (B, K)."""

    def __init__(self, features: int, classes: int, scale: float) -> None:
        super().__init__(features, classes, bias=False)
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x_BD: Tensor) -> Tensor:
        return self.scale * F.linear(F.normalize(x_BD, dim=1), F.normalize(self.weight, dim=1))
