"""A study from the recipe to the report: design, runs, effects, recommendation and confirmation."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from whet.core import strict_json
from whet.core.duration import Duration
from whet.core.errors import RecipeError
from whet.core.language import english, in_its_language
from whet.core.output import claim
from whet.core.recipe import Recipe
from whet.core.run_folder import next_name, write_csv, write_whole
from whet.data.read import read_data
from whet.evaluate.difference import HELPS, HURTS, Difference
from whet.report import build_study
from whet.report.cards import of_study
from whet.report.sections.effects import forest, price
from whet.studies.clock import Clock
from whet.studies.confirmation import Confirmation, confirm
from whet.studies.evidence import Effect, Findings
from whet.studies.executor import executor_for
from whet.studies.factor import MethodFactor, recipe_at
from whet.studies.plan import Plan, agreed_plan, make_plan
from whet.studies.runner import Runner, Steps
from whet.studies.screening import FILLED, SCREEN_SHARE, Screening, decide_length
from whet.training.log import Observer
from whet.training.notebook_progress import default_observer
from whet.training.signals import Interrupts


@dataclass(frozen=True, repr=False)
class Study:
    """The result of a study. `effects`: one row per factor, best first. `confirmed`: the difference of the recommended recipe from
    the base with new seeds, on the test samples (on the validation samples if there is no test split); None if nothing was
    recommended or no time was left."""

    path: Path
    effects: pd.DataFrame
    recommended: Recipe
    confirmed: Difference | None
    report: Path
    metric: str
    part: str = "test"  # the split of `confirmed`

    def __repr__(self) -> str:
        return f"Study({str(self.path)!r}, {len(self.effects)} effects)"

    def _repr_html_(self) -> str:
        return of_study(self.path)

    def plot_effects(self) -> Figure:
        """The effect of each technique with its 95 % interval, as a figure."""
        return forest(self._measured(), self.metric).figure()

    def plot_cost(self) -> Figure:
        """The effect of each technique against the training time that it costs, as a figure."""
        return price(self._measured(), self.metric).figure()

    def _measured(self) -> list[dict[str, Any]]:
        return [row for row in self.effects.to_dict("records") if row["seeds"]]


@in_its_language
def study(
    base: Recipe,
    factors: Sequence[Any] = (),
    *,
    design: str = "screen",
    budget: str | Duration | None = None,
    seeds: int | None = None,
    metric: str | None = None,
    smaller: float = 1.0,
    jobs: int = 1,
    ray: str | None = None,
    confirming: bool = True,
    out: str | Path | None = None,
    observer: Observer | None = None,
    language: str | None = None,
) -> Study:
    """Measure the effect of each factor on the validation samples. Then compare the recommended recipe with the original at full
    length with new seeds. All choices are made on the validation samples; the test samples are used once, for the final result.

    factors: methods (names or Method objects) and settings at two levels ("mixup.alpha=0.2:0.8",
    "model.architecture=lenet:vgg16"); by default every method of the recipe except the optimizer. budget: the total time ("1h")
    for short runs and a confirmation, or the epochs or steps of each run. seeds: the number of seeds of the design; by default
    three, the minimum for a verdict, and more if there is time. metric: a metric of the samples' task, by default its headline.
    smaller: the share of the image size, 0 … 1, in the runs of the design; smaller images allow more runs. The confirmation uses
    the recipe's image size. jobs: the number of parallel runs; more than one run in separate processes, which share the cores of
    the machine. ray: the address of a Ray cluster for the runs ("auto", HOST:PORT, or "local"; see `whet.studies.ray_executor`).
    confirming: whether to confirm the recommended recipe at full length; if False, the design gets all of the time and no test
    sample is used. A stopped study is resumed by calling it again with the same `out`. Finished runs are never repeated. A failed
    run is reported and does not stop the others. language: of the report, see `whet.train`.
    """
    started, watch = time.monotonic(), observer or default_observer()
    plan = make_plan(
        base, factors, design=design, budget=budget, seeds=seeds, metric=metric, jobs=jobs, ray=ray, smaller=smaller
    )
    watch.phase(english("reading {data}", data=base.data.path))
    table = read_data(base.data)
    plan = replace(plan, metric=table.for_problem(base.task).task.metric_name(metric))
    if not len(table.part("val")):
        raise RecipeError(f"{base.data.path} has no validation samples, which a study needs")
    path = (
        Path(out) if out is not None else next_name(Path("runs"), f"{Path(str(base.data.path)).resolve().stem}-study")
    )
    claim(path, "study", data=base.data.sources)
    plan = agreed_plan(path, plan, table.fingerprint())
    executor = executor_for(jobs, Steps(watch), ray, plan.base.train.torch_threads)
    plan = replace(plan, jobs=executor.jobs)
    runner = Runner(path, executor, Clock(path / "clock.json", plan.seconds, started), watch)
    with Interrupts().caught():
        share = SCREEN_SHARE if confirming else FILLED
        screening = Screening(plan, runner, decide_length(plan, runner, share), share)
        evidence = screening.run()
        change = proposed(plan, evidence, likely=confirming and plan.seconds is not None)
        confirmation = confirm(plan, runner, change.levels, screening.length, screening.runs) if confirming else None
        confirmed = confirmation.difference if confirmation is not None else None
        adopted = change.adopted(confirmation.on("val") if confirmation is not None else None)
        if confirmed is not None and not adopted:
            watch.note(english("the gain in short runs is not confirmed at full length; the recipe is unchanged"))
        recommended = recipe_at(base, plan.factors, change.levels) if adopted else base
        write_whole(path / "recommended.yaml", recommended.to_yaml())
        _write(screening, evidence, change, confirmation, adopted)
    watch.end()
    frame = pd.DataFrame([effect.row() for effect in evidence.best_first()])
    part = confirmation.part if confirmation is not None else "test"
    return Study(path, frame, recommended, confirmed, build_study(path), plan.metric, part)


@dataclass(frozen=True)
class Change:
    """The proposed level of each factor. sure: whether the proposal is based on verdicts, not only on likely effects."""

    levels: list[int]
    sure: bool

    def adopted(self, confirmed: Difference | None) -> bool:
        """Whether the change is adopted in the recommended recipe: a sure change unless it hurts at full length, a likely change
        only if it helps at full length. confirmed: the difference on the validation samples, not on the test samples."""
        if self.sure:
            return confirmed is None or confirmed.verdict != HURTS
        return confirmed is not None and confirmed.verdict == HELPS


def proposed(plan: Plan, evidence: Findings, *, likely: bool = False) -> Change:
    """Set every factor high if it helps, low if it hurts, else unchanged. likely: if this changes nothing, use the uncorrected
    interval of each factor, because there is time left to test the change at full length."""
    wanted: dict[str, int] = {HELPS: 1, HURTS: -1}

    def levels(verdicts: Iterable[str]) -> list[int]:
        return [wanted.get(verdict, level) for verdict, level in zip(verdicts, plan.as_it_was, strict=True)]

    sure = levels(effect.verdict for effect in evidence.effects)
    if not likely or sure != list(plan.as_it_was):
        return Change(sure, sure=True)
    alone = levels(effect.difference.verdict if effect.difference else "" for effect in evidence.effects)
    return Change(alone, sure=alone == sure)


def _write(
    screening: Screening, evidence: Findings, change: Change, confirmation: Confirmation | None, adopted: bool
) -> None:
    plan, runner, runs = screening.plan, screening.runner, screening.runs
    header = ["run", "seed", *(factor.name for factor in plan.factors)]
    write_csv(runner.path / "design.csv", header, [[run.run.name, run.seed, *run.levels] for run in runs])
    table = [effect.row() for effect in evidence.best_first()]
    write_csv(runner.path / "effects.csv", list(table[0]), [list(row.values()) for row in table])
    runner.clock.save()
    story = {
        "name": runner.path.resolve().name,
        "design": plan.design,
        "metric": plan.metric,
        "runs": len(runs),
        "seeds": len({run.seed for run in runs}),
        "samples": evidence.samples,
        "left_out": evidence.left_out,
        "each": str(screening.length),
        "smaller": plan.smaller,
        "limit": plan.seconds,
        "seconds": runner.clock.spent(),
        "spent": [asdict(part) for part in runner.clock.parts],
        "failures": runner.failures,
        "effects": [_to_dict(effect) for effect in evidence.best_first()],
        "groups": {
            factor.title: [method.name for method in factor.methods]
            for factor in plan.factors
            if isinstance(factor, MethodFactor) and factor.title
        },
        "interactions": evidence.together,
        "changed": [
            factor.name
            for factor, before, after in zip(plan.factors, plan.as_it_was, change.levels, strict=True)
            if before != after
        ],
        "sure": change.sure,
        "adopted": adopted,
        "confirmed": confirmation.to_dict() if confirmation is not None else None,
    }
    strict_json.write(runner.path / "study.json", story)


def _to_dict(effect: Effect) -> dict[str, Any]:
    return effect.row() | {
        "sentence": effect.sentence(),
        "per_class": {name: asdict(d) for name, d in effect.per_class.items()},
        "hurts_classes": effect.hurts_classes,
        "prices": {name: price.text() for name, price in effect.costs.items()},
    }
