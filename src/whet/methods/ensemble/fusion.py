"""Combines the outputs of several models: the mean of their probabilities, weighted if weights are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from whet.core.batch import Predictor
from whet.core.outputs import Outputs
from whet.core.targets import ClassTargets
from whet.core.task import Task
from whet.methods.ensemble.log_loss import log_loss
from whet.methods.ensemble.temperature_scaling import best_temperature
from whet.models.on_outputs import OnOutputs

RIDGE = 1e-3  # pulls the fit towards the plain mean if validation samples are few
_ITERATIONS = 200


class Combined(OnOutputs):
    """Wraps a predictor whose outputs are those of several models, (B, M, K) or (B, M, K, h, w). Returns one output for the mean of
    their probabilities, (B, K) or (B, K, h, w). If temperatures are given, each model is calibrated first. The output of one model
    is returned unchanged."""

    def __init__(
        self, predictor: Predictor, task: Task, weights: Sequence[float] | None = None,
        temperatures: Sequence[float] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(predictor)
        self.task, self.weights, self.temperatures = task, weights, temperatures

    def change(self, outputs: Tensor) -> Tensor:
        outputs = calibrated(outputs, self.temperatures)
        return outputs if outputs.dim() in (2, 4) else self.task.combine(outputs, self.weights)


def temperatures(logits_NMK: Tensor, targets: ClassTargets) -> list[float]:
    """The temperature of each model that minimizes its log-loss."""
    return [best_temperature(Outputs.of(logits_NMK[:, m], targets)) for m in range(logits_NMK.shape[1])]


def fit_weights(logits_NMK: Tensor, targets: ClassTargets) -> dict[str, Any]:
    """The temperature and the weight of each model, for `weighted`. Empty if there is only one model or no sample."""
    if logits_NMK.dim() == 2 or not len(logits_NMK):
        return {}
    found = temperatures(logits_NMK, targets)
    weights = best_weights(calibrated(logits_NMK.double(), found), targets.having(targets.probs_BK.double()))
    return {"temperatures": found, "weights": weights}


def weighted(predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Combined:
    """A `Combined` predictor with the result of `fit_weights`."""
    return Combined(predictor, task, fitted.get("weights"), fitted.get("temperatures"))


def calibrated(outputs_BMK: Tensor, temperatures_M: Sequence[float] | None) -> Tensor:
    """Divides the outputs of each model by its temperature. Returns them unchanged if there are no temperatures or only one model
    (B, K)."""
    if temperatures_M is None or outputs_BMK.dim() == 2:
        return outputs_BMK
    return outputs_BMK / outputs_BMK.new_tensor(temperatures_M)[:, None]


def best_weights(outputs_NMK: Tensor, targets: ClassTargets) -> list[float]:
    """The non-negative weights with sum 1 for which the mean of the probabilities has the lowest log-loss."""
    free_M = torch.zeros(outputs_NMK.shape[1], dtype=outputs_NMK.dtype, requires_grad=True)

    def loss() -> Tensor:
        combined_NK = targets.task.combine(outputs_NMK, free_M.softmax(dim=0))
        return log_loss(combined_NK, targets) + RIDGE * free_M.square().sum()

    minimise([free_M], loss)
    return free_M.detach().softmax(dim=0).tolist()


def minimise(parameters: list[Tensor], loss: Any) -> None:
    solver = torch.optim.LBFGS(parameters, max_iter=_ITERATIONS, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        value = loss()
        value.backward()
        return value

    with torch.enable_grad():
        solver.step(closure)
