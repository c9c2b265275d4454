"""Factors of a study: methods that are on or off, and settings at two levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

from whet import recipes
from whet.core.errors import NoEffectError, RecipeError
from whet.core.method import Method
from whet.core.recipe import Recipe, parse_method
from whet.core.stages import Quantizes, Stage


@dataclass(frozen=True)
class MethodFactor:
    """One or several methods, off or on. A method of the recipe keeps its settings when on."""

    methods: tuple[Method, ...]
    title: str = ""  # replaces the methods' names

    @property
    def name(self) -> str:
        return self.title or " + ".join(method.name for method in self.methods)

    def at(self, recipe: Recipe, high: bool) -> Recipe:
        if high:
            return recipe.with_methods(*(method for method in self.methods if method.name not in recipe))
        return recipe.without(*(method.name for method in self.methods if method.name in recipe))


@dataclass(frozen=True)
class LevelFactor:
    """A setting at two levels: train.image_size=160:224, mixup.alpha=0.2:0.8, model.architecture=resnet9:vgg16."""

    key: str
    low: str
    high: str

    @property
    def name(self) -> str:
        return f"{self.key} {self.low} → {self.high}"

    def at(self, recipe: Recipe, high: bool) -> Recipe:
        return recipes.change(recipe, settings=(f"{self.key}={self.high if high else self.low}",))


Factor = MethodFactor | LevelFactor


def parse_factors(texts: Sequence[str | Method | Factor]) -> list[Factor]:
    """Parse factors: `mixup`, a Method, `rotate+shear` (both on or both off), or `KEY=LOW:HIGH`. `KEY=A:B:C` compares B and C with
    A. Factor objects are returned unchanged."""
    return [factor for text in texts for factor in _parsed(text)]


def _parsed(text: str | Method | Factor) -> list[Factor]:
    if isinstance(text, MethodFactor | LevelFactor):
        return [text]
    if isinstance(text, Method):
        return [MethodFactor((text,))]
    key, equals, levels = text.partition("=")
    if not equals:
        return [MethodFactor(tuple(parse_method(name.strip()) for name in text.split("+")))]
    low, *others = [level.strip() for level in levels.split(":")]
    if not others or not all((low, *others)) or len({low, *others}) <= len(others):
        raise RecipeError(
            f"factor '{text}': write KEY=LOW:HIGH with different values, such as train.image_size=160:224"
        )
    return [LevelFactor(key.strip(), low, high) for high in others]


def own_methods(recipe: Recipe) -> list[Factor]:
    """All methods of a recipe except the optimizer, and those that act when the run is exported."""
    return [
        MethodFactor((method,))
        for method in recipe.methods
        if method.stage is not Stage.OPTIMIZER and not isinstance(method, Quantizes)
    ]


def check_factors(recipe: Recipe, factors: Sequence[Factor], one_at_a_time: bool) -> None:
    """Raise an error for factors that cannot vary in the design. one_at_a_time: each factor is compared with the recipe separately,
    so no two of them need to be compatible."""
    names = [name for factor in factors for name in _varied(factor)]
    if (twice := next((name for name in names if names.count(name) > 1), None)) is not None:
        raise RecipeError(f"factor '{twice}' is given twice; give it once")
    for factor in factors:
        if isinstance(factor, LevelFactor) and (owner := factor.key.partition(".")[0]) in names:
            raise RecipeError(f"factor '{factor.name}' needs {owner}, which is also a factor; study only one of them")
        if factor.at(recipe, True).hash == factor.at(recipe, False).hash:
            raise NoEffectError(f"factor '{factor.name}': training is identical at both levels")
        if _at_export(factor.at(recipe, True)) != _at_export(factor.at(recipe, False)):
            raise NoEffectError(
                f"factor '{factor.name}' acts when a run is exported, so runs cannot show what it costs; use whet compress RUN"
            )
        if not any(method.stage is Stage.OPTIMIZER for method in factor.at(recipe, False).methods):
            raise RecipeError(
                f"factor '{factor.name}': without it the recipe has no optimizer; name a different optimizer than the recipe's own"
            )
    if one_at_a_time:
        return
    for a, b in combinations(factors, 2):
        if isinstance(a, LevelFactor) and isinstance(b, LevelFactor) and a.key == b.key:
            raise RecipeError(f"{a.key} has more than two levels; --design add compares each with the first")
        if any(_clash(one, other) for one, other in product(_methods(a), _methods(b))):
            raise RecipeError(
                f"factors '{a.name}' and '{b.name}' cannot both be on; study them separately, or with --design add"
            )


def _at_export(recipe: Recipe) -> list[Method]:
    return [method for method in recipe.methods if isinstance(method, Quantizes)]


def _methods(factor: Factor) -> tuple[Method, ...]:
    return factor.methods if isinstance(factor, MethodFactor) else ()


def _varied(factor: Factor) -> list[str]:
    """The names that no other factor may vary: those of its methods, or its own key."""
    return [method.name for method in _methods(factor)] or [factor.name]


def _clash(a: Method, b: Method) -> bool:
    return b.name in a.conflicts or a.name in b.conflicts or (a.stage is b.stage is Stage.OPTIMIZER)


def recipe_at(recipe: Recipe, factors: Sequence[Factor], levels: Sequence[int]) -> Recipe:
    """The recipe with every factor at its level, -1 or +1. Methods are applied before settings, which may belong to methods."""
    for kind in (MethodFactor, LevelFactor):
        for factor, level in zip(factors, levels, strict=True):
            if isinstance(factor, kind):
                recipe = factor.at(recipe, level > 0)
    return recipe
