"""Every pair of recipes that predicted the same samples, compared as `whet compare` does."""

from __future__ import annotations

import hashlib
import itertools
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from whet.core.errors import RunError
from whet.core.run_folder import RunFolder
from whet.evaluate.compare import Group, group_runs, paired

MOST_PAIRS = 2000  # some seconds of work, and some 100 kB of the page


@dataclass(frozen=True)
class Samples:
    """Recipes that predicted the same samples. pairs: (a, b) -> (mean, low, high, verdict, common seeds) of b minus a, by their
    positions in `groups`; pairs without a common seed are missing. left_out: runs of recipes that were not compared, because there
    are too many."""

    groups: list[Group]
    pairs: dict[tuple[int, int], tuple[float, float, float, str, int]]
    left_out: list[Path]


def compared(runs: Sequence[Path], most: int = MOST_PAIRS) -> list[Samples]:
    """runs: folders of finished runs, the newest first. Of one recipe with one seed, only the newest run is compared. If there are
    more than `most` pairs, only the best recipes of each set of samples are compared."""
    sets: dict[str, list[RunFolder]] = {}
    seen: set[tuple[str, str, int]] = set()  # samples, recipe, seed
    for path in runs:
        run = RunFolder(path)
        key = _evaluated(run)
        if key is not None and key not in seen:
            seen.add(key)
            sets.setdefault(key[0], []).append(run)
    several = [folders for folders in sets.values() if len(folders) > 1]
    return [found for folders in several if (found := _compared(folders, most // len(several))) is not None]


def _evaluated(run: RunFolder) -> tuple[str, str, int] | None:
    """(a hash of the task, the classes and the samples that a run is evaluated on, its recipe, its seed); None if its files are not
    complete."""
    try:
        metrics = run.read_json(run.metrics)
        part = "test" if "test" in metrics else "val"
        with np.load(run.evidence) as arrays:
            ids = sorted(arrays[f"{part}/ids"].tolist())
            words = [str(arrays["task"]), part, *sorted(arrays["classes"].tolist()), "", *ids]
        return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16], metrics["requested_hash"], metrics["seed"]
    except (OSError, KeyError, ValueError, RunError, zipfile.BadZipFile):
        return None


def _compared(folders: list[RunFolder], most: int) -> Samples | None:
    try:
        groups = group_runs(folders)
    except RunError:  # the labels of a sample changed between two runs, so they cannot be compared
        return None
    metric = groups[0].evidence[0].task.metric(groups[0].metric)
    groups.sort(key=lambda group: -metric.merit(float(group.value_S.mean())))
    count = max(2, int((1 + (1 + 8 * most) ** 0.5) / 2))  # count (count - 1) / 2 <= most
    kept, rest = groups[:count], groups[count:]
    pairs = {}
    for a, b in itertools.combinations(range(len(kept)), 2):
        try:
            found = paired(kept[a], kept[b])
        except RunError:  # no seed in common
            continue
        pairs[a, b] = (found.mean, found.low, found.high, found.verdict, found.seeds)
    return Samples(kept, pairs, [run.path for group in rest for run in group.runs])


def to_dict(samples: Samples, name_of: dict[Path, str]) -> dict[str, Any]:
    """For the page; numbers are rounded to what it shows."""
    first = samples.groups[0]
    metric = first.evidence[0].task.metric(first.metric)
    return {
        "metric": first.metric,
        "part": first.part,
        "samples": len(first.evidence[0]),
        "smaller": metric.smaller_is_better,
        "groups": [
            {
                "name": group.name, "seeds": list(group.seeds), "runs": [name_of[run.path] for run in group.runs],
                "value": round(float(group.value_S.mean()), 5),
            }
            for group in samples.groups
        ],
        "pairs": {
            f"{a}-{b}": [round(mean, 5), round(low, 5), round(high, 5), verdict, seeds]
            for (a, b), (mean, low, high, verdict, seeds) in samples.pairs.items()
        },
        "left_out": [name_of[path] for path in samples.left_out],
    }  # fmt: skip
