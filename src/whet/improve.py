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
from whet.core.recipe import DataSpec, ModelSpec, Recipe
from whet.core.run_folder import RunFolder, next_name, write_json
from whet.data.audit import audit
from whet.data.read import read_data
from whet.evaluate.compare import Difference, compare_runs
from whet.report import build_improvement, build_report
from whet.train.job import carry_out
from whet.train.log import Observer

_LONG = 30 * 60  # from half an hour on a budget is worth three seeds
_REPORT_SECONDS = 5.0


@dataclass(frozen=True)
class Improvement:
    """What came of it. `difference` is strong minus plain in accuracy on the same test samples."""

    path: Path
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
    plain: Recipe | str | Path | None = None,
    strong: Recipe | str | Path | None = None,
    out: str | Path | None = None,
    observer: Observer | None = None,
) -> Improvement:
    """Check the data, train the plain recipe and the strong one with the same seeds, compare them on the test samples, report.

    budget: a time for everything ("1h"), or epochs or steps for each run. seeds: how many of each recipe; by default three,
    or one where a budget in time is under half an hour. A job that was stopped goes on where it was when it is called again
    with the same `out`: finished runs are never repeated.
    """
    started, observer = time.monotonic(), observer or Observer()
    spec = DataSpec(
        path=str(data),
        split_files=tuple(str(name) for name in split_files),
        file_column=file_column,
        label_column=label_column,
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

    # The plain recipe and the strong one, the same seeds, the same budget.
    asked = {
        "plain": _recipe(plain, spec, model, plain=True),
        "strong": _recipe(strong, spec, model, plain=False),
    }
    limit = Duration.parse(budget) if budget is not None else None
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
        "plan": _plan(findings, count),
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
    return Improvement(path, comparison.difference, plain_accuracy, strong_accuracy, best.path, report)


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
    count = seeds or (1 if limit is not None and limit.is_time and limit.seconds < _LONG else 3)
    each = limit
    if limit is not None and limit.is_time:
        left = limit.seconds - (time.monotonic() - started) - _REPORT_SECONDS
        each = Duration(max(1, int(left / (2 * count))), "s")
    write_json(kept, {"each": str(each) if each is not None else None, "seeds": count})
    return each, count


def _plan(findings: list[Any], seeds: int) -> list[dict[str, Any]]:
    graves = sum(finding.severity == "problem" for finding in findings)
    return [
        {"done": True, "text": f"Check the data: {graves} {'problem' if graves == 1 else 'problems'} found."},
        {
            "done": True,
            "text": f"Train the plain recipe with {seeds} {'seed' if seeds == 1 else 'seeds'}: the baseline.",
        },
        {"done": True, "text": "Train the strong recipe with the same seeds, splits and draws, at the same budget."},
        {
            "done": False,
            "text": "Study which of its methods earn their place here, and tune those that do (whet study, to come).",
        },
        {
            "done": True,
            "text": "Choose the model on validation pictures; read the test pictures once, and compare pair by pair.",
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
