"""Keeps a training within a budget in minutes: as many steps as fit, forecast anew while it goes on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

from whet.core.batch import Progress
from whet.training.plan import Plan

SAFETY = 0.9  # over minutes a machine is slower than a probe of some seconds shows: 1.1 to 1.2 times on a shared one
_FILLED = 0.97  # so much of the budget a plan fills
_TOLERANCE = (
    0.15,
    0.03,
)  # of the budget, by which the forecast may miss that, at the start and at the end: early misses even out
_HORIZON = 0.1  # of the budget: the pace of the machine is that of about the last tenth
_LOOKS = 0.01  # of the budget between two forecasts
_FIRST_LOOK = 0.1  # of the budget: before that a training pays for what is done only once


@dataclass(frozen=True)
class Costs:
    """What a training costs on the machine as it was timed. seconds: the budget, from the start of the run to its end. step: of one
    step, by the size of its samples. validation: of one. ending: of everything after the last step."""

    seconds: float
    step: dict[int, float]
    validation: float
    ending: float


class Pace:
    """Keeps a training within its minutes on a machine whose pace changes. `slowdown` is how many times as long as timed the work
    took lately; what is left is forecast with it, and where the forecast misses the budget by more than is forgiven at this moment,
    the training gets another number of steps."""

    def __init__(
        self, plan: Plan, size: int, costs: Costs, steps_per_epoch: int, most: int, slowdown: float = 1 / SAFETY
    ) -> None:
        self._plan, self._size, self._costs = plan, size, costs
        self._per_epoch, self._most = steps_per_epoch, most
        self.slowdown = slowdown
        self._step, self._spent, self._begun = 0, 0.0, 0.0

    @classmethod
    def from_state(cls, plan: Plan, size: int, steps_per_epoch: int, most: int, state: dict[str, Any]) -> Self:
        return cls(plan, size, Costs(**state["costs"]), steps_per_epoch, most, state["slowdown"])

    def state_dict(self) -> dict[str, Any]:
        return {"costs": asdict(self._costs), "slowdown": self.slowdown}

    def begin(self, step: int, spent: float) -> None:
        """Training begins, or goes on, with this step; so many seconds of the budget are over."""
        self._step, self._spent, self._begun = step, spent, spent

    def steps_that_fit(self, step: int, spent: float, validate_steps: int | None = None) -> int:
        """The most steps in all that fit, at least one more than `step` unless that was reached, and up to `most`. validate_steps:
        steps between validations; by default those that a training of so many epochs has."""
        room = (_FILLED * self._costs.seconds - spent) / self.slowdown - self._costs.ending
        low, high = max(step, 1), max(step, self._most)
        while low < high:
            middle = (low + high + 1) // 2
            if self.work(step, middle, middle, validate_steps) <= room:
                low = middle
            else:
                high = middle - 1
        return low

    def total_steps(self, progress: Progress, spent: float, validate_steps: int) -> int:
        """How many steps the training is to have, that has come to this progress when so many seconds were spent."""
        seconds, step, total = self._costs.seconds, progress.step, progress.total_steps
        if spent - self._spent < _LOOKS * seconds:
            return total
        expected = self.work(self._step, step, total, validate_steps, ends=False)
        weight = -math.expm1(-(spent - self._spent) / (_HORIZON * seconds))
        self.slowdown += weight * ((spent - self._spent) / max(expected, 1e-9) - self.slowdown)
        self._step, self._spent = step, spent
        if spent - self._begun < _FIRST_LOOK * seconds:
            return total
        forecast = spent + self.slowdown * (self.work(step, total, total, validate_steps) + self._costs.ending)
        early, late = _TOLERANCE
        tolerance = late + (early - late) * max(0.0, 1 - spent / seconds)
        if abs(forecast / seconds - _FILLED) <= tolerance:
            return total
        return self.steps_that_fit(step, spent, validate_steps)

    def work(self, start: int, end: int, total: int, validate_steps: int | None = None, *, ends: bool = True) -> float:
        """Seconds, on the machine as it was timed, from step `start` to `end` of a training of `total` steps, and of its
        validations: that at `start` is still to come, that at `end` is not asked for unless training `ends` there."""
        per_epoch = self._per_epoch
        every = validate_steps or per_epoch * validate_every(-(-total // per_epoch))
        found = self._costs.validation * ((end - 1) // every - (start - 1) // every + ends) if end > start else 0.0
        for epoch in range(start // per_epoch, -(-end // per_epoch)):
            steps = min(end, (epoch + 1) * per_epoch) - max(start, epoch * per_epoch)
            size = self._plan.settings(Progress(epoch * per_epoch, total, per_epoch), self._size).size
            found += steps * self._step_seconds(size)
        return found

    def _step_seconds(self, size: int) -> float:
        """Of a size that was not timed as of the nearest one, by the number of its pixels."""
        near = min(self._costs.step, key=lambda timed: abs(timed - size))
        return self._costs.step[near] * (size / near) ** 2


def validate_every(epochs: int) -> int:
    """Epochs between validations: every epoch while they are few, then about twelve times."""
    return max(1, round(epochs / 12))
