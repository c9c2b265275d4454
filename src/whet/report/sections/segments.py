"""One row per class of a segmentation: IoU, Dice, precision, recall and boundary F, and where its pixels go."""

from __future__ import annotations

from typing import Any

import numpy as np

from whet.core.palette import colours
from whet.core.run_folder import RunFolder
from whet.report.text import part_name

_PAIRS = 6


def context(folder: RunFolder) -> dict[str, Any]:
    metrics = folder.read_json(folder.metrics)
    part = "test" if "test" in metrics else "val"
    result = metrics[part]
    names = [row["name"] for row in result["per_class"]]
    hexes = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours(len(names)).tolist()]
    rows = [row | {"colour": colour} for row, colour in zip(result["per_class"], hexes)]
    rows.sort(key=lambda row: (row["iou"] is None, row["iou"] or 0))
    counts_KK = np.array(result["confusion"])
    share_KK = counts_KK / np.maximum(counts_KK.sum(axis=1, keepdims=True), 1)
    pairs = [
        (float(share_KK[i, j]), names[i], names[j])
        for i in range(len(names))
        for j in range(len(names))
        if i != j and counts_KK[i, j]
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    return {
        "rows": rows,
        "undefined": result["undefined"],
        "pairs": pairs[:_PAIRS],
        "part": part_name(part),
        "pixels": int(counts_KK.sum()),
    }
