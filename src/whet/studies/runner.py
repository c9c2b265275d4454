"""Runs the runs of a study: its folder, executor, clock and failures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from whet.core.language import Sentence, english
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.studies.clock import Clock
from whet.studies.executor import Executor, PlannedRun
from whet.studies.journal import Journal
from whet.training.log import Observer


class Steps(Observer):
    """Shows only the steps of each run, so that the messages of the runs do not hide those of the study."""

    def __init__(self, watch: Observer) -> None:
        self.steps, self.step, self.validated, self.end = watch.steps, watch.step, watch.validated, watch.end  # type: ignore[method-assign]


@dataclass
class Runner:
    """failures: the reason of each failed run, by its name. data: the fingerprint of the data; runs of other data are not
    reused."""

    path: Path
    executor: Executor
    clock: Clock
    watch: Observer
    data: str | None = None
    failures: dict[str, str] = field(default_factory=dict)
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.journal = Journal(self.path / "journal.json")

    def make(self, recipes: Iterable[Recipe]) -> list[RunFolder | None]:
        """Train each recipe and return its finished run, or None if it failed. Equal recipes are trained once."""
        tasks = [
            PlannedRun(recipe, self.path / "runs" / f"{recipe.hash}-s{recipe.train.seed}", data=self.data)
            for recipe in recipes
        ]
        unique = list({task.path: task for task in tasks}.values())
        for done, task in enumerate(self.executor.run(unique), 1):
            self.watch.note(self._result(task, done, len(unique)))
            self.clock.save()
        runs = [RunFolder(task.path) for task in tasks]
        return [run if run.finished else None for run in runs]

    def _result(self, task: PlannedRun, number: int, total: int) -> Sentence:
        run, values = RunFolder(task.path), {"number": number, "total": total}
        if task.failure.is_file():
            self.failures[run.name] = run.read_json(task.failure)["reason"]
            return english("run {number:d} of {total:d} failed: {reason}", **values, reason=self.failures[run.name])
        metrics = run.read_json(run.metrics)
        figure, what = run.task.figure(metrics["val"])
        return english(
            "run {number:d} of {total:d}: {figure} ({what!t}), {s:.0f} s", **values, figure=figure, what=what,
            s=metrics["cost"]["total_seconds"],
        )  # fmt: skip
