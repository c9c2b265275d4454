from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from whet.core.method import Method
from whet.core.recipe import Recipe
from whet.core.stages import Guarded
from whet.methods.semi.rounds import FAMILY, supervised


class SupervisedGuard(
    Method,
    Guarded,
    family="semi",
    tasks={"image-classification", "text-classification", "audio-classification", "semantic-segmentation"},
):
    """Train the recipe also without its semi-supervised methods, and hand over the network that is better on validation samples.

    Use when: unlabelled samples are used. Semi-supervised methods often lose, most of all on foreign samples and texts.
    Do not use when: label_propagation, pseudo_label or noisy_student is used, which compare their own rounds; or validation
    samples are a handful.
    Source: Oliver et al. 2018, arXiv:1804.09170 (the supervised network as the contestant); Guo et al. 2020, "Safe Deep
    Semi-Supervised Learning for Unseen-Class Unlabeled Data". Deviates: a choice between two trained networks.
    Shapes: the supervised run has `share` of a budget in minutes. The network of the whole recipe predicts if its log-loss (of
    masks: its mean IoU) on validation samples is better by more than half a standard error of the paired difference.
    """

    exceptions = {"identity": "it has no strength; without a semi-supervised method it changes nothing"}
    conflicts = frozenset({"label_propagation", "noisy_student", "pseudo_label"})

    share: Annotated[float, Field(gt=0, lt=1, description="share of a budget in minutes for the supervised run")] = 0.5

    def predecessor(self, recipe: Recipe) -> Recipe | None:
        guarded = any(method.family == FAMILY and method.name != self.name for method in recipe.methods)
        if recipe.data.unlabelled is None or not guarded:
            return None
        return supervised(recipe, self.share)

    def following(self, run: str) -> Self:
        return self
