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


def parse_factors(texts: Sequence[str | Method]) -> list[Factor]:
    """Of each: `mixup`, a Method, or `KEY=LOW:HIGH`; `KEY=A:B:C` is B and C, each against A."""
    return [factor for text in texts for factor in _parsed(text)]


def _parsed(text: str | Method) -> list[Factor]:
    if isinstance(text, Method):
        return [MethodFactor(text)]
    key, equals, levels = text.partition("=")
    if not equals:
        return [MethodFactor(parse_method(text.strip()))]
    low, *others = [level.strip() for level in levels.split(":")]
    if not others or not all((low, *others)) or len({low, *others}) <= len(others):
        raise RecipeError(f"factor '{text}': write KEY=LOW:HIGH with different values, as train.image_size=160:224")
    return [LevelFactor(key.strip(), low, high) for high in others]


def own_methods(recipe: Recipe) -> list[Factor]:
    """The methods of a recipe that it can be without: all but the optimizer."""
    return [MethodFactor(method) for method in recipe.methods if method.stage is not Stage.OPTIMIZER]


def check_factors(recipe: Recipe, factors: Sequence[Factor], one_at_a_time: bool) -> None:
    """Refuse factors that cannot vary as the design wants, before any work starts. one_at_a_time: each is compared with the recipe
    by itself, so that no two need to stand together."""
    names = [factor.name for factor in factors]
    for factor in factors:
        if names.count(factor.name) > 1:
            raise RecipeError(f"factor '{factor.name}' stands twice in one study; keep one")
        if isinstance(factor, LevelFactor) and (owner := factor.key.partition(".")[0]) in names:
            raise RecipeError(f"factor '{factor.name}' needs {owner}, which is a factor itself; study one of the two")
        if factor.at(recipe, True).hash == factor.at(recipe, False).hash:
            raise NoEffectError(f"factor '{factor.name}': what is trained is the same on both levels")
        if not any(method.stage is Stage.OPTIMIZER for method in factor.at(recipe, False).methods):
            raise RecipeError(
                f"factor '{factor.name}': without it the recipe has no optimizer; name another one than its own"
            )
    if one_at_a_time:
        return
    for a, b in combinations(factors, 2):
        if isinstance(a, LevelFactor) and isinstance(b, LevelFactor) and a.key == b.key:
            raise RecipeError(f"{a.key} has more than two levels; --design add compares each with the first")
        if isinstance(a, MethodFactor) and isinstance(b, MethodFactor):
            clash = b.name in a.method.conflicts or a.name in b.method.conflicts
            if clash or (a.method.stage is b.method.stage is Stage.OPTIMIZER):
                raise RecipeError(
                    f"factors '{a.name}' and '{b.name}' cannot both be on; study them apart, or with --design add"
                )


def recipe_at(recipe: Recipe, factors: Sequence[Factor], levels: Sequence[int]) -> Recipe:
    """The recipe with every factor at its level, -1 or +1; methods first, then settings, which may be those of methods."""
    for kind in (MethodFactor, LevelFactor):
        for factor, level in zip(factors, levels):
            if isinstance(factor, kind):
                recipe = factor.at(recipe, level > 0)
    return recipe
