"""Reliability diagram: accuracy as a function of confidence."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from whet.core.language import tr, translated
from whet.core.run_folder import RunFolder
from whet.core.task import ClassTask
from whet.evaluate.calibration import reliability
from whet.evaluate.evidence import read_evidence
from whet.evaluate.rates import wilson_interval
from whet.report.figures import ACCENT, GRID, MUTED, Drawing

_MARGINS = {"left": 0.145, "right": 0.97, "bottom": 0.115, "top": 0.985, "hspace": 0.09}


def context(folder: RunFolder) -> dict[str, Any]:
    metrics = folder.read_json(folder.metrics)
    return {
        "figure": reliability_diagram(folder).svg(),
        "error": metrics["test" if "test" in metrics else "val"]["calibration_error"],
        "temperature": _temperature(folder),
        "decided_upon": cast(ClassTask, folder.task).decided_upon,
    }


def reliability_diagram(folder: RunFolder) -> Drawing:
    metrics = folder.read_json(folder.metrics)
    evidence = read_evidence(folder, "test" if "test" in metrics else "val")
    task = cast(ClassTask, evidence.task)
    bins = reliability(*task.decisions(evidence), bins=10)

    def plot(figure: Figure) -> None:
        curve, counts = figure.subplots(2, 1, height_ratios=[3.4, 1], sharex=True)
        curve.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--")
        x, y = [b["confidence"] for b in bins], [b["accuracy"] for b in bins]
        spans = np.array([wilson_interval(b["accuracy"] * b["count"], b["count"]) for b in bins])
        curve.errorbar(
            x, y, yerr=np.abs(spans.T - np.array(y)), color=ACCENT, marker="o", markersize=4, capsize=2, elinewidth=1
        )
        curve.set(ylabel=tr("accuracy"), xlim=(0, 1), ylim=(0, 1.03))
        counts.bar(x, [b["count"] for b in bins], width=0.07, color=GRID, edgecolor=MUTED, linewidth=0.6)
        counts.set(xlabel=tr("confidence"), ylabel=translated(task.decided_upon))
        for axis in (curve.yaxis, counts.xaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))

    return Drawing(4.6, 4.2, plot, tr("Calibration"), _MARGINS)


def _temperature(folder: RunFolder) -> float | None:
    extra = folder.read_json(folder.model / "whet.json")
    return extra["fitted"].get("temperature_scaling", {}).get("temperature")
