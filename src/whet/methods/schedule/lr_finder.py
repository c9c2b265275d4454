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

_MEMORY = 0.9  # of the smoothed loss: about the last ten steps
_BLOWN = 4.0  # a loss so many times the least one will not come back
_FALLEN = 0.98  # a loss that never fell this low teaches nothing


class LRFinder(
    Method,
    Scales,
    FindsBeforeTraining,
    family="schedule",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Find the learning rate before training: raise it step by step on a copy of the network until the loss runs away.

    Use when: the optimizer, the network or the data are new, and no good rate is known; the report shows the curve.
    Do not use when: the recipe's rate was tuned, or the optimizer sets its own (lbfgs, newton_cg).
    Source: Smith 2017, arXiv:1506.01186 (range test); Smith 2018, arXiv:1803.09820.
    Deviates: the rate of the least smoothed loss times `share`, as in fast.ai, instead of a reading by eye.
    Shapes: factor on the recipe's own rate; once found it is written into the run's recipe as `times`.
    """

    identity = {"times": 1.0}
    conflicts = frozenset({"gauss_newton", "lbfgs", "newton_cg"})

    times: Annotated[float | None, Field(gt=0, description="factor on the optimizer's rate; null finds it")] = None
    lowest: Annotated[float, Field(gt=0, description="factor that the test begins with")] = 1e-3
    highest: Annotated[float, Field(gt=0, description="factor that it ends with, if the loss has not run away")] = 1e3
    steps: Annotated[int, Field(ge=20, description="steps of the test")] = 100
    share: Annotated[
        float, Field(gt=0, le=1, description="the rate taken, as a share of the one with the least loss"),
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
            if smooth[-1] > _BLOWN * min(smooth):
                break
        if not smooth or min(smooth) > _FALLEN * smooth[0]:
            raise NoEffectError(
                f"no rate from {self.lowest:g} to {self.highest:g} times the optimizer's lowered the loss within {self.steps} steps"
            )
        chosen = self.share * lrs[int(np.argmin(smooth))]
        base = lrs[0] / self.lowest
        return RangeTest(self.replace(times=chosen / base), tuple(lrs), tuple(losses), chosen)


def smoothed(losses: list[float]) -> list[float]:
    """The exponential moving mean of the values so far, freed of the bias towards its start."""
    running = itertools.accumulate(losses, lambda mean, value: _MEMORY * mean + (1 - _MEMORY) * value, initial=0.0)
    return [mean / (1 - math.pow(_MEMORY, count)) for count, mean in enumerate(running) if count]
