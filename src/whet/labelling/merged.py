"""The labelled samples of a run and those that a person labelled since, as one table for the next training."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from whet.core.errors import DataError, OutputError
from whet.core.labels import labels_cell
from whet.core.output import kind_of
from whet.core.run_folder import RunFolder, write_csv
from whet.core.spec import DataSpec
from whet.data.cells import missing, read_cells
from whet.data.columns import Columns
from whet.data.labels import find_labels
from whet.data.table import path_from
from whet.labelling.labelling import KIND, LABELLED, STORY, TO_LABEL
from whet.run import Run

_AS_READ = {"weight": "sample_weight"}
_UNUSED: dict[str, Any] = {"group": "", "weight": 1.0, "start": None, "end": None}


@dataclass(frozen=True)
class Merged:
    """counts: the new labels by class. new_classes: those that the run does not know. empty: rows without a label. before: the
    labelled samples of the run. table: what was written."""

    counts: dict[str, int]
    new_classes: tuple[str, ...]
    empty: int
    before: int
    table: Path


def merge_labels(folder: str | Path, *, run: str | Path | None = None) -> Merged:
    """Write labelled.csv into the folder of `label`: the samples of the run with their labels and splits, and the rows of
    to_label.csv that have a label. These are all in the training split, because they were not drawn at random: validation and test
    samples stay comparable from round to round. Rows without a label are left out. run: where the run is now, if it was moved.

    Raises DataError if no row has a label, or if the samples of the run are no longer there; OutputError for another folder."""
    folder = Path(folder)
    if kind_of(folder) != KIND or not (folder / TO_LABEL).is_file():
        raise OutputError(f"{folder} holds no samples to label; accepted: the --out folder of whet label")
    story = json.loads((folder / STORY).read_text(encoding="utf-8"))
    finished = Run(RunFolder.open(run or story["run"]))
    before = finished.own_samples()
    if not len(before):
        raise DataError(f"the labelled samples of {finished.path} are no longer there")
    several, names = before.set_SK is not None, Counter[str]()
    frame, labels = _filled_in(folder / TO_LABEL, finished.recipe.data, several)
    content = ["text"] if before.medium == "text" else ["file"]
    header = [
        *content,
        "label",
        "split",
        *(name for name, unused in _UNUSED.items() if _is_used(before, frame, name, unused)),
    ]
    rows = [_old_row(before, number, header, folder) for number in range(len(before))]
    for plain, cell in zip(frame.to_dict("records"), labels):
        if cell is None:
            continue
        names.update([cell] if isinstance(cell, str) else cell)
        written = labels_cell(cell) if several else cell
        values = {**dict.fromkeys(header, ""), **plain, "label": written, "split": "train", "weight": 1.0}
        rows.append([values[key] for key in header])
    if len(rows) == len(before):
        raise DataError(f"{folder / TO_LABEL}: no row has a label; fill in the column 'label'")
    write_csv(folder / LABELLED, [_AS_READ.get(key, key) for key in header], rows, exact=True)
    return Merged(
        dict(names),
        tuple(sorted(set(names) - set(finished.classes))),
        sum(cell is None for cell in labels),
        len(before),
        folder / LABELLED,
    )


def _filled_in(path: Path, own: DataSpec, several: bool) -> tuple[pd.DataFrame, list[Any]]:
    """(the cells of to_label.csv, the label of each row, None where there is none)."""
    cells = read_cells(path).frame
    if "label" not in cells:
        raise DataError(f"{path}: the column 'label' is missing")
    frame = cells.map(lambda cell: "" if missing(cell) else str(cell))
    separator = own.label_separator if several else None
    if several and separator is None and not frame["label"].str.strip().str.startswith("[").any():
        separator = "|"
    spec = DataSpec(label_column="label", label_separator=separator)
    labels, _ = find_labels(Columns(cells, spec, path), spec)
    return frame, [None if not str(given).strip() else label for given, label in zip(frame["label"], labels)]


def _old_row(before: Any, number: int, header: list[str], folder: Path) -> list[Any]:
    sample = before.frame.iloc[number]
    known = {"label": before.cell_of(before.label_N[number])}
    if "file" in header:
        known["file"] = path_from(folder, sample["path"])
    cells = [known[key] if key in known else sample.get(key, "") for key in header]
    return ["" if missing(cell) else cell for cell in cells]


def _is_used(before: Any, frame: pd.DataFrame, name: str, unused: Any) -> bool:
    old = before.frame[name] if name in before.frame else pd.Series(dtype=object)
    new = frame[name] if name in frame else pd.Series(dtype=object)
    return bool((old.notna() if unused is None else old != unused).any() or (new != "").any())
