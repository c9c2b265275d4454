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
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Predict with a mean of weights of this training, adding each only if the validation accuracy does not fall (greedy soup).

    Use when: the learning rate stays large to the end, and there are some hundred validation samples.
    Do not use when: validation samples are few. The selection is then mostly random.
    Source: Wortsman et al. 2022, arXiv:2203.05482.
    Deviates: the candidates are the weights of one training with the best validation accuracy instead of the last weights of many
    trainings. BatchNorm statistics are averaged with the weights. Each mean is validated in this form, so a candidate whose
    statistics lower the accuracy is not added.
    Shapes: the mean replaces the weights at the end of training. Each candidate costs one pass over the validation samples.
    """

    identity = None
    exceptions = {"identity": "a soup of one candidate has the best validated weights, not the last ones"}
    conflicts = frozenset({"ema", "swa", "lawa", "snapshot", "early_stopping"})

    size: Annotated[int, Field(ge=1, description="maximum number of candidates, the best first"), Search(2, 16)] = 8

    def start(self, net: Net, context: Context) -> _BestWeights:
        return _BestWeights(self.size)

    def weights(self, weights: dict[str, Tensor], runtime: _BestWeights, final: bool) -> dict[str, Tensor]:
        return runtime.found[0][1] if final and runtime.found else weights

    def finalize(self, net: Net, runtime: _BestWeights, context: FinalizeContext) -> None:
        if not runtime.found:
            return
        (best, first), *others = runtime.found
        chosen = [first]
        for _, weights in others:
            score = context.validate(mean_of([*chosen, weights]))["score"]
            if score >= best:
                best, chosen = score, [*chosen, weights]
        net.load_state_dict(mean_of(chosen))


class _BestWeights(Runtime):
    """The weights with the best validation score, in descending order. Among equal scores the later one comes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.found: list[tuple[float, dict[str, Tensor]]] = []

    def after_validation(self, metrics: Mapping[str, float], weights: dict[str, Tensor], progress: Progress) -> None:
        better = [entry for entry in self.found if entry[0] > metrics["score"]]
        rest = self.found[len(better) :]
        if len(better) < self._size:
            self.found = [*better, (metrics["score"], stored(weights)), *rest][: self._size]

    def state_dict(self) -> dict[str, Any]:
        return {"found": self.found}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.found = state["found"]
