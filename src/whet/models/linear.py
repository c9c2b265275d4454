"""Fits the optimal linear layer for given features, a convex problem."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np
import scipy.sparse
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from whet.core.targets import ClassTargets
from whet.core.task import ClassTask
from whet.data.split import deal_folds

# Tried in turn until a smaller one is no better. Sparse features are not standardised; their squares sum to about one.
_PENALTIES, _SPARSE_PENALTIES = 10.0 ** np.arange(0, -4.5, -0.5), 10.0 ** np.arange(-3, -7, -1)
_ITERATIONS = 30  # sufficient to compare penalties
_WORTH = 0.998  # of the log-loss: a smaller penalty must lower the log-loss by more, because it gives larger weights


@runtime_checkable
class SparseFeatures(Protocol):
    """A backbone with many features, most of which are zero."""

    def sparse(self, x: Tensor) -> Tensor:
        """Its features (B, D) as a sparse COO tensor; dense features of all training samples would not fit into memory."""
        ...


def feature_rows(features_ND: Tensor, rows_M: Tensor) -> Tensor:
    """Select rows of features, dense (M, D)."""
    chosen = features_ND.index_select(0, rows_M)
    return chosen.to_dense() if chosen.is_sparse else chosen


def feature_array(features_ND: Tensor) -> Any:
    """A float64 array, or a CSR matrix for sparse features."""
    if not features_ND.is_sparse:
        return features_ND.double().numpy()
    coo = features_ND.coalesce()
    return scipy.sparse.csr_matrix((coo.values().double().numpy(), coo.indices().numpy()), shape=tuple(coo.shape))


def fit_linear(
    layer: nn.Linear,
    features_ND: Tensor,
    targets: ClassTargets,
    l2: float,
    iterations: int = 1000,
    weight_N: Tensor | None = None,
) -> None:
    """Set the layer to the minimum of mean cross-entropy + l2 / 2 * |weight|^2, by L-BFGS in float64. weight_N: sample weights.

    Dense features are standardised for the solver only: the penalty applies to the weights of standardised features, so that its
    effect does not depend on the scale of the features. Sparse features are not standardised.
    """
    problem = _Problem.of(features_ND, targets, weight_N)
    problem.put(problem.solved(l2, iterations), layer)


def fit_best_linear(
    layer: nn.Linear, features_ND: Tensor, targets: ClassTargets, fold_N: np.ndarray, weight_N: Tensor | None = None
) -> float:
    """`fit_linear` with the penalty that has the lowest out-of-fold loss (folds 0, 1, …); returns that penalty. This avoids
    overfitting for features that separate the training samples perfectly."""
    l2, _ = _best_out_of_fold(features_ND, targets, fold_N, weight_N)
    fit_linear(layer, features_ND, targets, l2, weight_N=weight_N)
    return l2


def units_of(features_ND: Tensor, group_N: np.ndarray | None = None) -> np.ndarray:
    """A unit number per sample: samples with equal features, and samples of one group (a name, empty for none), share it."""
    unit_N = _alike(features_ND.detach().cpu())
    if group_N is None:
        return unit_N
    names, of_N = np.unique(group_N, return_inverse=True)
    return np.where(names[of_N] == "", unit_N, unit_N.max() + 1 + of_N)


def folds_of(
    features_ND: Tensor, targets: ClassTargets, folds: int = 5, group_N: np.ndarray | None = None
) -> np.ndarray:
    """A fold (0 … folds - 1) for each sample: the samples of a class are assigned in turn. Units of `units_of` stay in one fold."""
    return deal_folds(targets.probs_BK.argmax(dim=1).cpu().numpy(), units_of(features_ND, group_N), folds)


def _alike(features_ND: Tensor) -> np.ndarray:
    """A number for each sample; samples with equal features share it."""
    if features_ND.is_sparse:
        rows = feature_array(features_ND).astype(np.float32)
        texts = [rows.indices[a:b].tobytes() + rows.data[a:b].tobytes() for a, b in pairwise(rows.indptr)]
        return np.unique(np.array(texts, dtype=object), return_inverse=True)[1].reshape(-1)
    rounded_ND = np.round((features_ND / features_ND.std().clamp(min=1e-12)).numpy(), 4)
    return np.unique(rounded_ND, axis=0, return_inverse=True)[1].reshape(-1)


def out_of_fold_probs(
    features_ND: Tensor, targets: ClassTargets, fold_N: np.ndarray, learn_N: np.ndarray | None = None
) -> np.ndarray:
    """Out-of-fold probabilities (N, K) of a linear classifier: each fold (0, 1, …) is predicted by one fitted on the others, with
    the penalty chosen by the log-loss of these predictions. learn_N: which samples to fit on (bool), where not all."""
    return _best_out_of_fold(features_ND, targets, fold_N, learn_N=learn_N)[1]


def _best_out_of_fold(
    features_ND: Tensor,
    targets: ClassTargets,
    fold_N: np.ndarray,
    weight_N: Tensor | None = None,
    learn_N: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """The penalty with the lowest out-of-fold loss, and the probabilities (N, K) for it. The samples of a class that occurs in only
    one fold do not count, because it cannot be learned from the others. With one fold alone (all samples have the same features),
    the largest penalty and equal probabilities."""
    penalties = _SPARSE_PENALTIES if features_ND.is_sparse else _PENALTIES
    outside = [np.flatnonzero(fold_N == fold) for fold in np.unique(fold_N)]
    if len(outside) == 1:
        return float(max(penalties)), np.full(targets.probs_BK.shape, 1 / targets.num_classes)
    whole = _Problem.of(features_ND, targets, weight_N, standardised=False)
    counts_N, parts = whole.share_N.copy(), list[_Problem]()
    for out in outside:
        rest = np.setdiff1d(np.arange(len(fold_N)), out)
        unseen_K = whole.wanted_NK[rest].sum(axis=0) == 0
        counts_N[out[whole.wanted_NK[out][:, unseen_K].sum(axis=1) > 0]] = 0.0
        parts.append(_Problem.of_rows(whole, rest if learn_N is None else rest[learn_N[rest]]))
    best_l2, best_NK, least = float(penalties[0]), np.full(targets.probs_BK.shape, 1 / targets.num_classes), np.inf
    starts: list[np.ndarray | None] = [None] * len(outside)
    for l2 in penalties:
        logits_NK = np.empty(targets.probs_BK.shape)
        for number, (out, part) in enumerate(zip(outside, parts)):
            starts[number] = values = part.solved(l2, _ITERATIONS, starts[number])
            logits_NK[out] = part.logits(values, whole.x[out])
        loss = float(counts_N @ whole.loss_N(logits_NK))
        if loss > _WORTH * least:
            break
        best_l2, best_NK, least = float(l2), whole.probs(logits_NK), loss
    return best_l2, best_NK


@dataclass(frozen=True)
class _Problem:
    """x: the features, an array or a CSR matrix (N, D). The unknowns are the weights for (x - mean) / std."""

    x: Any
    wanted_NK: np.ndarray
    share_N: np.ndarray
    mean_D: np.ndarray | float
    std_D: np.ndarray | float
    task: ClassTask

    @classmethod
    def of(
        cls, features_ND: Tensor, targets: ClassTargets, weight_N: Tensor | None, *, standardised: bool = True
    ) -> _Problem:
        x = feature_array(features_ND.detach().cpu())
        weights = np.ones(x.shape[0]) if weight_N is None else weight_N.detach().cpu().double().numpy()
        made = cls(x, targets.probs_BK.cpu().double().numpy(), weights / weights.sum(), 0.0, 1.0, targets.task)
        return made._standardised() if standardised else made

    @classmethod
    def of_rows(cls, whole: _Problem, rows: np.ndarray) -> _Problem:
        share_N = whole.share_N[rows]
        made = cls(whole.x[rows], whole.wanted_NK[rows], share_N / share_N.sum(), whole.mean_D, whole.std_D, whole.task)
        return made._standardised()

    def _standardised(self) -> _Problem:
        if scipy.sparse.issparse(self.x):
            return self
        mean_D, std_D = self.x.mean(axis=0), np.maximum(self.x.std(axis=0, ddof=1 if len(self.x) > 1 else 0), 1e-6)
        return _Problem(self.x, self.wanted_NK, self.share_N, mean_D, std_D, self.task)

    def solved(self, l2: float, iterations: int, start: np.ndarray | None = None) -> np.ndarray:
        """The weights for the standardised features with the bias as the last row: (D + 1, K)."""
        K, sparse = self.wanted_NK.shape[1], scipy.sparse.issparse(self.x)
        # A feature that is zero for all samples keeps weight 0.
        used = np.ones(self.x.shape[1] + 1, dtype=bool)
        if sparse:
            used[:-1] = np.diff(self.x.tocsc().indptr) > 0
        x = self.x[:, used[:-1]] if sparse else (self.x - self.mean_D) / self.std_D
        x_T, D = (x.T.tocsr() if sparse else x.T), x.shape[1]

        def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
            values = flat.reshape(D + 1, K)
            logits_NK = x @ values[:D] + values[D]
            error_NK = self.share_N[:, None] * self._error(logits_NK)
            loss = float(self.share_N @ self.loss_N(logits_NK)) + l2 / 2 * float((values[:D] ** 2).sum())
            gradient = np.concatenate([x_T @ error_NK + l2 * values[:D], error_NK.sum(axis=0)[None]])
            return loss, gradient.ravel()

        values = np.zeros((self.x.shape[1] + 1, K)) if start is None else start.copy()
        options = {"maxiter": iterations, "ftol": 1e-11, "gtol": 1e-7}
        found = minimize(loss_and_gradient, values[used].ravel(), jac=True, method="L-BFGS-B", options=options)
        values[used] = found.x.reshape(D + 1, K)
        return values

    def logits(self, values: np.ndarray, x: Any) -> np.ndarray:
        """The logits for other features, which need not be standardised."""
        weight_DK, bias_K = self._plain(values)
        return x @ weight_DK + bias_K

    def put(self, values: np.ndarray, layer: nn.Linear) -> None:
        weight_DK, bias_K = self._plain(values)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight_DK.T.copy()))
            layer.bias.copy_(torch.from_numpy(bias_K))

    def _plain(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weight_DK = values[:-1] / np.reshape(self.std_D, (-1, 1))
        return weight_DK, values[-1] - np.broadcast_to(self.mean_D, weight_DK.shape[:1]) @ weight_DK

    def probs(self, logits_NK: np.ndarray) -> np.ndarray:
        return self.task.probabilities(logits_NK)

    def loss_N(self, logits_NK: np.ndarray) -> np.ndarray:
        if not self.task.exclusive:
            return (np.logaddexp(0, logits_NK) - self.wanted_NK * logits_NK).sum(axis=1)
        largest_N1 = logits_NK.max(axis=1, keepdims=True)
        log_sum_N = np.log(np.exp(logits_NK - largest_N1).sum(axis=1)) + largest_N1[:, 0]
        return self.wanted_NK.sum(axis=1) * log_sum_N - (self.wanted_NK * logits_NK).sum(axis=1)

    def _error(self, logits_NK: np.ndarray) -> np.ndarray:
        """The gradient of the loss with respect to the logits."""
        whole = self.wanted_NK.sum(axis=1, keepdims=True) if self.task.exclusive else 1.0
        return whole * self.probs(logits_NK) - self.wanted_NK
