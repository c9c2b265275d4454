"""Does what short runs recommend hold at full length, with seeds that the study has not seen, on the test samples?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from whet.core.duration import Duration
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder, write_json
from whet.evaluate.compare import METRICS, Difference, crossed_interval
from whet.study.bench import Bench
from whet.study.evidence import Observed, observe, seconds_of
from whet.study.factor import recipe_at
from whet.study.plan import Plan

LEAST_SEEDS, MOST_SEEDS, _FRESH = 3, 10, 1000
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

    def on(self, part: str) -> Difference:
        """On the samples of one part."""
        chosen = METRICS[self.metric]
        sides = [[observe(run, (), 0, chosen, part) for run in runs] for runs in (self.before, self.after)]
        found = crossed_interval(np.stack([after.parts_N - before.parts_N for before, after in zip(*sides)]))
        return chosen.told(found, sides[0][0].samples)

    def to_dict(self) -> dict[str, Any]:
        """With the validation curves of both, for the report."""
        on_part, on_validation = ({**asdict(d), "verdict": d.verdict} for d in (self.difference, self.on("val")))
        return on_part | {
            "part": self.part,
            "each": str(Recipe.load(self.before[0].asked).train.budget),
            "validation": on_validation,
            "curves": {
                name: [_curve(run) for run in runs]
                for name, runs in (("as it was", self.before), ("changed", self.after))
            },
        }


def confirm(
    plan: Plan, bench: Bench, levels: Sequence[int], screened: Duration, runs: Sequence[Observed]
) -> Confirmation | None:
    """Train the recipe at these levels and as it was; None where they are the same, where no time is left, or where no pair of runs
    was finished. Here, and here alone, the test samples are answered. screened: the length of the design's runs."""
    recommended = recipe_at(plan.asked, plan.factors, levels)
    if recommended == plan.asked:
        return None
    length, count = _decided(plan, bench, levels, screened, runs)
    if count == 0:
        bench.watch.note("no time is left to confirm what the study recommends")
        return None
    before, after = (
        recipe.setting(torch_threads=plan.base.train.torch_threads) for recipe in (plan.asked, recommended)
    )
    return compare_afresh(before, after, length, count, bench, plan.metric)


def compare_afresh(
    before: Recipe, after: Recipe, length: Duration, seeds: int, bench: Bench, metric: str
) -> Confirmation | None:
    """Train both with so many seeds that nothing was chosen by; None where no pair of runs was finished. The test samples are
    answered."""
    bench.watch.stage(f"confirming with {seeds} fresh {'seed' if seeds == 1 else 'seeds'}, {length} each")
    numbers = range(_FRESH, _FRESH + seeds)
    made = bench.make([recipe.setting(budget=length, seed=seed) for seed in numbers for recipe in (before, after)])
    pairs = [(a, b) for a, b in zip(made[::2], made[1::2]) if a is not None and b is not None]
    if not pairs:
        return None
    metrics = [run.read_json(run.metrics) for pair in pairs for run in pair]
    seconds = sum(found["cost"]["total_seconds"] for found in metrics)
    bench.clock.note("confirmation", len(made), seconds / bench.executor.jobs)
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    return Confirmation(metric, first, second, "test" if "test" in metrics[0] else "val")


def _decided(
    plan: Plan, bench: Bench, levels: Sequence[int], screened: Duration, runs: Sequence[Observed]
) -> tuple[Duration, int]:
    """`_length`, decided once: a study that goes on makes the same runs."""
    file = bench.path / "confirmation.json"
    if not file.is_file():
        length, count = _length(plan, bench, levels, screened, runs)
        write_json(file, {"each": str(length), "seeds": count})
    kept = json.loads(file.read_text(encoding="utf-8"))
    return Duration.parse(kept["each"]), kept["seeds"]


def _length(
    plan: Plan, bench: Bench, levels: Sequence[int], screened: Duration, runs: Sequence[Observed]
) -> tuple[Duration, int]:
    """(length of each run, number of seeds): as the recipe asks, three seeds or as many as fit; shorter where they do not."""
    if plan.seconds is None:
        return screened, LEAST_SEEDS
    beside, pace = np.sum([seconds_of(one, runs) for one in (plan.as_it_was, levels)], axis=0) / plan.smaller**2
    return length_that_fits(bench, float(beside), float(pace), plan.epochs, screened)


def length_that_fits(
    bench: Bench, beside: float, pace: float, full: int | None, shortest: Duration
) -> tuple[Duration, int]:
    """(length of each run, number of seeds) in the time that is left, where a run of both recipes takes `beside` seconds and `pace`
    for every epoch. full: the epochs that the recipe asks for; shortest: the least that is worth a run."""
    left = bench.clock.left(_FILLED) * min(bench.executor.jobs, 2 * LEAST_SEEDS)
    epochs = int((left / LEAST_SEEDS - beside) / pace)
    if full is not None and epochs >= full:
        return Duration(full, "ep"), min(MOST_SEEDS, int(left / (beside + full * pace)))
    if epochs >= shortest.value:
        return Duration(epochs, "ep"), LEAST_SEEDS
    return shortest, max(0, int(left / (beside + shortest.value * pace)))


def _curve(run: RunFolder) -> list[tuple[float, float]]:
    """(epoch, validation accuracy) over a run."""
    cost = run.read_json(run.metrics)["cost"]
    per_epoch = cost["steps"] / cost["epochs"]
    records = [record for record in run.log_records() if record["event"] == "validation"]
    return [(record["step"] / per_epoch, record["accuracy"]) for record in records]
