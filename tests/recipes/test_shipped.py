"""Every shipped recipe is parsed; those for images are built and run two steps."""

import pytest
import torch
from tests.conftest import write_images

from whet import recipes
from whet.core.errors import RecipeError
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec, ModelSpec
from whet.training.job import train_run

NAMES = [name for name in recipes.names() if name.startswith("image/")]


@pytest.mark.parametrize("name", NAMES)
def test_two_steps(name, tmp_path, request):
    data = write_images(tmp_path / "images", {"glass": 16, "metal": 12, "paper": 10})
    recipe = recipes.load(name)
    if "scratch" in name:
        model = ModelSpec(architecture="resnet9_slim")
    else:
        model = ModelSpec(weights=str(request.getfixturevalue("mobilenet")))
    asked = recipe.replace(data=DataSpec(path=str(data)), model=model).setting(
        budget="2st", batch_size=8, image_size=64 if "scratch" not in name else 32, precision="fp32"
    )
    folder = train_run(asked, tmp_path / "run", strict=True)
    steps = [record for record in folder.log_records() if record["event"] == "step"]
    assert [record["step"] for record in steps] == [1, 2]
    assert all(torch.isfinite(torch.tensor(record["loss"])) for record in steps)
    assert RunFolder(tmp_path / "run").finished


@pytest.mark.parametrize("name", recipes.names())
def test_it_is_for_the_task_of_its_folder(name):
    folder, own = name.split("/")
    if folder == "pretraining":
        assert recipes.load(name).task == f"{own}-pretraining"
        return
    assert recipes.load(name).task == (
        "semantic-segmentation" if folder == "segmentation" else f"{folder}-classification"
    )


def test_there_are_some():
    assert {"image/waste", "image/from_scratch", "image/plain_finetune", "image/plain_from_scratch"} <= set(NAMES)


def test_the_default_follows_data_and_model(images):
    spec = DataSpec(path=str(images))
    assert recipes.default(spec, ModelSpec()) == recipes.load("image/from_scratch")  # images are small
    assert recipes.default(spec, ModelSpec(weights="some/hub-name")) == recipes.load("image/waste")
    assert recipes.default(spec, ModelSpec(weights="none"), plain=True) == recipes.load("image/plain_from_scratch")


def test_of_texts_a_bag_of_words_has_a_recipe_of_its_own(tmp_path):
    """Its weight decay would keep other networks from learning anything."""
    table = tmp_path / "texts.csv"
    table.write_text("text,label\n" + "one,a\ntwo,b\n" * 10)
    spec, chosen = DataSpec(path=str(table)), ("auto", "fast_text", "text_cnn", "text_transformer")
    found = [recipes.default(spec, ModelSpec(architecture=name)) for name in chosen]
    bag, any_ = recipes.load("text/from_scratch"), recipes.load("text/compare_from_scratch")
    assert found == [bag, bag, any_, any_]
    assert recipes.for_comparison(spec, ModelSpec(architecture="fast_text")) == any_  # one for all that are compared
    assert recipes.default(spec, ModelSpec(architecture="text_cnn"), plain=True) == recipes.load(
        "text/plain_from_scratch"
    )


def test_unknown_recipes_name_the_nearest():
    with pytest.raises(RecipeError, match="Did you mean 'image/waste'"):
        recipes.load("image/wastes")
