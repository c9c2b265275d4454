from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Progress
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import Scales, Watches
from whet.core.task import require_followed


class Plateau(
    Method,
    Watches,
    family="schedule",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Decrease the learning rate whenever the validation metric no longer improves.

    Use when: the length of training is not known in advance; together with early_stopping, whose patience should then be larger.
    Do not use when: another schedule already decreases the rate, or validation is noisy.
    Source: Senior et al. 2013, "An empirical study of learning rates in deep neural networks for speech recognition" (Newbob). As
    torch.optim.lr_scheduler.ReduceLROnPlateau.
    Shapes: a factor on the learning rate, multiplied with those of the schedules.
    """

    identity = {"gamma": 1.0}

    gamma: Annotated[float, Field(gt=0, le=1, description="factor at each decrease"), Search(0.1, 0.7, log=True)] = 0.1
    patience: Annotated[
        int,
        Field(ge=0, description="validations without improvement that are tolerated; the next one decreases the rate"),
        Search(1, 10),
    ] = 3
    metric: Annotated[
        Literal["score", "accuracy", "macro_f1", "log_loss"],
        Field(description="validation metric to monitor; score is the first metric of the task"),
    ] = "score"
    threshold: Annotated[float, Field(ge=0, description="minimum relative improvement that counts as a new best")] = (
        1e-4
    )
    least: Annotated[float, Field(ge=0, le=1, description="lower bound of the factor")] = 1e-3

    def start(self, net: Any, context: Context) -> _Falling:
        require_followed(context.task, self.metric, self.name)
        return _Falling(self)


class _Falling(Runtime, Scales):
    def __init__(self, method: Plateau) -> None:
        self._method = method
        self._sign = -1.0 if method.metric == "log_loss" else 1.0
        self._best: float | None = None
        self._since = 0
        self._factor = 1.0

    def factor(self, progress: Progress) -> float:
        return self._factor

    def after_validation(self, metrics: Mapping[str, float], weights: dict[str, Tensor], progress: Progress) -> None:
        method = self._method
        score = metrics[method.metric]
        if self._best is None or self._sign * score > self._sign * self._best * (1 + self._sign * method.threshold):
            self._best, self._since = score, 0
        else:
            self._since += 1
        if self._since > method.patience:
            self._factor, self._since = max(self._factor * method.gamma, method.least), 0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best, "since": self._since, "factor": self._factor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._best, self._since, self._factor = state["best"], state["since"], state["factor"]
