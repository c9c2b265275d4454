"""The confusion matrix and the most frequent confusions."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from whet.core.language import tr
from whet.core.run_folder import RunFolder
from whet.report.figures import INK, Drawing

_MAX_CLASSES = 30


def context(folder: RunFolder) -> dict[str, Any] | None:
    metrics = folder.read_json(folder.metrics)
    result = metrics["test" if "test" in metrics else "val"]
    names = [row["name"] for row in result["per_class"]]
    table = result["confusion"]
    pairs = [
        (table[i][j], names[i], names[j])
        for i in range(len(names))
        for j in range(len(names))
        if i != j and table[i][j]
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    rows = None
    if len(names) <= _MAX_CLASSES:
        rows = [
            {
                "name": names[i],
                "cells": [
                    {"count": n, "share": n / max(sum(counts), 1), "right": i == j} for j, n in enumerate(counts)
                ],
            }
            for i, counts in enumerate(table)
        ]
    return {"names": names, "rows": rows, "pairs": pairs[:6]}


def confusion_matrix(folder: RunFolder) -> Drawing:
    """Shades show the share of each class; numbers are samples."""
    metrics = folder.read_json(folder.metrics)
    result = metrics["test" if "test" in metrics else "val"]
    names, table = [row["name"] for row in result["per_class"]], np.array(result["confusion"])
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)

    def plot(figure: Figure) -> None:
        axes = figure.subplots()
        axes.imshow(share, cmap="Greens", vmin=0, vmax=1.3)
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel=tr("predicted"), ylabel=tr("label"))
        axes.grid(False)
        for i, j in np.argwhere(table) if len(names) <= _MAX_CLASSES else ():
            colour = "white" if share[i, j] > 0.6 else INK
            axes.text(j, i, str(table[i, j]), ha="center", va="center", fontsize=9, color=colour)

    side = min(9.0, 2.2 + 0.5 * len(names))
    return Drawing(side + 0.6, side, plot, tr("Confusion matrix"))
