"""A study from the data to its report: which runs, what they say, what to do about it, and whether that holds."""

from __future__ import annotations

import difflib
import itertools
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from whet.core.duration import Duration
from whet.core.errors import RecipeError, RunError, unknown
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder, next_name, write_csv, write_json, write_whole
from whet.data.read import read_data
from whet.evaluate.compare import METRICS, Difference, crossed_interval
from whet.report import build_study
from whet.study.clock import Clock
from whet.study.design import DESIGNS, design_matrix
from whet.study.evidence import Effect, Evidence, Observed, judge, observe, seconds_of
from whet.study.executor import Executor, InProcess, Task, Workers
from whet.study.factor import Factor, check_factors, own_methods, parse_factors, recipe_at
from whet.train.job import carry_out
from whet.train.log import Observer
from whet.train.signals import Interrupts

_SEEDS = {"screen": 2, "factorial": 2, "ablate": 3, "add": 3}  # where neither time nor seeds are given
_ONE_AT_A_TIME = {"ablate": 1, "add": -1}  # and where every other factor stands
_SCREEN_SHARE, _FILLED = 0.65, 0.97  # of the time: the design; everything but the report
_CONFIRM_SEEDS, _MOST_CONFIRM_SEEDS, _FRESH = 3, 10, 1000
# Looks before the last one must be all but certain, so that looking often does not find by chance what is not there.
_EARLY_LEVEL = 0.001  # Source: Haybittle 1971; Peto et al. 1976


@dataclass(frozen=True)
class Study:
    """What came of it. `effects`: a row a factor, the best first; `confirmed`: recommended minus base, fresh seeds, on the test
    samples (validation samples where there are none), or None where nothing was recommended or no time was left."""

    path: Path
    effects: pd.DataFrame
    recommended: Recipe
    confirmed: Difference | None
    report: Path


def study(
    base: Recipe,
    factors: Sequence[Any] = (),
    *,
    design: str = "screen",
    budget: str | Duration | None = None,
    seeds: int | None = None,
    metric: str = "accuracy",
    jobs: int = 1,
    out: str | Path | None = None,
    observer: Observer | None = None,
) -> Study:
    """Measure what each factor does to a recipe's answers to the validation samples; then train what that recommends against the
    recipe as it was, at full length with fresh seeds, and read the test samples once.

    factors: methods (names or Method objects) and settings at two levels ("mixup.alpha=0.2:0.8", "model.architecture=lenet:vgg16");
    without any, every method of the recipe that it can be without. budget: a time for everything ("1h"): short runs as often as
    they fit, and a confirmation; or epochs or steps of each run. seeds: how often the whole design is run; by default as often as
    fits the time. metric: a name in `whet.evaluate.compare.METRICS`. jobs: runs at a time; more than one are made by processes of
    their own, with the machine's cores divided among them. A study that was stopped goes on when it is called again with the same
    `out`; a finished run is never repeated, and one that fails is told and stops no other.
    """
    started = time.monotonic()
    work = _Work.planned(base, factors, design, budget, seeds, metric, jobs, out, observer or Observer(), started)
    with Interrupts().caught():
        work.decide_length()
        evidence = work.measure()
        levels = work.recommend(evidence)
        confirmed = work.confirm(levels)
        recommended = recipe_at(base, work.factors, levels)
        if confirmed is not None and confirmed.verdict == "hurts":
            work.watch.note("what seemed to help in short runs does not at full length: the recipe stays as it was")
            recommended = base
        write_whole(work.path / "recommended.yaml", recommended.to_yaml())
        work.write(evidence, levels, confirmed)
    work.watch.end()
    frame = pd.DataFrame([effect.row() for effect in evidence.best_first()])
    return Study(work.path, frame, recommended, confirmed, build_study(work.path))


@dataclass
class _Work:
    """What every part of a study needs."""

    path: Path
    asked: Recipe
    base: Recipe  # as asked, at the study's length, its threads settled
    factors: list[Factor]
    design: str
    seeds: int | None
    metric: str
    jobs: int
    budget: Duration | None
    clock: Clock
    watch: Observer
    executor: Executor
    runs: list[Observed] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)  # reason by run
    fixed: dict[int, int] = field(default_factory=dict)  # factors no longer varied, and where they stand
    pairs: list[tuple[RunFolder, RunFolder]] = field(default_factory=list)  # base and recommended, by fresh seed

    @classmethod
    def planned(
        cls, base: Recipe, factors: Sequence[Any], design: str, budget: str | Duration | None, seeds: int | None,
        metric: str, jobs: int, out: str | Path | None, watch: Observer, started: float,
    ) -> _Work:  # fmt: skip
        """Everything that can be refused is refused here, before any training."""
        if design not in DESIGNS:
            raise RecipeError(unknown("design", design, DESIGNS))
        if metric not in METRICS:
            raise RecipeError(unknown("metric", metric, METRICS))
        chosen = parse_factors(factors) or own_methods(base)
        check_factors(base, chosen, design in _ONE_AT_A_TIME)
        try:
            first = design_matrix(design, len(chosen))
        except ValueError as error:
            raise RecipeError(f"design '{design}': {error}") from None
        for levels in first.tolist():
            recipe_at(base, chosen, levels)
        watch.stage(f"reading {base.data.path}")
        if not len(read_data(base.data).part("val")):
            raise RecipeError(f"{base.data.path} has no validation samples to study by")
        limit = Duration.parse(budget) if budget is not None else None
        path = (
            Path(out)
            if out is not None
            else next_name(Path("runs"), f"{Path(str(base.data.path)).resolve().stem}-study")
        )
        path.mkdir(parents=True, exist_ok=True)
        threads = base.train.torch_threads
        if jobs > 1 and threads == "auto":
            threads = max(1, (os.cpu_count() or 1) // jobs)
        asked = {
            "design": design,
            "metric": metric,
            "factors": [factor.name for factor in chosen],
            "torch_threads": threads,
            "recipe": base.to_dict(),
        }
        kept = _agreed(path / "study.yaml", asked)
        return cls(
            path, base, base.setting(torch_threads=kept["torch_threads"]).replace(data=base.data.replace(answer_test=False)),
            chosen, design, seeds, metric, jobs, limit,
            Clock(path / "clock.json", limit.seconds if limit is not None and limit.is_time else None, started),
            watch, Workers(jobs) if jobs > 1 else InProcess(_Steps(watch)),
        )  # fmt: skip

    # --- how long ---------------------------------------------------------------------------------------------------
    def decide_length(self) -> None:
        """The length of every run of the design: so that two seeds of it fit their share of the time, as one run tells."""
        if self.clock.limit is None:
            self.base = self.base.setting(budget=self.budget if self.budget is not None else self.base.train.budget)
            return
        file = self.path / "length.json"
        probe = RunFolder(self.path / "probe")
        if not probe.finished:
            self.watch.stage("one run, to see how long they may be")
        rounds = len(self.levels_of_block()) / self.jobs
        share = _SCREEN_SHARE * self.clock.limit / (2 * rounds + 1)
        carry_out(self.base.setting(budget=Duration(max(1, round(share)), "s")), probe.path, _Steps(self.watch))
        cost, epochs = probe.read_json(probe.metrics)["cost"], int(Recipe.load(probe.recipe).train.epochs)
        if epochs == 1 and cost["total_seconds"] * rounds > _SCREEN_SHARE * self.clock.limit:
            needed = cost["total_seconds"] * rounds / _SCREEN_SHARE / 60
            raise RecipeError(
                f"budget {self.budget}: the {self.design} of {len(self.factors)} factors takes {len(self.levels_of_block())} runs, "
                f"and one epoch of each about {needed:.0f} m; give more time or fewer factors"
            )
        if (full := _epochs(self.asked)) is not None:
            epochs = min(epochs, full)
        write_json(file, {"epochs": epochs})
        self.base = self.base.setting(budget=Duration(epochs, "ep"))
        self.clock.note("a first run, to see how long they may be", 1, cost["total_seconds"])

    # --- the design -------------------------------------------------------------------------------------------------
    def levels_of_block(self) -> list[list[int]]:
        """The design's rows with the factors that are still varied."""
        varied = [f for f in range(len(self.factors)) if f not in self.fixed]
        coded = design_matrix(self.design, len(varied))
        rows = np.empty((len(coded), len(self.factors)), dtype=int)
        rows[:, varied] = coded
        for f, level in self.fixed.items():
            rows[:, f] = level
        return rows.tolist()

    def measure(self) -> Evidence:
        """The design, once with every seed, until the seeds or the time are used up or all is known."""
        wanted = self.seeds or (None if self.clock.limit else _SEEDS[self.design])
        for seed in itertools.count():
            rows = self.levels_of_block()
            length = self.base.train.budget
            self.watch.stage(f"seed {seed}: {len(rows)} runs of the {self.design}, {length} each")
            seconds = self.make_block(seed, rows)
            self.clock.note(f"{self.design}, seed {seed}", len(rows), seconds)
            last = seed + 1 == wanted or (
                wanted is None and self.clock.left(_SCREEN_SHARE) < seconds / len(rows) * len(self.levels_of_block())
            )
            evidence = self.evidence(needed=last)
            if last or (evidence is not None and self.race(evidence, seed)):
                break
        assert evidence is not None
        if self.design in _ONE_AT_A_TIME and seed == 0:
            self.watch.note("one seed: the intervals say nothing of other seeds")
        return evidence

    def make_block(self, seed: int, rows: list[list[int]]) -> float:
        """Train the rows with this seed, equal recipes once; the seconds that takes."""
        base = self.base.setting(seed=seed)
        tasks = {tuple(levels): self.task(recipe_at(base, self.factors, levels)) for levels in rows}
        self.make(list(tasks.values()))
        seconds = 0.0
        for levels, task in tasks.items():
            run = RunFolder(task.path)
            if run.finished:
                self.runs.append(observe(run, levels, seed, METRICS[self.metric]))
                seconds += self.runs[-1].costs["total_seconds"]
        self.drop_what_never_runs([levels for levels, task in tasks.items() if task.failure.is_file()])
        return seconds / self.jobs

    def task(self, recipe: Recipe) -> Task:
        return Task(recipe, self.path / "runs" / f"{recipe.hash}-s{recipe.train.seed}")

    def make(self, tasks: list[Task]) -> None:
        unique = {task.path: task for task in tasks}
        for done, task in enumerate(self.executor.run(list(unique.values())), 1):
            if task.failure.is_file():
                reason = RunFolder(task.path).read_json(task.failure)["reason"]
                self.failures[task.path.name] = reason
            self.watch.note(f"run {done} of {len(unique)}: {self.said(task)}")
            self.clock.save()

    def said(self, task: Task) -> str:
        """A line on a run that is over."""
        if task.failure.is_file():
            return f"failed: {self.failures[task.path.name]}"
        run = RunFolder(task.path)
        metrics = run.read_json(run.metrics)
        return f"{100 * metrics['val']['accuracy']:.1f} % right, {metrics['cost']['total_seconds']:.0f} s"

    def drop_what_never_runs(self, failed: list[tuple[int, ...]]) -> None:
        """A factor with a level at which no run was ever finished is varied no more."""
        for f in range(len(self.factors)):
            ran = {run.levels[f] for run in self.runs}
            if f not in self.fixed and len(ran) == 1 and any(levels[f] not in ran for levels in failed):
                (self.fixed[f],) = ran

    def evidence(self, needed: bool) -> Evidence | None:
        """What the runs say so far; None where that is nothing yet, unless it is needed now."""
        ran = [{run.levels[f] for run in self.runs} for f in range(len(self.factors))]
        reasons = dict.fromkeys(self.failures.values())
        never = {factor.name: next(iter(reasons), "") for factor, levels in zip(self.factors, ran) if len(levels) < 2}
        try:
            return judge(self.design, self.factors, self.runs, self.metric, never)
        except RunError:
            if needed:
                raise
            return None

    def race(self, evidence: Evidence, seed: int) -> bool:
        """Factors whose verdict is all but certain leave the race: of a screen those that hurt, of one at a time any. Whether
        nothing is left to find out."""
        if seed == 0 and self.design in _ONE_AT_A_TIME:
            return False
        certain = [e.difference is None or e.p_holm < _EARLY_LEVEL for e in evidence.effects]
        for f, effect in enumerate(evidence.effects):
            if certain[f] and f not in self.fixed and (self.design in _ONE_AT_A_TIME or effect.verdict == "hurts"):
                self.fixed[f] = _ONE_AT_A_TIME.get(self.design, -1)
                self.watch.note(f"{effect.name} {effect.verdict}, all but certainly: it is varied no more")
        return all(certain)

    # --- what to do about it ------------------------------------------------------------------------------------------
    def recommend(self, evidence: Evidence) -> list[int]:
        """Every factor's level: high where it helps, low where it hurts or cannot run, else as the recipe has it."""
        levels = []
        for factor, effect in zip(self.factors, evidence.effects):
            as_it_was = 1 if factor.at(self.asked, True) == self.asked else -1
            levels.append({"helps": 1, "hurts": -1}.get(effect.verdict, as_it_was))
        return levels

    def confirm(self, levels: list[int]) -> Difference | None:
        """The recommended recipe against the one the study began with, with seeds that the study has not seen, at full length
        where time allows; the test samples are read here, and here alone."""
        if recipe_at(self.asked, self.factors, levels) == self.asked:
            return None
        length, count = self.length_of_confirmation(levels)
        if count == 0:
            self.watch.note("no time is left to confirm what the study recommends")
            return None
        both = [self.asked, recipe_at(self.asked, self.factors, levels)]
        both = [recipe.setting(budget=length, torch_threads=self.base.train.torch_threads) for recipe in both]
        self.watch.stage(f"confirming with {count} fresh {'seed' if count == 1 else 'seeds'}, {length} each")
        seeds = range(_FRESH, _FRESH + count)
        tasks = [[self.task(recipe.setting(seed=seed)) for recipe in both] for seed in seeds]
        self.make(list(itertools.chain.from_iterable(tasks)))
        found = [tuple(RunFolder(task.path) for task in pair) for pair in tasks]
        self.pairs = [(before, after) for before, after in found if before.finished and after.finished]
        if not self.pairs:
            return None
        total = sum(run.read_json(run.metrics)["cost"]["total_seconds"] for pair in self.pairs for run in pair)
        self.clock.note("confirmation", 2 * count, total / self.jobs)
        return self.difference(self.confirmed_on())

    def length_of_confirmation(self, levels: list[int]) -> tuple[Duration, int]:
        """(length of each run, number of seeds): as the recipe asks, three seeds or as many as fit; shorter where they do not."""
        full, screened = _epochs(self.asked), self.base.train.budget
        if self.clock.limit is None:
            return self.budget or self.asked.train.budget, _CONFIRM_SEEDS
        as_it_was = [1 if factor.at(self.asked, True) == self.asked else -1 for factor in self.factors]
        beside, pace = np.sum([seconds_of(one, self.runs) for one in (as_it_was, levels)], axis=0)
        left = self.clock.left(_FILLED) * min(self.jobs, 2 * _CONFIRM_SEEDS)
        epochs = int((left / _CONFIRM_SEEDS - beside) / pace)
        if full is not None and epochs >= full:
            return Duration(full, "ep"), min(_MOST_CONFIRM_SEEDS, int(left / (beside + full * pace)))
        shortest = int(screened.value)
        if epochs >= shortest:
            return Duration(epochs, "ep"), _CONFIRM_SEEDS
        return Duration(shortest, "ep"), int(left / (beside + shortest * pace))

    def confirmed_on(self) -> str:
        metrics = self.pairs[0][0].read_json(self.pairs[0][0].metrics)
        return "test" if "test" in metrics else "val"

    def difference(self, split: str) -> Difference:
        """Recommended minus base over the fresh seeds and the samples of this part."""
        chosen = METRICS[self.metric]
        sides = [[observe(run, (), s, chosen, split) for s, run in enumerate(pair)] for pair in self.pairs]
        found = crossed_interval(np.stack([after.parts_N - before.parts_N for before, after in sides]))
        return chosen.told(found, len(sides[0][0].label_N))

    # --- what is written ----------------------------------------------------------------------------------------------
    def write(self, evidence: Evidence, levels: list[int], confirmed: Difference | None) -> None:
        header = ["run", "seed", *(factor.name for factor in self.factors)]
        write_csv(self.path / "design.csv", header, [[run.run.name, run.seed, *run.levels] for run in self.runs])
        table = [effect.row() for effect in evidence.best_first()]
        write_csv(self.path / "effects.csv", list(table[0]), [list(row.values()) for row in table])
        self.clock.save()
        story = {
            "name": self.path.resolve().name,
            "design": self.design,
            "metric": self.metric,
            "runs": len(self.runs),
            "seeds": len({run.seed for run in self.runs}),
            "samples": len(self.runs[0].label_N),
            "limit": self.clock.limit,
            "each": str(self.base.train.budget),
            "seconds": self.clock.spent(),
            "spent": [asdict(part) for part in self.clock.parts],
            "failures": self.failures,
            "effects": [_told(effect) for effect in evidence.best_first()],
            "interactions": evidence.together,
            "changed": [f.name for f, level in zip(self.factors, levels) if f.at(self.asked, level > 0) != self.asked],
            "confirmed": self.told_confirmation(confirmed) if confirmed is not None else None,
        }
        write_json(self.path / "study.json", story)

    def told_confirmation(self, confirmed: Difference) -> dict[str, Any]:
        """With the validation curves of both recipes, for the report."""
        curves = [[_curve(run) for run in side] for side in zip(*self.pairs)]
        length = str(Recipe.load(self.pairs[0][0].asked).train.budget)
        validation = self.difference("val")
        return {
            **asdict(confirmed), "verdict": confirmed.verdict, "part": self.confirmed_on(), "each": length,
            "validation": {**asdict(validation), "verdict": validation.verdict},
            "curves": dict(zip(("as it was", "recommended"), curves)),
        }  # fmt: skip


class _Steps(Observer):
    """Of a study's run only the steps are shown: what is said of every run would hide what the study says."""

    def __init__(self, watch: Observer) -> None:
        self.steps, self.step, self.validated, self.end = watch.steps, watch.step, watch.validated, watch.end  # type: ignore[method-assign]


def _told(effect: Effect) -> dict[str, Any]:
    classes = {name: asdict(d) for name, d in effect.per_class.items()}
    prices = {name: price.text() for name, price in effect.costs.items()}
    return effect.row() | {"sentence": effect.sentence(), "per_class": classes, "prices": prices}


def _curve(run: RunFolder) -> list[tuple[float, float]]:
    """(epoch, validation accuracy) over a run."""
    cost = run.read_json(run.metrics)["cost"]
    per_epoch = cost["steps"] / cost["epochs"]
    records = [record for record in run.log_records() if record["event"] == "validation"]
    return [(record["step"] / per_epoch, record["accuracy"]) for record in records]


def _epochs(recipe: Recipe) -> int | None:
    """How many epochs a recipe asks for, where it says so in epochs."""
    return round(recipe.train.budget.value) if recipe.train.budget.unit == "ep" else None


def _agreed(file: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """What a study is of, written down once; a folder that holds another study is refused, with what differs. The threads stay as
    they were, whatever machine goes on."""
    if not file.is_file():
        write_whole(file, yaml.safe_dump(asked, sort_keys=False, allow_unicode=True))
        return asked
    kept: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    asked = {**asked, "torch_threads": kept["torch_threads"]}
    before, now = (yaml.safe_dump(one, sort_keys=False, allow_unicode=True).splitlines() for one in (kept, asked))
    if before != now:
        lines = list(difflib.unified_diff(before, now, n=0, lineterm=""))[2:]
        changes = [line for line in lines if not line.startswith("@@")]
        listed = "".join(f"\n  {line}" for line in changes[:20])
        raise RunError(f"{file.parent} holds a study of something else; choose another --out. What differs:{listed}")
    return kept
