"""The supervised run of the guard; what is handed over: tests/training/test_guard.py."""

import pytest

from whet.core.duration import Duration
from whet.core.errors import RecipeError
from whet.core.recipe import Recipe
from whet.core.spec import DataSpec
from whet.methods import SGD, LabelSpreading, PseudoLabel, SupervisedGuard, TemperatureScaling


def recipe(*methods, unlabelled="b"):
    data = DataSpec(path="a", unlabelled=unlabelled)
    return Recipe(task="image-classification", data=data, methods=(SGD(), TemperatureScaling(), *methods))


def test_the_supervised_run_is_the_recipe_without_semi_supervised_methods_in_its_share_of_the_minutes():
    given = recipe(LabelSpreading(), SupervisedGuard(share=0.25)).setting(budget=Duration(20, "m"), seed=3)
    first = given.method("supervised_guard").predecessor(given)
    assert [method.name for method in first.methods] == ["sgd", "temperature_scaling"]  # what is fitted stays
    assert first.train.budget.seconds == 5 * 60 and first.train.seed == 3


def test_it_trains_nothing_where_nothing_is_to_be_compared():
    alone, without = recipe(SupervisedGuard()), recipe(LabelSpreading(), SupervisedGuard(), unlabelled=None)
    for given in (alone, without):
        assert given.method("supervised_guard").predecessor(given) is None


def test_methods_that_compare_their_own_rounds_need_no_guard():
    with pytest.raises(RecipeError, match="supervised_guard"):
        from whet.testing.bench import make_bench

        make_bench((PseudoLabel(), SupervisedGuard()))
