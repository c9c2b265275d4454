from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Predictor
from whet.core.method import Method
from whet.core.recipe import Recipe
from whet.core.search import Search
from whet.core.stages import Fits, UsesExternalModels, WrapsPredictor
from whet.core.targets import Targets
from whet.core.task import Task
from whet.methods.ensemble.fusion import RIDGE, fit_weights, minimise, temperatures, weighted
from whet.methods.ensemble.linear import LinearCombination
from whet.methods.ensemble.log_loss import log_loss


class Stacking(
    Method,
    UsesExternalModels,
    Fits,
    WrapsPredictor,
    family="ensemble",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Let finished runs, of other architectures too, answer beside this one, and learn on validation data how much each counts.

    Use when: you have trained several good models that err differently, and the best answer is worth the time of all.
    Do not use when: predictions must be fast; or validation samples are a few dozen (then how: mean).
    Source: Wolpert 1992, "Stacked generalization"; Breiman 1996, "Stacked regressions" (weights that are not negative).
    Deviates: the other runs see this run's painted image, resampled to their own size. The validation samples must not have been
    training samples of theirs: use the same split. Each model's confidence is first set right by a temperature of its own: one that
    learnt with mixup or softened targets is less sure than it could be, and would count for little beside a calibrated one.
    Shapes: (B, M, K) logits, p_m their calibrated probabilities -> mean: log of sum_m p_m / M; weighted: log of
    sum_m w_m p_m, w on the simplex; linear: sum_m a_m log p_m + b_k. (B, K)
    Where several classes may be true, p is that of each class by itself, and linear works on the logits.
    """

    identity = {"runs": ()}

    runs: Annotated[tuple[str, ...], Field(description="folders of finished runs with the same classes")] = ()
    how: Annotated[
        Literal["mean", "weighted", "linear"],
        Field(description="mean of the probabilities; their weighted mean; or a linear layer on their logarithms"),
        Search(choices=("mean", "weighted", "linear")),
    ] = "weighted"

    def external_models(self, recipe: Recipe) -> list[str | Recipe]:
        return list(self.runs)

    def fit(self, logits_NK: Tensor, targets: Targets) -> dict[str, Any]:
        if logits_NK.dim() == 2 or not len(logits_NK):
            return {}
        if self.how == "linear":
            return best_linear(logits_NK.double(), targets.having(targets.probs_BK.double()))
        if self.how == "mean":
            return {"temperatures": temperatures(logits_NK, targets)}
        return fit_weights(logits_NK, targets)

    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        if not self.runs:
            return predictor
        if "scales" not in fitted:
            return weighted(predictor, fitted, task)

        return LinearCombination(predictor, fitted["scales"], fitted["bias"])


def best_linear(outputs_NMK: Tensor, targets: Targets) -> dict[str, Any]:
    """A scale for each model and a bias for each class with the least log-loss, held near the mean of the logarithms."""
    M, K = outputs_NMK.shape[1:]
    scale_M = torch.full((M,), 1 / M, dtype=outputs_NMK.dtype, requires_grad=True)
    bias_K = torch.zeros(K, dtype=outputs_NMK.dtype, requires_grad=True)

    def loss() -> Tensor:
        logits_NK = torch.einsum("nmk,m->nk", outputs_NMK, scale_M) + bias_K
        apart = (scale_M - 1 / M).square().sum() + bias_K.square().sum()
        return log_loss(logits_NK, targets) + RIDGE * apart

    minimise([scale_M, bias_K], loss)
    return {"scales": scale_M.tolist(), "bias": bias_K.tolist()}
