"""The recipes of networks that are trained to predict beside a run's own, or before it."""

from __future__ import annotations

from whet.core.duration import Duration
from whet.core.recipe import Recipe
from whet.core.stages import Fits


def alone(recipe: Recipe, asking: str, number: int, members: int, shares: int = 1) -> Recipe:
    """The recipe of member `number` of so many, the run's own being 0: without the method that asks for it, and without what is
    fitted to answers, which is fitted once, to those of all together; with a seed of its own and its share of a budget in
    minutes, or so many shares."""
    found = recipe.without(*(m.name for m in recipe.methods if m.name == asking or isinstance(m, Fits)))
    if recipe.train.budget.is_time:
        found = found.setting(budget=Duration(recipe.train.budget.seconds * shares / members, "s"))
    return found.setting(seed=recipe.train.seed + number)
