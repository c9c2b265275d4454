"""The best linear layer for given features: a convex problem, solved to its optimum."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whet.core.targets import Targets
from whet.data.split import deal_folds

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
        loss_N = _loss_N(F.linear(x, weight, bias), wanted, targets.multi_label)
        loss = (share_N * loss_N).sum() + l2 / 2 * (weight**2).sum()
        loss.backward()
        return loss

    solver.step(closure)
    with torch.no_grad():
        layer.weight.copy_((weight / std).to(layer.weight))
        layer.bias.copy_((bias - (weight / std) @ mean).to(layer.bias))


def fit_best_linear(
    layer: nn.Linear, features_ND: Tensor, targets: Targets, fold_N: np.ndarray, weight_N: Tensor | None = None
) -> float:
    """`fit_linear` with the penalty that answers best for samples it was not fitted on (folds 0, 1, …); that penalty. Features that
    tell the training samples apart altogether are given a penalty that still holds for new ones."""
    l2, _ = _best_out_of_fold(features_ND, targets, fold_N, weight_N)
    fit_linear(layer, features_ND, targets, l2, weight_N=weight_N)
    return l2


def units_of(features_ND: Tensor, group_N: np.ndarray | None = None) -> np.ndarray:
    """A number for each thing: samples that look the same, and samples of one group (a name, empty for none), bear the same."""
    rounded_ND = np.round((features_ND / features_ND.std().clamp(min=1e-12)).cpu().numpy(), 4)
    unit_N = np.unique(rounded_ND, axis=0, return_inverse=True)[1].reshape(-1)
    if group_N is None:
        return unit_N
    names, of_N = np.unique(group_N, return_inverse=True)
    return np.where(names[of_N] == "", unit_N, unit_N.max() + 1 + of_N)


def folds_of(features_ND: Tensor, targets: Targets, folds: int = 5, group_N: np.ndarray | None = None) -> np.ndarray:
    """A fold (0 … folds - 1) for each sample: the samples of a class take turns. What `units_of` joins goes into one fold."""
    return deal_folds(targets.probs_BK.argmax(dim=1).cpu().numpy(), units_of(features_ND, group_N), folds)


def out_of_fold_probs(
    features_ND: Tensor, targets: Targets, fold_N: np.ndarray, learn_N: np.ndarray | None = None
) -> np.ndarray:
    """The probabilities (N, K) that a linear classifier gives to samples it was not fitted on: each fold (0, 1, …) is answered
    by one fitted on the others, its penalty chosen by the log-loss of these answers. learn_N: which samples are fitted on (bool),
    where not all are."""
    logits_NK = _best_out_of_fold(features_ND, targets, fold_N, learn_N=learn_N)[1].double().cpu()
    return (logits_NK.sigmoid() if targets.multi_label else logits_NK.softmax(dim=1)).numpy()


def _best_out_of_fold(
    features_ND: Tensor,
    targets: Targets,
    fold_N: np.ndarray,
    weight_N: Tensor | None = None,
    learn_N: np.ndarray | None = None,
) -> tuple[float, Tensor]:
    """The penalty of the least out-of-fold loss, and the logits (N, K) that it gives. A class that only one fold holds cannot be
    learnt from the others; its samples do not count."""
    probs_NK, folds = targets.probs_BK.to(features_ND), torch.from_numpy(fold_N).to(features_ND.device)
    counts_N = torch.ones(len(folds)).to(features_ND) if weight_N is None else weight_N.to(features_ND)
    outside = [folds == fold for fold in range(int(fold_N.max()) + 1)]
    for out_N in outside:
        unseen_K = probs_NK[~out_N].sum(dim=0) == 0
        counts_N = torch.where(out_N & (probs_NK[:, unseen_K].sum(dim=1) > 0), 0.0, counts_N)
    layer = torch.nn.utils.skip_init(nn.Linear, features_ND.shape[1], targets.num_classes, device=features_ND.device)
    best_NK, best_l2, least = torch.empty_like(probs_NK), _PENALTIES[0], np.inf
    for l2 in _PENALTIES:
        logits_NK = torch.empty_like(probs_NK)
        for out_N in outside:
            in_N = ~out_N if learn_N is None else ~out_N & torch.from_numpy(learn_N).to(out_N.device)
            weights = None if weight_N is None else weight_N.to(features_ND)[in_N]
            fit_linear(layer, features_ND[in_N], targets[in_N.cpu()], l2, _ITERATIONS, weights)
            with torch.no_grad():
                logits_NK[out_N] = layer(features_ND[out_N])
        loss = float((counts_N * _loss_N(logits_NK, probs_NK, targets.multi_label)).sum())
        if loss >= least:
            break
        best_NK, best_l2, least = logits_NK, l2, loss
    return best_l2, best_NK


def _loss_N(logits_NK: Tensor, probs_NK: Tensor, multi_label: bool) -> Tensor:
    if multi_label:
        return F.binary_cross_entropy_with_logits(logits_NK, probs_NK, reduction="none").sum(dim=1)
    return -(probs_NK * logits_NK.log_softmax(dim=1)).sum(dim=1)
