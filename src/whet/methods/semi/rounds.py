"""Rounds of trainings, each with the labels that the network of the one before gives to unlabelled samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whet.core.duration import Duration
from whet.core.method import Method
from whet.core.recipe import Recipe

FAMILY = "semi"


def supervised(recipe: Recipe, share: float) -> Recipe:
    """The recipe without the methods that learn from unlabelled samples, in this share of a budget in minutes. The seed is the
    same, and so are the methods that are fitted to validation samples, so that the two runs can be compared."""
    return shared(recipe.without(*(method.name for method in recipe.methods if method.family == FAMILY)), share)


def before(recipe: Recipe, earlier: Method | None, rounds: int) -> Recipe | None:
    """The run before the last of `rounds` rounds: with `earlier` in place of the method, or the supervised run. The trainings, one
    more than the rounds, share a budget in minutes equally. None where there is nothing to label."""
    if recipe.data.unlabelled is None:
        return None
    share = rounds / (rounds + 1)
    return supervised(recipe, share) if earlier is None else shared(recipe.with_methods(earlier), share)


def shared(recipe: Recipe, share: float) -> Recipe:
    if not recipe.train.budget.is_time:
        return recipe
    return recipe.setting(budget=Duration(recipe.train.budget.seconds * share, "s"))


def top_share(confidence_KM: Sequence[np.ndarray], share: float, least: float) -> np.ndarray:
    """The confidence from which a prediction of each class is among the surest of its class, and at least `least`, (K,)."""
    found_K = np.full(len(confidence_KM), np.inf)
    for k, confidence_M in enumerate(confidence_KM):
        taken = int(np.ceil(share * len(confidence_M)))
        if taken:
            found_K[k] = max(least, np.partition(confidence_M, -taken)[-taken])
    return found_K
