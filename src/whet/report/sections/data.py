"""The data: class counts and findings."""

from __future__ import annotations

from typing import Any

from whet.core.language import translated
from whet.core.run_folder import RunFolder

_SHOWN = 8


def context(folder: RunFolder, improvement: dict[str, Any] | None = None) -> dict[str, Any]:
    data = folder.read_json(folder.data)
    metrics = folder.read_json(folder.metrics)
    findings = improvement["findings"] if improvement else data["findings"]
    shown = [
        {**finding, "shown": _lines(finding)[:_SHOWN], "more": max(0, len(finding["groups"]) - _SHOWN)}
        for finding in findings
    ]
    splits = [split for split in ("train", "val", "test") if sum(data["counts"][split].values())]
    rows = [{"name": name, "counts": [data["counts"][split][name] for split in splits]} for name in data["classes"]]
    return {
        "findings": shown,
        "splits": splits,
        "rows": rows,
        "totals": [samples_of(data)[split] for split in splits],
        "largest": max(max(row["counts"]) for row in rows),
        "left_out": metrics["left_out"],
        "notes": [] if improvement else data["notes"],
    }


def samples_of(data: dict[str, Any]) -> dict[str, int]:
    """The number of samples per split: the sum of the class counts, or the stored number for multi-label data."""
    return data.get("samples") or {split: sum(counts.values()) for split, counts in data["counts"].items()}


def _lines(finding: dict[str, Any]) -> list[str]:
    """One line per group of samples, with its note."""
    notes = finding.get("notes") or [""] * len(finding["groups"])
    return [
        "  =  ".join(group) + (f"  ({translated(note)})" if note else "")
        for group, note in zip(finding["groups"], notes)
    ]
