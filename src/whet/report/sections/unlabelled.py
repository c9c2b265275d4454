"""What was learned from unlabelled samples: how many became targets, the labels of each round, and whose network predicts."""

from __future__ import annotations

from typing import Any

from whet.core.batch import ACCEPTED
from whet.core.run_folder import RunFolder


def context(folder: RunFolder) -> dict[str, Any] | None:
    metrics = folder.read_json(folder.metrics)
    labels, accepted, rounds = metrics.get("pseudo_labels"), metrics.get(ACCEPTED), _rounds(folder, metrics)
    comparisons = [one["guard"] for one in rounds if "guard" in one]
    if labels is None and accepted is None and not comparisons:
        return None
    labelled = [one["pseudo_labels"]["classes"] for one in rounds if "pseudo_labels" in one]
    return {
        "labels": labels,
        "rows": [] if labels is None else [
            {"name": name, **found, "by_round": [classes[name]["chosen"] for classes in labelled]}
            for name, found in labels["classes"].items()
        ],
        "labelled_rounds": len(labelled),
        "compared": labels is not None and "compared" in labels,
        "pixels": labels is not None and "labelled" in labels,
        "accepted": accepted,
        "rounds": comparisons,
    }  # fmt: skip


def _rounds(folder: RunFolder, metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of the runs that follow each other, the first round first."""
    found = metrics.get("guard") or metrics.get("pseudo_labels")
    before = None if found is None else RunFolder(folder.external_models / found["method"])
    if before is None or not before.metrics.is_file():  # the first, or a copied run folder
        return [metrics]
    return [*_rounds(before, before.read_json(before.metrics)), metrics]
