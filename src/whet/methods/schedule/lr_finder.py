from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.batch import Progress
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import FindsBeforeTraining, RangeTest, Scales

_SMOOTHING = 0.9  # decay of the smoothed loss: about the last ten steps
_DIVERGED_RATIO = 4.0  # the loss has diverged if it is this many times the lowest loss
_LOWERED_RATIO = 0.98  # the test fails if the loss never falls below this fraction of the first loss


class LRFinder(
    Method,
    Scales,
    FindsBeforeTraining,
    family="schedule",
    tasks={"image-classification", "text-classification", "audio-classification", "semantic-segmentation"},
):
    """Find the learning rate before training: increase it step by step on a copy of the network until the loss diverges.

    Use when: the optimizer, the network or the data are new, and no good rate is known. The report shows the curve.
    Do not use when: the recipe's rate is already tuned, or the optimizer sets its own (lbfgs, newton_cg).
    Source: Smith 2017, arXiv:1506.01186 (range test); Smith 2018, arXiv:1803.09820.
    Deviates: the rate with the lowest smoothed loss times `share`, as in fast.ai, instead of a choice by eye.
    Shapes: a factor on the recipe's rate. Once found, it is written to the recipe of the run as `times`.
    """

    identity = {"times": 1.0}
    conflicts = frozenset({"gauss_newton", "lbfgs", "newton_cg"})

    times: Annotated[float | None, Field(gt=0, description="factor on the optimizer's rate; null: find it")] = None
    lowest: Annotated[float, Field(gt=0, description="factor at the start of the test")] = 1e-3
    highest: Annotated[
        float, Field(gt=0, description="factor at the end of the test, if the loss has not diverged")
    ] = 1e3
    steps: Annotated[int, Field(ge=20, description="number of steps of the test")] = 100
    share: Annotated[
        float, Field(gt=0, le=1, description="chosen rate as a fraction of the rate with the lowest loss"),
        Search(0.03, 0.5, log=True),
    ] = 0.1  # fmt: skip

    def factor(self, progress: Progress) -> float:
        return 1.0 if self.times is None else self.times

    def trial_steps(self, trial: Callable[[Iterable[float]], Iterator[tuple[float, float]]]) -> RangeTest | None:
        if self.times is not None:
            return None
        lrs: list[float] = []
        losses: list[float] = []
        smooth: list[float] = []
        for lr, loss in trial(np.geomspace(self.lowest, self.highest, self.steps).tolist()):
            lrs.append(lr)
            losses.append(loss)
            smooth = smoothed(losses)
            if smooth[-1] > _DIVERGED_RATIO * min(smooth):
                break
        if not smooth or min(smooth) > _LOWERED_RATIO * smooth[0]:
            raise NoEffectError(
                f"no rate from {self.lowest:g} to {self.highest:g} times the optimizer's lowered the loss within {self.steps} steps"
            )
        chosen = self.share * lrs[int(np.argmin(smooth))]
        base = lrs[0] / self.lowest
        return RangeTest(self.replace(times=chosen / base), tuple(lrs), tuple(losses), chosen)


def smoothed(losses: list[float]) -> list[float]:
    """The exponential moving average of the values so far, with bias correction."""
    running = itertools.accumulate(
        losses, lambda mean, value: _SMOOTHING * mean + (1 - _SMOOTHING) * value, initial=0.0
    )
    return [mean / (1 - math.pow(_SMOOTHING, count)) for count, mean in enumerate(running) if count]
