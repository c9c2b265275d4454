"""The main job: from a folder to a better model, and how much better, told as a short story over the other parts."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from whet import recipes
from whet.core.duration import Duration
from whet.core.errors import RunError
from whet.core.method import Method, Stage
from whet.core.recipe import DataSpec, ModelSpec, Recipe
from whet.core.run_folder import RunFolder, next_name, write_json
from whet.data.audit import audit
from whet.data.read import read_data
from whet.evaluate.compare import Difference, compare_runs
from whet.report import build_improvement, build_report
from whet.study.screening import TooLittleTime
from whet.study.study import Study, study
from whet.train.job import carry_out
from whet.train.log import Observer

_LONG = 30 * 60  # from half an hour on a budget is worth three seeds
# From an hour on a study is worth its share of the time: in less, its runs are too short to tell what helps in longer ones.
_STUDY_FROM, _STUDY_SHARE = 60 * 60, 0.4
_STUDY_SIZE = 0.6  # of the recipe's picture size: runs of a study are many and short
_DECIDE_NOTHING = {"temperature_scaling", "vector_scaling"}
_REPORT_SECONDS = 5.0


@dataclass(frozen=True)
class Improvement:
    """What came of it. `difference` is strong minus plain in accuracy on the same test samples; `study`: what each of the strong
    recipe's techniques does here, or None where there was no time to find out."""

    path: Path
    study: Study | None
    difference: Difference
    plain_accuracy: float
    strong_accuracy: float
    best_run: Path
    report: Path


def improve(
    data: str | Path,
    *,
    budget: str | Duration | None = None,
    seeds: int | None = None,
    weights: str | None = None,
    architecture: str | None = None,
    split_files: Sequence[str | Path] = (),
    file_column: str | None = None,
    label_column: str | None = None,
    text_column: str | None = None,
    label_columns: Sequence[str] | None = None,
    label_separator: str | None = None,
    plain: Recipe | str | Path | None = None,
    strong: Recipe | str | Path | None = None,
    studying: bool | None = None,
    jobs: int = 1,
    out: str | Path | None = None,
    observer: Observer | None = None,
) -> Improvement:
    """Check the data; study which of the strong recipe's techniques help here, and drop those that hurt; train the plain recipe and
    what is left of the strong one with the same seeds; compare them on the test samples, which are read once; report.

    budget: a time for everything ("1h"), or epochs or steps for each run. studying: whether there is a study; by default where the
    budget is a time of an hour or more. jobs: runs of the study at a time. seeds: how many of each recipe; by default three,
    or one where a budget in time is under half an hour. A job that was stopped goes on where it was when it is called again
    with the same `out`: finished runs are never repeated.
    """
    started, observer = time.monotonic(), observer or Observer()
    spec = DataSpec(
        path=str(data),
        split_files=tuple(str(name) for name in split_files),
        file_column=file_column,
        label_column=label_column,
        text_column=text_column,
        label_columns=tuple(label_columns) if label_columns is not None else None,
        label_separator=label_separator,
    )
    model = ModelSpec(architecture=architecture or "auto", weights=weights or "auto")
    path = Path(out) if out is not None else next_name(Path("runs"), f"{Path(data).resolve().stem}-improve")
    path.mkdir(parents=True, exist_ok=True)

    # Is the data fit to judge from?
    observer.stage(f"checking {data}")
    table = read_data(spec)
    findings = audit(table, threads=4)
    for finding in findings:
        if finding.severity != "fact":
            observer.note(finding.text)

    asked = {
        "plain": _recipe(plain, spec, model, plain=True),
        "strong": _recipe(strong, spec, model, plain=False),
    }
    limit = Duration.parse(budget) if budget is not None else None
    if studying is None:
        studying = limit is not None and limit.is_time and limit.seconds >= _STUDY_FROM
    _tell_plan(observer, limit, studying, asked["strong"], seeds)

    # What of the strong recipe earns its place on this data?
    studied = None
    if studying:
        try:
            studied = _study(path / "study", asked["strong"], limit, jobs, observer)
        except TooLittleTime as error:
            observer.note(f"no study: {error}")
        else:
            asked["strong"] = asked["strong"].replace(methods=studied.recommended.methods)

    # The plain recipe and the strong one, the same seeds, the same budget.
    each, count = _division(path, limit, seeds, started)
    folders: dict[str, list[RunFolder]] = {"plain": [], "strong": []}
    todo = [(seed, name) for seed in range(count) for name in asked]
    for number, (seed, name) in enumerate(todo):
        recipe = asked[name].setting(seed=seed)
        if each is not None:
            recipe = recipe.setting(budget=each)
        observer.stage(f"{name} recipe, seed {seed} ({number + 1} of {len(todo)} runs)")
        place = RunFolder(path / f"{name}-s{seed}")
        if place.finished:
            observer.note(f"{place.name} is finished already")
        folders[name].append(carry_out(recipe, place.path, observer))
        build_report(place)

    # Paired on the same test samples; the model is chosen on validation samples.
    observer.stage("comparing")
    every = [*folders["plain"], *folders["strong"]]
    reference, (comparison,), _ = compare_runs(every)
    metrics = {run.path: run.read_json(run.metrics) for run in every}
    # By log-loss: accuracy on a few validation samples is too coarse to choose by.
    better = min(folders, key=lambda name: np.mean([metrics[run.path]["val"]["log_loss"] for run in folders[name]]))
    best = min(folders[better], key=lambda run: metrics[run.path]["val"]["log_loss"])
    groups = {name: _group(g.accuracy_S, g.seconds) for name, g in (("plain", reference), ("strong", comparison.group))}
    story = {
        "name": path.resolve().name,
        "budget": str(limit) if limit is not None else None,
        "seconds": time.monotonic() - started,
        "findings": [finding.to_dict() for finding in findings],
        "plan": _plan(findings, count, studied),
        "study": "study" if studied is not None else None,
        "difference": {**asdict(comparison.difference), "verdict": comparison.difference.verdict},
        "mcnemar": comparison.mcnemar,
        "groups": groups,
        "per_class": _per_class(
            [metrics[r.path] for r in folders["plain"]], [metrics[r.path] for r in folders["strong"]]
        ),
        "runs": [_row(run, metrics[run.path]) for run in every],
        "best_run": best.path.name,
    }
    write_json(path / "improvement.json", story)
    report = build_improvement(path)
    observer.end()
    plain_accuracy, strong_accuracy = (groups[name]["accuracy"] for name in ("plain", "strong"))
    return Improvement(path, studied, comparison.difference, plain_accuracy, strong_accuracy, best.path, report)


def _recipe(given: Recipe | str | Path | None, spec: DataSpec, model: ModelSpec, *, plain: bool) -> Recipe:
    if given is None:
        base = recipes.default(spec, model, plain=plain)
    else:
        base = given if isinstance(given, Recipe) else recipes.load(given)
    if model == ModelSpec():
        model = base.model
    return base.replace(data=spec, model=model)


def _division(path: Path, limit: Duration | None, seeds: int | None, started: float) -> tuple[Duration | None, int]:
    """(the budget of each run, how many seeds): decided once and kept, so that a job that goes on later decides the same."""
    kept = path / "division.json"
    if kept.is_file():
        plain = json.loads(kept.read_text(encoding="utf-8"))
        return Duration.parse(plain["each"]) if plain["each"] else None, plain["seeds"]
    count = seeds or _seeds(limit)
    each = limit
    if limit is not None and limit.is_time:
        left = limit.seconds - (time.monotonic() - started) - _REPORT_SECONDS
        each = Duration(max(1, int(left / (2 * count))), "s")
    write_json(kept, {"each": str(each) if each is not None else None, "seeds": count})
    return each, count


def _study(path: Path, strong: Recipe, limit: Duration | None, jobs: int, observer: Observer) -> Study:
    """A screen of the strong recipe's techniques (of pictures made smaller), its verdicts left to the comparison that follows."""
    budget = strong.train.budget
    if limit is not None:
        budget = Duration(round(_STUDY_SHARE * limit.seconds), "s") if limit.is_time else limit
    pictures = strong.medium == "picture"
    sizes = {key: _smaller(getattr(strong.train, key)) for key in ("image_size", "eval_size") if pictures}
    base = strong.setting(**sizes)
    return study(base, techniques(base), budget=budget, jobs=jobs, confirming=False, out=path, observer=observer)


def techniques(recipe: Recipe) -> list[Method]:
    """What is worth a question: not the optimizer, the schedule and the way of transfer, which a recipe is built on, nor what
    changes no decision."""
    built_on = {Stage.OPTIMIZER, Stage.SCHEDULE}
    return [
        method
        for method in recipe.methods
        if not built_on & set(method.stages()) and method.family != "transfer" and method.name not in _DECIDE_NOTHING
    ]


def _smaller(size: int | str) -> int | str:
    if isinstance(size, int):
        return max(32, round(_STUDY_SIZE * size / 8) * 8)
    return size if size == "auto" else f"{max(25, round(_STUDY_SIZE * int(size.removesuffix('%'))))}%"


def _tell_plan(observer: Observer, limit: Duration | None, studying: bool, strong: Recipe, seeds: int | None) -> None:
    """What is going to happen, and how long it may take, before it does."""
    if limit is None or not limit.is_time:
        return
    share = _STUDY_SHARE if studying else 0.0
    if studying:
        observer.note(
            f"plan: study {len(techniques(strong))} techniques of the strong recipe, {share * limit.seconds / 60:.0f} min"
        )
    count = seeds or _seeds(limit)
    observer.note(
        f"plan: train the plain and the strong recipe, {count} {'seed' if count == 1 else 'seeds'} each, "
        f"{(1 - share) * limit.seconds / 60:.0f} min; then compare them on the test samples and report"
    )


def _seeds(limit: Duration | None) -> int:
    return 1 if limit is not None and limit.is_time and limit.seconds < _LONG else 3


def _plan(findings: list[Any], seeds: int, studied: Study | None) -> list[dict[str, Any]]:
    graves = sum(finding.severity == "problem" for finding in findings)
    return [
        {"done": True, "text": f"Check the data: {graves} {'problem' if graves == 1 else 'problems'} found."},
        {
            "done": True,
            "text": f"Train the plain recipe with {seeds} {'seed' if seeds == 1 else 'seeds'}: the baseline.",
        },
        {"done": True, "text": "Train the strong recipe with the same seeds, splits and draws, at the same budget."},
        {
            "done": studied is not None,
            "text": "Study which of its techniques earn their place here, and drop those that hurt.",
        },
        {
            "done": True,
            "text": "Choose the model on validation samples; read the test samples once, and compare pair by pair.",
        },
    ]


def _group(accuracy_S: np.ndarray, seconds: float) -> dict[str, Any]:
    return {
        "accuracy": float(accuracy_S.mean()),
        "std": float(accuracy_S.std(ddof=1)) if len(accuracy_S) > 1 else None,
        "seconds": seconds,
    }


def _row(run: RunFolder, metrics: dict[str, Any]) -> dict[str, Any]:
    result = metrics.get("test", metrics["val"])
    return {
        "name": run.path.name,
        "seed": metrics["seed"],
        "val": metrics["val"]["accuracy"],
        "test": result["accuracy"],
        "macro_f1": result["macro_f1"],
        "seconds": metrics["cost"]["train_seconds"],
    }


def _per_class(plain: list[dict[str, Any]], strong: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean recall of every class under both recipes; a class without a test sample is left out."""

    def recalls(metrics: list[dict[str, Any]]) -> dict[str, float]:
        rows = [m.get("test", m["val"])["per_class"] for m in metrics]
        return {
            cells[0]["name"]: float(np.mean([cell["recall"] for cell in cells]))
            for cells in zip(*rows)
            if cells[0]["recall"] is not None
        }

    before, after = recalls(plain), recalls(strong)
    if before.keys() != after.keys():
        raise RunError("the two recipes were judged on different classes")
    found = [
        {"name": name, "plain": before[name], "strong": after[name], "difference": after[name] - before[name]}
        for name in before
    ]
    return sorted(found, key=lambda row: row["difference"])
