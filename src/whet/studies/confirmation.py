"""Confirmation: compare the recommended recipe with the original at full length, with new seeds, on the test samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from whet.core.duration import Duration
from whet.core.language import english, english_n
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
_FILLED = 0.97  # share of the time for runs; the rest is for the report


@dataclass(frozen=True)
class Confirmation:
    """before, after: the runs of the original and the recommended recipe, by seed. part: the split for the comparison."""

    metric: str
    before: list[RunFolder]
    after: list[RunFolder]
    part: str

    @property
    def difference(self) -> Difference:
        return self.on(self.part)

    @property
    def seconds(self) -> float:
        """The total time of all runs."""
        return sum(run.read_json(run.metrics)["cost"]["total_seconds"] for run in (*self.before, *self.after))

    def beside(self, more: Confirmation) -> Confirmation:
        """The confirmation with the runs of both."""
        return replace(self, before=[*self.before, *more.before], after=[*self.after, *more.after])

    def on(self, part: str) -> Difference:
        """The difference on one split."""
        chosen = metric_named(self.metric)
        seen, _ = on_common_samples([observe(run, (), 0, part) for run in (*self.before, *self.after)])
        before_SN, after_SN = np.split(np.stack([run.parts_N(self.metric) for run in seen]), 2)
        return between(chosen, before_SN, after_SN, len(seen[0].evidence))

    def to_dict(self) -> dict[str, Any]:
        """The difference and the validation curves of both recipes, for the report."""
        on_part, on_validation = ({**asdict(d), "verdict": d.verdict} for d in (self.difference, self.on("val")))
        return on_part | {
            "part": self.part,
            "each": str(Recipe.load(self.before[0].requested).train.budget),
            "validation": on_validation,
            "curve_of": self.before[0].task.headline,
            "curves": {
                name: [_curve(run) for run in runs]
                for name, runs in ((english("original"), self.before), (english("changed"), self.after))
            },
        }


def confirm(
    plan: Plan, runner: Runner, levels: Sequence[int], screened: Duration, runs: Sequence[Observed]
) -> Confirmation | None:
    """Train the original recipe and the recipe at these levels. Returns None if they are equal, if no time is left, or if no pair
    of runs finished. The test samples are used only here. screened: the length of the design's runs."""
    recommended = recipe_at(plan.requested, plan.factors, levels)
    if recommended == plan.requested:
        return None
    decided = runner.journal.decided("confirmation", lambda: _written(*_length(plan, runner, levels, screened, runs)))
    length, count = Duration.parse(decided["each"]), decided["seeds"]
    if count == 0:
        runner.watch.note(english("no time is left to confirm the recommended recipe"))
        return None
    before, after = (
        recipe.setting(torch_threads=plan.base.train.torch_threads) for recipe in (plan.requested, recommended)
    )
    found = compare_afresh(before, after, length, count, runner, plan.metric)
    # The time of a full-size run was an estimate. Now it is measured, and there may be time for more seeds.
    while found is not None and plan.seconds is not None and count < MOST_SEEDS and _another_fits(found, runner, plan):
        more = compare_afresh(before, after, length, 1, runner, plan.metric, after_seeds=count)
        found, count = found if more is None else found.beside(more), count + 1
    return found


def compare_afresh(
    before: Recipe, after: Recipe, length: Duration, seeds: int, runner: Runner, metric: str, after_seeds: int = 0
) -> Confirmation | None:
    """Train both recipes with this number of seeds that were not used for any choice, in addition to earlier ones. The runs predict
    the test samples. Returns None if no pair of runs finished."""
    runner.watch.phase(
        english("confirming with another new seed, {each} each", each=length)
        if after_seeds
        else english_n(
            "confirming with {n} new seed, {each} each",
            "confirming with {n} new seeds, {each} each",
            seeds,
            each=length,
        )
    )
    numbers = range(_FRESH + after_seeds, _FRESH + after_seeds + seeds)
    made = runner.make([recipe.setting(budget=length, seed=seed) for seed in numbers for recipe in (before, after)])
    pairs = [(a, b) for a, b in zip(made[::2], made[1::2], strict=True) if a is not None and b is not None]
    if not pairs:
        return None
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    found = Confirmation(metric, first, second, "test" if "test" in first[0].read_json(first[0].metrics) else "val")
    what = english("confirmation, seed {n}", n=after_seeds + 1) if after_seeds else english("confirmation")
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
    """(length of each run, number of seeds): the recipe's length with three or more seeds if they fit, else shorter runs."""
    if plan.seconds is None:
        return screened, LEAST_SEEDS
    beside, pace = np.sum([seconds_of(one, runs) for one in (plan.as_it_was, levels)], axis=0) / plan.smaller**2
    return length_that_fits(runner, float(beside), float(pace), plan.epochs, screened)


def length_that_fits(
    runner: Runner, beside: float, pace: float, full: int | None, shortest: Duration
) -> tuple[Duration, int]:
    """(length of each run, number of seeds) that fit the remaining time; 0 seeds if too few fit for a verdict. A run of both
    recipes takes `beside` seconds plus `pace` seconds per epoch. full: the epochs of the recipe; shortest: the minimum useful
    length."""
    left = runner.clock.left(_FILLED) * min(runner.executor.jobs, 2 * LEAST_SEEDS)
    epochs = int((left / LEAST_SEEDS - beside) / pace)
    if full is not None and epochs >= full:
        return Duration(full, "ep"), min(MOST_SEEDS, int(left / (beside + full * pace)))
    if epochs >= shortest.value:
        return Duration(epochs, "ep"), LEAST_SEEDS
    return shortest, 0  # fewer seeds give no verdict


def _curve(run: RunFolder) -> list[tuple[float, float]]:
    """(epoch, main validation metric) pairs of a run."""
    cost = run.read_json(run.metrics)["cost"]
    per_epoch = cost["steps"] / cost["epochs"]
    records = [record for record in run.log_records() if record["event"] == "validation"]
    return [(record["step"] / per_epoch, record[run.task.headline]) for record in records]
