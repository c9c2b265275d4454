"""How many epochs fit a budget in minutes: time a few real steps, then count."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from whet.core.batch import Batch, Context, Progress
from whet.core.recipe import Recipe
from whet.core.targets import Targets
from whet.models.net import Net
from whet.train.loop import closure_for
from whet.train.plan import Plan, wrap_predictor

MAX_EPOCHS = 1000
SAFETY = 0.95  # a busy machine is slower than a probe of a few seconds shows
_TIMED, _WARM = 3, 1


@dataclass(frozen=True)
class Speed:
    """Seconds a training step takes by picture size, and a picture takes at prediction."""

    step_seconds: dict[int, float]
    answer_seconds: float
    final_answer_seconds: float


def sizes_over_training(plan: Plan, image_size: int, epochs: int) -> list[int]:
    """The picture size of every epoch."""
    return [plan.image_size(Progress(epoch, epochs, 1), image_size) for epoch in range(epochs)]


def measure(
    recipe: Recipe, net: Net, context: Context, fabric: Fabric, batch_size: int, *, kept_features: bool = False
) -> Speed:
    """Time real steps of this recipe on a copy of the network; the network itself stays as it is. With `kept_features` only
    the head is trained."""
    plan = Plan(recipe, copy.deepcopy(net), context)
    image_size, eval_size = int(recipe.train.image_size), int(recipe.train.eval_size)
    part = plan.net.head if kept_features else plan.net
    model, optimizer = fabric.setup(part, plan.optimizer)
    take_step = plan.stepper(optimizer)
    classes, device = len(context.classes), fabric.device

    def inputs(size: int) -> torch.Tensor:
        shape = (batch_size, plan.net.linear.in_features) if kept_features else (batch_size, 3, size, size)
        with plan.rng.torch_scope("probe"):
            x = torch.rand(shape)
        return x.to(device) if kept_features else x.to(device, memory_format=torch.channels_last)

    step_seconds = {}
    for size in sorted(set(sizes_over_training(plan, image_size, 40))):
        targets = Targets(torch.full((batch_size, classes), 1.0 / classes, device=device))
        batch = Batch(inputs(size), targets, np.arange(batch_size), torch.ones(batch_size, device=device))
        plan.net.train()

        def step(batch: Batch = batch) -> Any:
            return take_step(closure_for(plan, fabric, model, optimizer, plan.mix(batch), 0))

        step_seconds[size] = _median_seconds(step, device)
    plan.net.eval()
    x = inputs(eval_size)
    with torch.inference_mode():
        predictors = (model, wrap_predictor(recipe.methods, model, {}))
        answers = [_median_seconds(partial(predictor, x), device) for predictor in predictors]
    return Speed(step_seconds, answers[0] / batch_size, answers[1] / batch_size)


def _median_seconds(call: Callable[[], Any], device: torch.device) -> float:
    times = []
    for _ in range(_WARM + _TIMED):
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return float(np.median(times[_WARM:]))


def epochs_that_fit(
    plan: Plan, speed: Speed, seconds: float, image_size: int, steps_per_epoch: int, validation: float
) -> int:
    """The most epochs whose steps, validations (`validation` seconds each, at most one an epoch) and pictures fit; at least one."""
    known = np.array(sorted(speed.step_seconds))
    best = 1
    for epochs in range(1, MAX_EPOCHS + 1):
        sizes = sizes_over_training(plan, image_size, epochs)
        nearest = [int(known[np.abs(known - size).argmin()]) for size in sizes]
        step_time = sum(speed.step_seconds[near] * (size / near) ** 2 for near, size in zip(nearest, sizes))
        if step_time * steps_per_epoch + validation * validations(epochs) > seconds:
            break
        best = epochs
    return best


def validations(epochs: int) -> int:
    """How often a training of so many epochs is validated: every epoch while they are few, then about twelve times."""
    return -(-epochs // validate_every(epochs))


def validate_every(epochs: int) -> int:
    return max(1, round(epochs / 12))
