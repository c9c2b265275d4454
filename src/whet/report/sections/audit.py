"""The findings of `whet check` with their samples, the accuracy of shortcuts, and the samples excluded from the cleaned table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from whet.core.language import english, translated
from whet.core.run_folder import RunFolder
from whet.report.images import shown

_LINES = 40


def context(folder: RunFolder) -> dict[str, Any]:
    story = folder.read_json(folder.path / "check.json")
    splits = [split for split, counts in story["counts"].items() if sum(counts.values())]
    classes = list(story["counts"]["train"])
    rows = [{"name": name, "counts": [story["counts"][split][name] for split in splits]} for name in classes]
    findings = [_finding(folder.path / f"{story['medium']}s", finding) for finding in story["findings"]]
    reasons = Counter(_kind(entry["reason"]) for entry in story["cleaned"]["dropped"])
    return {
        "name": story["name"],
        "medium": story["medium"],
        "masks": story["labels"] == "masks",
        "samples": story["samples"],
        "severities": Counter(finding["severity"] for finding in findings),
        "findings": findings,
        "splits": splits,
        "rows": rows,
        "largest": max((count for row in rows for count in row["counts"]), default=1),
        "probes": sorted(story["probes"], key=lambda probe: -probe["accuracy"]),
        "kept": story["cleaned"]["kept"],
        "dropped": len(story["cleaned"]["dropped"]),
        "reasons": reasons.most_common(),
    }


def _finding(folder: Path, finding: dict[str, Any]) -> dict[str, Any]:
    notes = finding["notes"] or [""] * len(finding["groups"])
    rows = [
        {
            "note": note,
            "samples": [{**one, **shown(one, folder)} for one in samples],
            "more": len(group) - len(samples),
        }
        for samples, group, note in zip(finding["shown"], finding["groups"], notes)
    ]
    lines = [
        "  =  ".join(group) + (f"  ({translated(note)})" if note else "")
        for group, note in zip(finding["groups"], notes)
    ]
    rest = max(0, len(lines) - _LINES)
    return {
        **finding,
        "shown": rows,
        "lines": lines[:_LINES],
        "rest": rest,
        "seen": any(one["image"] or one["text"] for row in rows for one in row["samples"]),
    }


def _kind(reason: str) -> str:
    """The category of the reason for which a sample was excluded."""
    for start, kind in (
        ("cannot be read", english("cannot be read")),
        ("the same", english("duplicate with a different label")),
        ("a copy of", english("exact duplicate of a kept sample")),
        ("nearly the same", english("near-duplicate of a kept sample")),
    ):
        if reason.startswith(start):
            return kind
    return reason
