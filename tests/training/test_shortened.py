"""A recipe for fine-tuning turns to less where its minutes fit few epochs, and says so. All time here is simulated."""

import pytest
import torch
from tests.conftest import write_images

from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec, ModelSpec
from whet.methods import AdamW, Cosine, Finetune, Freeze, PseudoLabel, TemperatureScaling
from whet.models.build import load_net
from whet.models.net import Net
from whet.training.job import resume_run, train_run
from whet.training.log import Observer
from whet.training.pace import Pace


class Work:
    """A clock that goes on by a second for every sample that passes the network in training, and a third of one for any other."""

    def __init__(self, monkeypatch):
        self.now, forward = 0.0, Net.forward

        def working(net, x):
            self.now += len(x) / (1 if net.training else 3)
            return forward(net, x)

        monkeypatch.setattr(Net, "forward", working)

    def __call__(self):
        return self.now


class Stopped(Observer):
    def step(self, record):
        if record["step"] == 2:
            raise KeyboardInterrupt


@pytest.fixture
def asked(mobilenet, tmp_path):
    data = write_images(tmp_path / "images", {"glass": 48, "metal": 48})
    return Recipe(
        data=DataSpec(path=str(data)),
        model=ModelSpec(architecture=str(mobilenet), weights=str(mobilenet)),
        methods=(Finetune(few_epochs="turn"), Freeze(), AdamW(), Cosine(), TemperatureScaling()),
    ).setting(batch_size=8, image_size=32, torch_threads=1, loader_threads=1)


def trained(recipe, path, work, budget, observer=None):
    work.now = 0.0
    return train_run(recipe.setting(budget=budget), path, clock=work, observer=observer)


def told(run):
    return [line for line in run.read_json(run.metrics)["notes"] if line.startswith("the budget allows")]


@pytest.mark.parametrize(
    ("budget", "share", "notes"), [pytest.param("750s", 0.43, 0, marks=pytest.mark.slow), ("300s", 0.7, 1)]
)
def test_more_is_frozen_where_few_epochs_fit(asked, tmp_path, monkeypatch, budget, share, notes):
    run = trained(asked, tmp_path / "run", Work(monkeypatch), budget)
    assert Recipe.load(run.recipe).method("freeze").share == share and len(told(run)) == notes
    assert Recipe.load(run.requested).method("freeze").share == 0.43


def test_what_takes_one_pass_is_fitted_where_not_one_epoch_fits(asked, tmp_path, monkeypatch):
    run = trained(asked, tmp_path / "run", Work(monkeypatch), "90s")
    assert "logistic regression" in told(run)[0]
    assert {method.name for method in Recipe.load(run.recipe).methods} == {"logistic_regression", "temperature_scaling"}
    assert run.read_json(run.metrics)["cost"]["epochs"] == 1


@pytest.mark.slow
@pytest.mark.sample
def test_a_round_of_pseudo_labels_that_is_turned_is_still_guarded(asked, tmp_path, monkeypatch):
    """The network that predicts is the better one on validation samples, whichever recipe trained it."""
    more = write_images(tmp_path / "more", {"any": 24}, seed=5)
    few = asked.replace(data=asked.data.replace(unlabelled=str(more))).with_methods(
        PseudoLabel(rounds=1, threshold=0.0)
    )
    run = trained(few, tmp_path / "run", Work(monkeypatch), "60s")
    metrics = run.read_json(run.metrics)
    assert "logistic_regression" in Recipe.load(run.recipe) and told(run)
    before = RunFolder(run.external_models / "pseudo_label")
    guard = metrics["guard"]
    kept = guard["before"] if guard["hands_over"] else guard["after"]
    assert metrics["val"]["log_loss"] == pytest.approx(kept)
    assert guard["before"] == pytest.approx(before.read_json(before.metrics)["val"]["log_loss"])
    assert not any("unlabelled samples are not used" in note for note in metrics["notes"])


@pytest.mark.slow
def test_a_turned_run_goes_on_to_the_same_end(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(Pace, "total_steps", lambda self, progress, *_: progress.total_steps)  # the plan as first made
    work = Work(monkeypatch)
    whole = trained(asked, tmp_path / "whole", work, "300s")
    with pytest.raises(KeyboardInterrupt):
        trained(asked, tmp_path / "run", work, "300s", Stopped())
    work.now = 0.0
    resumed: RunFolder = resume_run(tmp_path / "run", clock=work)
    assert told(resumed) == told(whole) != []
    one, other = (load_net(run.model).state_dict() for run in (whole, resumed))
    assert all(torch.equal(one[name], other[name]) for name in one)
