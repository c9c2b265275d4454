"""Reads the samples of a pre-training, which uses no labels.

The rules:
- Data with labels are read and split as in a training on them, with the same settings, so that the validation and test samples of
  a later training are never trained on here. Samples without a label and `data.unlabelled` join the training part; copies of
  validation and test samples are left out (`unlabelled.py`).
- Everything else, such as a folder of files in any subfolders, is read like the inputs of a prediction. Folders named train, val
  and test, and split lists, are kept; otherwise a share is held out. If a setting says how labels are read, this is an error.
- The classes are only kept to show how often neighbouring samples have the same one. Samples without one have the class
  "unlabelled"; so have all samples with several labels or masks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from whet.core.errors import DataError
from whet.core.language import english
from whet.core.media import plural
from whet.core.spec import ROWS, DataSpec
from whet.core.task import task_for
from whet.data.read import data_path, medium_of, read_data
from whet.data.split import split_rows
from whet.data.split_files import apply_split_files
from whet.data.table import UNLABELLED, Table, split_name
from whet.data.unlabelled import lacks_labels, read_unlabelled, with_unlabelled

_OF_LABELS = ("label_column", "label_columns", "label_separator", "class_folder", "split_column", "fold", "masks")


def reader_for(problem: str) -> Callable[[DataSpec, int], Table]:
    """The function that reads the data of a recipe with this task."""
    task = task_for(problem, "class")
    return read_data if task is None or task.needs_labels else read_for_pretraining


def read_for_pretraining(spec: DataSpec, threads: int = 4) -> Table:
    """The table of a pre-training, with the parts train, val and, for data with labels, test. DataError where nothing can be
    read."""
    try:
        table = read_data(spec, threads)
        if spec.unlabelled is None and lacks_labels(table):
            table = read_data(spec.replace(unlabelled=ROWS), threads)
    except DataError as error:
        if any(getattr(spec, key) != DataSpec.model_fields[key].default for key in _OF_LABELS):
            raise  # whoever says how the labels are read means data with labels, and their split
        return _split_of_files(spec, threads, error)
    return _joined(table)


def _joined(table: Table) -> Table:
    """The unlabelled samples as training samples, all with one class each."""
    frame, classes = table.frame, table.classes
    if table.label_kind != "class":
        frame, classes = frame.drop(columns="masks", errors="ignore").assign(label=0), (UNLABELLED,)
    if table.unlabelled is not None:
        classes = tuple(dict.fromkeys((*classes, UNLABELLED)))
        more = table.unlabelled.assign(label=classes.index(UNLABELLED), split="train")
        frame = pd.concat([frame, more], ignore_index=True)
    counts = frame["split"].value_counts()
    note = english(
        "pre-training uses the {n:,} training samples, of them {unlabelled:,} without a label, and none of the {held_out:,} "
        "validation and test samples of a training on the same data",
        n=int(counts.get("train", 0)),
        unlabelled=0 if table.unlabelled is None else len(table.unlabelled),
        held_out=int(counts.get("val", 0) + counts.get("test", 0)),
    )
    found = replace(table, classes=classes, set_SK=None, unlabelled=None, annotation=None)
    return found.with_frame(frame, note)


def _split_of_files(spec: DataSpec, threads: int, refused: DataError) -> Table:
    """All files or rows, without labels. refused: why they cannot be read with labels."""
    path, medium = data_path(spec), medium_of(spec)
    frame, left_out = read_unlabelled([path], spec, medium, threads)
    if len(frame) < 2:
        first = f"; the first entry left out: {left_out[0]}" if left_out else ""
        raise DataError(
            f"data {path}: {len(frame)} {plural(medium)} found, a pre-training needs at least 2{first}; with labels they cannot be "
            f"read either: {refused}"
        )
    notes = [
        english(
            "read as {n:,} {samples!t} without labels, because they cannot be read with labels: {reason}",
            n=len(frame), samples=plural(medium), reason=str(refused).replace(str(path), path.name),
        )
    ]  # fmt: skip
    if left_out and path.is_dir():
        values = {"n": len(left_out), "source": path.name, "first": left_out[0]}
        notes.append(english("{n} entries of {source} were left out, the first: {first}", **values))
    files = Table(
        frame.assign(label=0, split=_splits_of(frame["id"].tolist())), (UNLABELLED,),
        path if path.is_dir() else path.parent,
        notes=tuple(notes), medium=medium,
    )  # fmt: skip
    files = apply_split_files(files, spec.split_files) if spec.split_files else files
    table = split_rows(files, spec.replace(test_fraction=0.0))
    if spec.unlabelled in (None, ROWS):
        return table
    return _joined(with_unlabelled(table, table, [Path(str(spec.unlabelled)).expanduser()], spec, threads))


def _splits_of(ids: list[str]) -> list[str]:
    """The split of each file by the outermost folder of its id, "" where there is no folder for training."""
    splits = [split_name(name.split("/")[0]) or "" if "/" in name else "" for name in ids]
    return splits if "train" in splits else [""] * len(ids)
