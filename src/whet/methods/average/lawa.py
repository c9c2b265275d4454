from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, FinalizeContext, Progress
from whet.core.duration import Duration
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import ChoosesWeights, Finalizes, Watches
from whet.methods.average.mean import is_due, mean_of, renew_statistics, stored
from whet.models.net import Net


class LAWA(
    Method,
    Watches,
    ChoosesWeights,
    Finalizes,
    family="average",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Predict with the mean of the weights of the last few epochs (latest weight averaging).

    Use when: training ends before it has converged, for example with a short budget, and memory suffices for several copies of
    the weights.
    Do not use when: the learning rate decreases to zero, or the training is so short that the mean would include the first
    epochs.
    Source: Kaddour 2022, arXiv:2209.14981.
    Shapes: validation during training uses the last weights. The mean replaces them at the end, when one pass over the training
    samples recomputes the BatchNorm statistics.
    """

    identity = {"latest": 1}
    conflicts = frozenset({"ema", "swa", "soup", "snapshot", "early_stopping"})

    latest: Annotated[int, Field(ge=1, description="number of copies of the weights in the mean"), Search(2, 10)] = 6
    every: Annotated[Duration, Field(description="time between two copies, counted back from the end")] = Duration(
        1, "ep"
    )

    def start(self, net: Net, context: Context) -> _Latest:
        return _Latest(net, self.latest, self.every)

    def weights(self, weights: dict[str, Tensor], runtime: _Latest, final: bool) -> dict[str, Tensor]:
        return mean_of(runtime.copies) if final and len(runtime.copies) > 1 else weights

    def finalize(self, net: Net, runtime: _Latest, context: FinalizeContext) -> None:
        if len(runtime.copies) > 1:
            with context.precision():
                renew_statistics(net, context.inputs())


class _Latest(Runtime):
    def __init__(self, net: Net, latest: int, every: Duration) -> None:
        self._net, self._latest, self._every = net, latest, every
        self.copies: list[dict[str, Tensor]] = []

    def after_step(self, progress: Progress) -> None:
        if is_due(progress, self._every):
            self.copies = [*self.copies, stored(self._net.state_dict())][-self._latest :]

    def state_dict(self) -> dict[str, Any]:
        return {"copies": self.copies}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.copies = state["copies"]
