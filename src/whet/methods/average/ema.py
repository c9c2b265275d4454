from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import ChoosesWeights, Watches
from whet.methods.average.moving_average import MovingAverage


class EMA(
    Method,
    Watches,
    ChoosesWeights,
    family="average",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Predict with an exponential moving average of the weights instead of the last weights.

    Use when: in almost every training. It costs little and smooths the last steps.
    Do not use when: training is a few dozen steps.
    Source: Polyak & Juditsky 1992; as used in Tarvainen & Valpola 2017, arXiv:1703.01780.
    Deviates: the decay grows during training, min(decay, (1 + t) / (10 + t)), so that early weights are soon forgotten. BatchNorm
    statistics are averaged too.
    """

    identity = {"decay": 0.0}
    conflicts = frozenset({"swa", "lawa", "soup", "snapshot"})

    decay: Annotated[float, Field(ge=0, lt=1, description="decay of the average per step"), Search(0.9, 0.9999)] = 0.999

    def start(self, net: nn.Module, context: Context) -> MovingAverage:
        return MovingAverage(net, self.decay)

    def weights(self, weights: dict[str, Tensor], runtime: MovingAverage, final: bool) -> dict[str, Tensor]:
        return runtime.average if self.decay > 0 else weights
