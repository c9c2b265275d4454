"""Train the runs of the design seed by seed until all seeds or the time are used, or every factor has a verdict."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

from whet.core.duration import Duration
from whet.core.language import english, english_n
from whet.evaluate.difference import HURTS, LEAST_SEEDS
from whet.studies.clock import TooLittleTime
from whet.studies.design import ONE_AT_A_TIME, design_matrix
from whet.studies.evidence import Findings, Observed, estimate_effects, observe
from whet.studies.factor import recipe_at
from whet.studies.plan import Plan
from whet.studies.runner import Runner, Steps
from whet.training.job import resume_or_train

SCREEN_SHARE, FILLED = 0.65, 0.97  # share of the time, with and without a confirmation
# (seeds, minimum epochs of each run): many seeds of short runs are more informative than few seeds of long runs, but runs of one
# or two epochs may not be representative.
_DIVISIONS = ((5, 4), (LEAST_SEEDS, 1))
_PROBE_SHARE = 0.05  # share of the time; if the first probe run takes longer, there is no second one
# Interim analyses use a strict level, so that repeated testing does not increase false positives.
_EARLY_LEVEL = 0.001  # Source: Haybittle 1971; Peto et al. 1976


def decide_length(plan: Plan, runner: Runner, share: float) -> Duration:
    """The length of every run of the design, so that the requested seeds, or the minimum for a verdict, fit this share of the time.
    The decision is saved."""
    if plan.seconds is None:
        return plan.budget if plan.budget is not None else plan.requested.train.budget
    return Duration.parse(runner.journal.decided("length of each run", lambda: str(_length(plan, runner, share))))


def _length(plan: Plan, runner: Runner, share: float) -> Duration:
    limit, runs = plan.seconds, len(design_matrix(plan.design, len(plan.factors)))
    assert limit is not None
    runner.watch.phase(english("timing the first runs"))
    costs: list[dict[str, float]] = []
    for epochs in (1, 2):  # the first one includes the start-up cost of the process
        if not costs or costs[0]["total_seconds"] < _PROBE_SHARE * limit:
            requested = plan.base.setting(budget=Duration(epochs, "ep"))
            probe = resume_or_train(requested, runner.path / f"probe-{epochs}", Steps(runner.watch))
            costs.append(probe.read_json(probe.metrics)["cost"])
    spent = sum(cost["total_seconds"] for cost in costs)
    runner.clock.note(english("first runs for timing"), len(costs), spent)
    beside = costs[-1]["total_seconds"] - costs[-1]["train_seconds"]
    pace = costs[-1]["train_seconds"] / costs[-1]["epochs"]
    for seeds, least in ((plan.seeds, 1),) if plan.seeds else _DIVISIONS:
        epochs = int(((share * limit - spent) * plan.jobs / (seeds * runs) - beside) / pace)
        if epochs >= least:
            return Duration(min(epochs, plan.epochs or epochs), "ep")
    needed = (seeds * runs * (beside + pace) / plan.jobs + spent) / share
    raise TooLittleTime(
        f"{limit / 60:.3g} minutes: the {plan.design} of {len(plan.factors)} factors takes {runs} runs with each of {seeds} seeds, "
        f"with one epoch each about {needed / 60:.0f} minutes in total; use more time or fewer factors"
    )


@dataclass
class Screening:
    """The runs so far and their results. fixed: the levels of factors that are no longer varied."""

    plan: Plan
    runner: Runner
    length: Duration
    share: float = SCREEN_SHARE  # share of the time
    runs: list[Observed] = field(default_factory=list)
    fixed: dict[int, int] = field(default_factory=dict)

    def run(self) -> Findings:
        """Train the runs and return the findings. Raises RunError if the factors are not identifiable."""
        wanted = self.plan.seeds or (None if self.plan.seconds else LEAST_SEEDS)
        for seed in itertools.count():
            rows = self._rows()
            self.runner.watch.phase(
                english(
                    "seed {seed:d}: {n} runs of the {design!t}, {each} each",
                    seed=seed,
                    n=len(rows),
                    design=self.plan.design,
                    each=self.length,
                )
            )
            seconds = self._block(seed, rows) / len(rows)
            if len(self.fixed) == len(self.plan.factors) or self._is_last(seed, wanted, seconds * len(self._rows())):
                break
            if seed + 1 >= LEAST_SEEDS and self._race(self._findings()):
                break
        evidence = self._findings()
        if seed + 1 < LEAST_SEEDS:
            self.runner.watch.note(
                english_n(
                    "one seed, no verdict: the intervals do not include seed variance",
                    "{n} seeds, no verdict: the intervals do not include seed variance",
                    seed + 1,
                )
            )
        if evidence.left_out:
            self.runner.watch.note(
                english(
                    "evaluated on {samples} samples; {n} more were not predicted by every run",
                    samples=evidence.samples,
                    n=evidence.left_out,
                )
            )
        return evidence

    def _is_last(self, seed: int, wanted: int | None, another: float) -> bool:
        """Whether this is the last seed: the requested number is reached, or another seed does not fit the time. The decision is
        saved."""
        if wanted is not None:
            return seed + 1 >= wanted
        limit = f"{self.share * (self.plan.seconds or 0):g} s"
        return self.runner.journal.decided(
            f"of {limit}, seed {seed} is the last", lambda: self.runner.clock.left(self.share) < another
        )

    def _rows(self) -> list[list[int]]:
        """The rows of the design for the factors that are still varied."""
        F = len(self.plan.factors)
        varied = [f for f in range(F) if f not in self.fixed]
        coded = design_matrix(self.plan.design, len(varied))
        rows = np.empty((len(coded), F), dtype=int)
        rows[:, varied] = coded
        for f, level in self.fixed.items():
            rows[:, f] = level
        return rows.tolist()

    def _block(self, seed: int, rows: list[list[int]]) -> float:
        """Train the rows with this seed and return the time in seconds."""
        base, plan = self.plan.base.setting(budget=self.length, seed=seed), self.plan
        found = self.runner.make([recipe_at(base, plan.factors, levels) for levels in rows])
        new = [observe(run, row, seed) for run, row in zip(found, rows, strict=True) if run is not None]
        self.runs += new
        for f in range(len(plan.factors)):
            ran = {run.levels[f] for run in self.runs}
            if f not in self.fixed and len(ran) == 1 and any(row[f] not in ran for row in rows):
                (self.fixed[f],) = ran  # one of its levels never runs
        seconds = sum(run.costs["total_seconds"] for run in new) / plan.jobs
        self.runner.clock.note(english("{design!t}, seed {seed:d}", design=plan.design, seed=seed), len(rows), seconds)
        return seconds

    def _findings(self) -> Findings:
        reason = next(iter(self.runner.failures.values()), "")
        return estimate_effects(self.plan.design, self.plan.factors, self.runs, self.plan.metric, reason)

    def _race(self, evidence: Findings) -> bool:
        """Fix factors whose verdict is certain at the strict level: harmful ones in a screen, any in one-at-a-time designs. Returns
        whether no factor is left."""
        alone = ONE_AT_A_TIME.get(self.plan.design)
        certain = [effect.difference is None or effect.p_holm < _EARLY_LEVEL for effect in evidence.effects]
        for f, effect in enumerate(evidence.effects):
            if certain[f] and f not in self.fixed and (alone is not None or effect.verdict == HURTS):
                self.fixed[f] = alone if alone is not None else -1
                self.runner.watch.note(
                    english(
                        "{name!t}: {verdict!t} at the strict level; it is no longer varied",
                        name=effect.name,
                        verdict=effect.verdict,
                    )
                )
        return all(certain) or len(self.fixed) == len(self.plan.factors)
