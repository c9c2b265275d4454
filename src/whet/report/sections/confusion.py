"""The confusion matrix and the most frequent confusions."""

from __future__ import annotations

from typing import Any

from whet.core.run_folder import RunFolder

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
