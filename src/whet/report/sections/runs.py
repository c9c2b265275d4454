"""Every run of the comparison, and the steps that were done or skipped."""

from __future__ import annotations

from typing import Any

from whet.core.run_folder import RunFolder


def context(folder: RunFolder, improvement: dict[str, Any]) -> dict[str, Any]:
    return {
        "runs": improvement["runs"],
        "columns": improvement["columns"],
        "plan": improvement["plan"],
        "best_run": improvement["best_run"],
    }
