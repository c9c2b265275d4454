"""The design's runs, seed after seed, until the seeds or the time are used up or all is known."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

from whet.core.duration import Duration
from whet.evaluate.difference import HURTS, LEAST_SEEDS
from whet.studies.clock import TooLittleTime
from whet.studies.design import ONE_AT_A_TIME, design_matrix
from whet.studies.evidence import Findings, Observed, judge, observe
from whet.studies.factor import recipe_at
from whet.studies.plan import Plan
from whet.studies.runner import Runner, Steps
from whet.training.job import resume_or_train

SCREEN_SHARE, FILLED = 0.65, 0.97  # of the time, where a confirmation follows and where none does
# (seeds, least epochs of each run): short runs of more seeds tell more than long ones of fewer, but one or two epochs tell
# of one or two epochs only.
_DIVISIONS = ((5, 4), (LEAST_SEEDS, 1))
_PROBE_SHARE = 0.05  # of the time: a first run longer than this is not followed by a second
# Looks before the last one must be all but certain, so that looking often does not find by chance what is not there.
_EARLY_LEVEL = 0.001  # Source: Haybittle 1971; Peto et al. 1976


def decide_length(plan: Plan, runner: Runner, share: float) -> Duration:
    """The length of every run of the design: so that as many seeds of it as give a verdict, or as were asked for, fit this share of
    the time. Decided once."""
    if plan.seconds is None:
        return plan.budget if plan.budget is not None else plan.asked.train.budget
    return Duration.parse(runner.journal.decided("length of each run", lambda: str(_length(plan, runner, share))))


def _length(plan: Plan, runner: Runner, share: float) -> Duration:
    limit, runs = plan.seconds, len(design_matrix(plan.design, len(plan.factors)))
    assert limit is not None
    runner.watch.phase("a first run or two, to see how long they may be")
    costs: list[dict[str, float]] = []
    for epochs in (1, 2):  # the first one also pays for what a process does only once
        if not costs or costs[0]["total_seconds"] < _PROBE_SHARE * limit:
            asked = plan.base.setting(budget=Duration(epochs, "ep"))
            probe = resume_or_train(asked, runner.path / f"probe-{epochs}", Steps(runner.watch))
            costs.append(probe.read_json(probe.metrics)["cost"])
    spent = sum(cost["total_seconds"] for cost in costs)
    runner.clock.note("first runs, to see how long they may be", len(costs), spent)
    beside = costs[-1]["total_seconds"] - costs[-1]["train_seconds"]
    pace = costs[-1]["train_seconds"] / costs[-1]["epochs"]
    for seeds, least in ((plan.seeds, 1),) if plan.seeds else _DIVISIONS:
        epochs = int(((share * limit - spent) * plan.jobs / (seeds * runs) - beside) / pace)
        if epochs >= least:
            return Duration(min(epochs, plan.epochs or epochs), "ep")
    needed = (seeds * runs * (beside + pace) / plan.jobs + spent) / share
    raise TooLittleTime(
        f"{limit / 60:.3g} minutes: the {plan.design} of {len(plan.factors)} factors takes {runs} runs with each of {seeds} seeds, "
        f"with one epoch each about {needed / 60:.0f} minutes in all; give more time or fewer factors"
    )


@dataclass
class Screening:
    """The runs so far, and what they say. fixed: factors that are no longer varied, and where they stand."""

    plan: Plan
    runner: Runner
    length: Duration
    share: float = SCREEN_SHARE  # of the time
    runs: list[Observed] = field(default_factory=list)
    fixed: dict[int, int] = field(default_factory=dict)

    def run(self) -> Findings:
        """What all the runs say; RunError where they do not tell the factors apart."""
        wanted = self.plan.seeds or (None if self.plan.seconds else LEAST_SEEDS)
        for seed in itertools.count():
            rows = self._rows()
            self.runner.watch.phase(f"seed {seed}: {len(rows)} runs of the {self.plan.design}, {self.length} each")
            seconds = self._block(seed, rows) / len(rows)
            if len(self.fixed) == len(self.plan.factors) or self._is_last(seed, wanted, seconds * len(self._rows())):
                break
            if seed + 1 >= LEAST_SEEDS and self._race(self._judged()):
                break
        evidence = self._judged()
        if seed + 1 < LEAST_SEEDS:
            seeds = "one seed" if seed == 0 else f"{seed + 1} seeds"
            self.runner.watch.note(f"{seeds}, not judged: the intervals say nothing of other seeds")
        if evidence.left_out:
            self.runner.watch.note(
                f"judged on {evidence.samples} samples: {evidence.left_out} more were not answered by every run"
            )
        return evidence

    def _is_last(self, seed: int, wanted: int | None, another: float) -> bool:
        """Whether no other seed is to follow: as many were asked for, or another one does not fit the time, which is decided
        once."""
        if wanted is not None:
            return seed + 1 >= wanted
        limit = f"{self.share * (self.plan.seconds or 0):g} s"
        return self.runner.journal.decided(
            f"of {limit}, seed {seed} is the last", lambda: self.runner.clock.left(self.share) < another
        )

    def _rows(self) -> list[list[int]]:
        """The design's levels with the factors that are still varied."""
        F = len(self.plan.factors)
        varied = [f for f in range(F) if f not in self.fixed]
        coded = design_matrix(self.plan.design, len(varied))
        rows = np.empty((len(coded), F), dtype=int)
        rows[:, varied] = coded
        for f, level in self.fixed.items():
            rows[:, f] = level
        return rows.tolist()

    def _block(self, seed: int, rows: list[list[int]]) -> float:
        """Train the rows with this seed; the seconds that takes."""
        base, plan = self.plan.base.setting(budget=self.length, seed=seed), self.plan
        found = self.runner.make([recipe_at(base, plan.factors, levels) for levels in rows])
        new = [observe(run, row, seed) for run, row in zip(found, rows, strict=True) if run is not None]
        self.runs += new
        for f in range(len(plan.factors)):
            ran = {run.levels[f] for run in self.runs}
            if f not in self.fixed and len(ran) == 1 and any(row[f] not in ran for row in rows):
                (self.fixed[f],) = ran  # one of its levels never runs
        seconds = sum(run.costs["total_seconds"] for run in new) / plan.jobs
        self.runner.clock.note(f"{plan.design}, seed {seed}", len(rows), seconds)
        return seconds

    def _judged(self) -> Findings:
        reason = next(iter(self.runner.failures.values()), "")
        return judge(self.plan.design, self.plan.factors, self.runs, self.plan.metric, reason)

    def _race(self, evidence: Findings) -> bool:
        """Factors whose verdict is all but certain leave the race: of a screen those that hurt, of one at a time any. Whether
        nothing is left to find out."""
        alone = ONE_AT_A_TIME.get(self.plan.design)
        certain = [effect.difference is None or effect.p_holm < _EARLY_LEVEL for effect in evidence.effects]
        for f, effect in enumerate(evidence.effects):
            if certain[f] and f not in self.fixed and (alone is not None or effect.verdict == HURTS):
                self.fixed[f] = alone if alone is not None else -1
                self.runner.watch.note(f"{effect.name} {effect.verdict}, all but certainly: it is varied no more")
        return all(certain) or len(self.fixed) == len(self.plan.factors)
