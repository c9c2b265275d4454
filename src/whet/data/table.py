"""The table of samples, and reading it from a CSV, TSV or Parquet file."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from whet.core.errors import DataError
from whet.core.evidence import Evidence
from whet.core.spec import DataSpec
from whet.core.task import Task, task_for
from whet.data.cells import missing, read_cells, word
from whet.data.class_names import whole_numbers
from whet.data.columns import AS_IT_IS, Columns
from whet.data.labels import find_labels, numbered
from whet.tasks import MULTI_LABEL, SINGLE_LABEL

if TYPE_CHECKING:
    from whet.core.targets import Targets

SPLITS = ("train", "val", "test")
MAX_LEFT_OUT = 0.01  # of the samples; more (and more than one) is a problem, and stops a training
COLUMNS = ("id", "path", "label", "split", "group", "weight", "digest")
_LOOKED_FOR = 100  # files of a table, to tell which folder they are named from
_SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
                "test": "test", "testing": "test"}  # fmt: skip


def split_name(word: str) -> str | None:
    """'train', 'val' or 'test' for the usual words for them, else None."""
    return _SPLIT_NAMES.get(word.strip().lower())


@dataclass(frozen=True)
class Skipped:
    """A file left out, and the stated rule that left it out."""

    id: str
    reason: str


@dataclass(frozen=True)
class Table:
    """The samples. frame columns: id (path below the root, '/' between parts), path (where the file lies), label (class
    number), split (train, val, test, or '' while undecided), group ('' for none), weight, digest (content hash). Of texts, too:
    text. Of audio clips, too: start and end (seconds of the part of its file that is the sample, NaN for the file's own). fold,
    where
    given. medium: image, text or audio. notes: what was decided and left out while reading. warnings: those of the notes that
    speak of something which looks wrong.

    columns: the table's columns of files, texts and labels that were read, by their keys in DataSpec.

    Where a sample may have several classes, label is the number of its label set (those of equal labels bear the same), and
    set_SK says which classes each set has, bool (S, K); None where every sample has exactly one class. asked: what a recipe asks
    of the samples, once that is known."""

    frame: pd.DataFrame
    classes: tuple[str, ...]
    root: Path
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = field(default=())
    medium: str = "image"
    set_SK: np.ndarray | None = None
    warnings: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    asked: Task | None = None

    def __len__(self) -> int:
        return len(self.frame)

    def part(self, split: str) -> Table:
        """The rows of one split, numbered anew from 0."""
        return replace(self, frame=self.frame[self.frame["split"] == split].reset_index(drop=True))

    def with_frame(self, frame: pd.DataFrame, *notes: str) -> Table:
        return replace(self, frame=frame.reset_index(drop=True), notes=self.notes + notes)

    def warned(self, *warnings: str) -> Table:
        return replace(self, notes=self.notes + warnings, warnings=self.warnings + warnings)

    @property
    def label_N(self) -> np.ndarray:
        """Class numbers, or numbers of label sets."""
        return self.frame["label"].to_numpy(np.int64)

    @property
    def task(self) -> Task:
        """What is asked of the samples: as told (`for_problem`), else classification by the form of the labels."""
        return self.asked or (SINGLE_LABEL if self.set_SK is None else MULTI_LABEL)

    def for_problem(self, problem: str) -> Table:
        """The same samples, of which a recipe's task is asked. DataError where their labels do not fit it."""
        label_sets = self.set_SK is not None
        task = task_for(problem, label_sets=label_sets)
        if task is None:
            have = MULTI_LABEL.title if label_sets else SINGLE_LABEL.title
            raise DataError(f"the samples have {have}: nothing that {problem} can be learned from")
        return replace(self, asked=task)

    @property
    def truth(self) -> np.ndarray:
        """Class numbers (N,); or, where a sample may have several classes, which are true, bool (N, K)."""
        return self.label_N if self.set_SK is None else self.set_SK[self.label_N]

    @property
    def true_NK(self) -> np.ndarray:
        """Which classes each sample has, bool (N, K)."""
        return self.label_N[:, None] == np.arange(len(self.classes)) if self.set_SK is None else self.truth

    @property
    def targets(self) -> Targets:
        return self.task.targets(self.truth, len(self.classes))

    def evidence(self, index_M: np.ndarray, outputs_MK: np.ndarray) -> Evidence:
        """What a network's outputs for some of the samples, by their row numbers, are evidence of."""
        ids, probs_MK = self.frame["id"].to_numpy()[index_M], self.task.probabilities(outputs_MK)
        return Evidence(self.task, self.classes, ids, self.truth[index_M], probs_MK)

    @property
    def counts_K(self) -> np.ndarray:
        """Samples a class."""
        if self.set_SK is not None:
            return self.truth.sum(axis=0)
        return np.bincount(self.label_N, minlength=len(self.classes))

    def cell_of(self, label: int) -> str:
        """A label as a cell of a table holds it: the class's name, or the label set as a JSON list."""
        return self.task.cell(label if self.set_SK is None else self.set_SK[label], self.classes)

    def said_of(self, label: int) -> str:
        """A label as people read it: the class's name, or the names of the label set."""
        return self.task.text(label if self.set_SK is None else self.set_SK[label], self.classes)

    def fingerprint(self) -> str:
        """SHA-256 over every sample's id, content, class and split: the same samples, wherever they lie."""
        frame = self.frame
        if self.set_SK is not None:
            frame = frame.assign(label=[self.cell_of(label) for label in self.label_N])
        rows = frame[["id", "digest", "label", "split"]].sort_values("id").to_numpy().tolist()
        return hashlib.sha256(json.dumps([list(self.classes), rows]).encode()).hexdigest()


def make_frame(rows: list[dict]) -> pd.DataFrame:
    """Rows as plain dicts -> the frame of a Table, missing columns filled in."""
    filled = {"split": "", "group": "", "weight": 1.0, "digest": ""}
    rows = [{**filled, **row} for row in rows]
    # Paths as plain objects: pandas' own text type cannot hold a file name that is not UTF-8.
    columns = {
        name: pd.Series([row[name] for row in rows], dtype=object if name == "path" else None) for name in COLUMNS
    }
    return pd.DataFrame(columns)


def read_table(path: Path, spec: DataSpec = AS_IT_IS, *, parts: bool = False) -> Table:
    """A table (see `cells.py`) with one row a sample: a file, its label, and where present split, group and sample weight (see
    `columns.py`). A row without a file or a label is left out and named. Where a sample may have several labels: see `labels.py`.

    Files are named from `spec.files_root`; else from the table's own folder, or where none is found there from the one of its
    subfolders that holds most of them. A name with backslashes that is no file is taken for a Windows path.

    With `parts` (of audio clips), where present also start and end, so that a file may stand in several rows. Parts of one file
    are a group unless the table has groups of its own: what is heard in one part tells of the next.
    """
    cells = read_cells(path)
    if cells.frame.empty:
        raise DataError(f"{path}: no rows")
    columns = Columns(cells.frame, spec, path)
    file_column = columns.require("file")
    labels, said = find_labels(columns, spec)
    files = [
        word(cell, path, line, file_column).strip() for line, cell in zip(cells.frame.index, cells.frame[file_column])
    ]
    skipped = []
    for line, file, label in zip(cells.frame.index, files, labels):
        if not file or label is None:
            skipped.append(Skipped(file or f"{path.name}:{line}", "no label" if file else "no file name"))
    kept = [bool(file) and label is not None for file, label in zip(files, labels)]
    if not any(kept):
        raise DataError(
            f"{path}: no file with a label is left of {len(kept)} rows; the first left out: {skipped[0].id}: {skipped[0].reason}"
        )
    raw, files = cells.frame[kept], [file for file, keep in zip(files, kept) if keep]
    names, whole = whole_numbers([label for label, keep in zip(labels, kept) if keep])
    root, notes = _files_root(path, spec, files)
    paths, turned = _paths(root, files)
    classes, numbers, set_SK = numbered(names, () if said is None else said.known)
    frame = pd.DataFrame({"id": [Path(name).as_posix() for name in turned]})
    frame["path"] = pd.Series(paths, dtype=object)
    frame["label"] = numbers
    frame["split"] = given_splits(columns, raw)
    frame["group"] = given_groups(columns, raw)
    frame["weight"] = given_weights(columns, raw)
    frame["digest"] = ""
    frame = with_folds(frame, columns, raw)
    if parts:
        frame = _with_parts(frame, columns, raw)
    twice = frame["id"][frame["id"].duplicated()]
    if len(twice):
        raise DataError(f"{path}: {len(twice)} files are listed more than once, for example {twice.iloc[0]}")
    backslashes = sum(file != name for file, name in zip(files, turned))
    if backslashes:
        notes += (f"{path.name}: {backslashes} names with backslashes are read as paths",)
    told = [*cells.told(), *columns.notes(), *notes, *([whole] if whole else []), *(() if said is None else said.notes)]
    medium = "audio" if parts else "image"
    table = Table(frame, classes, root, tuple(skipped), tuple(told), medium, set_SK, (), columns.read)
    return table.warned(*cells.warnings)


def read_unlabelled_files(path: Path, spec: DataSpec, *, parts: bool = False) -> pd.DataFrame:
    """The files of a table, labelled or not, as `read_table` reads them: path ("" where the row names none), and with `parts` start
    and end in seconds. They are named from the table's own folder first, wherever those lie that a run was trained on."""
    cells = read_cells(path).frame
    columns = Columns(cells, spec, path)
    column = columns.require("file")
    files = [word(cell, path, line, column).strip() for line, cell in zip(cells.index, cells[column])]
    named = [file for file in files if file]
    root, _ = _files_root(path, spec.replace(files_root=None), named)
    if spec.files_root is not None and not any(
        (root / file.replace("\\", "/")).is_file() for file in named[:_LOOKED_FOR]
    ):
        root, _ = _files_root(path, spec, named)
    paths = [found if file else "" for found, file in zip(_paths(root, files)[0], files)]
    frame = pd.DataFrame({"path": pd.Series(paths, index=cells.index, dtype=object)})
    return frame.assign(**{side: _seconds(columns, cells, side) for side in ("start", "end")}) if parts else frame


def _files_root(path: Path, spec: DataSpec, files: list[str]) -> tuple[Path, tuple[str, ...]]:
    if spec.files_root is not None:
        root = Path(spec.files_root).expanduser()
        if not root.is_dir():
            raise DataError(f"data.files_root = {spec.files_root}: no such folder")
        return root, ()
    first = [file.replace("\\", "/") for file in files[:_LOOKED_FOR]]
    folders = sorted(folder for folder in path.parent.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    found = {folder: sum((folder / file).is_file() for file in first) for folder in (path.parent, *folders)}
    root = path.parent if found[path.parent] else max(found, key=lambda folder: found[folder])
    return root, () if root == path.parent else (f"{path.name}: its files are found in {root.name}/",)


def _paths(root: Path, files: list[str]) -> tuple[list[str], list[str]]:
    """(where each file lies, its name), a name with backslashes that is no file read as a Windows path."""
    names = [file.replace("\\", "/") if "\\" in file and not (root / file).exists() else file for file in files]
    return [str(root / name) for name in names], names


def with_folds(frame: pd.DataFrame, columns: Columns, raw: pd.DataFrame) -> pd.DataFrame:
    """The frame with the column fold, where the table has one."""
    column = columns.find("fold")
    return frame if column is None else frame.assign(fold=_texts(raw[column]))


def given_groups(columns: Columns, raw: pd.DataFrame) -> list[str]:
    """The group of every row, "" for none."""
    column = columns.find("group")
    return [""] * len(raw) if column is None else _texts(raw[column])


def given_splits(columns: Columns, raw: pd.DataFrame) -> list[str]:
    """train, val, test or '' for every row, whose index is its line in the file."""
    column = columns.find("split")
    if column is None:
        return [""] * len(raw)
    names = []
    for line, said in zip(raw.index, _texts(raw[column])):
        name = split_name(said) if said else ""
        if name is None:
            raise DataError(
                f"{columns.path}, row {line}: {column} '{said}' is unknown; accepted: train, val, test or empty (another column is "
                "named with --split-column)"
            )
        names.append(name)
    return names


def given_weights(columns: Columns, raw: pd.DataFrame) -> np.ndarray:
    """A number not below 0 for every row, whose index is its line in the file; 1 without a column for it."""
    column = columns.find("weight")
    if column is None:
        return np.ones(len(raw))
    weights = pd.to_numeric(raw[column], errors="coerce").to_numpy(float)
    bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(bad):
        line, weight = raw.index[bad[0]], raw[column].iloc[bad[0]]
        raise DataError(f"{columns.path}, row {line}: {column} '{weight}' must be a number not below 0")
    return weights


def _texts(cells: pd.Series) -> list[str]:
    return ["" if missing(cell) else str(cell).strip() for cell in cells]


def _with_parts(frame: pd.DataFrame, columns: Columns, raw: pd.DataFrame) -> pd.DataFrame:
    """The frame with start and end in seconds, which become a part of the id."""
    start, end = (_seconds(columns, raw, side) for side in ("start", "end"))
    bad = np.flatnonzero(end <= np.nan_to_num(start))
    if len(bad):
        row = bad[0]
        raise DataError(
            f"{columns.path}, row {raw.index[row]}: end {end[row]:g} must lie after the start, {np.nan_to_num(start[row]):g}"
        )
    files = frame["id"]
    if "group" not in columns.used:
        frame = frame.assign(group=np.where(files.duplicated(keep=False), files, ""))
    names = [name + part_name(a, b) for name, a, b in zip(files, start, end)]
    return frame.assign(id=names, start=start, end=end)


def _seconds(columns: Columns, raw: pd.DataFrame, side: str) -> np.ndarray:
    """The column of this role as seconds, NaN where it is empty or missing."""
    column = columns.find(side)
    if column is None:
        return np.full(len(raw), np.nan)
    given = pd.Series(_texts(raw[column]))
    seconds = pd.to_numeric(given, errors="coerce").to_numpy(float)
    bad = np.flatnonzero((given != "").to_numpy() & ~((seconds >= 0) & np.isfinite(seconds)))
    if len(bad):
        raise DataError(
            f"{columns.path}, row {raw.index[bad[0]]}: {side} '{given.iloc[bad[0]]}' must be seconds, not below 0"
        )
    return seconds


def part_name(start: float, end: float) -> str:
    """What the id of a part of a file ends in, "#1.5-2", seconds; "" for the whole file (both NaN)."""
    plain = ["" if math.isnan(side) else f"{side:.6f}".rstrip("0").rstrip(".") for side in (start, end)]
    return "#" + "-".join(plain) if any(plain) else ""
