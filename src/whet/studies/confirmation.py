"""Does what short runs recommend hold at full length, with seeds that the study has not seen, on the test samples?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from whet.core.duration import Duration
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.task import metric_named
from whet.evaluate.compare import between
from whet.evaluate.difference import LEAST_SEEDS, Difference
from whet.studies.evidence import Observed, observe, on_common_samples, seconds_of
from whet.studies.factor import recipe_at
from whet.studies.plan import Plan
from whet.studies.runner import Runner

MOST_SEEDS, _FRESH = 10, 1000
_FILLED = 0.97  # of the time; the rest is for the report


@dataclass(frozen=True)
class Confirmation:
    """before, after: runs of the recipe as it was and as recommended, by seed. part: which samples it was judged by."""

    metric: str
    before: list[RunFolder]
    after: list[RunFolder]
    part: str

    @property
    def difference(self) -> Difference:
        return self.on(self.part)

    @property
    def seconds(self) -> float:
        """That all runs took, one after another."""
        return sum(run.read_json(run.metrics)["cost"]["total_seconds"] for run in (*self.before, *self.after))

    def beside(self, more: Confirmation) -> Confirmation:
        """With the runs of both."""
        return replace(self, before=[*self.before, *more.before], after=[*self.after, *more.after])

    def on(self, part: str) -> Difference:
        """On the samples of one part."""
        chosen = metric_named(self.metric)
        seen, _ = on_common_samples([observe(run, (), 0, part) for run in (*self.before, *self.after)])
        before_SN, after_SN = np.split(np.stack([run.parts_N(self.metric) for run in seen]), 2)
        return between(chosen, before_SN, after_SN, len(seen[0].evidence))

    def to_dict(self) -> dict[str, Any]:
        """With the validation curves of both, for the report."""
        on_part, on_validation = ({**asdict(d), "verdict": d.verdict} for d in (self.difference, self.on("val")))
        return on_part | {
            "part": self.part,
            "each": str(Recipe.load(self.before[0].requested).train.budget),
            "validation": on_validation,
            "curve_of": self.before[0].task.headline,
            "curves": {
                name: [_curve(run) for run in runs]
                for name, runs in (("as it was", self.before), ("changed", self.after))
            },
        }


def confirm(
    plan: Plan, runner: Runner, levels: Sequence[int], screened: Duration, runs: Sequence[Observed]
) -> Confirmation | None:
    """Train the recipe at these levels and as it was; None where they are the same, where no time is left, or where no pair of runs
    was finished. Here, and here alone, the test samples are answered. screened: the length of the design's runs."""
    recommended = recipe_at(plan.asked, plan.factors, levels)
    if recommended == plan.asked:
        return None
    decided = runner.journal.decided("confirmation", lambda: _written(*_length(plan, runner, levels, screened, runs)))
    length, count = Duration.parse(decided["each"]), decided["seeds"]
    if count == 0:
        runner.watch.note("no time is left to confirm what the study recommends")
        return None
    before, after = (
        recipe.setting(torch_threads=plan.base.train.torch_threads) for recipe in (plan.asked, recommended)
    )
    found = compare_afresh(before, after, length, count, runner, plan.metric)
    # What a run takes at full size was a guess; now it is known, and the time that is left may be enough for more.
    while found is not None and plan.seconds is not None and count < MOST_SEEDS and _another_fits(found, runner, plan):
        more = compare_afresh(before, after, length, 1, runner, plan.metric, after_seeds=count)
        found, count = found if more is None else found.beside(more), count + 1
    return found


def compare_afresh(
    before: Recipe, after: Recipe, length: Duration, seeds: int, runner: Runner, metric: str, after_seeds: int = 0
) -> Confirmation | None:
    """Train both with so many seeds that nothing was chosen by, beside as many before; None where no pair of runs was finished.
    The test samples are answered."""
    another = "another" if after_seeds else seeds
    runner.watch.phase(f"confirming with {another} fresh {'seed' if seeds == 1 else 'seeds'}, {length} each")
    numbers = range(_FRESH + after_seeds, _FRESH + after_seeds + seeds)
    made = runner.make([recipe.setting(budget=length, seed=seed) for seed in numbers for recipe in (before, after)])
    pairs = [(a, b) for a, b in zip(made[::2], made[1::2], strict=True) if a is not None and b is not None]
    if not pairs:
        return None
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    found = Confirmation(metric, first, second, "test" if "test" in first[0].read_json(first[0].metrics) else "val")
    what = f"confirmation, seed {after_seeds + 1}" if after_seeds else "confirmation"
    runner.clock.note(what, len(made), found.seconds / runner.executor.jobs)
    return found


def _another_fits(found: Confirmation, runner: Runner, plan: Plan) -> bool:
    seeds = len(found.before)
    takes = found.seconds / seeds / min(runner.executor.jobs, 2)
    return runner.journal.decided(
        f"of {plan.seconds:g} s, confirmation goes on after {seeds} seeds", lambda: takes < runner.clock.left(_FILLED)
    )


def _written(length: Duration, seeds: int) -> dict[str, Any]:
    return {"each": str(length), "seeds": seeds}


def _length(
    plan: Plan, runner: Runner, levels: Sequence[int], screened: Duration, runs: Sequence[Observed]
) -> tuple[Duration, int]:
    """(length of each run, number of seeds): as the recipe asks, three seeds or as many as fit; shorter where they do not."""
    if plan.seconds is None:
        return screened, LEAST_SEEDS
    beside, pace = np.sum([seconds_of(one, runs) for one in (plan.as_it_was, levels)], axis=0) / plan.smaller**2
    return length_that_fits(runner, float(beside), float(pace), plan.epochs, screened)


def length_that_fits(
    runner: Runner, beside: float, pace: float, full: int | None, shortest: Duration
) -> tuple[Duration, int]:
    """(length of each run, number of seeds, none where too few fit for a verdict) in the time that is left, where a run of both
    recipes takes `beside` seconds and `pace` for every epoch. full: the epochs that the recipe asks for; shortest: the least that
    is worth a run."""
    left = runner.clock.left(_FILLED) * min(runner.executor.jobs, 2 * LEAST_SEEDS)
    epochs = int((left / LEAST_SEEDS - beside) / pace)
    if full is not None and epochs >= full:
        return Duration(full, "ep"), min(MOST_SEEDS, int(left / (beside + full * pace)))
    if epochs >= shortest.value:
        return Duration(epochs, "ep"), LEAST_SEEDS
    return shortest, 0  # fewer seeds give no verdict


def _curve(run: RunFolder) -> list[tuple[float, float]]:
    """(epoch, the headline's value on the validation samples) over a run."""
    cost = run.read_json(run.metrics)["cost"]
    per_epoch = cost["steps"] / cost["epochs"]
    records = [record for record in run.log_records() if record["event"] == "validation"]
    return [(record["step"] / per_epoch, record[run.task.headline]) for record in records]
