import numpy as np
import pytest
import torch

from whet.core.recipe import Recipe
from whet.methods import SGD, DeepEnsemble, TemperatureScaling
from whet.tasks import SINGLE_LABEL


def test_the_answer_is_the_mean_of_the_probabilities():
    logs = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0)).log_softmax(dim=2)
    assert torch.allclose(SINGLE_LABEL.combine(logs).exp(), logs.exp().mean(dim=1))
    weights = [0.5, 0.3, 0.2]
    assert torch.allclose(
        SINGLE_LABEL.combine(logs, weights).exp(), (logs.exp() * torch.tensor(weights)[:, None]).sum(dim=1)
    )


def test_external_models_are_the_same_recipe_with_other_seeds_and_share_the_time():
    recipe = Recipe(methods=(SGD(), TemperatureScaling(), DeepEnsemble(members=3))).setting(seed=4, budget="9m")
    found = DeepEnsemble(members=3).external_models(recipe)
    assert [one.train.seed for one in found] == [5, 6]
    assert [one.train.budget.seconds for one in found] == [180, 180]
    assert all([m.name for m in one.methods] == ["sgd"] for one in found)
    assert DeepEnsemble(members=1).external_models(recipe) == []
    epochs = recipe.setting(budget="7ep")
    assert str(DeepEnsemble(members=2).external_models(epochs)[0].train.budget) == "7ep"


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    from tests.conftest import write_images

    import whet
    from whet.training.log import Observer

    class Phases(Observer):
        def phase(self, text):
            seen.append(text)

    seen = []
    root = tmp_path_factory.mktemp("ensemble")
    data = write_images(root / "images", {"glass": 30, "metal": 18, "paper": 12})
    run = whet.train(
        data, architecture="resnet9_slim", weights="none", budget="1ep", seed=2, out=root / "run",
        methods=[SGD(lr=0.05), DeepEnsemble(members=2), TemperatureScaling()], observer=Phases(),
    )  # fmt: skip
    return data, run, seen


def test_the_phases_name_the_model_in_training(ensemble):
    data, _, seen = ensemble
    one = ["starting", "measuring"]
    first = [f"reading {data}", "deep_ensemble: training external model 1", f"reading {data}"]
    assert seen == [*first, *one, "training the main model", *one]


def test_a_run_trains_its_members_keeps_them_and_predicts_with_all(ensemble):
    import whet

    data, run, _ = ensemble
    member = whet.load(run.path / "external_models" / "1")
    assert member.recipe.train.seed == 3
    shown = run.predictions[run.predictions["split"] == "test"]  # those of validation are scored by other temperatures
    probs = shown.filter(like="p:").to_numpy()
    files = [str(data / id_) for id_ in shown["id"]]
    again = run.predict(files).filter(like="p:").to_numpy()
    assert np.allclose(again, probs, atol=1e-4)
    # One network alone, at the temperature of both, answers otherwise.
    alone = member.predictions[member.predictions["split"] == "test"]
    assert not np.allclose(alone.filter(like="p:").to_numpy(), probs, atol=1e-4)


def test_the_run_needs_no_other_folder_once_it_is_finished(ensemble):
    import shutil

    import whet

    data, run, _ = ensemble
    before = run.predict(data)
    moved = run.path.parent / "moved"
    shutil.copytree(run.path, moved)
    shutil.rmtree(moved / "external_models")
    assert whet.load(moved).predict(data).equals(before)


def test_it_says_what_it_gained_and_costs(ensemble):
    _, run, _ = ensemble
    found = run.metrics["inference_gain"]
    shown = run.predictions[run.predictions["split"] == "test"]
    accuracy = (shown["label"] == shown["predicted"]).mean()
    assert found["plain"]["accuracy"] + found["difference"]["mean"] == pytest.approx(accuracy)
    assert found["plain"]["seconds_per_sample"] > 0
    assert "Gain at inference" in run.folder.report.read_text()
