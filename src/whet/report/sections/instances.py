"""Objects: average precision and counts of each class and size, and the precision at each recall."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from whet.core.language import tr
from whet.core.run_folder import RunFolder
from whet.report.figures import ACCENT, SECOND, draw
from whet.report.text import part_name


def context(folder: RunFolder) -> dict[str, Any]:
    metrics = folder.read_json(folder.metrics)
    part = "test" if "test" in metrics else "val"
    result = metrics[part]
    curves = {iou: values for iou, values in result["curve"].items() if values}

    def plot(figure: Figure) -> None:
        axes = figure.subplots()
        for (iou, precision_R), colour in zip(curves.items(), (ACCENT, SECOND)):
            axes.plot(
                [r / (len(precision_R) - 1) for r in range(len(precision_R))],
                precision_R,
                color=colour,
                label=f"IoU {iou}",
            )
        axes.set(xlabel=tr("recall"), ylabel=tr("precision"), xlim=(0, 1), ylim=(0, 1.03))
        axes.legend()
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))

    rows = sorted(result["per_class"], key=lambda row: (row["ap"] is None, row["ap"] or 0))
    return {
        "rows": rows,
        "undefined": result["undefined"],
        "sizes": _sizes(result["sizes"]),
        "groupings": _groupings(result.get("groupings"), folder),
        "objects": result["objects"],
        "samples": result["samples"],
        "working_score": result["working_score"],
        "count_error": result["count_error"],
        "figure": draw(4.6, 3.4, plot, tr("Precision and recall")) if curves else None,
        "part": part_name(part),
    }


def _sizes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The names of the sizes in the current language, with their areas."""
    names = {
        "small": tr("small, up to {low} x {low} pixels", low=32),
        "medium": tr("medium, up to {high} x {high} pixels", high=96),
        "large": tr("large"),
    }
    return [row | {"name": names[row["name"]]} for row in rows]


def _groupings(found: dict[str, Any] | None, folder: RunFolder) -> dict[str, Any] | None:
    """The names of the groupings in the current language, with their mask AP and what the head gains over them."""
    if found is None:
        return None
    metric = folder.task.metric(folder.task.headline)
    names = {
        "connected_components": tr("every connected part of a class"),
        "distance_peaks": tr("peaks of the distance to the edge of a class"),
    }
    rows = [
        {
            "name": names[key],
            "value": metric.shown(other["value"]),
            **{end: metric.text(other["gain"][end], "+") for end in ("mean", "low", "high")},
        }
        for key, other in found["others"].items()
    ]
    return {"images": found["images"], "own": metric.shown(found["own"]), "rows": rows}
