"""How a benchmark is written down: what was measured, where, with which versions, how often, and how far it spread."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
FOLDER = Path(tempfile.gettempdir()) / "whet-benchmarks"  # what lasts from call to call, outside the repository


class Kept(dict[str, Any]):
    """The finished pieces of a long measurement by name, in a JSON file: a call goes on where the last one stopped."""

    def __init__(self, name: str, *, fresh: bool) -> None:
        self._path = FOLDER / f"{name}.json"
        super().__init__(json.loads(self._path.read_text()) if self._path.is_file() and not fresh else {})

    def keep(self, name: str, piece: Any) -> None:
        self[name] = piece
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(self))
        os.replace(beside, self._path)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A table for people, the first column to the left."""
    widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]
    lines = [header, [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])], *rows]
    return "\n".join(
        "| " + " | ".join(c.ljust(w) if not k else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths))) + " |"
        for row in lines
    )


def summary(values: list[float]) -> dict[str, Any]:
    """Median, smallest and largest of repeated measurements."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "repeats": len(values)}


def earlier(name: str) -> dict[str, Any]:
    """What an earlier call measured and wrote, so that one part can be measured anew."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text())["results"] if path.is_file() else {}


def write(name: str, question: str, results: dict[str, Any], packages: tuple[str, ...]) -> Path:
    """Write benchmarks/results/<name>.json and say where it lies."""
    return _put(name, {"question": question, "results": results, **circumstances(packages)})


def write_parts(name: str, question: str, results: dict[str, Any], packages: tuple[str, ...]) -> Path:
    """As `write`, for a benchmark that is run part by part: parts that this call did not measure stay as they are in the file, and
    `measured` says of each part under which circumstances it was measured."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    now = circumstances(packages)
    return _put(
        name,
        {
            "question": question,
            "results": {**before.get("results", {}), **results},
            "measured": {**before.get("measured", {}), **dict.fromkeys(results, now)},
        },
    )


def circumstances(packages: tuple[str, ...]) -> dict[str, Any]:
    """Commit, machine and versions."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--", "src", "benchmarks/*.py", "recipes"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "commit": commit.stdout.strip() + ("+changes" if changed.stdout.strip() else ""),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": {"python": platform.python_version(), **{p: _version(p) for p in ("torch", "numpy", *packages)}},
    }


def _put(name: str, record: dict[str, Any]) -> Path:
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    print(f"written {path.relative_to(ROOT)}")
    return path


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()
