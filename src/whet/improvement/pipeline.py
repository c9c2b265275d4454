"""The pipeline of `whet improve`."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from whet import recipes
from whet.core import strict_json
from whet.core.duration import Duration
from whet.core.errors import RunError, unknown
from whet.core.evidence import Metric
from whet.core.language import Sentence, english, in_its_language
from whet.core.output import claim
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder, next_name
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
from whet.improvement.unlabelled import SPREADING, spreading, trained
from whet.report import build_improvement, build_report
from whet.report.cards import of_improvement
from whet.report.sections.effects import forest
from whet.studies.clock import TooLittleTime
from whet.studies.executor import executor_for, settled_threads
from whet.studies.study import Study, study
from whet.training.ensemble import show_mistakes
from whet.training.log import Observer
from whet.training.notebook_progress import default_observer

_STRONG, _IMPROVED = english("strong"), english("improved")
_FEW_EPOCHS = 3


@dataclass(frozen=True, repr=False)
class Improvement:
    """The result of `improve`. `recommended`: the best recipe other than the plain one, chosen on the validation samples.
    `difference`: its `metric` minus that of the plain recipe on the same test samples. `study`: the effects of the strong recipe's
    techniques, or None if there was no time for a study. `values`: the metric of each recipe. `best_run`: the model to use; it may
    be an ensemble of several runs."""

    path: Path
    study: Study | None
    recommended: str
    difference: Difference
    values: dict[str, float]
    best_run: Path
    report: Path
    metric: str

    def __repr__(self) -> str:
        return f"Improvement({str(self.path)!r}, recommended: {self.recommended})"

    def _repr_html_(self) -> str:
        return of_improvement(self.path)

    def plot_differences(self) -> Figure:
        """The difference of each recipe from the plain one with its 95 % interval, as a figure."""
        groups = RunFolder(self.path).read_json(self.path / "improvement.json")["groups"]
        compared = {name: group["difference"] for name, group in groups.items() if group["difference"]}
        rows = [{"factor": name, "effect": found["mean"], **found} for name, found in compared.items()]
        return forest(rows, self.metric).figure()


@in_its_language
def improve(
    data: str | Path | DataSpec,
    *,
    budget: str | Duration | None = None,
    seeds: int | None = None,
    metric: str | None = None,
    weights: str | None = None,
    architecture: str | None = None,
    head: str | None = None,
    task: str | None = None,
    plain: Recipe | str | Path | None = None,
    strong: Recipe | str | Path | None = None,
    studying: bool | None = None,
    tuning: bool | None = None,
    jobs: int = 1,
    ray: str | None = None,
    out: str | Path | None = None,
    observer: Observer | None = None,
    language: str | None = None,
    **options: Any,
) -> Improvement:
    """Find a better model for some data and measure the gain.

    The steps: check the data (for budgets from five minutes); study which techniques of the strong recipe help; tune the
    hyperparameters that matter; train the plain, strong and improved recipes with the same seeds, and one-pass models (logistic
    regression on the frozen features of the pretrained weights, or on TF-IDF for texts); with unlabelled samples also label
    spreading and semi-supervised recipes (see `unlabelled`); compare them on the test samples, which
    are used only once; combine the runs of the winner into an ensemble if that is better; write the report.

    budget: the total time ("1h"), or the epochs or steps of each run. studying: whether to run a study; by default if the budget is
    a time of 15 minutes or more (under one hour, similar techniques are studied as groups). tuning: whether to tune; by default
    from one hour, if Optuna is installed. seeds: the number of runs per recipe; by default three, up to five if the runs end early,
    and one under 30 minutes, which does not measure seed variance. Under 30 minutes, a one-pass model replaces the trained plain
    recipe, unless a plain recipe is given. metric: the metric for all choices and comparisons, by default the headline of the
    samples' task; it must be a share. jobs, ray: as for `whet.study`. A stopped call is resumed by calling it again with the same
    `out`; finished runs are never repeated. language: of the reports, see `whet.train`. options: training settings of every
    recipe, see `recipes.with_options`: batch_size, lr, image_size, device.
    """
    started, observer = time.monotonic(), observer or default_observer()
    if metric is not None:
        _require_share(metric, metrics_of_all_tasks())
    spec = DataSpec.of(data)
    model = ModelSpec(architecture=architecture or "auto", weights=weights or "auto", head=head or "auto")
    path = Path(out) if out is not None else next_name(Path("runs"), f"{Path(str(spec.path)).resolve().stem}-improve")

    # Check the data.
    observer.phase(english("reading {data}", data=spec.path))
    table = read_data(spec)
    requested: dict[str, Recipe] = {
        PLAIN: _recipe(plain, spec, model, task, plain=True),
        _STRONG: _recipe(strong, spec, model, task, plain=False),
    }
    asked = table.for_problem(requested[_STRONG].task).task
    metric = asked.metric_name(metric)
    _require_share(metric, asked.metrics)
    limit = Duration.parse_budget(budget) if budget is not None else None
    claim(path, "improve", data=spec.sources)
    can_tune = importlib.util.find_spec("optuna") is not None
    schedule = make_schedule(limit, seeds, studying, tuning, can_tune=can_tune)
    findings = _checked(table, schedule, observer)
    obvious = recipes.obvious(spec, model, task=task)
    if table.unlabelled is not None:
        obvious |= spreading(obvious, asked)
    requested, once = _with_obvious(requested, obvious, schedule, keep_plain=plain is not None)
    requested = {name: recipes.with_options(recipe, **_suiting(recipe, options)) for name, recipe in requested.items()}
    semi = trained(requested[_STRONG], asked, several=schedule.baseline) if table.unlabelled is not None else {}
    for line in schedule.summary(len(factors(requested[_STRONG], alone=schedule.alone)), [*requested, *semi]):
        observer.note(line)
    if PLAIN in once:
        observer.note(
            english(
                "plan: plain is {model!t}, because there is no time to train another recipe than the strong one",
                model=_one_pass(requested[PLAIN]),
            )
        )

    # Study the techniques of the strong recipe and tune their values.
    studied = _study(path, requested[_STRONG], schedule, jobs, ray, observer, metric) if schedule.studying else None
    improved = requested[_STRONG].replace(methods=studied.recommended.methods) if studied else requested[_STRONG]
    if schedule.tuning:
        improved = _tuned(path / "tuning", improved, studied, schedule, jobs, ray, observer, metric)
    if improved.hash != requested[_STRONG].hash:
        requested[_IMPROVED] = improved
    if semi:
        requested |= trained(improved, asked, several=schedule.baseline)

    # Same seeds, same budget, paired on the same test samples. All choices are made on the validation samples.
    executor = executor_for(jobs, observer, ray, settled_threads(requested[PLAIN], jobs, ray))
    settled = {
        name: recipe.setting(torch_threads=settled_threads(recipe, jobs, ray)) for name, recipe in requested.items()
    }
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
    if (too_short := _too_short(comparison, once)) is not None:
        observer.note(too_short)
    observer.phase(english("comparing"))
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
    values = {name: group["value"] for name, group in story["groups"].items()}
    return Improvement(
        path,
        studied,
        comparison.recommended,
        differences[comparison.recommended],
        values,
        best.path,
        report,
        metric,
    )


def _suiting(recipe: Recipe, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options for one recipe: a learning rate means nothing to what is fitted in one pass."""
    fitted = "logistic_regression" in recipe or SPREADING in recipe
    return {key: value for key, value in options.items() if not (fitted and key == "lr")}


def _require_share(metric: str, known: Mapping[str, Metric]) -> None:
    shares = [name for name, one in known.items() if one.is_share and not one.smaller_is_better]
    if metric not in shares:
        raise RunError(unknown("metric", metric, shares))


def _with_obvious(
    requested: dict[str, Recipe], obvious: dict[str, Recipe], schedule: Schedule, *, keep_plain: bool
) -> tuple[dict[str, Recipe], set[str]]:
    """The recipes to compare, the plain one first, including one-pass models, and the names of the one-pass models. If there is no
    time to train a plain recipe, the first one-pass model is the plain recipe."""
    obvious = {
        name: recipe for name, recipe in obvious.items() if recipe.hash not in {r.hash for r in requested.values()}
    }
    if obvious and not schedule.baseline and not keep_plain:
        (_, first), *others = obvious.items()
        return {**requested, PLAIN: first, **dict(others)}, {PLAIN, *(name for name, _ in others)}
    return {**requested, **obvious}, set(obvious)


def _too_short(comparison: RecipeComparison, once: set[str]) -> Sentence | None:
    """A note if the budget was too short for training and a one-pass model is better, else None."""
    if comparison.winner not in once:
        return None
    strong = comparison.runs[_STRONG][0]
    epochs, recipe = (
        comparison.metrics(strong)["cost"]["epochs"],
        Recipe.load(comparison.runs[comparison.winner][0].requested),
    )
    turned = _named(Recipe.load(strong.recipe)) != _named(Recipe.load(strong.requested))
    if epochs >= _FEW_EPOCHS or turned:
        return None
    return english(
        "the budget allows {epochs:.1f} epochs of the strong recipe; {model!t} is better and is used as the model",
        epochs=epochs,
        model=_one_pass(recipe),
    )


def _named(recipe: Recipe) -> set[str]:
    return {method.name for method in recipe.methods}


def _one_pass(recipe: Recipe) -> Sentence:
    if SPREADING in recipe:
        return english("label spreading on the frozen features")
    if recipe.model.architecture == "tf_idf":
        return english("logistic regression on TF-IDF")
    return english("logistic regression on the frozen features")


def _checked(table: Table, schedule: Schedule, observer: Observer) -> list[Finding] | None:
    """The findings of the data check; None if there is no time for it."""
    if not schedule.checking:
        observer.note(english("the data are not checked because the budget is too short; run whet check"))
        return None
    observer.phase(english("checking the data"))
    findings = audit(table, threads=4)
    for finding in findings:
        if finding.severity != "fact":
            observer.note(finding.text)
    return findings


def _recipe(
    given: Recipe | str | Path | None, spec: DataSpec, model: ModelSpec, task: str | None, *, plain: bool
) -> Recipe:
    if given is None:
        base = recipes.default(spec, model, plain=plain, task=task)
    else:
        base = given if isinstance(given, Recipe) else recipes.load(given)
    if model == ModelSpec():
        model = base.model
    return base.replace(data=spec, model=model, **({} if task is None else {"task": task}))


def _study(
    path: Path, strong: Recipe, schedule: Schedule, jobs: int, ray: str | None, observer: Observer, metric: str
) -> Study | None:
    """A screening study of the strong recipe's techniques, without confirmation, because the comparison follows. Similar techniques
    are grouped if there is no time for each one. None if there is no time for groups either."""
    for alone in (True, False) if schedule.alone else (False,):
        requested, share = factors(strong, alone=alone), share_of_size(strong, alone=alone)
        if not requested:
            return None
        folder = path / ("study" if alone else "study-of-groups")
        budget = schedule.of_study(strong.train.budget)
        try:
            return study(
                strong,
                requested,
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
            observer.note(
                english("no study: {reason}", reason=error)
                if alone
                else english("no study of groups: {reason}", reason=error)
            )
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
    """The recipe with the best values of a search. They are not confirmed here; the comparison tests them."""
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
        observer.note(english("no tuning: {reason}", reason=error))
        return recipe
    return recipe.replace(methods=found.tuned.methods)
