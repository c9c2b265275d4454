from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from torch import Tensor

from whet.core.batch import Predictor
from whet.core.method import Method
from whet.core.outputs import Outputs
from whet.core.stages import Fits, WrapsPredictor
from whet.core.task import Task
from whet.methods.ensemble.held_out import PRIOR_STD, lowers_held_out_loss
from whet.methods.ensemble.linear import Tempered
from whet.methods.ensemble.log_loss import losses


class TemperatureScaling(
    Method,
    Fits,
    WrapsPredictor,
    family="ensemble",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Divide the logits by one number, fitted on validation data, so that confidences match the accuracy.

    Use when: confidences are shown or thresholded. The predicted classes do not change.
    Do not use when: there are only a few dozen validation samples. The temperature then stays near 1.
    Source: Guo et al. 2017, arXiv:1706.04599.
    Deviates: the maximum a posteriori estimate under a normal prior on log T (mean 0, standard deviation 0.5) instead of the
    maximum likelihood estimate, which is 0 if the few validation samples are all predicted correctly. T is 1 unless it lowers the
    log-loss of held-out folds.
    Shapes: logits (B, K) -> logits / T (B, K).
    """

    identity = None
    exceptions = {"identity": "the temperature is fitted, not set"}
    order = 70
    conflicts = frozenset({"vector_scaling"})

    def fit(self, outputs: Outputs) -> dict[str, Any]:
        kept = len(outputs) and lowers_held_out_loss(_scaling, outputs)
        return {"temperature": best_temperature(outputs) if kept else 1.0}

    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        temperature = float(fitted.get("temperature", 1.0))
        return Tempered(predictor, temperature)


def _scaling(outputs: Outputs) -> Callable[[Tensor], Tensor]:
    temperature = best_temperature(outputs)
    return lambda others_MK: others_MK / temperature


def best_temperature(outputs: Outputs) -> float:
    """The most probable temperature between 0.05 and 20 given these samples; 1 if there are none. It takes some thirty passes."""
    if not len(outputs):
        return 1.0
    exact = outputs.through(Tensor.double)

    def loss(log_temperature: float) -> float:
        prior = (log_temperature / PRIOR_STD) ** 2 / 2
        scaled = exact.through(lambda logits: logits / np.exp(log_temperature))
        return float(losses(scaled).mean()) + prior / len(outputs)

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
