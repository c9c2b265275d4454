"""The recipes that `whet improve` adds where unlabelled samples are given."""

import pytest

from whet import recipes
from whet.core.recipe import Recipe
from whet.core.spec import ModelSpec
from whet.improvement.unlabelled import SPREADING, spreading, trained
from whet.methods import SGD, Dropout, PseudoLabel
from whet.tasks import MULTI_LABEL, SINGLE_LABEL


@pytest.fixture
def strong():
    return Recipe(task="image-classification", model=ModelSpec(architecture="resnet9_slim"), methods=(SGD(), Dropout()))


def test_label_spreading_replaces_the_logistic_regression_of_the_one_pass_model():
    frozen = recipes.load("image/frozen")
    found = spreading({"frozen": frozen}, SINGLE_LABEL)[SPREADING]
    assert [method.name for method in found.methods] == ["temperature_scaling", "label_spreading"]
    assert spreading({}, SINGLE_LABEL) == {} and spreading({"frozen": frozen}, MULTI_LABEL) == {}


def test_semi_supervised_methods_are_added_to_the_strong_recipe(strong):
    found = trained(strong, SINGLE_LABEL, several=True)
    assert list(found) == ["label_propagation", "pseudo_label", "adamatch"]
    assert "supervised_guard" in found["adamatch"]
    assert "supervised_guard" not in found["pseudo_label"]  # it compares its own rounds
    assert list(trained(strong, SINGLE_LABEL, several=False)) == ["label_propagation"]
    assert list(trained(strong, MULTI_LABEL, several=False)) == ["fixmatch"]  # the others are for one class a sample
    assert "pseudo_label" not in trained(strong.with_methods(PseudoLabel()), SINGLE_LABEL, several=True)


@pytest.mark.slow
def test_texts_from_start_to_end(tmp_path):
    """The contestants are trained with the same seed, and the winner is chosen on validation samples."""
    import csv

    from tests.end_to_end.test_texts import write_texts

    from whet.core.spec import DataSpec
    from whet.improvement import improve

    data, more = write_texts(tmp_path / "texts.csv", 30), tmp_path / "more.csv"
    with more.open("w", newline="", encoding="utf-8") as handle:
        rows = [
            [f"Number {number} would be {thing} of mine, surely"] for number in range(8) for thing in ("a jar", "a can")
        ]
        csv.writer(handle).writerows([["text"], *rows])
    found = improve(
        DataSpec(path=str(data), unlabelled=str(more)), budget="1ep", seeds=1, studying=False, tuning=False,
        out=tmp_path / "out",
    )  # fmt: skip
    assert {"plain", "strong", "tf_idf", "label_spreading", "label_propagation"} <= set(found.values)
    chosen = Recipe.load(tmp_path / "out" / "label_spreading-s0" / "recipe.yaml")
    assert "label_spreading" in chosen and chosen.model.architecture == "tf_idf"
    assert (tmp_path / "out" / "label_propagation-s0" / "external_models" / "label_propagation" / "DONE").is_file()
