"""The learning curves of a run, small enough to be on a page with those of many others."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from whet.core.run_folder import RunFolder
from whet.core.task import metrics_of_all_tasks
from whet.report.sections.curves import steps_per_epoch

_POINTS = 100  # of the training loss


def curves_of(folder: Path) -> dict[str, Any] | None:
    """loss: (epoch, mean of the training loss up to there) for at most 100 parts of the training; metric and checks: the name of
    the first validation metric, and (epoch, value) of it. None if no step was trained."""
    try:
        state = (folder / "log.jsonl").stat()
    except OSError:
        return None
    return _read(folder, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=2000)
def _read(folder: Path, _modified: int, _size: int) -> dict[str, Any] | None:
    records = RunFolder(folder).log_records()
    # A loss that was not finite is recorded as null.
    steps = [one for one in records if one["event"] == "step" and one["loss"] is not None]
    checks = [one for one in records if one["event"] == "validation"]
    if not steps:
        return None
    per_epoch = steps_per_epoch(steps)
    known = metrics_of_all_tasks()
    metric = next((key for check in checks for key in check if key in known), None)
    return {
        "loss": [
            (_short(part[-1]["step"] / per_epoch), _short(float(np.mean([one["loss"] for one in part]))))
            for numbers in np.array_split(np.arange(len(steps)), min(_POINTS, len(steps)))
            if (part := [steps[number] for number in numbers])
        ],
        "metric": metric,
        "checks": [
            (_short(one["step"] / per_epoch), _short(one[metric]))
            for one in checks
            if metric in one and one[metric] is not None
        ],
    }


def _short(value: float) -> float:
    return float(f"{value:.4g}")
