"""The effect of each technique of the strong recipe, if `whet improve` had time for a study."""

from __future__ import annotations

from typing import Any

from whet.core.run_folder import RunFolder
from whet.report.sections import effects


def context(folder: RunFolder, improvement: dict[str, Any]) -> dict[str, Any] | None:
    if improvement["study"] is None:
        return None
    return effects.context(folder.read_json(folder.path.parent / improvement["study"] / "study.json"))
