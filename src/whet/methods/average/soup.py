from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, FinalizeContext, Progress
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import ChoosesWeights, Finalizes, Watches
from whet.methods.average.mean import mean_of, stored
from whet.models.net import Net


class Soup(
    Method,
    Watches,
    ChoosesWeights,
    Finalizes,
    family="average",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Predict with a mean of weights of this training, each let in only if the validation accuracy does not fall (greedy soup).

    Use when: the learning rate stays large to the end, and there are some hundred validation samples.
    Do not use when: validation samples are few: the choice then follows chance.
    Source: Wortsman et al. 2022, arXiv:2203.05482.
    Deviates: the ingredients are the best validated weights of one training instead of the last ones of many. BatchNorm
    statistics are averaged with the weights; as each mean is measured as it would be used, one that they spoil is not taken.
    Shapes: the mean takes its place at the end; each ingredient then costs one pass over the validation samples.
    """

    identity = None
    exceptions = {"identity": "a soup of one is still the best of several validated weights, not the last"}
    conflicts = frozenset({"ema", "swa", "lawa", "snapshot", "early_stopping"})

    size: Annotated[int, Field(ge=1, description="the most ingredients tried, the best first"), Search(2, 16)] = 8

    def start(self, net: Net, context: Context) -> _Pantry:
        return _Pantry(self.size)

    def weights(self, weights: dict[str, Tensor], runtime: _Pantry, final: bool) -> dict[str, Tensor]:
        return runtime.found[0][1] if final and runtime.found else weights

    def finalize(self, net: Net, runtime: _Pantry, context: FinalizeContext) -> None:
        if not runtime.found:
            return
        (best, first), *others = runtime.found
        chosen = [first]
        for _, weights in others:
            accuracy = context.validate(mean_of([*chosen, weights]))["accuracy"]
            if accuracy >= best:
                best, chosen = accuracy, [*chosen, weights]
        net.load_state_dict(mean_of(chosen))


class _Pantry(Runtime):
    """The best validated weights with their accuracies, the best first; of equals the later first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.found: list[tuple[float, dict[str, Tensor]]] = []

    def after_validation(self, metrics: Mapping[str, float], weights: dict[str, Tensor], progress: Progress) -> None:
        better = [entry for entry in self.found if entry[0] > metrics["accuracy"]]
        rest = self.found[len(better) :]
        if len(better) < self._size:
            self.found = [*better, (metrics["accuracy"], stored(weights)), *rest][: self._size]

    def state_dict(self) -> dict[str, Any]:
        return {"found": self.found}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.found = state["found"]
