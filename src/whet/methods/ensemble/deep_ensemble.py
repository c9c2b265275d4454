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
from whet.methods.ensemble.members import member_recipe


class DeepEnsemble(
    Method,
    UsesExternalModels,
    WrapsPredictor,
    family="ensemble",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Train the same recipe several times with different seeds and predict the mean of the probabilities.

    Use when: better predictions and calibrated confidences are worth several times the training and inference time.
    Do not use when: inference must be fast. Distill the ensemble into one network instead.
    Source: Lakshminarayanan et al. 2017, arXiv:1612.01474.
    Deviates: without adversarial training.
    Shapes: (B, M, K) logits -> log of the mean probabilities (B, K); for several labels per sample, the logits of the mean
    probability of each label; for masks, (B, M, K, h, w) -> (B, K, h, w), pixel by pixel. The members share a budget in minutes.
    A budget in epochs or steps applies to each member.
    """

    identity = {"members": 1}
    conflicts = frozenset({"hyper_ensemble", "stacking"})

    members: Annotated[int, Field(ge=1, le=20, description="number of networks, including this one"), Search(2, 5)] = 3

    def external_models(self, recipe: Recipe) -> list[str | Recipe]:
        return [member_recipe(recipe, self.name, number, self.members) for number in range(1, self.members)]

    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        return Combined(predictor, task) if self.members > 1 else predictor
