"""`whet improve` from start to end."""

import pytest
from tests.studies import runs

from whet.core.errors import RunError
from whet.core.recipe import Recipe
from whet.core.stages import Stage
from whet.improvement import improve


def test_runs_of_data_that_changed_since_are_not_taken_for_runs_of_these(tmp_path):
    data = runs.images(tmp_path)
    strong = runs.recipe(data)
    plain = strong.replace(methods=tuple(method for method in strong.methods if method.name != "ema"))
    asked = {"budget": "1ep", "seeds": 1, "studying": False, "tuning": False, "plain": plain, "strong": strong}
    improve(data, **asked, out=tmp_path / "improve")
    first, second, *_ = sorted((data / "glass").iterdir())
    first.write_bytes(second.read_bytes())
    with pytest.raises(RunError, match="contains a run of another data; choose another --out"):
        improve(data, **asked, out=tmp_path / "improve")


@pytest.mark.slow
@pytest.mark.sample
def test_training_settings_are_those_of_every_recipe(tmp_path):
    data = runs.images(tmp_path)
    strong = runs.recipe(data)
    plain = strong.replace(methods=tuple(method for method in strong.methods if method.name != "ema"))
    asked = {"budget": "1ep", "seeds": 1, "studying": False, "tuning": False, "plain": plain, "strong": strong}
    improve(data, **asked, out=tmp_path / "improve", batch_size=8, lr=0.02, device="cpu")
    for name in ("plain-s0", "strong-s0"):
        recipe = Recipe.load(tmp_path / "improve" / name / "recipe.yaml")
        (optimizer,) = [method for method in recipe.methods if method.stage is Stage.OPTIMIZER]
        assert (recipe.train.batch_size, recipe.train.device, optimizer.lr) == (8, "cpu", 0.02)
