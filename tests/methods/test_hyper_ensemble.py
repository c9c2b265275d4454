import numpy as np
import pytest
import torch

from whet.core.errors import RecipeError
from whet.core.outputs import Outputs
from whet.core.recipe import Recipe
from whet.core.targets import ClassTargets
from whet.methods import L2, SGD, AdamW, HyperEnsemble, TemperatureScaling
from whet.tasks import SINGLE_LABEL


def test_external_models_differ_in_one_setting_and_the_seed_and_share_the_time():
    ensemble = HyperEnsemble(setting="adamw.weight_decay", factors=(0.5, 3))
    recipe = Recipe(methods=(AdamW(lr=0.01, weight_decay=0.2), TemperatureScaling(), ensemble))
    recipe = recipe.setting(seed=4, budget="9m")
    found = ensemble.external_models(recipe)
    assert [one.method("adamw").weight_decay for one in found] == pytest.approx([0.1, 0.6])
    assert [one.method("adamw").lr for one in found] == [0.01, 0.01]
    assert [one.train.seed for one in found] == [5, 6] and [one.train.budget.seconds for one in found] == [180, 180]
    assert all([method.name for method in one.methods] == ["adamw"] for one in found)
    rates = HyperEnsemble(factors=(0.1,)).external_models(recipe)
    assert [(one.method("adamw").lr, one.method("adamw").weight_decay) for one in rates] == [
        (pytest.approx(0.001), 0.2)
    ]


@pytest.mark.parametrize("setting", ["weight_decay", "sgd.nesterov", "l2.strength", "adamw.lr"])
def test_what_is_no_number_of_the_recipe_is_refused(setting):
    recipe = Recipe(methods=(SGD(lr=0.1), L2(strength=0)))
    with pytest.raises(RecipeError, match=r"is not a number above zero; accepted: sgd\.lr, sgd\.momentum$"):
        HyperEnsemble(setting=setting).external_models(recipe)
    assert HyperEnsemble(setting=setting, factors=()).external_models(recipe) == []


def test_factors_are_above_zero():
    with pytest.raises(RecipeError, match="factors"):
        HyperEnsemble(factors=(0.0, 3.0))


def test_a_network_that_knows_nothing_counts_for_nothing():
    draws = torch.Generator().manual_seed(0)
    label = torch.randint(0, 3, (400,), generator=draws)
    good = 3 * torch.eye(3)[label] + torch.randn(400, 3, generator=draws)
    noise = torch.randn(400, 3, generator=draws)
    logs_NMK = torch.stack([noise, good], dim=1).log_softmax(dim=2)
    fitted = HyperEnsemble(factors=(2.0,)).fit(Outputs.of(logs_NMK, ClassTargets(torch.eye(3)[label], SINGLE_LABEL)))
    assert fitted["weights"][1] > 0.95
    answer = HyperEnsemble(factors=(2.0,)).wrap_predictor(lambda x: logs_NMK, fitted, SINGLE_LABEL)(None)
    assert (answer.argmax(1) == label).float().mean() > (good.argmax(1) == label).float().mean() - 0.02


@pytest.mark.slow
@pytest.mark.sample
def test_a_run_trains_its_members_and_answers_with_all(tmp_path):
    from tests.conftest import write_images

    import whet

    data = write_images(tmp_path / "images", {"glass": 30, "metal": 18, "paper": 12})
    run = whet.train(
        data, architecture="resnet9_slim", weights="none", budget="1ep", out=tmp_path / "run",
        methods=[SGD(lr=0.05), L2(strength=1e-3), HyperEnsemble(setting="l2.strength", factors=(0.1, 10)), TemperatureScaling()],
    )  # fmt: skip
    members = [whet.load(run.path / "external_models" / number).recipe.method("l2").strength for number in "12"]
    assert members == pytest.approx([1e-4, 1e-2])
    test = run.predictions.query("split == 'test'")  # validation samples are answered by fits that did not see them
    probs = test.filter(like="p:").to_numpy()
    again = run.predict([str(data / name) for name in test["id"]]).filter(like="p:").to_numpy()
    assert np.allclose(again, probs, atol=1e-4)
    assert "The weights of the networks were fitted on the validation split" in run.folder.report.read_text()
