"""Compare architectures: train each with the same budget in its own process, and compare accuracy, size, time and memory on the
same test samples."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from whet import recipes
from whet.core import strict_json
from whet.core.errors import RecipeError, RunError
from whet.core.language import english, in_its_language
from whet.core.output import claim
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder, next_name
from whet.core.spec import DataSpec, ModelSpec
from whet.core.task import Task
from whet.data.read import medium_of, read_data
from whet.evaluate.compare import Comparison, Group, compare_groups, group_runs
from whet.models.build import check_architecture, zoo_of
from whet.report import build_architectures, build_report
from whet.report.cards import of_architectures
from whet.report.sections.architectures import metric_against_cost
from whet.studies.executor import PlannedRun, refuse_other
from whet.training.log import Observer
from whet.training.notebook_progress import default_observer
from whet.training.signals import Interrupts
from whet.training.subprocess_run import run_in_subprocess

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_BUDGET = "10ep"
_VERDICT = {"helps": "better", "hurts": "worse"}  # names for architectures; other verdicts are unchanged


@dataclass(frozen=True, repr=False)
class ArchitectureComparison:
    """The result: one row per architecture in the given order, as in architectures.json. `best` is chosen on the validation
    samples; None if no architecture could be trained."""

    path: Path
    rows: list[dict[str, Any]]
    best: str | None
    best_run: Path | None
    report: Path
    metric: str | None  # title of what is compared
    chosen_by: str | None  # title of the metric that chose the best

    @property
    def table(self) -> pd.DataFrame:
        """The rows as a table: name, value, low, high, parameters, train_seconds, seconds_per_sample, peak_memory_mib, …"""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def __repr__(self) -> str:
        return f"ArchitectureComparison({str(self.path)!r}, best: {self.best})"

    def _repr_html_(self) -> str:
        return of_architectures(self.path)

    def plot_cost(self) -> Figure:
        """The metric against parameters, training time, inference time and memory, as a figure. RunError where none was trained."""
        rows = [row for row in self.rows if row["runs"]]
        if not rows or self.metric is None:
            raise RunError(f"{self.path}: no architecture could be trained")
        return metric_against_cost(rows, self.metric).figure()


@in_its_language
def compare_architectures(
    data: str | Path | DataSpec,
    architectures: Sequence[str],
    *,
    budget: str | None = None,
    weights: str | None = None,
    head: str | None = None,
    task: str | None = None,
    seeds: int = 1,
    recipe: Recipe | str | Path | None = None,
    out: str | Path | None = None,
    observer: Observer | None = None,
    language: str | None = None,
    **options: Any,
) -> ArchitectureComparison:
    """Train every architecture with the same budget, one run after the other, compare them, and write the report.

    architectures: built-in names, local folders, or hub names; the latter two load their pretrained weights, unless weights="none".
    budget: of each run, "5m", "10ep" or "500st"; by default that of the recipe, or ten epochs. recipe: the recipe for all; by
    default one that suits any network from scratch, and the strong recipe for fine-tuning. A failed run is reported in its row and
    does not stop the others. A stopped comparison is resumed by calling it again with the same `out`; finished runs are never
    repeated. language: of the reports, see `whet.train`. options: training settings of every run (see `recipes.with_options`).
    Raises RecipeError before training if a name is unknown or repeated.
    """
    started, observer = time.monotonic(), observer or default_observer()
    spec = DataSpec.of(data)
    if weights not in (None, "auto", "none"):
        raise RecipeError(
            f"weights '{weights}' for several architectures: only none is accepted; give pretrained weights as an architecture, by "
            "hub name or local folder"
        )
    medium = medium_of(spec) if Path(str(spec.path)).expanduser().exists() else "image"
    requested = {
        name: recipes.with_options(
            _recipe(
                recipe,
                spec,
                ModelSpec(architecture=architecture, weights=weights or "auto", head=head or "auto"),
                task,
                budget,
            ),
            **options,
        )
        for name, architecture in _named(architectures, medium).items()
    }
    observer.phase(english("reading {data}", data=spec.path))
    fingerprint = read_data(spec).fingerprint()
    path = (
        Path(out)
        if out is not None
        else next_name(Path("runs"), f"{Path(str(spec.path)).resolve().stem}-architectures")
    )
    claim(path, "architectures", data=[str(spec.path)])

    # Train every architecture with the first seed, then with the next. Failures are recorded and do not stop the others.
    todo = [
        (name, path / f"{_as_folder(name)}-s{seed}", recipe.setting(seed=seed))
        for seed in range(seeds)
        for name, recipe in requested.items()
    ]
    for _, run, wanted in todo:
        refuse_other(PlannedRun(wanted, run, data=fingerprint))
    finished: dict[str, list[RunFolder]] = {name: [] for name in requested}
    failed: dict[str, dict[str, str]] = {name: {} for name in requested}
    with Interrupts().caught():
        for number, (name, run, wanted) in enumerate(todo, 1):
            observer.phase(
                english(
                    "{name}, seed {seed:d} ({number:d} of {total:d} runs)",
                    name=name,
                    seed=wanted.train.seed,
                    number=number,
                    total=len(todo),
                )
            )
            try:
                finished[name].append(_run(run, wanted, observer))
            except RunError as error:
                observer.note(english("failed: {reason}", reason=error))
                failed[name][run.name] = str(error)

    # Compare with the architecture chosen on the validation samples, paired on the same test samples.
    observer.phase(english("comparing"))
    known = [name for name in requested if finished[name]]
    groups = dict(zip(known, group_runs([run for name in known for run in finished[name]]), strict=True))
    best = max(known, key=lambda name: _merit(groups[name]), default=None)
    chosen = groups[best] if best is not None else None
    best_run = _best_run(chosen).path if chosen is not None else None
    others = {name: group for name, group in groups.items() if chosen is not None and _share_seeds(chosen, group)}
    compared = compare_groups(chosen, list(others.values())) if chosen is not None else []
    against = dict(zip(others, compared, strict=True))
    rows = [_row(name, groups.get(name), failed[name], against.get(name)) for name in requested]
    metric, chooser = (
        (_task(chosen).metric(None).title, _task(chosen).chooser.title) if chosen is not None else (None, None)
    )
    story = {
        "name": path.resolve().name,
        "budget": str(next(iter(requested.values())).train.budget),
        "seeds": seeds,
        "seconds": time.monotonic() - started,
        "samples": len(chosen.evidence[0]) if chosen else 0,
        "metric": metric,
        "chosen_by": chooser,
        "part": _evaluated_on(_metrics(chosen)) if chosen else None,
        "best": best,
        "best_run": best_run.name if best_run else None,
        "architectures": rows,
    }
    strict_json.write(path / "architectures.json", story)
    report = build_architectures(path)
    observer.end()
    return ArchitectureComparison(path, rows, best, best_run, report, metric, chooser)


def _named(architectures: Sequence[str], medium: str = "image") -> dict[str, str]:
    """The display name of each architecture. A local folder is named without its parent, so that reports contain no path of a
    machine. Raises RecipeError for unknown and repeated names."""
    if not architectures:
        raise RecipeError(f"no architecture given; accepted: {', '.join(zoo_of(medium))}, hub names and local folders")
    found: dict[str, str] = {}
    for architecture in architectures:
        check_architecture(architecture, medium)
        local = architecture not in zoo_of(medium) and Path(architecture).expanduser().exists()
        name = Path(architecture).expanduser().resolve().name if local else architecture
        if name in found:
            twice = f"as '{found[name]}' and as '{architecture}'" if found[name] != architecture else "among them"
            raise RecipeError(f"architecture '{name}' is given twice, {twice}; give each once")
        found[name] = architecture
    return found


def _as_folder(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")


def _recipe(
    given: Recipe | str | Path | None, spec: DataSpec, model: ModelSpec, task: str | None, budget: str | None
) -> Recipe:
    if given is not None:
        base = given if isinstance(given, Recipe) else recipes.load(given)
    else:
        base = recipes.for_comparison(spec, model, task=task).setting(budget=_BUDGET)
    base = base.replace(data=spec, model=model, **({} if task is None else {"task": task}))
    return base.setting(budget=budget) if budget is not None else base


def _run(path: Path, recipe: Recipe, observer: Observer) -> RunFolder:
    """Return a finished run, resume an unfinished one from its last checkpoint, or train a new one."""
    folder = RunFolder(path)
    if folder.finished:
        observer.note(english("{run} is already finished", run=path.name))
    else:
        run_in_subprocess(recipe, path, observer)
    if not folder.report.is_file():
        build_report(folder)
    return folder


def _row(name: str, group: Group | None, failed: dict[str, str], against: Comparison | None) -> dict[str, Any]:
    """The row of an architecture. Costs are means over its runs; memory is the maximum."""
    row: dict[str, Any] = {"name": name, "failed": failed, "runs": []}
    if group is None:
        return row
    recipe, (low, high) = Recipe.load(group.runs[0].recipe), group.interval
    metrics = _metrics(group)
    return row | {
        "runs": [run.path.name for run in group.runs],
        "seeds": list(group.seeds),
        "value": float(group.value_S.mean()),
        "low": low,
        "high": high,
        "validation": _mean(metrics, "val", group.metric),
        "parameters": int(_mean(metrics, "cost", "parameters")),
        "train_seconds": _mean(metrics, "cost", "train_seconds"),
        "seconds_per_sample": _mean(metrics, "cost", "seconds_per_sample"),
        "peak_memory_mib": max(found["cost"]["peak_memory_mib"] for found in metrics),
        "epochs": _mean(metrics, "cost", "epochs"),
        "shown": recipe.shown,
        "pretrained": recipe.model.weights != "none",
        "difference": _against(against),
    }


def _share_seeds(best: Group, group: Group) -> bool:
    return group is not best and bool(set(best.seeds) & set(group.seeds))


def _against(found: Comparison | None) -> dict[str, Any] | None:
    """The difference from the best architecture, corrected for the number of comparisons; None for the best one, and if
    they have no seed in common."""
    if found is None:
        return None
    return {**asdict(found.difference), "verdict": _VERDICT.get(found.verdict, found.verdict)}


def _metrics(group: Group) -> list[dict[str, Any]]:
    return [run.read_json(run.metrics) for run in group.runs]


def _evaluated_on(metrics: list[dict[str, Any]]) -> str:
    return "test" if all("test" in found for found in metrics) else "val"


def _mean(metrics: list[dict[str, Any]], section: str, key: str) -> float:
    return float(np.mean([found[section][key] for found in metrics]))


def _best_run(group: Group) -> RunFolder:
    return max(group.runs, key=lambda run: _task(group).merit(run.read_json(run.metrics)["val"]))


def _task(group: Group) -> Task:
    return group.evidence[0].task


def _merit(group: Group) -> float:
    """The mean merit of the runs on the validation samples."""
    return float(np.mean([_task(group).merit(found["val"]) for found in _metrics(group)]))
