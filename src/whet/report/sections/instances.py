"""Objects: average precision and counts of each class, and the precision at each recall."""

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
        "objects": result["objects"],
        "samples": result["samples"],
        "working_score": result["working_score"],
        "count_error": result["count_error"],
        "figure": draw(4.6, 3.4, plot, tr("Precision and recall")) if curves else None,
        "part": part_name(part),
    }
