"""What a training costs is timed on real steps, and leaves nothing behind."""

import numpy as np
import pytest
import torch
from tests.conftest import write_images

from whet.core.recipe import Recipe
from whet.core.spec import DataSpec
from whet.data.read import read_data
from whet.methods import LAWA, SGD, SWA, Cosine, Finetune, GradualUnfreeze, LinearProbe
from whet.testing.bench import make_bench
from whet.training import budget, resolve
from whet.training.budget import measure


@pytest.mark.parametrize("methods", [(Finetune(), Cosine(), SGD()), (LinearProbe(), SGD())])
def test_measuring_leaves_the_network_as_it_is(tmp_path, methods, net):
    data = write_images(tmp_path, {"glass": 20, "metal": 20})
    recipe = Recipe(data=DataSpec(path=str(data)), methods=methods).setting(
        image_size=32, eval_size=48, batch_size=4, precision="fp32", device="cpu", loader_threads=1, budget="10s"
    )
    table = read_data(recipe.data)
    made = net(classes=2)
    plan = make_bench(methods).plan
    before = {name: value.clone() for name, value in made.state_dict().items()}
    speed = measure(recipe, made, plan.context, resolve.make_fabric(recipe), table)
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    assert set(speed.step_seconds) == {32} and speed.step_seconds[32] > 0
    assert speed.final_inference_seconds > 0 and np.isfinite(speed.inference_seconds)


def test_waiting_for_images_counts():
    clock = iter(range(100))

    def calls():
        while True:
            next(clock)  # a second passes before the next batch is there
            yield lambda: next(clock)  # and one while the step is taken

    assert budget._mean_seconds(calls(), lambda: float(next(clock))) == 3.0


def test_what_sets_in_late_is_timed_and_what_is_done_once_an_epoch_is_not():
    bench = make_bench((GradualUnfreeze(over="0.9dur"), SWA()))
    for runtime in bench.plan.runtimes.values():
        runtime.after_step(budget._LATE)
    assert all(parameter.requires_grad for parameter in bench.plan.net.parameters())
    assert bench.plan.runtimes["swa"].count == 0


def test_a_pass_over_the_data_at_the_end_is_counted():
    assert make_bench((SGD(), LAWA())).plan.finalizes
    assert not make_bench((SGD(),)).plan.finalizes
