"""The search: sequential or parallel short runs of proposed values, until all trials or the time are used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from whet.core.duration import Duration
from whet.core.errors import RecipeError, RunError
from whet.core.language import Sentence, english
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.stages import Shortens
from whet.core.task import metric_named
from whet.evaluate.difference import LEAST_SEEDS
from whet.studies.clock import TooLittleTime
from whet.studies.confirmation import MOST_SEEDS
from whet.studies.evidence import observe
from whet.studies.executor import PlannedRun
from whet.studies.runner import Runner
from whet.tuning.pruning import TrialRun, clear_up
from whet.tuning.space import Setting, place
from whet.tuning.trials import Proposal, Trials

SHARE = 0.75  # the minimum share of the time for the search; the rest is for the confirmation
FILLED = 0.97  # the share of the time without a confirmation; the rest is for the report
USUAL_TRIALS = 24  # the number of trials that a time is divided by, and the default if no time is given
_MOST_FAILURES = 5  # consecutive failures after which the search stops
_MOST_REPEATS = 20  # consecutive repeated proposals after which the search stops


@dataclass(frozen=True)
class Trial:
    """A trial that is over. values: its settings; score: the metric on the validation samples; merit: see `Task.merit`; both only
    if it finished. state: "finished", "pruned" or "failed"."""

    number: int
    values: dict[str, Any]
    state: str
    run: RunFolder
    score: float | None = None
    merit: float | None = None
    seconds: float | None = None

    def row(self) -> dict[str, Any]:
        return {
            "trial": self.number,
            "state": self.state,
            "score": self.score,
            "seconds": self.seconds,
            "run": self.run.name,
        }


def decide_length(base: Recipe, runner: Runner, wanted: int, share: float) -> tuple[Recipe, float]:
    """(the recipe with the length of a trial, seconds per trial). The length is chosen by timing one run, so that `wanted` trials
    fit this share of the time and a confirmation with equally long runs fits the rest. The precision chosen by that run is used for
    all runs. Raises TooLittleTime if not even trials of one epoch fit."""
    limit, jobs = runner.clock.limit, runner.executor.jobs
    assert limit is not None
    each = share * limit / (wanted / jobs + 1)
    if share < FILLED:
        each = min(each, 0.95 * (1 - share) * limit / (2 * LEAST_SEEDS) * min(jobs, 2 * LEAST_SEEDS))
    steady = base.with_methods(*(method.steady() for method in base.methods if isinstance(method, Shortens)))
    probe = PlannedRun(
        steady.setting(budget=Duration(max(1, round(each)), "s")),
        runner.path / f"probe-{round(each)}s",
        data=runner.data,
    )
    if not probe.over:
        runner.watch.phase(english("timing one run"))
    list(runner.executor.run([probe]))
    run = RunFolder(probe.path)
    if not run.finished:
        raise RunError(f"the original recipe cannot be trained: {run.read_json(probe.failure)['reason']}")
    cost, requested = run.read_json(run.metrics)["cost"], base.train.budget
    seconds, epochs = float(cost["total_seconds"]), round(cost["planned_epochs"])
    if epochs < 1:
        an_epoch = seconds / cost["planned_epochs"]
        raise TooLittleTime(
            f"a budget of {limit / 60:.3g} minutes is too short for {wanted} trials of one epoch each, which take about "
            f"{an_epoch:.0f} seconds: use about {limit * an_epoch / each / 60:.0f} minutes, or fewer trials"
        )
    runner.clock.note(english("a first run for timing"), 1, seconds)
    length = Duration(min(epochs, round(requested.value)) if requested.unit == "ep" else epochs, "ep")
    return base.setting(budget=length, precision=Recipe.load(run.recipe).train.precision), seconds


@dataclass
class Searching:
    """The search. base: the recipe with the length of a trial. most: the maximum number of trials, if given. seconds: the estimated
    time of a trial."""

    base: Recipe
    space: tuple[Setting, ...]
    metric: str
    trials: Trials
    runner: Runner
    most: int | None
    seconds: float
    full: int | None  # epochs of a confirmation run, if the recipe gives them
    least_share: float = SHARE  # share of the time
    found: dict[int, Trial] = field(default_factory=dict)
    stopped: str = ""  # the reason if the search ended early

    def run(self) -> Trial:
        """Run the search and return the best trial. Raises RunError if no trial finished."""
        began = self.runner.clock.spent()
        for task in self.runner.executor.run(self._tasks()):
            assert isinstance(task, TrialRun)
            self._record(task)
        if self.stopped:
            self.runner.watch.note(english("the search ends early: {reason!t}", reason=self.stopped))
        self.runner.clock.note(english("search"), len(self.found), self.runner.clock.spent() - began)
        return self.best()

    def recall(self) -> None:
        """Load the results of earlier calls if the search is over."""
        for proposal in self.trials.over():
            with contextlib.suppress(RecipeError):  # invalid values
                self._look(self._task(proposal))

    def best(self) -> Trial:
        """The best trial by score; ties, which are frequent with few validation samples, are broken by the merit."""
        finished = [trial for trial in self.found.values() if trial.state == "finished"]
        if not finished:
            reason = next(iter(self.runner.failures.values()), "all were pruned")
            raise RunError(f"no trial of {self.runner.path} finished; reason: {reason}")
        sign = 1 if metric_named(self.metric).smaller_is_better else -1
        return min(finished, key=lambda trial: (sign * (trial.score or 0.0), -(trial.merit or 0.0), trial.number))

    # --- which trials -------------------------------------------------------------------------------------------------
    def _tasks(self) -> Iterator[TrialRun]:
        """The unfinished trials of earlier calls, then new ones, each proposed from the results so far."""
        self.recall()
        for proposal in self.trials.unfinished():
            yield self._task(proposal)
        known = {trial.run.name for trial in self.found.values()}
        repeats = refused = 0
        while self._wants_more():
            proposal = self.trials.ask()
            try:
                task = self._task(proposal)
            except RecipeError as error:  # incompatible values
                refused += 1
                self.trials.tell_failed(proposal.number)
                self.runner.failures[f"trial {proposal.number}"] = str(error)
                if refused == _MOST_FAILURES:
                    self.stopped = english(
                        "{n} consecutive proposals were invalid, the last one: {reason}", n=refused, reason=error
                    )
                    return
                continue
            repeats = repeats + 1 if task.path.name in known else 0
            if repeats == _MOST_REPEATS:
                self.stopped = english("all proposals repeat earlier trials")
                return
            known.add(task.path.name)
            refused = 0
            yield task

    def _wants_more(self) -> bool:
        last = [self.found[number].state for number in sorted(self.found)[-_MOST_FAILURES:]]
        if len(last) == _MOST_FAILURES and set(last) == {"failed"}:
            self.stopped = english("the last {n} trials failed", n=_MOST_FAILURES)
            return False
        if self.most is not None and len(self.trials) >= self.most:
            return False
        return self.runner.clock.left(self.share()) > self._expected()

    def _expected(self) -> float:
        """The expected seconds of a full trial."""
        seconds = [trial.seconds for trial in self.found.values() if trial.state == "finished" and trial.seconds]
        return float(np.mean(seconds)) if seconds else self.seconds

    @property
    def confirming(self) -> bool:
        return self.least_share < FILLED

    def share(self) -> float:
        """The share of the time for the search; larger than `least_share` if the confirmation cannot use all of its share."""
        limit = self.runner.clock.limit
        if limit is None or self.full is None or not self.confirming:
            return self.least_share
        full_run = self._expected() * self.full / max(self.base.train.budget.value, 1)
        return max(self.least_share, 1 - 2 * MOST_SEEDS * full_run / self.runner.executor.jobs / limit)

    def _task(self, proposal: Proposal) -> TrialRun:
        recipe = place(self.base, proposal.values)
        path = self.runner.path / "runs" / f"{recipe.hash}-s{recipe.train.seed}"
        storage = self.trials.file.resolve()
        return TrialRun(recipe, path, proposal.number, proposal.id, storage, self.metric, data=self.runner.data)

    # --- their results ------------------------------------------------------------------------------------------------
    def _record(self, task: TrialRun) -> None:
        trial = self._look(task)
        if trial.state == "finished":
            assert trial.score is not None
            self.trials.tell(task.number, trial.score)
        elif trial.state == "pruned":
            self.trials.tell_pruned(task.number)
            clear_up(task)
        else:
            self.trials.tell_failed(task.number)
        self.runner.clock.save()
        self.runner.watch.note(self._result(trial))

    def _look(self, task: TrialRun) -> Trial:
        run = RunFolder(task.path)
        values = {s.key: _value(task.recipe, s.key) for s in self.space}
        if run.finished:
            seen = observe(run, (), task.recipe.train.seed)
            metrics = run.read_json(run.metrics)
            trial = Trial(
                task.number, values, "finished", run, float(seen.parts_N(self.metric).mean()),
                seen.evidence.task.merit(metrics["val"]), metrics["cost"]["total_seconds"],
            )  # fmt: skip
        elif task.pruned.is_file():
            trial = Trial(task.number, values, "pruned", run)
        else:
            self.runner.failures[task.path.name] = run.read_json(task.failure)["reason"]
            trial = Trial(task.number, values, "failed", run)
        self.found[task.number] = trial
        return trial

    def _result(self, trial: Trial) -> Sentence:
        if trial.state == "failed":
            return english(
                "trial {number:d} failed: {reason}", number=trial.number, reason=self.runner.failures[trial.run.name]
            )
        if trial.state == "pruned":
            percent = trial.run.read_json(trial.run.path / "pruned.json")["percent"]
            return english(
                "trial {number:d} pruned after {percent} % of training", number=trial.number, percent=percent
            )
        chosen, best = metric_named(self.metric), self.best()
        assert trial.score is not None and best.score is not None
        return english(
            "trial {number:d}: {score} ({metric!t}), {s:.0f} s; best so far: {best}, trial {best_number:d}",
            number=trial.number, metric=chosen.title, score=chosen.text(trial.score), s=trial.seconds,
            best=chosen.text(best.score), best_number=best.number,
        )  # fmt: skip


def _value(recipe: Recipe, key: str) -> Any:
    """The plain value of a setting in the recipe."""
    owner, _, name = key.partition(".")
    part = getattr(recipe, owner) if owner in ("model", "train") else recipe.method(owner)
    return part.model_dump(mode="json")[name]
