"""Precision-recall and ROC curves of each class against the others, with the areas below them."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from whet.core.evidence import Predictions
from whet.core.language import tr
from whet.core.palette import css_colours
from whet.core.run_folder import RunFolder
from whet.core.task import ClassTask
from whet.evaluate.evidence import read_evidence
from whet.evaluate.ranking import Ranking, area_interval, precision_interval, ranking
from whet.evaluate.rates import jackknife_interval
from whet.report.figures import GRID, INK, MUTED, draw
from whet.report.text import part_name

_COLOURED, _ROWS = 7, 20  # classes with a colour, classes in the table
_MOST_CELLS = 500_000  # samples x classes for which the means are computed anew without some samples
_GRID = np.linspace(0, 1, 201)
_STYLES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
_MARGINS = {"left": 0.065, "right": 0.985, "bottom": 0.15, "top": 0.9, "wspace": 0.2}


def context(folder: RunFolder) -> dict[str, Any] | None:
    part = "test" if "test" in folder.read_json(folder.metrics) else "val"
    evidence = cast(Predictions, read_evidence(folder, part))
    found = _rankings(evidence)
    if not found:
        return None
    rows = [
        {
            "name": name, "ap": one.average_precision, "ap_interval": precision_interval(one.average_precision, one.members),
            "area": one.area, "area_interval": area_interval(one.area, one.members, one.others), "ranking": one,
        }
        for name, one in found.items()
    ]  # fmt: skip
    rows.sort(key=lambda row: (row["ap"], row["name"]))
    for row, colour, number in zip(rows, css_colours(_COLOURED), range(_COLOURED)):
        row |= {"colour": colour, "style": _STYLES[number % len(_STYLES)]}
    whole = {
        "ap": float(np.mean([row["ap"] for row in rows])), "area": float(np.mean([row["area"] for row in rows])),
        **_intervals(evidence),
    }  # fmt: skip
    return {
        "rows": rows[:_ROWS],
        "left_out": len(rows) - _ROWS,
        "coloured": _COLOURED,
        "undefined": [name for name in evidence.classes if name not in found],
        "whole": whole,
        "part": part_name(part),
        "figure": draw(
            10.5, 4.1, lambda figure: _plot(figure, rows), tr("Precision-recall and ROC curves"), margins=_MARGINS
        ),
    }


def _rankings(evidence: Predictions) -> dict[str, Ranking]:
    members_NK = cast(ClassTask, evidence.task).members(evidence)
    ranked = [ranking(evidence.probs_NK[:, k], members_NK[:, k]) for k in range(len(evidence.classes))]
    return {name: one for name, one in zip(evidence.classes, ranked) if one is not None}


def _intervals(evidence: Predictions) -> dict[str, Any]:
    """Of the means over classes; None if a mean is 1, where the jackknife knows no spread."""
    if evidence.probs_NK.size > _MOST_CELLS:
        return {"ap_interval": None, "area_interval": None}

    def mean(name: str) -> list[float] | None:
        found = jackknife_interval(
            lambda some: np.mean([getattr(one, name) for one in _rankings(some).values()] or [np.nan]), evidence
        )
        return found if found is None or found[0] < found[1] else None

    return {"ap_interval": mean("average_precision"), "area_interval": mean("area")}


def _plot(figure: Figure, rows: list[dict[str, Any]]) -> None:
    left, right = figure.subplots(1, 2)
    right.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":")
    precisions, recalls = [], []
    for row in reversed(rows):  # those with a colour above the others
        line = {"color": row.get("colour", GRID), "linestyle": row.get("style", "-"), "linewidth": 1.4}
        precisions.append(row["ranking"].precision_at(_GRID))
        recalls.append(row["ranking"].recall_at(_GRID))
        left.plot(_GRID, precisions[-1], drawstyle="steps-post", **line)
        right.plot([0, *_GRID], [0, *recalls[-1]], **line)
    left.plot(_GRID, np.mean(precisions, axis=0), color=INK, linewidth=2.4)
    right.plot([0, *_GRID], [0, *np.mean(recalls, axis=0)], color=INK, linewidth=2.4)
    left.set(title=tr("Precision and recall"), xlabel=tr("recall"), ylabel=tr("precision"))
    right.set(title="ROC", xlabel=tr("false positive rate"), ylabel=tr("true positive rate"))
    for axes in (left, right):
        axes.set(xlim=(-0.01, 1.01), ylim=(0, 1.02))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
