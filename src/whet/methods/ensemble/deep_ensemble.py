from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from whet.core.batch import Predictor
from whet.core.method import Method
from whet.core.recipe import Recipe
from whet.core.search import Search
from whet.core.stages import UsesExternalModels, WrapsPredictor
from whet.core.task import Task
from whet.methods.ensemble.fusion import Combined
from whet.methods.ensemble.members import alone


class DeepEnsemble(
    Method,
    UsesExternalModels,
    WrapsPredictor,
    family="ensemble",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Train the same recipe several times with other seeds, and answer with the mean of their probabilities.

    Use when: the best answer and honest confidences are worth several times the training and the prediction.
    Do not use when: predictions must be fast: distill the ensemble into one network instead.
    Source: Lakshminarayanan et al. 2017, arXiv:1612.01474.
    Deviates: without adversarial training.
    Shapes: (B, M, K) logits -> log of the mean probabilities (B, K); logits, label by label, where several may be true.
    A budget in minutes is shared by the members; one in epochs or steps is each member's own.
    """

    identity = {"members": 1}
    conflicts = frozenset({"hyper_ensemble", "stacking"})

    members: Annotated[
        int, Field(ge=1, le=20, description="networks that answer, this one among them"), Search(2, 5)
    ] = 3

    def external_models(self, recipe: Recipe) -> list[str | Recipe]:
        return [alone(recipe, self.name, number, self.members) for number in range(1, self.members)]

    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        return Combined(predictor, task) if self.members > 1 else predictor
