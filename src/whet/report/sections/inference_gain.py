"""The gain of weight averaging, ensembles, test-time augmentation and calibration over the predictions of the last weights, and
their cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whet.core.evidence import Metric
from whet.core.language import tr, translated
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder

_COLUMNS = 4  # of metrics: a page is not wider


def context(folder: RunFolder) -> dict[str, Any] | None:
    metrics = folder.read_json(folder.metrics)
    found = metrics.get("inference_gain")
    if found is None or found["split"] not in metrics:
        return None
    acting = [m.name for m in Recipe.load(folder.recipe).methods if "predict" in {s.value for s in m.stages()}]
    task, result = folder.task, metrics[found["split"]]
    difference, headline = found["difference"], task.metric(task.headline)
    shown = {key: task.metric(key) for key in task.followed[:_COLUMNS] if key in result}
    return {
        "methods": acting,
        "titles": [metric.title for metric in shown.values()],
        "plain": [metric.shown(found["plain"][key]) for key, metric in shown.items()],
        "result": [metric.shown(result[key]) for key, metric in shown.items()],
        "plain_seconds": found["plain"]["seconds_per_sample"],
        "gain": _gain(headline, headline.text(difference["mean"], "+")),
        "low": headline.text(difference["low"], "+"),
        "high": headline.text(difference["high"], "+"),
        "seconds": metrics["cost"]["seconds_per_sample"],
        "weights": _weights(folder),
    }


def _gain(headline: Metric, mean: str) -> str:
    title = translated(headline.title)
    if headline.is_share:
        return tr("{mean} percentage points of {metric}", mean=mean, metric=title)
    return tr("{mean} of {metric}", mean=mean, metric=title)


def _weights(folder: RunFolder) -> list[float]:
    """The ensemble weight of each network, this one first, if the weights were fitted."""
    fitted: Mapping[str, Any] = folder.read_json(folder.model / "whet.json")["fitted"]
    return next((found["weights"] for found in fitted.values() if "weights" in found), [])
