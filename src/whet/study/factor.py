"""What a study can turn on and off, or set to one of two levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from whet import recipes
from whet.core.errors import NoEffectError, RecipeError
from whet.core.method import Method, Stage
from whet.core.recipe import Recipe, parse_method


@dataclass(frozen=True)
class MethodFactor:
    """A method, off or on. Where the recipe has it already, on is as it stands there."""

    method: Method

    @property
    def name(self) -> str:
        return self.method.name

    def at(self, recipe: Recipe, high: bool) -> Recipe:
        if high:
            return recipe if self.name in recipe else recipe.with_methods(self.method)
        return recipe.without(self.name) if self.name in recipe else recipe


@dataclass(frozen=True)
class LevelFactor:
    """A setting at one of two values: train.image_size=160:224, mixup.alpha=0.2:0.8, model.architecture=resnet9:vgg16."""

    key: str
    low: str
    high: str

    @property
    def name(self) -> str:
        return f"{self.key} {self.low} → {self.high}"

    def at(self, recipe: Recipe, high: bool) -> Recipe:
        return recipes.change(recipe, settings=(f"{self.key}={self.high if high else self.low}",))


Factor = MethodFactor | LevelFactor


def parse_factor(text: str | Method) -> Factor:
    """`mixup`, a Method, or `KEY=LOW:HIGH`."""
    if isinstance(text, Method):
        return MethodFactor(text)
    key, equals, levels = text.partition("=")
    if not equals:
        return MethodFactor(parse_method(text))
    low, colon, high = levels.partition(":")
    if not colon or not low or not high or low == high:
        raise RecipeError(f"factor '{text}': write KEY=LOW:HIGH with two different values, as train.image_size=160:224")
    return LevelFactor(key.strip(), low.strip(), high.strip())


def own_methods(recipe: Recipe) -> list[Factor]:
    """The methods of a recipe that it can be without: all but the optimizer."""
    return [MethodFactor(method) for method in recipe.methods if method.stage is not Stage.OPTIMIZER]


def check_factors(recipe: Recipe, factors: Sequence[Factor]) -> None:
    """Refuse factors that cannot vary one by one, before any work starts."""
    names = [factor.name for factor in factors]
    for factor in factors:
        if names.count(factor.name) > 1:
            raise RecipeError(f"factor '{factor.name}' stands twice in one study; keep one")
        if isinstance(factor, LevelFactor) and (owner := factor.key.partition(".")[0]) in names:
            raise RecipeError(f"factor '{factor.name}' needs {owner}, which is a factor itself; study one of the two")
        if factor.at(recipe, True) == factor.at(recipe, False):
            raise NoEffectError(f"factor '{factor.name}': the recipe is the same on both levels")
    for a, b in combinations(factors, 2):
        if {a.name, b.name} <= set(names) and isinstance(a, MethodFactor) and isinstance(b, MethodFactor):
            clash = b.name in a.method.conflicts or a.name in b.method.conflicts
            if clash or (a.method.stage is b.method.stage is Stage.OPTIMIZER):
                raise RecipeError(f"factors '{a.name}' and '{b.name}' cannot both be on; study them apart")


def recipe_at(recipe: Recipe, factors: Sequence[Factor], levels: Sequence[int]) -> Recipe:
    """The recipe with every factor at its level, -1 or +1; methods first, then settings, which may be those of methods."""
    for kind in (MethodFactor, LevelFactor):
        for factor, level in zip(factors, levels):
            if isinstance(factor, kind):
                recipe = factor.at(recipe, level > 0)
    return recipe
