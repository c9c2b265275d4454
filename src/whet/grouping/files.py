"""The files of a grouping: groups.csv, names.yaml, groups.json and the contact sheet with its samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whet.core import strict_json
from whet.core.errors import OutputError
from whet.core.output import claim, record, remove, remove_recorded, require_claimable
from whet.core.run_folder import write_csv, write_whole
from whet.data.table import Table, path_from
from whet.grouping.cluster import Clusters, other_distances
from whet.grouping.names import GROUPS, KIND, LABELLED, NAMES, UNSURE, read_names
from whet.grouping.result import Grouping

STORY, SAMPLES = "groups.json", "samples"
_NEAR, _BORDER, _UNSURE, _MOST_GROUPS, _LEFT_OUT = 12, 6, 24, 60, 20


def require_replaceable(folder: Path, data: str, *, force: bool) -> None:
    """Raise OutputError where a grouping cannot be written: another kind of folder, an earlier grouping without `force`, or one
    whose names were filled in."""
    require_claimable(folder, KIND, data=[data])
    if not (folder / STORY).exists():
        return
    if not force:
        raise OutputError(f"{folder} already contains groups; choose another --out, or use --force to overwrite them")
    if (folder / NAMES).is_file() and (named := [name for name in read_names(folder / NAMES).values() if name]):
        raise OutputError(
            f"{folder / NAMES} names {len(named)} groups ('{named[0]}', …), which are never overwritten; choose another --out"
        )


def write_grouping(
    made: Grouping, samples: Table, found: Clusters, space_RD: np.ndarray, data: str, folder: Path
) -> Grouping:
    """Write all files. samples: one row per content, as in `found` and space_RD. Returns the grouping with its page."""
    from whet.report import build_groups

    claim(folder, KIND, data=[data])
    remove_recorded(folder)
    for name in (LABELLED, UNSURE):
        remove(folder / name)
    write_rows(folder / GROUPS, made.table, folder)
    write_whole(folder / NAMES, _names(made, folder))
    (folder / SAMPLES).mkdir(exist_ok=True)
    story = {"name": Path(data).resolve().name, **made.to_dict()}
    shown = _Shown(samples, found, folder / SAMPLES)
    other_N = other_distances(space_RD, found.centre_KD, found.label_N)
    for plain in story["groups"][:_MOST_GROUPS]:
        plain |= shown.group(plain["group"] - 1, other_N)
    story["unsure_shown"] = shown.unsure()
    story["left_out"] = {"count": len(made.left_out), "first": list(made.left_out[:_LEFT_OUT])}
    strict_json.write(folder / STORY, story)
    return replace(made, page=build_groups(folder))


def write_rows(path: Path, table: pd.DataFrame, folder: Path, *columns: str) -> None:
    """Write rows of a table of samples: file names relative to the folder, unsure as 0 or 1, seconds as short as possible. columns:
    by default all."""
    table = table[list(columns)] if columns else table
    write_csv(
        path,
        list(table),
        [[_cell(n, v, folder) for n, v in row.items()] for row in table.to_dict("records")],
        exact=True,
    )


def _cell(name: str, value: Any, folder: Path) -> Any:
    if name == "file":
        return path_from(folder, value)
    if isinstance(value, bool | np.bool_):
        return int(value)
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.6g}"
    return value


def _names(made: Grouping, folder: Path) -> str:
    lines = [
        "# Write a name after each number. Groups with the same name are merged; a group without a name is left out.",
        f"# Then: whet group {folder.name} --names",
    ]
    sizes = made.table.groupby("group")["unsure"].agg(["size", "sum"])
    lines += [f'{k}: ""  # {size} samples, {unsure} of them unsure' for k, size, unsure in sizes.itertuples()]
    return "\n".join(lines) + "\n"


class _Shown:
    """The samples on the page, each written once."""

    def __init__(self, samples: Table, found: Clusters, folder: Path) -> None:
        self._samples, self._found, self._folder = samples, found, folder
        self._written: dict[int, dict[str, Any]] = {}

    def group(self, k: int, other_N: np.ndarray) -> dict[str, list[dict[str, Any]]]:
        """The samples nearest to the centre of a group, and those that are nearly as near to another one."""
        distance_N = self._found.distance_N
        sure_M = np.flatnonzero((self._found.label_N == k) & ~self._found.unsure_N)
        near = sure_M[np.argsort(distance_N[sure_M], kind="stable")]
        rest = near[_NEAR:]
        ratio_M = other_N[rest] / np.maximum(distance_N[rest], 1e-12)
        border = rest[np.argsort(ratio_M, kind="stable")][:_BORDER] if np.isfinite(ratio_M).all() else rest[-_BORDER:]
        return {"near": self._rows(near[:_NEAR]), "border": self._rows(border)}

    def unsure(self) -> list[dict[str, Any]]:
        """Of the unsure samples, those nearest to their centres."""
        unsure_M = np.flatnonzero(self._found.unsure_N)
        return self._rows(unsure_M[np.argsort(self._found.distance_N[unsure_M], kind="stable")][:_UNSURE])

    def _rows(self, rows: np.ndarray) -> list[dict[str, Any]]:
        from whet.training.sample_files import write_row

        for row in rows.tolist():
            if row in self._written:
                continue
            record(self._folder.parent, *(f"{SAMPLES}/{row}.{suffix}" for suffix in ("jpg", "ogg")))
            sample = self._samples.frame.iloc[row]
            content = write_row(sample, self._samples.medium, self._folder, str(row), 1) or {}
            self._written[row] = {"id": sample["id"], "group": int(self._found.label_N[row]) + 1, **content}
        return [self._written[row] for row in rows.tolist()]
