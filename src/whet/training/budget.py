"""What a training costs here: a few real steps and answers timed."""

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
from whet.training.plan import Plan, wrap_predictor
from whet.training.trial_steps import TrialSteps

Clock = Callable[[], float]
"""Seconds since any moment; `time.monotonic`, or a simulated one."""

_WARM, _TIMED = 4, 6  # steps; the first ones find their images painted already
_ANSWERED, _ANSWERS_WARM, _ANSWERS_TIMED = 16, 1, 2  # images of an answer, and answers: each is the same work
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


def measure(
    recipe: Recipe, net: Net, context: Context, fabric: Fabric, train: Table, clock: Clock = time.perf_counter
) -> Speed:
    """Time real steps of this recipe, images painted beside them as in training, on a copy of the network; the network itself
    stays as it is. A long budget is worth a longer look."""
    trial = TrialSteps(recipe, net, context, fabric, train)
    plan, loader = trial.plan, trial.loader
    step_seconds: dict[int, float] = {}
    sizes = sorted(set(sizes_over_training(plan, recipe.size, 40)))
    look = min(_TIMED_SHARE * recipe.train.budget.seconds, _TIMED_SECONDS) / len(sizes)
    for size in sizes:
        step_seconds[size] = _mean_seconds((partial(_step, plan, step) for step in trial.steps(size)), clock, look)
    plan.net.eval()
    shown = np.arange(min(len(train), _ANSWERED))
    start = clock()
    (painted,) = loader.batches([shown], recipe.eval_size, receive=plan.net.front.receive)
    painting = (clock() - start) / loader.threads
    x = plan.net.front(painted.content)
    with torch.inference_mode(), fabric.autocast():
        predictors = (plan.net, wrap_predictor(plan.methods, plan.net, {}, plan.context.task))
        answers = [
            _mean_seconds(repeat(partial(predictor, x)), clock, warm=_ANSWERS_WARM, timed=_ANSWERS_TIMED) + painting
            for predictor in predictors
        ]
    return Speed(step_seconds, answers[0] / len(shown), answers[1] / len(shown))


def _step(plan: Plan, take: Callable[[], Any]) -> None:
    """What the loop does with a batch."""
    take()
    for runtime in plan.runtimes.values():
        runtime.after_step(_LATE)


def _mean_seconds(
    calls: Iterable[Callable[[], Any]], clock: Clock, look: float = 0.0, warm: int = _WARM, timed: int = _TIMED
) -> float:
    """How long one of these takes, from the end of the one before, so that waiting for it counts too. After some to warm up, so
    many, or as many as fill `look` seconds."""
    ends = [clock()]
    for call in calls:
        call()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        ends.append(clock())
        if len(ends) > warm + timed and ends[-1] - ends[warm] >= look:
            break
    return (ends[-1] - ends[warm]) / (len(ends) - 1 - warm)
