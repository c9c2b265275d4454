"""The best linear layer for given features: a convex problem, solved to its optimum."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whet.core.targets import Targets

_PENALTIES = (1.0, 1e-1, 1e-2, 1e-3)  # tried in turn until a smaller one no longer helps
_ITERATIONS = 30  # near the optimum is near enough to judge by


def fit_linear(
    layer: nn.Linear,
    features_ND: Tensor,
    targets: Targets,
    l2: float,
    iterations: int = 200,
    weight_N: Tensor | None = None,
) -> None:
    """Set the layer to the minimum of mean cross-entropy + l2 / 2 * |weight|^2, by L-BFGS in float64. weight_N: how much each
    sample counts in the mean.

    Features are standardised for the solver only: the penalty applies to the weights of standardised features, so that it
    means the same whatever the scale of the features.
    """
    x = features_ND.detach().double()
    mean, std = x.mean(dim=0), x.std(dim=0).clamp(min=1e-6)
    x = (x - mean) / std
    wanted = targets.probs_BK.to(x.device).double()
    share_N = torch.ones(len(x), dtype=x.dtype, device=x.device) if weight_N is None else weight_N.to(x)
    share_N = share_N / share_N.sum()
    weight = torch.zeros((wanted.shape[1], x.shape[1]), dtype=torch.float64, device=x.device, requires_grad=True)
    bias = torch.zeros(wanted.shape[1], dtype=torch.float64, device=x.device, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=iterations, tolerance_grad=1e-7, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        solver.zero_grad()
        logits = F.linear(x, weight, bias)
        if targets.multi_label:
            loss_N = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(dim=1)
        else:
            loss_N = -(wanted * F.log_softmax(logits, dim=1)).sum(dim=1)
        loss = (share_N * loss_N).sum() + l2 / 2 * (weight**2).sum()
        loss.backward()
        return loss

    solver.step(closure)
    with torch.no_grad():
        layer.weight.copy_((weight / std).to(layer.weight))
        layer.bias.copy_((bias - (weight / std) @ mean).to(layer.bias))


def out_of_fold_probs(features_ND: Tensor, targets: Targets, fold_N: np.ndarray) -> np.ndarray:
    """The probabilities (N, K) that a linear classifier gives to samples it was not fitted on: each fold (0, 1, …) is answered
    by one fitted on the others, its penalty chosen by the log-loss of these answers."""
    folds = torch.from_numpy(fold_N)
    layer = torch.nn.utils.skip_init(nn.Linear, features_ND.shape[1], targets.num_classes)
    best_NK, best = torch.empty(targets.probs_BK.shape), -np.inf
    for l2 in _PENALTIES:
        log_probs_NK = torch.empty_like(best_NK)
        for fold in range(int(fold_N.max()) + 1):
            out_N = folds == fold
            fit_linear(layer, features_ND[~out_N], targets[~out_N], l2, _ITERATIONS)
            with torch.no_grad():
                log_probs_NK[out_N] = layer(features_ND[out_N]).log_softmax(dim=1)
        score = float((targets.probs_BK * log_probs_NK).sum())
        if score <= best:
            break
        best_NK, best = log_probs_NK, score
    return best_NK.double().exp().numpy()
