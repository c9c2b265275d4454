"""The content of improvement.json, for the report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from whet.core.errors import RunError
from whet.core.language import english, english_n
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.task import Task
from whet.data.audit import Finding
from whet.evaluate.compare import Difference, Group
from whet.improvement.comparison import PLAIN, Ensemble, RecipeComparison
from whet.studies.study import Study
from whet.training.ensemble import can_combine

_COLUMNS = 2  # metrics in the table of runs


def summary(
    path: Path, comparison: RecipeComparison, ensemble: Ensemble | None, best: RunFolder, findings: list[Finding] | None,
    studied: Study | None,
) -> dict[str, Any]:  # fmt: skip
    groups, differences, mcnemar = comparison.compared()
    task = best.task
    recommended = comparison.recommended
    sides = [[comparison.metrics(run) for run in comparison.runs[name]] for name in (PLAIN, recommended)]
    tuning = path / "tuning" / "tuning.json"
    return {
        "name": path.resolve().name,
        "findings": [finding.to_dict() for finding in findings or ()],
        "plan": _plan(findings, comparison, studied is not None, tuning.is_file(), combines=can_combine(best)),
        "study": studied.path.name if studied is not None else None,
        "tuning": "tuning" if tuning.is_file() else None,
        "recommended": recommended,
        "metric": task.metric(comparison.metric).title,
        "chosen_by": (task.chooser if comparison.metric == task.headline else task.metric(comparison.metric)).title,
        "difference": _plain(differences[recommended]),
        "mcnemar": mcnemar,
        "groups": {name: _group(group, differences.get(name)) for name, group in groups.items()},
        "changes": _changes(comparison),
        "per_class": _per_class(sides[0], sides[1], task.per_class),
        "columns": [task.metrics[name].title for name in task.followed[:_COLUMNS]],
        "runs": [_row(run, comparison.metrics(run), task) for runs in comparison.runs.values() for run in runs],
        "ensemble": ensemble.to_dict() if ensemble is not None else None,
        "best_run": best.path.name,
    }


def _plain(difference: Difference) -> dict[str, Any]:
    return {**asdict(difference), "verdict": difference.verdict}


def _group(group: Group, difference: Difference | None) -> dict[str, Any]:
    value_S = group.value_S
    return {
        "value": float(value_S.mean()),
        "std": float(value_S.std(ddof=1)) if len(value_S) > 1 else None,
        "seconds": group.seconds,
        "difference": _plain(difference) if difference is not None else None,
    }


def _changes(comparison: RecipeComparison) -> list[str]:
    """The differences of the improved recipe from the strong recipe, one line each."""
    if "improved" not in comparison.runs:
        return []
    strong, improved = (
        {method.name: method.settings_dict() for method in Recipe.load(comparison.runs[name][0].requested).methods}
        for name in ("strong", "improved")
    )
    lines: list[str] = [english("{method} removed", method=name) for name in strong if name not in improved]
    lines += [english("{method} added", method=name) for name in improved if name not in strong]
    for name in improved:
        for key, value in improved[name].items():
            if name in strong and strong[name][key] != value:
                lines.append(f"{name}.{key}: {_short(strong[name][key])} → {_short(value)}")
    return lines


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _plan(
    findings: list[Finding] | None, comparison: RecipeComparison, studied: bool, tuned: bool, *, combines: bool
) -> list[dict[str, Any]]:
    graves = sum(finding.severity == "problem" for finding in findings or ())
    seeds = max(map(len, comparison.runs.values()))
    return [
        {"done": done, "text": text}
        for done, text in (
            (
                findings is not None,
                english("Check the data.")
                if findings is None
                else english_n("Check the data: {n} problem found.", "Check the data: {n} problems found.", graves),
            ),
            (studied, english("Study the techniques of the strong recipe and remove those that hurt.")),
            (tuned, english("Tune the optimizer and the techniques that help most.")),
            (
                True,
                english_n(
                    "Train the recipes {recipes} with {n} seed: same splits, random draws and budget.",
                    "Train the recipes {recipes} with {n} seeds: same splits, random draws and budget.",
                    seeds,
                    recipes=", ".join(comparison.runs),
                ),
            ),
            (
                True,
                english(
                    "Choose the recipe and model on the validation split; use the test split once for a paired comparison."
                ),
            ),
            (seeds > 1, english("Combine the winner's runs into an ensemble, and use it if it is better.")),
        )[: None if combines else -1]
    ]


def _row(run: RunFolder, metrics: dict[str, Any], task: Task) -> dict[str, Any]:
    result = metrics.get("test", metrics["val"])
    return {
        "name": run.path.name,
        "seed": metrics["seed"],
        "val": task.metric(None).shown(metrics["val"][task.headline]),
        "test": [task.metrics[name].shown(result[name]) for name in task.followed[:_COLUMNS]],
        "seconds": metrics["cost"]["train_seconds"],
    }


def _per_class(plain: list[dict[str, Any]], recommended: list[dict[str, Any]], entry: str) -> list[dict[str, Any]]:
    """The mean of this entry of each class for both recipes; classes without test samples are excluded."""

    def means(metrics: list[dict[str, Any]]) -> dict[str, float]:
        rows = [m.get("test", m["val"])["per_class"] for m in metrics]
        return {
            cells[0]["name"]: float(np.mean([cell[entry] for cell in cells]))
            for cells in zip(*rows)
            if all(cell[entry] is not None for cell in cells)
        }

    before, after = means(plain), means(recommended)
    if before.keys() != after.keys():
        raise RunError("the two recipes were evaluated on different classes")
    found = [
        {"name": name, "plain": before[name], "recommended": after[name], "difference": after[name] - before[name]}
        for name in before
    ]
    return sorted(found, key=lambda row: row["difference"])
