"""The recipes that `whet improve` adds where unlabelled samples are given."""

from __future__ import annotations

from collections.abc import Mapping

from whet.core.recipe import Recipe, parse_method
from whet.core.registry import registry
from whet.core.stages import Guarded
from whet.core.task import Task

SPREADING = "label_spreading"
_TRAINED = (
    "label_propagation",
    "pseudo_label",
    "adamatch",
    "softmatch",
    "fixmatch",
)  # the first of those that apply to the task
_MOST = 3
_GUARD = "supervised_guard"


def spreading(obvious: Mapping[str, Recipe], task: Task) -> dict[str, Recipe]:
    """The first one-pass model with label spreading in place of its logistic regression; none where there is no such model."""
    for recipe in obvious.values():
        if "logistic_regression" in recipe and _applies(SPREADING, recipe, task):
            return {SPREADING: recipe.with_methods(parse_method(SPREADING))}
    return {}


def trained(recipe: Recipe, task: Task, *, several: bool) -> dict[str, Recipe]:
    """The recipe with each semi-supervised method, by its name. A method that does not compare itself with the supervised run is
    added with the guard. several: whether there is time for more than one."""
    found = {}
    for name in [name for name in _TRAINED if _applies(name, recipe, task) and name not in recipe][
        : _MOST if several else 1
    ]:
        method = parse_method(name)
        guard = () if isinstance(method, Guarded) or _GUARD in recipe else (parse_method(_GUARD),)
        found[name] = recipe.with_methods(method, *guard)
    return found


def _applies(name: str, recipe: Recipe, task: Task) -> bool:
    return name in registry() and task.allows(recipe.task, registry().get(name))
