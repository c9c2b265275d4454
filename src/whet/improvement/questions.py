"""What `whet improve` studies and tunes in a recipe: techniques, single or grouped, and hyperparameters."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from whet.core.language import english
from whet.core.method import Method
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.stages import Draws, Stage
from whet.core.view import ImageView
from whet.studies.factor import MethodFactor
from whet.studies.study import Study

_DECIDE_NOTHING = {"temperature_scaling", "vector_scaling"}
_PARTS = {english("geometry"): {"warp_B33", "flow_BNN2"}, english("colour"): {"colour_B37", "tones"}}  # of an ImageView
_MOST_VALUES = (
    3  # methods whose settings are tuned, in addition to the optimizer; a small search space is searched faster
)
_SMALLER = {True: 0.6, False: 0.4}  # share of the recipe's image size, for studies of single techniques or of groups


def techniques(recipe: Recipe) -> list[Method]:
    """The methods to study: not the optimizer, the schedule or the transfer method, and no method that changes no predicted
    class."""
    built_on = {Stage.OPTIMIZER, Stage.SCHEDULE}
    return [
        method
        for method in recipe.methods
        if not built_on & set(method.stages()) and method.family != "transfer" and method.name not in _DECIDE_NOTHING
    ]


def factors(recipe: Recipe, *, alone: bool) -> list[MethodFactor]:
    """The factors of a study: each technique, or groups of similar techniques."""
    if alone:
        return [MethodFactor((method,)) for method in techniques(recipe)]
    groups: dict[str, list[Method]] = {}
    for method in techniques(recipe):
        groups.setdefault(_kind(method, recipe.medium), []).append(method)
    return [MethodFactor(tuple(g), title if len(g) > 1 else "") for title, g in groups.items()]


def _kind(method: Method, medium: str) -> str:
    """The group of a method: for image augmentations, the part of the view that it changes; else its family."""
    if medium != "image" or not isinstance(method, Draws):
        return english("augmentation") if method.family == "augment" else method.family
    blank, index_B = ImageView.whole(np.full((16, 2), 96), (96, 96)), np.arange(16)
    drawn = method.draw(blank, Rng(0).batch(method.name, 0, index_B))
    changed = {f.name for f in fields(ImageView) if not _same(getattr(drawn, f.name), getattr(blank, f.name))}
    return next((kind for kind, parts in _PARTS.items() if changed and changed <= parts), english("other augmentation"))


def _same(a: Any, b: Any) -> bool:
    return np.array_equal(a, b) if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) else a == b


def share_of_size(recipe: Recipe, *, alone: bool) -> float:
    """The share of the image size for the short runs of a study. Recipes that train at the images' own size ("auto") are not
    reduced."""
    return 1.0 if recipe.train.image_size == "auto" else _SMALLER[alone]


def worth_tuning(recipe: Recipe, studied: Study | None) -> list[str]:
    """The methods to tune: the optimizer, and the methods with the largest positive effects that declare a search space."""
    optimizers = [method.name for method in recipe.methods if method.stage is Stage.OPTIMIZER]
    names = [] if studied is None else list(studied.effects.query("verdict == 'helps'")["factor"])  # best first
    found = [name for name in names if name in recipe and recipe.method(name).search_space()]
    return [name for name in optimizers if recipe.method(name).search_space()] + found[:_MOST_VALUES]
