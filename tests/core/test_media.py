import pytest

from whet.core.errors import RecipeError
from whet.core.media import MEDIA, SETTINGS_OF_SOME_MEDIA, medium_named
from whet.core.recipe import Recipe
from whet.core.spec import DataSpec, TrainSpec
from whet.core.task import problems


def test_every_task_s_samples_are_of_a_known_medium():
    assert set(problems().values()) <= set(MEDIA)
    with pytest.raises(RecipeError, match=r"'smell'.*image"):
        medium_named("smell")


def test_the_settings_of_media_are_settings():
    parts = {"data": DataSpec, "train": TrainSpec}
    assert all(key in parts[part].model_fields for part, key in SETTINGS_OF_SOME_MEDIA)


@pytest.mark.parametrize(
    ("task", "settings", "shown"),
    [
        ("image-classification", {"image_size": 64, "eval_size": 96}, "64 px"),
        ("text-classification", {"max_tokens": 128}, "128 tokens"),
        ("audio-classification", {"clip_seconds": 1.5}, "1500 ms"),
    ],
)
def test_sizes_have_the_unit_of_their_medium(task, settings, shown):
    recipe = Recipe(task=task).setting(**settings)
    assert recipe.shown == shown
    assert recipe.eval_size == settings.get("eval_size", recipe.size)


def test_images_are_made_smaller_and_nothing_else():
    train = TrainSpec(image_size=64, eval_size="auto", max_tokens=128)
    smaller = MEDIA["image"].smaller(train, 0.25)
    assert (smaller.image_size, smaller.eval_size) == (32, "auto")
    assert MEDIA["text"].smaller(train, 0.25) == train
