"""One row per class: number of samples, metrics and intervals."""

from __future__ import annotations

from typing import Any

from whet.core.run_folder import RunFolder
from whet.report.text import part_name


def context(folder: RunFolder) -> dict[str, Any]:
    metrics = folder.read_json(folder.metrics)
    part = "test" if "test" in metrics else "val"
    rows = sorted(metrics[part]["per_class"], key=lambda row: (row["recall"] is None, row["recall"] or 0))
    return {
        "rows": rows,
        "part": part_name(part),
        "by_label": "missed" in rows[0],
    }
