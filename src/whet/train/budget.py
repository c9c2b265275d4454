"""How many epochs fit a budget in minutes: time a few real steps, then count."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from whet.core.batch import Context, Progress
from whet.core.recipe import Recipe
from whet.data.table import Table
from whet.models.net import Net
from whet.train.plan import Plan, wrap_predictor
from whet.train.rehearsal import Rehearsal

MAX_EPOCHS = 1000
SAFETY = 0.9  # over minutes a machine is slower than a probe of some seconds shows: 1.1 to 1.2 times on a shared one
_FIRST_LOOK, _PATIENCE = 0.2, 0.1  # an early overrun may be made up for: it must be larger to count
# Towards its half a training's pace is known: it grows to fill so much of its time.
_GROWTH, _FILLED = (0.3, 0.5), 0.96
_WARM, _TIMED = 4, 6  # steps; the first ones find their pictures painted already
_ANSWERED, _ANSWERS_WARM, _ANSWERS_TIMED = 16, 1, 2  # pictures of an answer, and answers: each is the same work
_LATE = Progress(999_500, 1_000_000, 1_000)  # inside an epoch near the end, where all that sets in late is at work
_TIMED_SHARE, _TIMED_SECONDS = 0.015, 15.0  # timing goes on for so much of the budget, but not longer than this


@dataclass(frozen=True)
class Speed:
    """Seconds a training step takes by the size of its samples, and a sample takes at prediction."""

    step_seconds: dict[int, float]
    answer_seconds: float
    final_answer_seconds: float


def sizes_over_training(plan: Plan, size: int, epochs: int) -> list[int]:
    """The size at which samples are shown, by epoch."""
    return [plan.settings(Progress(epoch, epochs, 1), size).size for epoch in range(epochs)]


def measure(recipe: Recipe, net: Net, context: Context, fabric: Fabric, train: Table) -> Speed:
    """Time real steps of this recipe, pictures painted beside them as in training, on a copy of the network; the network itself
    stays as it is. A long budget is worth a longer look."""
    rehearsal = Rehearsal(recipe, net, context, fabric, train)
    plan, loader = rehearsal.plan, rehearsal.loader
    step_seconds: dict[int, float] = {}
    sizes = sorted(set(sizes_over_training(plan, recipe.size, 40)))
    look = min(_TIMED_SHARE * recipe.train.budget.seconds, _TIMED_SECONDS) / len(sizes)
    for size in sizes:
        step_seconds[size] = _mean_seconds((partial(_step, plan, step) for step in rehearsal.steps(size)), look)
    plan.net.eval()
    shown = np.arange(min(len(train), _ANSWERED))
    start = time.perf_counter()
    (painted,) = loader.batches([shown], recipe.answer_size)
    painting = (time.perf_counter() - start) / loader.threads
    x = plan.net.prepare(painted.content, recipe.answer_size)
    with torch.inference_mode(), fabric.autocast():
        predictors = (plan.net, wrap_predictor(plan.methods, plan.net, {}, multi_label=plan.context.multi_label))
        answers = [
            _mean_seconds(repeat(partial(predictor, x)), warm=_ANSWERS_WARM, timed=_ANSWERS_TIMED) + painting
            for predictor in predictors
        ]
    return Speed(step_seconds, answers[0] / len(shown), answers[1] / len(shown))


def _step(plan: Plan, take: Callable[[], Any]) -> None:
    """What the loop does with a batch."""
    take()
    for runtime in plan.runtimes.values():
        runtime.after_step(_LATE)


def _mean_seconds(
    calls: Iterable[Callable[[], Any]], look: float = 0.0, warm: int = _WARM, timed: int = _TIMED
) -> float:
    """How long one of these takes, from the end of the one before, so that waiting for it counts too. After some to warm up, so
    many, or as many as fill `look` seconds."""
    ends = [time.perf_counter()]
    for call in calls:
        call()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        ends.append(time.perf_counter())
        if len(ends) > warm + timed and ends[-1] - ends[warm] >= look:
            break
    return (ends[-1] - ends[warm]) / (len(ends) - 1 - warm)


def epochs_that_fit(
    plan: Plan, speed: Speed, seconds: float, size: int, steps_per_epoch: int, validation: float, most: int = MAX_EPOCHS
) -> int:
    """The most epochs whose steps, validations (`validation` seconds each, at most one an epoch) and pictures fit, up to `most`;
    at least one."""
    known = np.array(sorted(speed.step_seconds))
    best = 1
    for epochs in range(1, most + 1):
        sizes = sizes_over_training(plan, size, epochs)
        nearest = [int(known[np.abs(known - each).argmin()]) for each in sizes]
        step_time = sum(speed.step_seconds[near] * (each / near) ** 2 for near, each in zip(nearest, sizes))
        if step_time * steps_per_epoch + validation * validations(epochs) > seconds:
            break
        best = epochs
    return best


def steps_that_fit(plan: Plan, size: int, allowed: float | None, most: int, progress: Progress, seconds: float) -> int:
    """How many steps in all a training should take that needed `seconds` so far and may take `allowed`: as planned, or whole epochs
    fewer or more, up to `most`, where its own pace says that the probe was far off."""
    total, per_epoch = progress.total_steps, progress.steps_per_epoch
    if allowed is None or progress.fraction < _FIRST_LOOK:
        return total
    done, planned = progress.epoch, total // per_epoch

    def work(epochs: int) -> tuple[int, int]:
        """Pixels already seen and still to be seen in a training of so many epochs."""
        areas = [each**2 for each in sizes_over_training(plan, size, epochs)]
        return sum(areas[:done]), sum(areas[done:])

    behind, ahead = work(planned)
    pace = seconds / max(behind, 1)
    projected = seconds + pace * ahead
    if projected > allowed * (1 + _PATIENCE * (1 - progress.fraction)):
        fitting = (n for n in range(planned - 1, done, -1) if seconds + pace * work(n)[1] <= allowed)
        return min(total, next(fitting, done + 1) * per_epoch)
    if projected < _FILLED * allowed and _GROWTH[0] <= progress.fraction <= _GROWTH[1]:
        too_many = (n for n in range(planned + 1, most + 1) if seconds + pace * work(n)[1] > _FILLED * allowed)
        return (next(too_many, most + 1) - 1) * per_epoch
    return total


def validations(epochs: int) -> int:
    """How often a training of so many epochs is validated: every epoch while they are few, then about twelve times."""
    return -(-epochs // validate_every(epochs))


def validate_every(epochs: int) -> int:
    return max(1, round(epochs / 12))
