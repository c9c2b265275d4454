"""The main result with its interval and cost."""

from __future__ import annotations

from typing import Any

from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.report.sections.data import samples_of
from whet.report.text import part_name, short_name, size


def context(folder: RunFolder) -> dict[str, Any]:
    metrics = folder.read_json(folder.metrics)
    recipe = Recipe.load(folder.recipe)
    data = folder.read_json(folder.data)
    part = "test" if "test" in metrics else "val"
    task, result = folder.task, metrics[part]
    metric = task.metric(task.headline)
    return {
        "name": folder.name,
        "part": part_name(part),
        "evaluated_on_val": part == "val",
        "result": result,
        "figure": task.figure(result)[0],
        "what": task.figure(result)[1],
        "share": result[task.headline] if metric.is_share else None,
        "interval": result.get(f"{task.headline}_interval"),
        "tiles": task.tiles(result),
        "cost": metrics["cost"],
        "classes": data["classes"],
        "train_samples": samples_of(data)["train"],
        "model": short_name(recipe.model.architecture),
        "needs_labels": task.needs_labels,
        "pretrained": recipe.model.weights != "none",
        "shown": size(recipe.shown),
        "seed": recipe.train.seed,
    }
