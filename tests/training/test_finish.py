"""What a run saved answers as it did when the run ended, whatever methods did to the network."""

import numpy as np
import pytest
from tests.conftest import write_images

from whet.core.recipe import Recipe
from whet.core.spec import DataSpec, ModelSpec
from whet.methods import SGD, VectorScaling
from whet.run import Run
from whet.training.job import train_run


@pytest.mark.parametrize(
    "methods",
    [
        "[{snapshot: {cycles: 3}}, {mixout: {prob: 0.5}}]",
        pytest.param("[{swa: {start_at: 1ep}}, lora]", marks=pytest.mark.slow),
        pytest.param("[soup, adapter, {head: {form: mlp, hidden: 8}}]", marks=pytest.mark.slow),
        "[{lawa: {latest: 2}}, {head: {form: cosine}}, l2_sp, {gradual_unfreeze: {over: 1ep}}, {freeze: {share: 0.3}}]",
    ],
)
def test_the_saved_model_answers_as_the_run_did(methods, tmp_path):
    data = write_images(tmp_path / "images", {"glass": 24, "metal": 24, "paper": 24})
    recipe = Recipe.from_yaml(f"methods: {methods}").with_methods(SGD(), VectorScaling())
    recipe = recipe.replace(data=DataSpec(path=str(data)), model=ModelSpec(architecture="resnet9_slim"))
    recipe = recipe.setting(budget="3ep", batch_size=8, image_size=32, precision="fp32")
    run = Run(train_run(recipe, tmp_path / "run", strict=True))
    predicted = run.predictions.query(
        "split == 'test'"
    )  # validation samples are answered by fits that did not see them
    again = run.predict([data / id_ for id_ in predicted["id"]])
    columns = [f"p:{name}" for name in run.classes]
    assert len(predicted) > 5
    assert np.abs(again[columns].to_numpy() - predicted[columns].to_numpy()).max() < 2e-5
    assert (tmp_path / "run" / "model" / "members").is_dir() == ("snapshot" in methods)
