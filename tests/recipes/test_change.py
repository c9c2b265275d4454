"""What `--with`, `--without` and `--set` make of a recipe, and what is said of it."""

import pytest

from whet import recipes
from whet.core.errors import RecipeError
from whet.core.recipe import Recipe

BASE = Recipe.from_yaml("methods: [{mixup: {alpha: 0.8}}, {sgd: {lr: 0.3}}, ema, cosine]")


def changed(**how):
    notes = []
    return recipes.change(BASE, **how, note=notes.append), notes


def test_a_method_that_is_there_keeps_its_settings_and_this_is_said():
    recipe, notes = changed(add=("mixup",))
    assert recipe == BASE
    assert notes == ["mixup is already in the recipe and keeps its settings: alpha = 0.8, prob = 1.0"]


@pytest.mark.parametrize(("added", "gone"), [("swa", "ema"), ("linear", "cosine"), ("adamw", "sgd")])
def test_what_has_to_go_for_a_new_method_is_named(added, gone):
    recipe, notes = changed(add=(added,))
    assert added in recipe and gone not in recipe
    assert notes == [f"{added} replaces {gone}, because they cannot be used in one recipe"]


def test_nothing_is_said_where_all_is_as_it_was_asked_for():
    recipe, notes = changed(add=("hue",), drop=("ema",), settings=("mixup.alpha=0.4",))
    assert {m.name for m in recipe.methods} == {"mixup", "sgd", "cosine", "hue"}
    assert recipe.method("mixup").alpha == 0.4
    assert notes == []


def test_two_new_methods_that_exclude_each_other_are_refused():
    with pytest.raises(RecipeError, match="swa and lawa cannot be used in one recipe"):
        changed(add=("swa", "lawa"))
