"""Explanations of predictions: samples with heatmaps or word attributions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whet.core.mask_task import predicts_masks
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.report.images import shown
from whet.report.text import short_name


def context(run: RunFolder, records: list[dict[str, Any]], folder: Path, *, mistakes: bool) -> dict[str, Any]:
    recipe = Recipe.load(run.recipe)
    samples = [_sample(entry, folder, recipe.medium) for entry in records if "error" not in entry]
    requested = {entry["explained"] for entry in samples if entry["explained"] != entry["predicted"]}
    return {
        "name": run.name,
        "model": short_name(recipe.model.architecture),
        "medium": recipe.medium,
        "mistakes": mistakes,
        "requested": ", ".join(sorted(requested)),
        "of_masks": predicts_masks(recipe.task),
        "by_covering": any(entry.get("by_covering") for entry in samples),
        "by_tiles": any(entry.get("by_tiles") for entry in samples),
        "samples": samples,
        "unread": [entry for entry in records if "error" in entry],
    }


def _sample(entry: dict[str, Any], folder: Path, medium: str) -> dict[str, Any]:
    """The context of one sample. Files are named without their folder, so that the page contains no path of the machine."""
    name = "" if medium == "text" else entry["sample"].replace("\\", "/").rsplit("/", 1)[-1]
    return {**entry, **shown(entry, folder), "name": name}
