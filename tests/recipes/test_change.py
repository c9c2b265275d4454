"""What `--with`, `--without` and `--set` make of a recipe, and what is said of it."""

import pytest

from whet import recipes
from whet.core.errors import RecipeError
from whet.core.recipe import Recipe, parse_method
from whet.core.registry import registry
from whet.core.stages import Stage
from whet.recipes import load, with_options

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


@pytest.mark.parametrize("optimizer", sorted(cls.name for cls in registry() if cls.stage is Stage.OPTIMIZER))
def test_the_learning_rate_is_that_of_the_optimizer(optimizer):
    """Whatever its name; other methods keep theirs."""
    recipe = load("image/from_scratch").with_methods(parse_method(optimizer))
    if "lr" not in type(recipe.method(optimizer)).model_fields:
        with pytest.raises(RecipeError, match=r"--lr 0\.0021: the recipe has no optimizer with a learning rate"):
            with_options(recipe, lr=0.0021)
        return
    faster = with_options(recipe, lr=0.0021)
    assert faster.method(optimizer).lr == 0.0021
    assert faster.without(optimizer) == recipe.without(optimizer)


def test_the_metric_is_that_of_the_methods_that_watch_one():
    recipe = load("image/from_scratch")
    watching = with_options(recipe.with_methods(parse_method("early_stopping")), metric="macro_f1")
    assert watching.method("early_stopping").metric == "macro_f1"
    with pytest.raises(RecipeError, match="early_stopping or plateau"):
        with_options(recipe, metric="macro_f1")
    with pytest.raises(RecipeError, match="score or accuracy or macro_f1 or log_loss"):
        with_options(recipe.with_methods(parse_method("early_stopping")), metric="f1")
