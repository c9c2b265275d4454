"""The environment, cost and notes of the run."""

from __future__ import annotations

from typing import Any

from whet.core.run_folder import RunFolder


def context(folder: RunFolder) -> dict[str, Any]:
    metrics = folder.read_json(folder.metrics)
    return {
        "environment": folder.read_json(folder.environment),
        "cost": metrics["cost"],
        "notes": metrics["notes"],
    }
