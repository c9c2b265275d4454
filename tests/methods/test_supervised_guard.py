"""The supervised run of the guard; what is handed over: tests/training/test_guard.py."""

import pytest
from tests.conftest import write_images
from tests.methods import test_pseudo_label

from whet.core.duration import Duration
from whet.core.errors import RecipeError
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec
from whet.methods import SGD, LabelSpreading, PseudoLabel, SupervisedGuard, TemperatureScaling
from whet.training.guard import HYSTERESIS
from whet.training.job import train_run


def recipe(*methods, unlabelled="b"):
    data = DataSpec(path="a", unlabelled=unlabelled)
    return Recipe(task="image-classification", data=data, methods=(SGD(), TemperatureScaling(), *methods))


def test_the_supervised_run_is_the_recipe_without_semi_supervised_methods_in_its_share_of_the_minutes():
    given = recipe(LabelSpreading(), SupervisedGuard(share=0.25)).setting(budget=Duration(20, "m"), seed=3)
    first = given.method("supervised_guard").predecessor(given)
    assert [method.name for method in first.methods] == ["sgd", "temperature_scaling"]  # what is fitted stays
    assert first.train.budget.seconds == 5 * 60 and first.train.seed == 3


def test_both_trainings_have_equal_parts_of_the_minutes():
    given = recipe(LabelSpreading(), SupervisedGuard()).setting(budget=Duration(20, "m"))
    assert given.method("supervised_guard").predecessor(given).train.budget.seconds == 20 * 60 / 2


def test_it_trains_nothing_where_nothing_is_to_be_compared():
    alone, without = recipe(SupervisedGuard()), recipe(LabelSpreading(), SupervisedGuard(), unlabelled=None)
    for given in (alone, without):
        assert given.method("supervised_guard").predecessor(given) is None


def test_methods_that_compare_their_own_rounds_need_no_guard():
    with pytest.raises(RecipeError, match="supervised_guard"):
        from whet.testing.bench import make_bench

        make_bench((PseudoLabel(), SupervisedGuard()))


# Foreign images, and a weight with which their targets outweigh the labels.
HARM = {
    "fixmatch": {"weight": 50.0, "threshold": 0.0},
    "softmatch": {"weight": 50.0},
    "adamatch": {"weight": 50.0, "threshold": 0.0},
    "mean_teacher": {"weight": 5000.0, "ramp_up": 0.01},
}


@pytest.fixture(scope="module")
def labelled_and_foreign(tmp_path_factory):
    root = tmp_path_factory.mktemp("harm")
    images = write_images(root / "images", {"glass": 16, "metal": 16, "paper": 16})
    return images, write_images(root / "foreign", {"any": 0, "other": 0, "more": 0, "noise": 24}, seed=9)


@pytest.mark.slow
@pytest.mark.sample
@pytest.mark.parametrize("name", HARM)
def test_a_method_that_ruins_the_network_is_not_handed_over(labelled_and_foreign, tmp_path, name):
    images, foreign = labelled_and_foreign
    given = test_pseudo_label.recipe(images, foreign, {name: HARM[name]}, "supervised_guard", budget="5ep")
    run = train_run(given, tmp_path / "run")
    supervised = RunFolder(run.external_models / "supervised_guard")
    found, alone = (one.read_json(one.metrics) for one in (run, supervised))
    guard = found["guard"]
    assert guard["hands_over"] and guard["gain"] < -HYSTERESIS * guard["standard_error"]  # the harm is there
    assert found["val"] == alone["val"] and found["test"] == alone["test"]
    assert any("whose network is handed over" in note for note in found["notes"])
