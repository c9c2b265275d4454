"""Tuning from the recipe to the report: search space, search, and confirmation of the best trial with new seeds."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from whet.core import strict_json
from whet.core.duration import Duration
from whet.core.errors import RecipeError, RunError
from whet.core.language import Sentence, english, in_its_language
from whet.core.output import claim
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder, next_name, write_csv, write_whole
from whet.core.task import metric_named
from whet.data.read import read_data
from whet.evaluate.difference import LEAST_SEEDS, Difference
from whet.report import build_tuning
from whet.report.cards import of_tuning
from whet.report.sections.tuning import history, importances
from whet.studies.clock import Clock
from whet.studies.confirmation import Confirmation, compare_afresh, length_that_fits
from whet.studies.evidence import observe
from whet.studies.executor import executor_for, settled_threads
from whet.studies.manifest import agreed
from whet.studies.runner import Runner, Steps
from whet.training.log import Observer
from whet.training.notebook_progress import default_observer
from whet.training.signals import Interrupts
from whet.tuning.search import FILLED, SHARE, USUAL_TRIALS, Searching, Trial, decide_length
from whet.tuning.space import Setting, make_space, place
from whet.tuning.trials import Trials


@dataclass(frozen=True, repr=False)
class Tuning:
    """The result of tuning. `trials`: one row per trial. `tuned`: the recipe with the values of the best trial. `recommended`:
    the tuned recipe, or the original if new seeds do not confirm the gain. `confirmed`: the difference of the tuned from the
    original recipe with new seeds, on the test samples (on the validation samples if there is no test split); None if the
    original recipe was the best, or no time was left."""

    path: Path
    trials: pd.DataFrame
    tuned: Recipe
    recommended: Recipe
    confirmed: Difference | None
    report: Path
    metric: str

    def __repr__(self) -> str:
        return f"Tuning({str(self.path)!r}, {len(self.trials)} trials)"

    def _repr_html_(self) -> str:
        return of_tuning(self.path)

    def plot_trials(self) -> Figure:
        """The score of every trial and the best so far, as a figure."""
        return history(self._story()).figure()

    def plot_importances(self) -> Figure:
        """The importance of each setting, as a figure. RunError where too few trials finished to estimate it."""
        drawing = importances(self._story())
        if drawing is None:
            raise RunError(f"{self.path}: too few trials finished to estimate the importance of the settings")
        return drawing.figure()

    def _story(self) -> dict[str, Any]:
        found: dict[str, Any] = RunFolder(self.path).read_json(self.path / "tuning.json")
        return found


@in_its_language
def tune(
    base: Recipe,
    methods: Sequence[str] = (),
    searches: Sequence[str] = (),
    *,
    budget: str | Duration | None = None,
    trials: int | None = None,
    metric: str | None = None,
    jobs: int = 1,
    ray: str | None = None,
    confirming: bool = True,
    out: str | Path | None = None,
    observer: Observer | None = None,
    language: str | None = None,
) -> Tuning:
    """Tune the hyperparameters of a recipe on the validation samples. Then compare the best trial with the original recipe with new
    seeds, using the test samples once.

    methods, searches: the search space; see `whet.tuning.space.make_space`. budget: the total time ("1h"), three quarters of it
    for the search, or the epochs or steps of each run. trials: the number of trials; by default as many as fit the time, or 24.
    metric: a metric of the samples' task, by default its headline. jobs, ray: as for `whet.study`. All trials have the recipe's
    seed, so that they differ only by their values; the first trial is the original recipe. confirming: whether to confirm the
    best trial with new seeds; if False, the search gets all of the time, no test sample is used, and nothing is recommended. A
    stopped tuning is resumed by calling it again with the same `out`. Finished trials are never repeated. A failed trial is
    reported and does not stop the others. language: of the report, see `whet.train`.
    """
    started, watch = time.monotonic(), observer or default_observer()
    limit = Duration.parse_budget(budget) if budget is not None else None
    watch.phase(english("reading {data}", data=base.data.path))
    table = read_data(base.data)
    metric = table.for_problem(base.task).task.metric_name(metric)
    if not len(table.part("val")):
        raise RecipeError(f"{base.data.path} has no validation samples, which tuning needs")
    space = make_space(base, methods, searches, len(table.part("train")))
    stem = Path(str(base.data.path)).resolve().stem
    path = Path(out) if out is not None else next_name(Path("runs"), f"{stem}-tune")
    claim(path, "tune", data=base.data.sources)
    with RunFolder(path).lock():
        timed = limit is not None and limit.is_time
        data = table.fingerprint()
        threads = _agree(path, base, data, space, metric, limit, settled_threads(base, jobs, ray))
        requested = base.setting(torch_threads=threads)
        executor = executor_for(jobs, Steps(watch), ray, threads)
        clock = Clock(path / "clock.json", limit.seconds if limit is not None and timed else None, started)
        runner = Runner(path, executor, clock, watch, data)
        with Interrupts().caught():
            searching = _plan(requested, space, metric, limit, trials, runner, SHARE if confirming else FILLED)
            watch.phase(_planned(searching))
            chosen = path / "chosen.json"  # exists when the search is over; contains the trial to confirm
            if chosen.is_file():
                searching.recall()
            else:
                searching.run()
            best = searching.best()
            tuned = place(base, _given(space, best))
            confirmation = _confirm(requested, searching, best, chosen) if confirming else None
        recommended = tuned if _holds(confirmation, best) else base
        if confirmation is not None and recommended is base:
            watch.note(english("the best trial is not better with new seeds; the recipe is unchanged"))
        write_whole(path / "tuned.yaml", tuned.to_yaml())
        write_whole(path / "recommended.yaml", recommended.to_yaml())
        clock.save()
        frame = _write(searching, best, confirmation, recommended is not base)
    watch.end()
    confirmed = confirmation.difference if confirmation is not None else None
    return Tuning(path, frame, tuned, recommended, confirmed, build_tuning(path), metric)


def _agree(
    path: Path,
    base: Recipe,
    data: str,
    space: tuple[Setting, ...],
    metric: str,
    limit: Duration | None,
    threads: int | str,
) -> int | str:
    """Save the settings of the tuning in the folder, or check that they match, and return the number of threads. data: the
    fingerprint of the data."""
    requested = {
        "metric": metric,
        "each": "as the time allows" if limit is not None and limit.is_time else str(limit or base.train.budget),
        "space": {setting.key: setting.text() for setting in space},
        "torch_threads": threads,
        "data": data,
        "recipe": base.to_dict(),
    }  # fmt: skip
    kept = agreed(path / "tune.yaml", requested, "tuning", as_before=("torch_threads",))
    found: int | str = kept["torch_threads"]
    return found


def _plan(
    requested: Recipe,
    space: tuple[Setting, ...],
    metric: str,
    limit: Duration | None,
    trials: int | None,
    runner: Runner,
    share: float,
) -> Searching:
    """The search with the length, number and storage of the trials."""
    base = requested.replace(data=requested.data.replace(evaluate_test=False))
    if runner.clock.limit is not None:
        base, seconds = decide_length(base, runner, trials or USUAL_TRIALS, share)
    else:
        base, seconds = base.setting(budget=limit or requested.train.budget), 0.0
    smaller, budget = metric_named(metric).smaller_is_better, requested.train.budget
    memory = Trials(runner.path / "trials.journal", space, smaller_is_better=smaller, seed=base.train.seed)
    return Searching(
        base, space, metric, memory, runner,
        most=trials or (USUAL_TRIALS if runner.clock.limit is None else None),
        seconds=seconds, full=round(budget.value) if budget.unit == "ep" else None, least_share=share,
    )  # fmt: skip


def _planned(searching: Searching) -> Sentence:
    """The plan as text, with estimated times."""
    clock, jobs = searching.runner.clock, searching.runner.executor.jobs
    values: dict[str, Any] = {"settings": len(searching.space), "each": searching.base.train.budget, "jobs": jobs}
    if clock.limit is None:
        values |= {"trials": searching.most, "runs": 2 * LEAST_SEEDS}
        if searching.confirming:
            return english(
                "searching {settings:d} settings, trials of {each}, {jobs:d} at a time: {trials:d}, then {runs:d} runs to confirm",
                **values,
            )
        return english("searching {settings:d} settings, trials of {each}, {jobs:d} at a time: {trials:d}", **values)
    share = searching.share()
    fitting = max(1, int(clock.left(share) / searching.seconds * jobs))
    values |= {
        "trials": min(fitting, searching.most or fitting), "takes": searching.seconds / 60,
        "left": max(0.0, clock.left(share)) / 60, "confirming": (1 - share) * clock.limit / 60,
    }  # fmt: skip
    if searching.confirming:
        return english(
            "searching {settings:d} settings, trials of {each} (about {takes:.2g} min), {jobs:d} at a time: {trials:d} or more in "
            "{left:.2g} min, then {confirming:.2g} min to confirm",
            **values,
        )
    return english(
        "searching {settings:d} settings, trials of {each} (about {takes:.2g} min), {jobs:d} at a time: {trials:d} or more in "
        "{left:.2g} min",
        **values,
    )


def _given(space: tuple[Setting, ...], best: Trial) -> dict[str, Any]:
    """The best trial's values of the settings that it was given."""
    return {s.key: best.values[s.key] for s in space if best.number > 0 or s.holds_was}


def _confirm(requested: Recipe, searching: Searching, best: Trial, chosen: Path) -> Confirmation | None:
    """Confirm the best trial. The length and number of the runs are saved, so that a resumed confirmation is the same."""
    runner, requested = searching.runner, requested.setting(precision=searching.base.train.precision)
    after = place(requested, _given(searching.space, best))
    if not chosen.is_file():
        each, seeds = _length(searching, best)
        strict_json.write(chosen, {"trial": best.number, "each": str(each), "seeds": seeds})
    kept = json.loads(chosen.read_text(encoding="utf-8"))
    if best.number == 0 or after == requested:
        runner.watch.note(english("no trial was better than the original recipe"))
        return None
    if kept["seeds"] == 0:
        runner.watch.note(english("no time is left to confirm the best trial"))
        return None
    return compare_afresh(requested, after, Duration.parse(kept["each"]), kept["seeds"], runner, searching.metric)


def _length(searching: Searching, best: Trial) -> tuple[Duration, int]:
    """(length of the confirmation runs, number of seeds): the recipe's length if there is time."""
    each, runner = searching.base.train.budget, searching.runner
    if runner.clock.limit is None:
        return each, LEAST_SEEDS
    first = searching.found.get(0, best)
    both = [
        trial.run.read_json(trial.run.metrics)["cost"] for trial in (first if first.score is not None else best, best)
    ]
    beside = sum(cost["total_seconds"] - cost["train_seconds"] for cost in both)
    return length_that_fits(
        runner, beside, sum(cost["train_seconds"] / cost["epochs"] for cost in both), searching.full, each
    )


def _holds(confirmation: Confirmation | None, best: Trial) -> bool:
    """Whether new seeds confirm the best trial on the validation samples. The test samples are not used for this choice. Without a
    confirmation, the original recipe is kept."""
    if confirmation is None or best.number == 0:
        return False
    found = confirmation.on("val")
    return found.mean < 0 if found.smaller_is_better else found.mean > 0


def _write(searching: Searching, best: Trial, confirmation: Confirmation | None, tuned: bool) -> pd.DataFrame:
    runner, space = searching.runner, searching.space
    trials = [searching.found[number] for number in sorted(searching.found)]
    rows = [trial.row() | {key: trial.values[key] for key in trial.values} for trial in trials]
    write_csv(runner.path / "trials.csv", list(rows[0]), [list(row.values()) for row in rows])
    spread = None
    if confirmation is not None and len(confirmation.before) > 1:
        spread = float(
            np.std([observe(run, (), 0).parts_N(searching.metric).mean() for run in confirmation.before], ddof=1)
        )
    story = {
        "name": runner.path.resolve().name,
        "metric": searching.metric,
        "each": str(searching.base.train.budget),
        "limit": runner.clock.limit,
        "seconds": runner.clock.spent(),
        "spent": [asdict(part) for part in runner.clock.parts],
        "stopped": searching.stopped,
        "space": [
            {"key": s.key, "text": s.text(), "log": s.search.log, "choices": list(s.search.choices), "was": s.was}
            for s in space
        ],
        "trials": [
            trial.row() | {"values": trial.values, "curve": searching.trials.curve(trial.number)} for trial in trials
        ],
        "best": best.number,
        "importances": searching.trials.importances(),
        "failures": runner.failures,
        "spread": spread,  # standard deviation of the original recipe over the new seeds
        "tuned": tuned,
        "confirming": searching.confirming,
        "confirmed": confirmation.to_dict() if confirmation is not None else None,
    }
    strict_json.write(runner.path / "tuning.json", story)
    return pd.DataFrame(rows)
