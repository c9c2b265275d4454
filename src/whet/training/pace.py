"""Keep a training within a budget in minutes by updating the number of steps during training."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

from whet.core.batch import Progress
from whet.training.plan import Plan

SAFETY = 0.9  # over minutes, a shared machine is 1.1 to 1.2 times slower than a probe of a few seconds
_FILLED = 0.97  # the share of the budget that a plan uses
_TOLERANCE = (
    0.15,
    0.03,
)  # tolerance of the forecast as a share of the budget, at the start and at the end; early errors even out
_HORIZON = 0.1  # share of the budget: the averaging window of the speed of the machine
_LOOKS = 0.01  # share of the budget between two forecasts
_FIRST_LOOK = 0.1  # share of the budget before the first forecast, because one-time costs distort earlier ones


@dataclass(frozen=True)
class Costs:
    """The timed costs of a training. seconds: the budget of the whole run. step: seconds per step, by sample size. validation:
    seconds per validation. ending: seconds for everything after the last step."""

    seconds: float
    step: dict[int, float]
    validation: float
    ending: float


class Pace:
    """Keeps a training within its minutes on a machine whose speed changes. `slowdown` is the recent time relative to the timed
    costs. It is used to forecast the remaining time. If the forecast misses the budget by more than the current tolerance, the
    number of steps is changed."""

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
        """Start or resume at this step, with `spent` seconds of the budget used."""
        self._step, self._spent, self._begun = step, spent, spent

    def steps_that_fit(self, step: int, spent: float, validate_steps: int | None = None) -> int:
        """The maximum total number of steps that fit: at least one more than `step`, at most `most`. validate_steps: the steps
        between validations; by default those of a training with this number of epochs."""
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
        """The total number of steps, given the progress and the seconds spent."""
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
        """The timed seconds from step `start` to `end` of a training of `total` steps, including validations: the validation at
        `start` counts, the one at `end` only if training `ends` there."""
        per_epoch = self._per_epoch
        every = validate_steps or per_epoch * validate_every(-(-total // per_epoch))
        found = self._costs.validation * ((end - 1) // every - (start - 1) // every + ends) if end > start else 0.0
        for epoch in range(start // per_epoch, -(-end // per_epoch)):
            steps = min(end, (epoch + 1) * per_epoch) - max(start, epoch * per_epoch)
            size = self._plan.settings(Progress(epoch * per_epoch, total, per_epoch), self._size).size
            found += steps * self._step_seconds(size)
        return found

    def _step_seconds(self, size: int) -> float:
        """The seconds per step of a size. If it was not timed, scale the nearest size by the number of pixels."""
        near = min(self._costs.step, key=lambda timed: abs(timed - size))
        return self._costs.step[near] * (size / near) ** 2


def validate_every(epochs: int) -> int:
    """Epochs between validations: every epoch for short trainings, else about twelve validations in total."""
    return max(1, round(epochs / 12))
