"""The samples that are worth labelling next, with the predictions of the run."""

from __future__ import annotations

from typing import Any

from whet.core.run_folder import RunFolder
from whet.report.images import shown


def context(folder: RunFolder) -> dict[str, Any]:
    story = folder.read_json(folder.path / "label.json")
    samples = [{**one, **shown(one, folder.path / "samples")} for one in story["samples"]]
    return {**story, "folder": folder.name, "samples": samples}
