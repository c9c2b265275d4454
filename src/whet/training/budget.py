"""Measure the cost of training by timing a few real steps and predictions."""

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
"""Seconds since an arbitrary moment: `time.monotonic`, or a simulated clock."""

_WARM, _TIMED = 4, 6  # steps; the images of the first ones are already rendered
_PREDICTED, _PREDICTIONS_WARM, _PREDICTIONS_TIMED = 16, 1, 2  # images per prediction, and predictions
_LATE = Progress(999_500, 1_000_000, 1_000)  # within an epoch near the end, when all late methods are active
_TIMED_SHARE, _TIMED_SECONDS = (
    0.015,
    15.0,
)  # the time for measuring: this share of the budget, at most this many seconds


@dataclass(frozen=True)
class Speed:
    """Seconds per training step, by sample size, and seconds per sample at prediction."""

    step_seconds: dict[int, float]
    inference_seconds: float
    final_inference_seconds: float


def sizes_over_training(plan: Plan, size: int, epochs: int) -> list[int]:
    """The sample size in each epoch."""
    return [plan.settings(Progress(epoch, epochs, 1), size).size for epoch in range(epochs)]


def measure(
    recipe: Recipe, net: Net, context: Context, fabric: Fabric, train: Table, clock: Clock = time.perf_counter
) -> Speed:
    """Time real steps of this recipe on a copy of the network, with images rendered in parallel as in training. The network
    itself is not changed. A longer budget gets a longer measurement."""
    trial = TrialSteps(recipe, net, context, fabric, train)
    plan, loader = trial.plan, trial.loader
    step_seconds: dict[int, float] = {}
    sizes = sorted(set(sizes_over_training(plan, recipe.size, 40)))
    look = min(_TIMED_SHARE * recipe.train.budget.seconds, _TIMED_SECONDS) / len(sizes)
    for size in sizes:
        step_seconds[size] = _mean_seconds((partial(_step, plan, step) for step in trial.steps(size)), clock, look)
    plan.net.eval()
    shown = np.arange(min(len(train), _PREDICTED))
    start = clock()
    (rendered,) = loader.batches([shown], recipe.eval_size, receive=plan.net.front.receive)
    rendering = (clock() - start) / loader.threads
    x = plan.net.front(rendered.content)
    with torch.inference_mode(), fabric.autocast():
        predictors = (plan.net, wrap_predictor(plan.methods, plan.net, {}, plan.context.task))
        predictions = [
            _mean_seconds(repeat(partial(predictor, x)), clock, warm=_PREDICTIONS_WARM, timed=_PREDICTIONS_TIMED)
            + rendering
            for predictor in predictors
        ]
    return Speed(step_seconds, predictions[0] / len(shown), predictions[1] / len(shown))


def _step(plan: Plan, take: Callable[[], Any]) -> None:
    """Process a batch like the training loop."""
    take()
    for runtime in plan.runtimes.values():
        runtime.after_step(_LATE)


def _mean_seconds(
    calls: Iterable[Callable[[], Any]], clock: Clock, look: float = 0.0, warm: int = _WARM, timed: int = _TIMED
) -> float:
    """The mean time from the end of one step to the end of the next, including waiting for data. After the warm-up, time this many
    steps, or as many as fit in `look` seconds."""
    ends = [clock()]
    for call in calls:
        call()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        ends.append(clock())
        if len(ends) > warm + timed and ends[-1] - ends[warm] >= look:
            break
    return (ends[-1] - ends[warm]) / (len(ends) - 1 - warm)
