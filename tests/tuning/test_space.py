"""What is searched follows from what methods declare, what the recipe has, and what a person asks."""

import pytest

from whet.core.errors import RecipeError
from whet.core.recipe import Recipe
from whet.core.registry import registry
from whet.core.search import Search
from whet.tuning.space import as_it_was, make_space, parse_search, place

PLAIN = {
    "train": {"batch_size": 32, "image_size": 64},
    "methods": [{"mixup": {"alpha": 0.2}}, {"sgd": {"lr": 0.05}}, "cosine"],
}


@pytest.fixture
def recipe():
    return Recipe.from_dict(PLAIN)


def by_key(space):
    return {setting.key: setting for setting in space}


def test_everything_that_is_declared_and_batch_and_image_size(recipe):
    space = by_key(make_space(recipe, (), (), 1000))
    declared = {f"{m.name}.{key}" for m in recipe.methods for key in m.search_space()}
    assert set(space) == declared | {"train.batch_size", "train.image_size"}
    assert len(declared) >= 4
    assert space["mixup.alpha"].search == registry().get("mixup").search_space()["alpha"]
    assert space["sgd.lr"].was == 0.05
    assert space["train.batch_size"].search.choices == (16, 32, 64)
    assert space["train.image_size"].search.choices == (32, 64, 96)
    small = by_key(make_space(recipe.setting(image_size=32), ["train"], (), 1000))
    assert small["train.image_size"].search.choices == (24, 32, 40)
    large = by_key(make_space(recipe.setting(image_size=224), ["train"], (), 1000))
    assert large["train.image_size"].search.choices == (160, 224, 288)


def test_auto_sizes_are_searched_around_what_they_come_to():
    recipe = Recipe.from_dict({"methods": ["adamw"]})
    space = by_key(make_space(recipe, ("train",), (), 3200))
    assert space["train.batch_size"].search.choices == (32, 64, 128)  # a fiftieth of the samples is 64
    assert space["train.batch_size"].was == 64
    assert space["train.image_size"].search.choices == ("75%", "auto", "125%")
    share = by_key(make_space(recipe.setting(image_size="120%"), ("train",), (), 3200))
    assert share["train.image_size"].search.choices == ("90%", "120%", "150%")


def test_methods_and_searches_choose_and_take_the_place_of_what_is_declared(recipe):
    assert {key.split(".")[0] for key in by_key(make_space(recipe, ["mixup"], (), 100))} == {"mixup"}
    assert set(by_key(make_space(recipe, (), ["sgd.lr=0.01:0.2"], 100))) == {"sgd.lr"}
    both = by_key(make_space(recipe, ["sgd"], ["sgd.lr=0.01:0.2:log", "model.architecture=lenet,vgg16"], 100))
    assert both["sgd.lr"].search == Search(0.01, 0.2, log=True)
    assert both["model.architecture"].search.choices == ("lenet", "vgg16", "auto")  # the recipe's own is among them
    assert "sgd.momentum" in both


def test_a_range_holds_the_recipe_s_own_value_where_it_can(recipe):
    wide = by_key(make_space(place(recipe, {"sgd.lr": 3.0}), ["sgd"], (), 100))
    assert wide["sgd.lr"].search.high == 3.0
    off = by_key(make_space(place(recipe, {"mixup.alpha": 0.0}), ["mixup"], (), 100))  # no place on a logarithmic scale
    assert not off["mixup.alpha"].holds_was
    assert "mixup.alpha" not in as_it_was(off.values())
    assert as_it_was(wide.values())["sgd.lr"] == 3.0


def test_every_declared_range_can_be_placed_in_its_method():
    """Both ends, or every choice, of whatever any method declares, and its default as it was."""
    seen = 0
    for cls in registry():
        try:
            recipe = Recipe.from_dict({"methods": [cls.name]})
        except RecipeError:  # needs a setting that has no default
            continue
        if not cls.search_space():
            continue
        for setting in make_space(recipe, [cls.name], (), 100):
            values = setting.search.choices or (setting.search.low, setting.search.high)
            for value in values:
                given = int(value) if setting.whole else value
                placed = place(recipe, {setting.key: setting.given(setting.kept(given))})
                assert getattr(placed.method(cls.name), setting.key.split(".")[1]) == given
            seen += 1
    assert seen > 150


def test_settings_of_one_owner_are_placed_together(recipe):
    placed = place(recipe, {"sgd.lr": 0.1, "sgd.momentum": 0.5, "train.batch_size": 8, "mixup.alpha": 0.4})
    assert (placed.method("sgd").lr, placed.method("sgd").momentum) == (0.1, 0.5)
    assert (placed.train.batch_size, placed.method("mixup").alpha) == (8, 0.4)
    assert [m.name for m in placed.methods] == ["mixup", "sgd", "cosine"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sgd.lr", "write KEY=LOW:HIGH"),
        ("lr=0.1:0.2", "write KEY=LOW:HIGH"),
        ("sgdd.lr=0.1:0.2", "Did you mean 'sgd'"),
        ("sgd.lrr=0.1:0.2", "Did you mean 'lr'"),
        ("sgd.lr=0.2:0.1", "LOW must be below HIGH"),
        ("sgd.lr=0:0.1:log", "above 0 on a logarithmic scale"),
        ("sgd.lr=0.1:0.2:linear", "KEY=LOW:HIGH:log"),
        ("sgd.lr=0.1", "at least two values"),
        ("sgd.lr=-1:0.1", "above 0"),
        ("train.batch_size=8.5:32", "must be whole numbers"),
        ("train.batch_size=0,8", "batch_size"),
        ("train.seed=0:9", "cannot be searched"),
        ("train.budget=2ep,4ep", "cannot be searched"),
        ("data.split_seed=0:9", "unknown section or method 'data'"),
        ("model.architecture=a:b", "does not accept a range"),
    ],
)
def test_mistakes_are_told(recipe, text, message):
    with pytest.raises(RecipeError, match=message):
        parse_search(recipe, text)


def test_a_method_that_the_recipe_lacks_is_told(recipe):
    with pytest.raises(RecipeError, match=r"unknown method 'cutmix' in this recipe"):
        make_space(recipe, ["cutmix"], (), 100)
