from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils import parametrize

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.stages import Changes
from whet.models.net import Net

_EPSILON = 1e-5


class WeightStandardization(
    Method,
    Changes,
    family="architecture",
    tasks={"image-classification", "semantic-segmentation", "audio-classification"},
):
    """Standardize every filter of a convolution to mean zero and variance one.

    Use when: batches are too small for BatchNorm, above all with GroupNorm; training from scratch.
    Do not use when: fine-tuning pretrained weights, because it discards the scale of their filters.
    Source: Qiao et al. 2019, arXiv:1903.10520.
    Shapes: a filter w (inputs, h, w) -> (w - mean) / (standard deviation + 1e-5), for convolutions without a bias, which are
    followed by a norm. The saved model holds the standardized filters.
    """

    identity = None
    exceptions = {"identity": "an untouched filter does not have variance one"}
    order = 20
    conflicts = frozenset({"linear_probe"})

    def change(self, net: Net, context: Context) -> Net:
        layers = [m for m in net.backbone.modules() if isinstance(m, nn.Conv2d) and _is_normed(m)]
        if not layers:
            raise NoEffectError("the backbone has no convolution followed by a norm")
        for layer in layers:
            parametrize.register_parametrization(layer, "weight", _Standardized())
        return net


def _is_normed(layer: nn.Conv2d) -> bool:
    return layer.bias is None and layer.weight[0].numel() > 1


class _Standardized(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        centred = weight - weight.mean(dim=(1, 2, 3), keepdim=True)
        return centred / (centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt() + _EPSILON)
