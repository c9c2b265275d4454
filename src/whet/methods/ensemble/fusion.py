"""One answer out of several: the mean of their probabilities, weighted where weights are given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from whet.core.batch import Predictor
from whet.models.ensemble import log_odds_mean


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
