"""What was learned from unlabelled samples: the labels of each round, and whose network predicts."""

from __future__ import annotations

from typing import Any

from whet.core.run_folder import RunFolder


def context(folder: RunFolder) -> dict[str, Any] | None:
    metrics = folder.read_json(folder.metrics)
    labels, rounds = metrics.get("pseudo_labels"), list(_rounds(folder, metrics))
    if labels is None and not rounds:
        return None
    return {
        "labels": labels,
        "rows": [] if labels is None else [{"name": name, **found} for name, found in labels["classes"].items()],
        "compared": labels is not None and "compared" in labels,
        "pixels": labels is not None and "labelled" in labels,
        "rounds": rounds,
    }


def _rounds(folder: RunFolder, metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """The comparisons with the run before, the first round first."""
    found = metrics.get("guard")
    if found is None:
        return []
    before = RunFolder(folder.external_models / found["method"])
    if not before.metrics.is_file():  # a copied run folder
        return [found]
    return [*_rounds(before, before.read_json(before.metrics)), found]
