"""The recipes of the external models that a recipe trains before or in addition to its own network."""

from __future__ import annotations

from whet.core.duration import Duration
from whet.core.recipe import Recipe
from whet.core.stages import Fits


def member_recipe(recipe: Recipe, method: str, number: int, members: int, shares: int = 1) -> Recipe:
    """The recipe of member `number` out of `members` (number 0 is the run itself), without `method` and without the methods that
    are fitted to predictions (these are fitted once, to the combined predictions). The member has its own seed. A budget in
    minutes is multiplied by shares / members."""
    found = recipe.without(*(m.name for m in recipe.methods if m.name == method or isinstance(m, Fits)))
    if recipe.train.budget.is_time:
        found = found.setting(budget=Duration(recipe.train.budget.seconds * shares / members, "s"))
    return found.setting(seed=recipe.train.seed + number)
