"""The contact sheet of `whet group`: typical and borderline samples of every group, unsure samples, the choice of the number."""

from __future__ import annotations

from typing import Any

from whet.core.run_folder import RunFolder
from whet.report.images import shown


def context(folder: RunFolder) -> dict[str, Any]:
    story = folder.read_json(folder.path / "groups.json")

    def content(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**one, **shown(one, folder.path / "samples")} for one in samples]

    groups = [
        {**one, "near": content(one["near"]), "border": content(one["border"])}
        for one in story["groups"]
        if "near" in one
    ]
    return {
        **story,
        "folder": folder.name,
        "groups": groups,
        "number": len(story["groups"]),
        "largest": max(one["samples"] for one in story["groups"]),
        "unsure_shown": content(story["unsure_shown"]),
    }
