from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from torch import Tensor

from whet.core.batch import Predictor
from whet.core.method import Method, Stage
from whet.core.targets import Targets
from whet.methods.ensemble.log_loss import log_loss


class TemperatureScaling(Method, stage=Stage.PREDICT, family="ensemble",
                         tasks={"image-classification", "text-classification", "audio-classification"}):  # fmt: skip
    """Divide the logits by one number, fitted on validation data, so that confidences mean what they say.

    Use when: confidences are shown or thresholds set; it changes no decision.
    Do not use when: validation samples are a few dozen.
    Source: Guo et al. 2017, arXiv:1706.04599.
    Shapes: logits (B, K) -> logits / T (B, K).
    """

    identity = None
    exceptions = {"identity": "the temperature is fitted, not set"}
    order = 70
    conflicts = frozenset({"vector_scaling"})

    def fit(self, logits_NK: Tensor, targets: Targets) -> dict[str, Any]:
        return {"temperature": best_temperature(logits_NK, targets)}

    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], multi_label: bool = False) -> Predictor:
        temperature = float(fitted.get("temperature", 1.0))
        return lambda x_BCHW: predictor(x_BCHW) / temperature


def best_temperature(logits_NK: Tensor, targets: Targets) -> float:
    """The temperature between 0.05 and 20 with the least log-loss on these samples; 1 where there are none."""
    if not len(logits_NK):
        return 1.0
    logits, wanted = logits_NK.double(), Targets(targets.probs_BK.double(), targets.multi_label)

    def loss(log_temperature: float) -> float:
        return float(log_loss(logits / np.exp(log_temperature), wanted))

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
