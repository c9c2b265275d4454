"""Train the plain, strong and improved recipes with the same seeds and the same time, and compare them."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from whet.core import strict_json
from whet.core.duration import Duration
from whet.core.errors import RunError
from whet.core.language import Sentence, english
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.evaluate.compare import Difference, Group, compare_runs
from whet.evaluate.evidence import read_evidence
from whet.report import build_report
from whet.studies.executor import Executor, PlannedRun
from whet.training.ensemble import can_combine, ensemble_gain, ensemble_runs
from whet.training.log import Observer

PLAIN = english("plain")
_DIVISION = "division.json"
_REPORT_SECONDS = 5.0
_RESERVE = 1.2  # an additional seed starts if the remaining time is at least this multiple of the time of one seed
_PATIENCE = 0.8  # a planned seed starts if the remaining time is at least this multiple of the time of one seed


@dataclass(frozen=True)
class RecipeComparison:
    """The runs of each recipe. runs: by recipe name, in the order of the seeds. metric: the metric of the comparison. Choices are
    made by `merit`."""

    runs: dict[str, list[RunFolder]]
    metric: str

    def metrics(self, run: RunFolder) -> dict[str, Any]:
        found: dict[str, Any] = run.read_json(run.metrics)
        return found

    def merit(self, name: str) -> tuple[float, float]:
        """The mean merit over seeds on the validation samples; larger is better."""
        first, second = np.mean([merit(run, self.metric) for run in self.runs[name]], axis=0)
        return float(first), float(second)

    @property
    def recommended(self) -> str:
        """The name of the best recipe other than the plain one."""
        return max((name for name in self.runs if name != PLAIN), key=self.merit)

    @property
    def winner(self) -> str:
        """The name of the best recipe, including the plain one. Its runs give the model."""
        return max(self.runs, key=self.merit)

    @property
    def best(self) -> RunFolder:
        return max(self.runs[self.winner], key=lambda run: merit(run, self.metric))

    def compared(self) -> tuple[dict[str, Group], dict[str, Difference], tuple[int, int, float] | None]:
        """Compare the recipes on the test samples. Returns the group of each recipe, its difference from the plain recipe, and
        McNemar's test of the recommended recipe if there is only one seed."""
        reference, comparisons, _ = compare_runs([run for runs in self.runs.values() for run in runs], self.metric)
        named = dict(zip((name for name in self.runs if name != PLAIN), comparisons, strict=True))
        groups = {PLAIN: reference} | {name: found.group for name, found in named.items()}
        return groups, {name: found.difference for name, found in named.items()}, named[self.recommended].mcnemar

    def ensemble(self, path: Path) -> Ensemble | None:
        """The ensemble of all runs of the winner; None if there is only one run, or if runs of this task cannot be combined."""
        runs = self.runs[self.winner]
        if len(runs) < 2 or not can_combine(runs[0]):
            return None
        best = self.best
        combined = ensemble_runs([best, *(run for run in runs if run.path != best.path)], path)
        return Ensemble(combined, best, ensemble_gain(combined, best), self.metric)


def merit(run: RunFolder, metric: str) -> tuple[float, float]:
    """The sort key for choices, from the cross-fitted predictions of the validation samples; larger is better. For the headline
    metric of the task: its merit (`Task.merit`), then the metric. For any other metric: that metric, then the merit."""
    evidence = read_evidence(run, "val")
    task = evidence.task
    chosen = task.metric(metric)
    value, finer = chosen.merit(chosen.value(evidence)), task.merit(run.read_json(run.metrics)["val"])
    return (finer, value) if metric == task.headline else (value, finer)


@dataclass(frozen=True)
class Ensemble:
    """An ensemble and the best single run. difference: the ensemble's headline metric minus that of the single run on the same
    samples. metric: the metric by which the ensemble must be better."""

    run: RunFolder
    single: RunFolder
    difference: Difference
    metric: str

    @property
    def pays(self) -> bool:
        """Whether the ensemble is better on the validation samples than the best single run."""
        return merit(self.run, self.metric) > merit(self.single, self.metric)

    def to_dict(self) -> dict[str, Any]:
        combined, single = (run.read_json(run.metrics) for run in (self.run, self.single))
        part = "test" if "test" in combined else "val"
        return {
            "name": self.run.name,
            "runs": 1 + len(Recipe.load(self.run.requested).method("stacking").settings_dict()["runs"]),
            "single": self.single.name,
            "pays": self.pays,
            "value": combined[part][self.run.task.headline],
            "difference": {**asdict(self.difference), "verdict": self.difference.verdict},
            "times": combined["cost"]["seconds_per_sample"] / max(single["cost"]["seconds_per_sample"], 1e-9),
        }


def train_all(
    path: Path, recipes: Mapping[str, Recipe], limit: Duration | None, seeds: int, most_seeds: int, started: float,
    executor: Executor, observer: Observer, *, metric: str, once: Collection[str] = (),
    data: str | None = None,
) -> RecipeComparison:  # fmt: skip
    """Train the recipes in the remaining time. The recipes in `once` are trained first, with one seed and their own budget, because
    their result does not depend on the seed. All other recipes are trained seed by seed with equal budgets. The clock is checked
    before each seed: fewer seeds are trained if runs took longer than planned, and more, up to `most_seeds`, if they ended early.
    Finished runs are not repeated, and a finished comparison is not extended. data: the fingerprint of the data. Raises RunError if
    a run fails, or if a folder contains a run of another recipe or of other data."""
    runs: dict[str, list[RunFolder]] = {name: [] for name in recipes}
    clock = _Clock(path / _DIVISION, limit, started)

    def make(names: Sequence[str], numbers: range, each: Duration | None) -> None:
        tasks = []
        for seed in numbers:
            for name in names:
                budget = {} if each is None else {"budget": each}
                tasks.append(
                    PlannedRun(recipes[name].setting(seed=seed, **budget), path / f"{name}-s{seed}", data=data)
                )
                runs[name].append(RunFolder(tasks[-1].path))
        for number, task in enumerate(executor.run(tasks), start=1):
            _finish(task, english("run {number:d} of {total:d}", number=number, total=len(tasks)), observer)
            clock.save()

    at_once, others = [name for name in recipes if name in once], [name for name in recipes if name not in once]
    if at_once:
        observer.phase(english("training {recipes}: one pass", recipes=", ".join(at_once)))
        make(at_once, range(1), None)
    clock.divide(seeds, len(others), executor.jobs)
    together = seeds if executor.jobs > 1 else 1
    while others and clock.another(seeds, most_seeds):
        new = range(clock.begun, max(clock.begun + 1, together))
        observer.phase(_phase(", ".join(others), new.start + 1, seeds, clock.each))
        make(others, new, clock.each)
        last = [runs[name][-1] for name in others]
        clock.round_over(
            new.stop, sum(run.read_json(run.metrics)["cost"]["total_seconds"] for run in last) / executor.jobs
        )
    clock.over()
    if others and clock.begun < seeds:
        observer.note(
            english("{begun:d} instead of {seeds:d} seeds, to stay within the budget", begun=clock.begun, seeds=seeds)
        )
    return RecipeComparison(runs, metric)


def _phase(recipes: str, n: int, seeds: int, each: Duration | None) -> Sentence:
    """What is trained next: seed number n, of so many planned ones or an additional one."""
    if n > seeds:
        if each is None:
            return english("additional seed: training {recipes}", recipes=recipes)
        return english("additional seed, {each} each: training {recipes}", each=each, recipes=recipes)
    if each is None:
        return english("seed {n} of {seeds:d}: training {recipes}", n=n, seeds=seeds, recipes=recipes)
    return english(
        "seed {n} of {seeds:d}, {each} each: training {recipes}", n=n, seeds=seeds, each=each, recipes=recipes
    )


def _finish(task: PlannedRun, position: Sentence, observer: Observer) -> None:
    """Build the report of a finished run and note its headline metric. Raises RunError if the run failed."""
    run = RunFolder(task.path)
    if task.failure.is_file():
        raise RunError(f"{task.path} failed: {run.read_json(task.failure)['reason']}")
    if not run.report.is_file():
        build_report(run)
    metric, measured = run.task.metric(None), run.read_json(run.metrics)["val"]
    values = {"run": run.name, "metric": metric.title, "value": metric.shown(measured[run.task.headline])}
    observer.note(english("{position!t}, {run}: validation {metric!t}: {value}", position=position, **values))


class _Clock:
    """Divides the time among runs. The division and the number of trained seeds are saved, so that a resumed call makes the same
    decisions. The time of earlier calls counts."""

    def __init__(self, file: Path, limit: Duration | None, started: float) -> None:
        self._file, self._limit, self._started = file, limit, started
        self._kept: dict[str, Any] = {"each": None, "seeds": 0, "over": False, "spent": 0.0, "divided": False}
        if file.is_file():
            self._kept |= json.loads(file.read_text(encoding="utf-8"))
        self._before, self._round, self.begun = float(self._kept["spent"]), 0.0, 0

    @property
    def each(self) -> Duration | None:
        """The budget of each run; None for the budget of its recipe."""
        return Duration.parse(self._kept["each"]) if self._kept["each"] else None

    @property
    def _left(self) -> float:
        """Seconds left for more runs; 0 if the budget is not a time."""
        if self._limit is None or not self._limit.is_time:
            return 0.0
        return self._limit.seconds - self._spent - _REPORT_SECONDS

    @property
    def _spent(self) -> float:
        return self._before + time.monotonic() - self._started

    def divide(self, seeds: int, recipes: int, jobs: int) -> None:
        if not self._kept["divided"]:
            each = self._limit
            if each is not None and each.is_time:
                turns = max(1, -(-recipes * seeds // jobs))  # sequential runs
                each = Duration(max(1, int(self._left / turns)), "s")
            self._kept |= {"each": str(each) if each is not None else None, "divided": True}
            self.save()

    def another(self, planned: int, most: int) -> bool:
        """Whether another seed is trained."""
        if self.begun < self._kept["seeds"] or self.begun == 0:
            return True
        if self._kept["over"]:
            return False
        timed = self._limit is not None and self._limit.is_time
        if self.begun < planned:
            return not timed or self._left >= _PATIENCE * self._round
        return timed and self.begun < most and self._left >= _RESERVE * self._round

    def round_over(self, begun: int, seconds: float) -> None:
        """Record that `begun` seeds are trained and that the runs of the last seed took `seconds`."""
        self.begun, self._round = begun, seconds
        self._kept["seeds"] = max(self._kept["seeds"], begun)
        self.save()

    def over(self) -> None:
        self._kept["over"] = True
        self.save()

    def save(self) -> None:
        strict_json.write(
            self._file, self._kept | {"spent": self._kept["spent"] if self._kept["over"] else self._spent}
        )
