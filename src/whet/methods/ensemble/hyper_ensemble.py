from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator

from whet.core.batch import Predictor
from whet.core.errors import RecipeError
from whet.core.method import Method
from whet.core.outputs import Outputs
from whet.core.recipe import Recipe
from whet.core.stages import Fits, Stage, UsesExternalModels, WrapsPredictor
from whet.core.task import Task
from whet.methods.ensemble.fusion import fit_weights, weighted
from whet.methods.ensemble.members import member_recipe


class HyperEnsemble(
    Method,
    UsesExternalModels,
    Fits,
    WrapsPredictor,
    family="ensemble",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Train the recipe with several values of one setting and predict the mean of their probabilities, weighted on validation

    data.
    Use when: you do not know the best learning rate or the right amount of regularization and training takes little time. One
    command replaces a search followed by a training with the best value.
    Do not use when: inference must be fast (search with `whet tune` instead), or there are only a few dozen validation samples.
    Source: Wenzel et al. 2020, arXiv:2006.13570 (hyper-deep ensembles).
    Deviates: the values are given instead of drawn, each with one seed. The weights are those on the simplex with the lowest
    log-loss instead of a greedy selection.
    Shapes: (B, M, K) log-probabilities, p_m their calibrated probabilities -> log of sum_m w_m p_m, w on the simplex, (B, K); for
    several labels per sample, the logits label by label. The members share a budget in minutes.
    """

    identity = {"factors": ()}
    conflicts = frozenset({"deep_ensemble", "stacking"})

    setting: Annotated[str, Field(description="setting to vary: METHOD.KEY of the recipe, or KEY of its optimizer")] = (
        "lr"
    )
    factors: Annotated[
        tuple[float, ...],
        Field(max_length=19, description="positive factors on the recipe's own value; each adds one network"),
    ] = (0.3, 3.0)

    @field_validator("factors")
    @classmethod
    def _above_zero(cls, factors: tuple[float, ...]) -> tuple[float, ...]:
        if any(factor <= 0 for factor in factors):
            raise ValueError("factors must be above zero")
        return factors

    def external_models(self, recipe: Recipe) -> list[str | Recipe]:
        if not self.factors:
            return []
        owner, _, key = self.setting.rpartition(".")
        found = [m for m in recipe.methods if (m.name == owner if owner else m.stage is Stage.OPTIMIZER)]
        if not found or key not in _numbers(found[0]):
            accepted = [f"{m.name}.{name}" for m in recipe.methods for name in _numbers(m)]
            raise RecipeError(
                f"{self.name}.setting = {self.setting!r} is not a number above zero; accepted: {', '.join(accepted)}"
            )
        own = found[0].settings_dict()[key]
        return [
            member_recipe(recipe, self.name, number, 1 + len(self.factors)).with_methods(
                found[0].replace(**{key: factor * own})
            )
            for number, factor in enumerate(self.factors, start=1)
        ]

    def fit(self, outputs: Outputs) -> dict[str, Any]:
        return fit_weights(*outputs.whole()) if len(outputs) else {}

    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        return weighted(predictor, fitted, task) if self.factors else predictor


def _numbers(method: Method) -> list[str]:
    return [
        key
        for key, value in method.settings_dict().items()
        if isinstance(value, int | float) and not isinstance(value, bool) and value != 0
    ]
