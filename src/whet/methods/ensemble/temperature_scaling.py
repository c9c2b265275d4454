from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from torch import Tensor

from whet.core.batch import Predictor
from whet.core.method import Method
from whet.core.stages import Fits, WrapsPredictor
from whet.core.targets import ClassTargets
from whet.core.task import Task
from whet.methods.ensemble.held_out import PRIOR_STD, lowers_held_out_loss
from whet.methods.ensemble.linear import Tempered
from whet.methods.ensemble.log_loss import log_loss


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

    def fit(self, logits_NK: Tensor, targets: ClassTargets) -> dict[str, Any]:
        kept = len(logits_NK) and lowers_held_out_loss(_scaled, logits_NK, targets)
        return {"temperature": best_temperature(logits_NK, targets) if kept else 1.0}

    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        temperature = float(fitted.get("temperature", 1.0))
        return Tempered(predictor, temperature)


def _scaled(logits_NK: Tensor, targets: ClassTargets, others_MK: Tensor) -> Tensor:
    return others_MK / best_temperature(logits_NK, targets)


def best_temperature(logits_NK: Tensor, targets: ClassTargets) -> float:
    """The most probable temperature between 0.05 and 20 given these samples; 1 if there are none."""
    if not len(logits_NK):
        return 1.0
    logits, wanted = logits_NK.double(), targets.having(targets.probs_BK.double())

    def loss(log_temperature: float) -> float:
        prior = (log_temperature / PRIOR_STD) ** 2 / 2
        return float(log_loss(logits / np.exp(log_temperature), wanted)) + prior / len(logits)

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
