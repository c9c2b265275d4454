"""A budget in minutes becomes whole epochs: the most whose steps and validations fit."""

import time

import numpy as np
import pytest
import torch
from tests.conftest import write_pictures

from whet.core.batch import Progress
from whet.core.recipe import DataSpec, ModelSpec, Recipe
from whet.data.read import read_data
from whet.methods import LAWA, SGD, SWA, Cosine, Finetune, GradualUnfreeze, LinearProbe, ProgressiveResize
from whet.testing import _bench
from whet.train import budget, resolve
from whet.train.budget import Speed, epochs_that_fit, measure, steps_that_fit, validate_every, validations
from whet.train.job import train_run
from whet.train.plan import Plan


def plan_of(*methods):
    return _bench(methods).plan


def test_epochs_fill_the_time_and_never_exceed_it():
    speed = Speed({64: 0.1}, answer_seconds=0.0, final_answer_seconds=0.0)
    # 10 steps of 0.1 s are 1 s an epoch.
    assert epochs_that_fit(plan_of(SGD()), speed, 7.5, 64, 10, validation=0.0) == 7
    assert epochs_that_fit(plan_of(SGD()), speed, 7.5, 64, 10, validation=0.0, most=3) == 3
    # With a validation of 0.5 s after each of few epochs: 1.5 s an epoch.
    assert epochs_that_fit(plan_of(SGD()), speed, 7.6, 64, 10, validation=0.5) == 5


def test_there_is_at_least_one_epoch():
    assert epochs_that_fit(plan_of(SGD()), Speed({64: 1.0}, 0.0, 0.0), 0.5, 64, 10, validation=1.0) == 1


def test_smaller_pictures_at_the_start_buy_epochs():
    speed = Speed({size: 0.1 * (size / 128) ** 2 for size in (64, 96, 128)}, 0.0, 0.0)
    growing = plan_of(SGD(), ProgressiveResize(start_fraction=0.5, full_at=1.0))
    assert (
        epochs_that_fit(growing, speed, 20.5, 128, 10, 0.0)
        > epochs_that_fit(plan_of(SGD()), speed, 20.5, 128, 10, 0.0)
        == 20
    )


@pytest.mark.parametrize("epochs", [1, 5, 12, 13, 40, 333])
def test_validations_are_every_epoch_while_few_then_about_twelve(epochs):
    assert validations(epochs) == -(-epochs // validate_every(epochs))
    assert validations(epochs) == epochs if epochs < 18 else 9 <= validations(epochs) <= 14


@pytest.mark.parametrize("methods", [(Finetune(), Cosine(), SGD()), (LinearProbe(), SGD())])
def test_measuring_leaves_the_network_as_it_is(tmp_path, methods, net):
    data = write_pictures(tmp_path, {"glass": 20, "metal": 20})
    recipe = Recipe(data=DataSpec(path=str(data)), methods=methods).setting(
        image_size=32, eval_size=48, batch_size=4, precision="fp32", device="cpu", loader_threads=1, budget="10s"
    )
    table = read_data(recipe.data)
    made = net(classes=2)
    plan = plan_of(*methods)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    speed = measure(recipe, made, plan.context, resolve.make_fabric(recipe), table)
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    assert set(speed.step_seconds) == {32} and speed.step_seconds[32] > 0
    assert speed.final_answer_seconds > 0 and np.isfinite(speed.answer_seconds)


def test_waiting_for_pictures_counts(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(budget.time, "perf_counter", lambda: float(next(clock)))

    def calls():
        while True:
            next(clock)  # a second passes before the next batch is there
            yield lambda: next(clock)  # and one while the step is taken

    assert budget._mean_seconds(calls()) == 3.0


def total_after(epoch, seconds, allowed=100.0, epochs=20, methods=(), most=budget.MAX_EPOCHS):
    """The epochs of a training of 20, ten steps each, that took so long for its first ones."""
    plan = plan_of(SGD(), *methods)
    return steps_that_fit(plan, 64, allowed, most, Progress(10 * epoch, 10 * epochs, 10), seconds) / 10


def test_a_slower_machine_gets_fewer_epochs():
    assert total_after(10, 50) == 20  # as planned
    assert total_after(10, 60) == 16  # 6 s an epoch: 16 of them fit
    assert total_after(10, 300) == 11  # lost already: the epoch at hand is the last
    assert total_after(19, 120) == 20
    assert total_after(10, 60, allowed=None) == 20  # a budget in epochs


def test_a_faster_machine_gets_more_epochs_towards_half_time():
    assert total_after(8, 16) == 48  # 2 s an epoch: 48 of them fill the time but for a reserve
    assert total_after(8, 37) == 20  # 4.6 s an epoch: 20 of them take 92 s, 21 would take 97
    assert total_after(4, 8) == 20  # too early to know
    assert total_after(12, 24) == 20  # too late
    assert total_after(8, 0.001) == budget.MAX_EPOCHS
    assert total_after(8, 16, most=30) == 30 and total_after(8, 16, most=20) == 20


def test_early_and_small_overruns_are_left_to_be_made_up_for():
    assert total_after(2, 30) == 20
    assert total_after(10, 52) == 20  # 4 % over at half time
    assert total_after(18, 93.6) == 19  # the same near the end


def test_what_is_left_is_counted_in_pixels():
    growing = (ProgressiveResize(start_fraction=0.5, full_at=0.5),)
    assert total_after(10, 45, methods=growing) < total_after(10, 45)


def test_a_training_that_slows_down_ends_in_time_and_resumes_to_the_shorter_end(tmp_path, monkeypatch):
    """Steps that take longer than the probe saw: fewer epochs are trained, the log says so, and the schedule ends at its end."""
    data = write_pictures(tmp_path / "data", {"glass": 40, "metal": 40})
    recipe = Recipe(
        data=DataSpec(path=str(data)),
        model=ModelSpec(architecture="resnet9_slim", weights="none"),
        methods=(SGD(lr=0.01), Cosine()),
    )
    recipe = recipe.setting(
        image_size=32, batch_size=8, precision="fp32", device="cpu", loader_threads=1, torch_threads=1, budget="20s"
    )
    counted = resolve.resolve_budget

    def hurried(recipe, *others):
        recipe = counted(recipe, *others)
        return recipe.setting(epochs=12, steps=84, seconds=1.0, validate_every="12ep")

    monkeypatch.setattr(resolve, "resolve_budget", hurried)
    monkeypatch.setattr(Plan, "set_lr", slowly(Plan.set_lr))
    folder = train_run(recipe, tmp_path / "run")
    events = folder.log_records()
    replanned = [event for event in events if event["event"] == "replanned"]
    steps = [event for event in events if event["event"] == "step"]
    assert replanned and steps[-1]["step"] == replanned[-1]["total_steps"] < 84
    assert steps[-1]["lr"] < 0.3 * 0.01
    assert folder.read_json(folder.metrics)["cost"]["steps"] == steps[-1]["step"]


def slowly(original):
    def called(self, progress):
        time.sleep(0.05)
        return original(self, progress)

    return called


def test_what_sets_in_late_is_timed_and_what_is_done_once_an_epoch_is_not():
    bench = _bench((GradualUnfreeze(over="0.9dur"), SWA()))
    for runtime in bench.plan.runtimes.values():
        runtime.after_step(budget._LATE)
    assert all(parameter.requires_grad for parameter in bench.plan.net.parameters())
    assert bench.plan.runtimes["swa"].count == 0


def test_a_pass_over_the_data_at_the_end_is_counted():
    assert plan_of(SGD(), LAWA()).settles
    assert not plan_of(SGD()).settles
