from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Predictor
from whet.core.errors import RecipeError
from whet.core.mask_task import predicts_masks
from whet.core.method import Method
from whet.core.outputs import Outputs
from whet.core.recipe import Recipe
from whet.core.search import Search
from whet.core.stages import Fits, UsesExternalModels, WrapsPredictor
from whet.core.targets import ClassTargets
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
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Combine the predictions of this run with those of finished runs, with weights learned on validation data.

    Use when: you have trained several good models, also with other architectures, that make different errors, and a better
    prediction is worth the inference time of all of them.
    Do not use when: inference must be fast, or there are only a few dozen validation samples (then use how: mean).
    Source: Wolpert 1992, "Stacked generalization"; Breiman 1996, "Stacked regressions" (weights that are not negative).
    Deviates: the other runs receive the rendered image of this run, resampled to their own size. The validation samples must not
    be training samples of the other runs: use the same split. Each model is first calibrated with its own temperature, because a
    model trained with mixup or softened targets is underconfident and would get too small a weight next to a calibrated one.
    Shapes: (B, M, K) logits, p_m their calibrated probabilities -> mean: log of sum_m p_m / M; weighted: log of sum_m w_m p_m, w
    on the simplex; linear: sum_m a_m log p_m + b_k. (B, K) If samples may have several labels, p is the probability of each label
    and linear works on the logits. Of masks only the mean is taken, pixel by pixel.
    """

    identity = {"runs": ()}

    runs: Annotated[tuple[str, ...], Field(description="folders of finished runs with the same classes")] = ()
    how: Annotated[
        Literal["mean", "weighted", "linear"],
        Field(
            description="mean of the probabilities, weighted mean of the probabilities, or linear layer on the log-probabilities"
        ),
        Search(choices=("mean", "weighted", "linear")),
    ] = "weighted"

    def external_models(self, recipe: Recipe) -> list[str | Recipe]:
        if self.how != "mean" and predicts_masks(recipe.task):
            raise RecipeError(
                f"stacking.how = {self.how}: no weights are fitted to masks; accepted for {recipe.task}: mean"
            )
        return list(self.runs)

    def fit(self, outputs: Outputs) -> dict[str, Any]:
        if not len(outputs):
            return {}
        logits_NK, targets = outputs.whole()
        if logits_NK.dim() == 2:
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


def best_linear(outputs_NMK: Tensor, targets: ClassTargets) -> dict[str, Any]:
    """The scale of each model and the bias of each class with the lowest log-loss, regularized towards the mean of the
    log-probabilities."""
    M, K = outputs_NMK.shape[1:]
    scale_M = torch.full((M,), 1 / M, dtype=outputs_NMK.dtype, requires_grad=True)
    bias_K = torch.zeros(K, dtype=outputs_NMK.dtype, requires_grad=True)

    def loss() -> Tensor:
        logits_NK = torch.einsum("nmk,m->nk", outputs_NMK, scale_M) + bias_K
        penalty = (scale_M - 1 / M).square().sum() + bias_K.square().sum()
        return log_loss(logits_NK, targets) + RIDGE * penalty

    minimise([scale_M, bias_K], loss)
    return {"scales": scale_M.tolist(), "bias": bias_K.tolist()}
