"""The main job, told as a short story over the other parts."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet import recipes
from whet.core import strict_json
from whet.core.duration import Duration
from whet.core.errors import RunError, unknown
from whet.core.output import claim
from whet.core.recipe import Recipe
from whet.core.run_folder import next_name
from whet.core.spec import DataSpec, ModelSpec
from whet.core.task import metrics_of_all_tasks
from whet.data.audit import Finding, audit
from whet.data.read import read_data
from whet.data.table import Table
from whet.evaluate.compare import Difference
from whet.improvement.comparison import PLAIN, RecipeComparison, train_all
from whet.improvement.questions import factors, share_of_size, worth_tuning
from whet.improvement.schedule import Schedule, make_schedule
from whet.improvement.summary import summary
from whet.report import build_improvement, build_report
from whet.studies.clock import TooLittleTime
from whet.studies.executor import executor_for, settled_threads
from whet.studies.study import Study, study
from whet.training.ensemble import show_mistakes
from whet.training.log import Observer

_STRONG, _IMPROVED = "strong", "improved"
_FEW_EPOCHS = 3


@dataclass(frozen=True)
class Improvement:
    """What came of it. `answer`: the best recipe beside the plain one, chosen on validation samples; `difference`: its
    `metric` minus that of the plain one on the same test samples; `study`: what each of the strong recipe's techniques does here,
    or None where there was no time to find out; `best_run`: the model to use, which may be several runs as one."""

    path: Path
    study: Study | None
    answer: str
    difference: Difference
    accuracies: dict[str, float]
    best_run: Path
    report: Path
    metric: str = "accuracy"


def improve(
    data: str | Path | DataSpec,
    *,
    budget: str | Duration | None = None,
    seeds: int | None = None,
    metric: str = "accuracy",
    weights: str | None = None,
    architecture: str | None = None,
    plain: Recipe | str | Path | None = None,
    strong: Recipe | str | Path | None = None,
    studying: bool | None = None,
    tuning: bool | None = None,
    jobs: int = 1,
    ray: str | None = None,
    out: str | Path | None = None,
    observer: Observer | None = None,
    **options: Any,
) -> Improvement:
    """Check the data (from five minutes on); study which of the strong recipe's techniques help here; search better values of what
    matters; train the plain recipe, the strong one and what came of it with the same seeds, and what takes one pass (logistic
    regression on the frozen features of the pretrained weights; for texts on TF-IDF); compare them on the test samples, which are
    read once; put the winner's runs together where that is better; report.

    budget: a time for everything ("1h"), or epochs or steps for each run. studying: whether there is a study; by default where the
    budget is a time of a quarter of an hour or more (under an hour similar techniques are studied together). tuning: whether values
    are searched; by default from an hour on, where Optuna is installed. seeds: how many of each recipe; by default three, up
    to five where the runs end before the time, and one under half an hour, which says nothing of other seeds. Under half an hour
    what takes one pass stands in the place of a plain recipe that is trained, unless one is given. metric: what everything is
    studied, chosen and compared by: a metric of the samples' task that is a share. jobs, ray: as for `whet.study`. A
    job that was stopped goes on where it was when it is called again with the same `out`: finished runs are never repeated.
    options: training settings of every recipe, as `recipes.with_options` takes them: batch_size, lr, image_size, device.
    """
    started, observer = time.monotonic(), observer or Observer()
    _require_share(metric)
    spec = DataSpec.of(data)
    model = ModelSpec(architecture=architecture or "auto", weights=weights or "auto")
    path = Path(out) if out is not None else next_name(Path("runs"), f"{Path(str(spec.path)).resolve().stem}-improve")

    # Is the data fit to judge from?
    observer.phase(f"reading {spec.path}")
    table = read_data(spec)
    asked = {PLAIN: _recipe(plain, spec, model, plain=True), _STRONG: _recipe(strong, spec, model, plain=False)}
    limit = Duration.parse_budget(budget) if budget is not None else None
    claim(path, "improve", data=[str(spec.path)])
    can_tune = importlib.util.find_spec("optuna") is not None
    schedule = make_schedule(limit, seeds, studying, tuning, can_tune=can_tune)
    findings = _checked(table, schedule, observer)
    asked, once = _with_obvious(asked, recipes.obvious(spec, model), schedule, keep_plain=plain is not None)
    asked = {name: recipes.with_options(recipe, **_suiting(recipe, options)) for name, recipe in asked.items()}
    for line in schedule.summary(len(factors(asked[_STRONG], alone=schedule.alone)), list(asked)):
        observer.note(line)
    if PLAIN in once:
        observer.note(
            f"plan: plain is {_one_pass(asked[PLAIN])}: there is no time to train a recipe beside the strong one"
        )

    # What of the strong recipe earns its place on this data, and with which values?
    studied = _study(path, asked[_STRONG], schedule, jobs, ray, observer, metric) if schedule.studying else None
    improved = asked[_STRONG].replace(methods=studied.recommended.methods) if studied else asked[_STRONG]
    if schedule.tuning:
        improved = _tuned(path / "tuning", improved, studied, schedule, jobs, ray, observer, metric)
    if improved.hash != asked[_STRONG].hash:
        asked[_IMPROVED] = improved

    # The same seeds, the same budget; paired on the same test samples; all that is chosen is chosen on validation samples.
    executor = executor_for(jobs, observer, ray, settled_threads(asked[PLAIN], jobs, ray))
    settled = {name: recipe.setting(torch_threads=settled_threads(recipe, jobs, ray)) for name, recipe in asked.items()}
    comparison = train_all(
        path,
        settled,
        limit,
        schedule.seeds,
        schedule.most_seeds,
        started,
        executor,
        observer,
        metric=metric,
        once=once,
        data=table.fingerprint(),
    )
    if line := _too_short(comparison, once):
        observer.note(line)
    observer.phase("comparing")
    ensemble = comparison.ensemble(path / "ensemble")
    if ensemble is not None and not ensemble.run.report.is_file():
        show_mistakes(ensemble.run, table)
        build_report(ensemble.run)
    best = ensemble.run if ensemble is not None and ensemble.pays else comparison.best
    story = summary(path, comparison, ensemble, best, findings, studied)
    strict_json.write(
        path / "improvement.json",
        story | {"budget": str(limit) if limit else None, "seconds": time.monotonic() - started},
    )
    report = build_improvement(path)
    observer.end()
    _, differences, _ = comparison.compared()
    accuracies = {name: group["accuracy"] for name, group in story["groups"].items()}
    return Improvement(
        path, studied, comparison.answer, differences[comparison.answer], accuracies, best.path, report, metric
    )


def _suiting(recipe: Recipe, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options for one recipe: a learning rate means nothing to what is fitted in one pass."""
    fitted = "logistic_regression" in recipe
    return {key: value for key, value in options.items() if not (fitted and key == "lr")}


def _require_share(metric: str) -> None:
    shares = [name for name, one in metrics_of_all_tasks().items() if one.is_share and not one.smaller_is_better]
    if metric not in shares:
        raise RunError(unknown("metric", metric, shares))


def _with_obvious(
    asked: dict[str, Recipe], obvious: dict[str, Recipe], schedule: Schedule, *, keep_plain: bool
) -> tuple[dict[str, Recipe], set[str]]:
    """The recipes to compare, the plain one first, with what takes one pass among them, and the names of what takes one pass. Where
    there is no time to train a plain recipe beside the strong one, the first of these is the plain one."""
    obvious = {name: recipe for name, recipe in obvious.items() if recipe.hash not in {r.hash for r in asked.values()}}
    if obvious and not schedule.baseline and not keep_plain:
        (_, first), *others = obvious.items()
        return {**asked, PLAIN: first, **dict(others)}, {PLAIN, *(name for name, _ in others)}
    return {**asked, **obvious}, set(obvious)


def _too_short(comparison: RecipeComparison, once: set[str]) -> str:
    """A sentence where the budget was too short for training, and what takes one pass is the better model."""
    if comparison.winner not in once:
        return ""
    strong = comparison.runs[_STRONG][0]
    epochs, recipe = (
        comparison.metrics(strong)["cost"]["epochs"],
        Recipe.load(comparison.runs[comparison.winner][0].requested),
    )
    turned = _named(Recipe.load(strong.recipe)) != _named(
        Recipe.load(strong.requested)
    )  # its own note says what became of it
    if epochs >= _FEW_EPOCHS or turned:
        return ""
    return f"the budget fits {epochs:.1f} epochs of the strong recipe; {_one_pass(recipe)} is better, and is the model"


def _named(recipe: Recipe) -> set[str]:
    return {method.name for method in recipe.methods}


def _one_pass(recipe: Recipe) -> str:
    what = "TF-IDF" if recipe.model.architecture == "tf_idf" else "the frozen features"
    return f"logistic regression on {what}"


def _checked(table: Table, schedule: Schedule, observer: Observer) -> list[Finding] | None:
    """What is wrong with the data; None where there is no time to look."""
    if not schedule.checking:
        observer.note("the data are not checked in so little time; whet check does it")
        return None
    observer.phase("checking the data")
    findings = audit(table, threads=4)
    for finding in findings:
        if finding.severity != "fact":
            observer.note(finding.text)
    return findings


def _recipe(given: Recipe | str | Path | None, spec: DataSpec, model: ModelSpec, *, plain: bool) -> Recipe:
    if given is None:
        base = recipes.default(spec, model, plain=plain)
    else:
        base = given if isinstance(given, Recipe) else recipes.load(given)
    if model == ModelSpec():
        model = base.model
    return base.replace(data=spec, model=model)


def _study(
    path: Path, strong: Recipe, schedule: Schedule, jobs: int, ray: str | None, observer: Observer, metric: str
) -> Study | None:
    """A screen of the strong recipe's techniques, its verdicts left to the comparison that follows; similar techniques together
    where there is no time for each. None where there is no time for that either."""
    for alone in (True, False) if schedule.alone else (False,):
        asked, share = factors(strong, alone=alone), share_of_size(strong, alone=alone)
        if not asked:
            return None
        folder = path / ("study" if alone else "study-of-groups")
        budget = schedule.of_study(strong.train.budget)
        try:
            return study(
                strong,
                asked,
                budget=budget,
                metric=metric,
                smaller=share,
                jobs=jobs,
                ray=ray,
                confirming=False,
                out=folder,
                observer=observer,
            )
        except TooLittleTime as error:
            observer.note(f"no study{'' if alone else ' of groups'}: {error}")
    return None


def _tuned(
    path: Path,
    recipe: Recipe,
    studied: Study | None,
    schedule: Schedule,
    jobs: int,
    ray: str | None,
    observer: Observer,
    metric: str,
) -> Recipe:
    """The recipe with the best values of a search, which are no more than a proposal: the comparison is to tell."""
    from whet.tuning.tune import tune

    names = worth_tuning(recipe, studied)
    if not names:
        return recipe
    base, budget = recipe.smaller(share_of_size(recipe, alone=True)), schedule.of_tuning(recipe.train.budget)
    try:
        found = tune(
            base, names, budget=budget, metric=metric, jobs=jobs, ray=ray, confirming=False, out=path, observer=observer
        )
    except TooLittleTime as error:
        observer.note(f"no search: {error}")
        return recipe
    return recipe.replace(methods=found.tuned.methods)
