from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Progress
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import ChoosesWeights, Watches
from whet.core.task import require_followed


class EarlyStopping(
    Method,
    Watches,
    ChoosesWeights,
    family="regularize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Stop training when the validation metric no longer improves, and restore the best weights.

    Use when: training is long, the learning rate is constant, and overfitting is likely.
    Do not use when: a schedule such as cosine ends at a planned time. Its best weights are the last ones.
    Source: Prechelt 1998, "Early stopping, but when?".
    """

    identity = None
    exceptions = {"identity": "with any patience, it restores the best weights at the end"}
    order = 90

    patience: Annotated[
        int, Field(ge=1, description="validations without improvement before training stops"), Search(2, 20)
    ] = 5
    metric: Annotated[
        Literal["score", "accuracy", "macro_f1", "log_loss"],
        Field(description="validation metric to monitor; score is the first metric of the task"),
    ] = "score"

    def start(self, net: Any, context: Context) -> _Best:
        require_followed(context.task, self.metric, self.name)
        return _Best(self.patience, self.metric)

    def weights(self, weights: dict[str, Tensor], runtime: _Best, final: bool) -> dict[str, Tensor]:
        return runtime.best if final and runtime.best else weights


class _Best(Runtime):
    def __init__(self, patience: int, metric: str) -> None:
        self._patience = patience
        self._metric = metric
        self._sign = -1.0 if metric == "log_loss" else 1.0
        self._score: float | None = None
        self._since = 0
        self.best: dict[str, Tensor] = {}

    @property
    def stop(self) -> bool:  # type: ignore[override]
        return self._since >= self._patience

    def after_validation(self, metrics: Mapping[str, float], weights: dict[str, Tensor], progress: Progress) -> None:
        score = self._sign * metrics[self._metric]
        if self._score is None or score > self._score:
            self._score, self._since = score, 0
            self.best = {name: tensor.detach().clone() for name, tensor in weights.items()}
        else:
            self._since += 1

    def state_dict(self) -> dict[str, Any]:
        return {"score": self._score, "since": self._since, "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._score, self._since, self.best = state["score"], state["since"], state["best"]
