"""One answer out of several: the mean of their probabilities, weighted where weights are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from whet.core.batch import Predictor
from whet.core.targets import Targets
from whet.methods.ensemble.log_loss import log_loss
from whet.methods.ensemble.temperature_scaling import best_temperature
from whet.models.ensemble import log_odds_mean

RIDGE = 1e-3  # keeps the fit where validation samples are few: towards the plain mean
_ITERATIONS = 200


def fused(predictor: Predictor, weights: Sequence[float] | None = None, multi_label: bool = False) -> Predictor:
    """What gives log-probabilities (B, M, K) -> what gives the log of their mean (B, K); logits on either side where several
    classes may be true. An answer (B, K) stays as it is."""
    mean = log_odds_mean if multi_label else log_mean

    def answer(x_BCHW: Tensor) -> Tensor:
        logs = predictor(x_BCHW)
        return logs if logs.dim() == 2 else mean(logs, weights)

    return answer


def log_mean(log_BMK: Tensor, weights: Sequence[float] | None = None) -> Tensor:
    """log(sum_m w_m exp(log_m)), (B, K); all weigh alike where none are given."""
    M = log_BMK.shape[1]
    w_M = log_BMK.new_tensor(weights if weights is not None else [1 / M] * M)
    return torch.logsumexp(log_BMK + w_M.clamp(min=1e-30).log()[:, None], dim=1)


def temperatures(logits_NMK: Tensor, targets: Targets) -> list[float]:
    """Each model's own, with the least log-loss."""
    return [best_temperature(logits_NMK[:, m].double(), targets) for m in range(logits_NMK.shape[1])]


def fit_weights(logits_NMK: Tensor, targets: Targets) -> dict[str, Any]:
    """For `weighted`: each model's temperature, and how much it then counts. Nothing where there is one model, or no sample."""
    if logits_NMK.dim() == 2 or not len(logits_NMK):
        return {}
    found, several = temperatures(logits_NMK, targets), targets.multi_label
    weights = best_weights(calibrated(logits_NMK.double(), found, several), targets.probs_BK.double(), several)
    return {"temperatures": found, "weights": weights}


def weighted(predictor: Predictor, fitted: Mapping[str, Any], multi_label: bool = False) -> Predictor:
    """`fused`, every model's confidence first set right by its temperature."""

    def side_by_side(x_BCHW: Tensor) -> Tensor:
        return calibrated(predictor(x_BCHW), fitted.get("temperatures"), multi_label)

    return fused(side_by_side, fitted.get("weights"), multi_label)


def calibrated(logs_BMK: Tensor, temperatures_M: Sequence[float] | None, multi_label: bool) -> Tensor:
    """Each model's answers by its temperature; as they are where none were fitted, or where a model answers alone (B, K)."""
    if temperatures_M is None or logs_BMK.dim() == 2:
        return logs_BMK
    scaled_BMK = logs_BMK / logs_BMK.new_tensor(temperatures_M)[:, None]
    return scaled_BMK if multi_label else scaled_BMK.log_softmax(dim=2)


def best_weights(log_NMK: Tensor, probs_NK: Tensor, multi_label: bool = False) -> list[float]:
    """The weights, none negative and with sum 1, with which the mean of the probabilities has the least log-loss."""
    free_M = torch.zeros(log_NMK.shape[1], dtype=log_NMK.dtype, requires_grad=True)

    def loss() -> Tensor:
        ridge = RIDGE * free_M.square().sum()
        if multi_label:
            return log_loss(log_odds_mean(log_NMK, free_M.softmax(dim=0)), Targets(probs_NK, multi_label)) + ridge
        mixed_NK = torch.logsumexp(log_NMK + free_M.log_softmax(dim=0)[:, None], dim=1)
        return -(probs_NK * mixed_NK).sum(dim=1).mean() + ridge

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
