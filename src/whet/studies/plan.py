"""What a study is of: settled, checked and written down before any training."""

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
    """asked: the recipe as given; base: the one whose runs are compared, which leaves the test samples alone and shows images at
    the share `smaller` of their size. budget: for all, or for each run. seeds: how often the design is run; None for as often as
    fits."""

    asked: Recipe
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
        """For everything, where the budget is a time."""
        return self.budget.seconds if self.budget is not None and self.budget.is_time else None

    @property
    def epochs(self) -> int | None:
        """How many epochs the recipe asks for, where it says so in epochs."""
        return round(self.asked.train.budget.value) if self.asked.train.budget.unit == "ep" else None

    @property
    def as_it_was(self) -> list[int]:
        """Where every factor stands in the recipe as given."""
        return [1 if factor.at(self.asked, True) == self.asked else -1 for factor in self.factors]


def make_plan(
    asked: Recipe, factors: Sequence[Any], *, design: str, budget: str | Duration | None, seeds: int | None, metric: str, jobs: int,
    ray: str | None = None, smaller: float = 1.0,
) -> Plan:  # fmt: skip
    """Refuses what cannot be studied: factors that cannot stand together, designs that cannot hold so many."""
    if design not in DESIGNS:
        raise RecipeError(unknown("design", design, DESIGNS))
    metric_named(metric)
    chosen = tuple(parse_factors(factors) or own_methods(asked))
    check_factors(asked, chosen, design in ONE_AT_A_TIME)
    try:
        rows = design_matrix(design, len(chosen)).tolist()
    except ValueError as error:
        raise RecipeError(f"design '{design}': {error}") from None
    for levels in rows:
        recipe_at(asked, chosen, levels)  # some recipe may refuse its methods
    if not 0 < smaller <= 1:
        raise RecipeError(f"smaller: {smaller:g} is no share of the images' size; accepted: above 0, up to 1")
    if smaller < 1 and asked.medium != "image":
        raise RecipeError(f"smaller: {smaller:g} is for images; this recipe is for {asked.task}")
    base = (
        asked.smaller(smaller)
        .setting(torch_threads=settled_threads(asked, jobs, ray))
        .replace(data=asked.data.replace(evaluate_test=False))
    )
    limit = Duration.parse(budget) if budget is not None else None
    return Plan(asked, base, chosen, design, metric, limit, seeds, jobs, smaller)


def agreed_plan(folder: Path, plan: Plan, data: str) -> Plan:
    """Write down what the study in this folder is of; or go on with what it began with. The threads stay as they were, whatever
    machine goes on. data: the fingerprint of the data. RunError where the folder holds a study of something else, with what
    differs."""
    file = folder / "study.yaml"
    asked = {
        "design": plan.design,
        "metric": plan.metric,
        **({"smaller": plan.smaller} if plan.smaller < 1 else {}),
        "factors": [factor.name for factor in plan.factors],
        "torch_threads": plan.base.train.torch_threads,
        "data": data,
        "recipe": plan.asked.to_dict(),
    }
    kept = agreed(file, asked, "study", as_before=("torch_threads",))
    return Plan(**{**vars(plan), "base": plan.base.setting(torch_threads=kept["torch_threads"])})
