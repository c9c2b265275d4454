"""The plan of a study, which is resolved, checked and saved before training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.duration import Duration
from whet.core.errors import RecipeError, unknown
from whet.core.recipe import Recipe
from whet.core.task import metric_named
from whet.studies.design import DESIGNS, ONE_AT_A_TIME, design_matrix
from whet.studies.executor import settled_threads
from whet.studies.factor import Factor, check_factors, own_methods, parse_factors, recipe_at
from whet.studies.manifest import agreed


@dataclass(frozen=True)
class Plan:
    """requested: the recipe as given; base: the recipe of the compared runs, which does not use the test samples and scales
    images by `smaller`. budget: for the whole study, or for each run. seeds: the number of seeds of the design; None for as many
    as fit. metric: "" until the data are read where none was asked for."""

    requested: Recipe
    base: Recipe
    factors: tuple[Factor, ...]
    design: str
    metric: str
    budget: Duration | None
    seeds: int | None
    jobs: int
    smaller: float = 1.0

    @property
    def seconds(self) -> float | None:
        """The total time in seconds, if the budget is a time."""
        return self.budget.seconds if self.budget is not None and self.budget.is_time else None

    @property
    def epochs(self) -> int | None:
        """The number of epochs of the recipe, if its budget is in epochs."""
        return round(self.requested.train.budget.value) if self.requested.train.budget.unit == "ep" else None

    @property
    def as_it_was(self) -> list[int]:
        """The level of every factor in the original recipe."""
        return [1 if factor.at(self.requested, True) == self.requested else -1 for factor in self.factors]


def make_plan(
    requested: Recipe, factors: Sequence[Any], *, design: str, budget: str | Duration | None, seeds: int | None,
    metric: str | None,
    jobs: int, ray: str | None = None, smaller: float = 1.0,
) -> Plan:  # fmt: skip
    """Make the plan. Raises RecipeError for incompatible factors and for designs that do not support this number of factors."""
    if design not in DESIGNS:
        raise RecipeError(unknown("design", design, DESIGNS))
    if metric is not None:
        metric_named(metric)
    chosen = tuple(parse_factors(factors) or own_methods(requested))
    check_factors(requested, chosen, design in ONE_AT_A_TIME)
    try:
        rows = design_matrix(design, len(chosen)).tolist()
    except ValueError as error:
        raise RecipeError(f"design '{design}': {error}") from None
    for levels in rows:
        recipe_at(requested, chosen, levels)  # raises an error if the methods are incompatible
    if not 0 < smaller <= 1:
        raise RecipeError(f"smaller: {smaller:g} is not a share of the image size; accepted: above 0, up to 1")
    if smaller < 1 and requested.medium != "image":
        raise RecipeError(f"smaller: {smaller:g} applies only to images; this recipe is for {requested.task}")
    base = (
        requested.smaller(smaller)
        .setting(torch_threads=settled_threads(requested, jobs, ray))
        .replace(data=requested.data.replace(evaluate_test=False))
    )
    limit = Duration.parse(budget) if budget is not None else None
    return Plan(requested, base, chosen, design, metric or "", limit, seeds, jobs, smaller)


def agreed_plan(folder: Path, plan: Plan, data: str) -> Plan:
    """Save the plan in the folder, or return the saved plan. The number of threads is kept when another machine resumes. data: the
    fingerprint of the data. Raises RunError with a diff if the folder contains a different study."""
    file = folder / "study.yaml"
    requested = {
        "design": plan.design,
        "metric": plan.metric,
        **({"smaller": plan.smaller} if plan.smaller < 1 else {}),
        "factors": [factor.name for factor in plan.factors],
        "torch_threads": plan.base.train.torch_threads,
        "data": data,
        "recipe": plan.requested.to_dict(),
    }
    kept = agreed(file, requested, "study", as_before=("torch_threads",))
    return Plan(**{**vars(plan), "base": plan.base.setting(torch_threads=kept["torch_threads"])})
