from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from whet.core.batch import Predictor
from whet.core.method import Method
from whet.core.outputs import Outputs
from whet.core.stages import Fits, WrapsPredictor
from whet.core.targets import ClassTargets
from whet.core.task import Task
from whet.methods.ensemble.held_out import PRIOR_STD, lowers_held_out_loss
from whet.methods.ensemble.linear import ScaledLogits
from whet.methods.ensemble.log_loss import log_loss


class VectorScaling(
    Method,
    Fits,
    WrapsPredictor,
    family="ensemble",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Scale and shift the logit of each class by numbers fitted on validation data, so that confidences match the accuracy.

    Use when: some classes are overconfident and others are not, and each class has dozens of validation samples.
    Do not use when: validation samples are few. Use temperature_scaling, which fits one number and does not change the predicted
    classes.
    Source: Guo et al. 2017, arXiv:1706.04599.
    Deviates: a normal prior on scales (mean 1) and shifts (mean 0), both with standard deviation 0.5, regularizes the fit if
    samples are few. Logits stay unchanged unless the fit lowers the log-loss of held-out folds.
    Shapes: logits (B, K) -> scale_K * logits + shift_K (B, K); scales are in 0.05 to 20, shifts in -20 to 20.
    """

    identity = None
    exceptions = {"identity": "scales and shifts are fitted, not set"}
    order = 70
    conflicts = frozenset({"temperature_scaling"})

    def fit(self, outputs: Outputs) -> dict[str, Any]:
        if not len(outputs) or not lowers_held_out_loss(_scaling, outputs):
            return {}
        scale_K, shift_K = best_scaling(*outputs.whole())
        return {"scale": scale_K.tolist(), "shift": shift_K.tolist()}

    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        if not fitted:
            return predictor
        return ScaledLogits(predictor, fitted["scale"], fitted["shift"])


def _scaling(outputs: Outputs) -> Callable[[Tensor], Tensor]:
    scale_K, shift_K = (torch.from_numpy(found) for found in best_scaling(*outputs.whole()))
    return lambda others_MK: others_MK * scale_K.to(others_MK) + shift_K.to(others_MK)


def best_scaling(logits_NK: Tensor, targets: ClassTargets) -> tuple[np.ndarray, np.ndarray]:
    """The most probable scales and shifts given these samples (a convex problem); ones and zeros if there are none."""
    K = targets.num_classes
    start = np.concatenate([np.ones(K), np.zeros(K)])
    if not len(logits_NK):
        return start[:K], start[K:]
    logits, wanted = logits_NK.double(), targets.having(targets.probs_BK.double())

    @torch.enable_grad()
    def loss_and_gradient(values: np.ndarray) -> tuple[float, np.ndarray]:
        both = torch.tensor(values, requires_grad=True)
        prior = ((both - both.new_tensor(start)) / PRIOR_STD).square().sum() / 2
        loss = log_loss(logits * both[:K] + both[K:], wanted) + prior / len(logits)
        loss.backward()
        return loss.item(), both.grad.numpy()  # type: ignore[union-attr]

    bounds = [(0.05, 20.0)] * K + [(-20.0, 20.0)] * K
    options = {"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-8}
    found = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return found.x[:K], found.x[K:]
