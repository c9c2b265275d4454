"""The plain recipe, the strong one and what came of it, trained with the same seeds and the same time, and compared."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from whet.core.duration import Duration
from whet.core.errors import RunError
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder, write_json
from whet.evaluate.compare import Difference, Group, compare_runs
from whet.report import build_report
from whet.study.executor import Executor, Task
from whet.train.fuse import fuse, gained
from whet.train.log import Observer

PLAIN = "plain"
_DIVISION = "division.json"
_REPORT_SECONDS = 5.0
_RESERVE = 1.2  # further runs are begun where so many times their usual time is left


@dataclass(frozen=True)
class Contest:
    """runs: by the recipe's name, in the order of the seeds."""

    runs: dict[str, list[RunFolder]]

    def metrics(self, run: RunFolder) -> dict[str, Any]:
        found: dict[str, Any] = run.read_json(run.metrics)
        return found

    def log_loss(self, name: str) -> float:
        """Mean over seeds on the validation samples, which all choosing is done by: accuracy on a few of them is too coarse."""
        return float(np.mean([self.metrics(run)["val"]["log_loss"] for run in self.runs[name]]))

    @property
    def answer(self) -> str:
        """The best of the recipes other than the plain one: what is offered."""
        return min((name for name in self.runs if name != PLAIN), key=self.log_loss)

    @property
    def winner(self) -> str:
        """The best of all recipes, from which the model is taken."""
        return min(self.runs, key=self.log_loss)

    @property
    def best(self) -> RunFolder:
        return min(self.runs[self.winner], key=lambda run: self.metrics(run)["val"]["log_loss"])

    def compared(self) -> tuple[dict[str, Group], dict[str, Difference], tuple[int, int, float] | None]:
        """(every recipe's answers, each one's difference to the plain one, McNemar's test of the offered one where there is one
        seed), on the test samples."""
        reference, comparisons, _ = compare_runs([run for runs in self.runs.values() for run in runs])
        named = dict(zip((name for name in self.runs if name != PLAIN), comparisons))
        groups = {PLAIN: reference} | {name: found.group for name, found in named.items()}
        return groups, {name: found.difference for name, found in named.items()}, named[self.answer].mcnemar

    def ensemble(self, path: Path) -> Ensemble | None:
        """All runs of the winner as one model; None where there is one run."""
        runs = self.runs[self.winner]
        if len(runs) < 2:
            return None
        best = self.best
        fused = fuse([best, *(run for run in runs if run.path != best.path)], path)
        return Ensemble(fused, best, gained(fused, best))


@dataclass(frozen=True)
class Ensemble:
    """difference: of its accuracy and that of the best single run, on the same samples."""

    run: RunFolder
    single: RunFolder
    difference: Difference

    @property
    def pays(self) -> bool:
        """Whether it is better on the validation samples than the run that is best on these."""
        fused, single = (run.read_json(run.metrics)["val"]["log_loss"] for run in (self.run, self.single))
        return bool(fused < single)

    def to_dict(self) -> dict[str, Any]:
        fused, single = (run.read_json(run.metrics) for run in (self.run, self.single))
        part = "test" if "test" in fused else "val"
        return {
            "name": self.run.name,
            "runs": 1 + len(Recipe.load(self.run.asked).method("stacking").settings_dict()["runs"]),
            "single": self.single.name,
            "pays": self.pays,
            "accuracy": fused[part]["accuracy"],
            "difference": {**vars(self.difference), "verdict": self.difference.verdict},
            "times": fused["cost"]["seconds_per_sample"] / max(single["cost"]["seconds_per_sample"], 1e-9),
        }


def hold(
    path: Path, recipes: Mapping[str, Recipe], limit: Duration | None, seeds: int, most_seeds: int, started: float,
    executor: Executor, observer: Observer,
) -> Contest:  # fmt: skip
    """Train every recipe with every seed in what is left of the time, and with further ones, up to `most_seeds`, where the runs end
    before it does; what is finished already is not made again. RunError where a run fails."""
    each, count = _division(path, limit, seeds, len(recipes), started, executor.jobs)
    runs: dict[str, list[RunFolder]] = {name: [] for name in recipes}
    while True:
        new = range(len(runs[PLAIN]), count)
        length = f", {each} each" if each is not None else ""
        which = (
            f"{len(new)} {'seed' if len(new) == 1 else 'seeds'}" if new.start == 0 else "one more seed: there is time"
        )
        observer.stage(f"training {', '.join(recipes)}, {which}{length}")
        tasks = []
        for seed in new:
            for name, recipe in recipes.items():
                asked = recipe.setting(seed=seed) if each is None else recipe.setting(seed=seed, budget=each)
                tasks.append(Task(asked, path / f"{name}-s{seed}"))
                runs[name].append(RunFolder(tasks[-1].path))
        for number, task in enumerate(executor.run(tasks), start=1):
            _told(task, f"run {number} of {len(tasks)}", observer)
        last = sum(found[-1].read_json(found[-1].metrics)["cost"]["total_seconds"] for found in runs.values())
        if count >= most_seeds or _left(limit, started) < _RESERVE * last / executor.jobs:
            return Contest(runs)
        count += 1
        _keep(path, each, count)


def _told(task: Task, place: str, observer: Observer) -> None:
    """Report and tell of a finished run; RunError where it failed."""
    run = RunFolder(task.path)
    if task.failure.is_file():
        raise RunError(f"{task.path} failed: {run.read_json(task.failure)['reason']}")
    if not run.report.is_file():
        build_report(run)
    accuracy = run.read_json(run.metrics)["val"]["accuracy"]
    observer.note(f"{place}, {run.name}: {100 * accuracy:.1f} % of the validation samples right")


def _left(limit: Duration | None, started: float) -> float:
    """Seconds for further runs: none where the budget is no time."""
    if limit is None or not limit.is_time:
        return 0.0
    return limit.seconds - (time.monotonic() - started) - _REPORT_SECONDS


def _division(
    path: Path, limit: Duration | None, seeds: int, recipes: int, started: float, jobs: int
) -> tuple[Duration | None, int]:
    """(the budget of each run, how many seeds): decided once and kept, so that a job that goes on later decides the same."""
    kept = path / _DIVISION
    if not kept.is_file():
        each = limit
        if limit is not None and limit.is_time:
            turns = -(-recipes * seeds // jobs)  # runs one after another
            each = Duration(max(1, int(_left(limit, started) / turns)), "s")
        _keep(path, each, seeds)
    plain = json.loads(kept.read_text(encoding="utf-8"))
    return Duration.parse(plain["each"]) if plain["each"] else None, plain["seeds"]


def _keep(path: Path, each: Duration | None, seeds: int) -> None:
    write_json(path / _DIVISION, {"each": str(each) if each is not None else None, "seeds": seeds})
