"""The table of samples, and the reader of CSV, TSV and Parquet files."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from whet.core.errors import DataError
from whet.core.evidence import Evidence
from whet.core.language import Sentence, english
from whet.core.mask_task import MaskTask
from whet.core.spec import DataSpec
from whet.core.task import LabelKind, Task, VectorTask, task_for
from whet.data.cells import missing, read_cells, word
from whet.data.class_names import whole_numbers
from whet.data.columns import AS_IT_IS, Columns
from whet.data.labels import find_labels, numbered
from whet.tasks import MULTI_LABEL, SEMANTIC_SEGMENTATION, SINGLE_LABEL

if TYPE_CHECKING:
    from whet.core.targets import ClassTargets, Targets
    from whet.data.audit.unlabelled import Copies
    from whet.data.masks import MaskData

_USUAL: dict[LabelKind, Task] = {"class": SINGLE_LABEL, "classes": MULTI_LABEL, "masks": SEMANTIC_SEGMENTATION}
SPLITS: tuple[str, ...] = (english("train"), english("val"), english("test"))
UNLABELLED = "unlabelled"
NO_LABEL = "no label"  # why a row is left out
NOT_UTF8 = english("its name is not UTF-8 and cannot be written to a table")
MAX_LEFT_OUT = 0.01  # share of the samples; more (and more than one) is a problem, and stops a training
COLUMNS = ("id", "path", "label", "split", "group", "weight", "digest")
_LOOKED_FOR = 100  # files of a table to look for, to find the folder they are relative to
_SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
                "test": "test", "testing": "test"}  # fmt: skip


def split_name(word: str) -> str | None:
    """'train', 'val' or 'test' for common names of splits, else None."""
    return _SPLIT_NAMES.get(word.strip().lower())


@dataclass(frozen=True)
class Skipped:
    """A file left out, and the reason."""

    id: str
    reason: str


@dataclass(frozen=True)
class Table:
    """The samples. frame columns: id (path below the root, with '/'), path (of the file), label (class number), split (train, val,
    test, or '' while undecided), group ('' for none), weight, digest (content hash). While training also: probs (the soft target
    of a pseudo-label). For texts also: text. For audio clips also:
    start and end (seconds of the segment of the file, NaN for the file's own). fold, where given. medium: image, text or audio.
    notes: decisions and omissions while reading. warnings: the notes about suspicious content.

    columns: the columns that were read for files, texts and labels, by their keys in DataSpec.

    For multi-label data, label is the number of the label set (equal sets share a number), and set_SK the classes of each set, bool
    (S, K); None where every sample has exactly one class. chosen_task: the task of a recipe, once known.

    annotation: for images with masks, what their reader returned.

    unlabelled: the samples without a label, as a frame of the same columns with the label -1, or None where none are declared. They
    are the part "unlabelled" and in no other: no count, fold or metric includes them. copies: those that are copies of labelled
    samples."""

    frame: pd.DataFrame
    classes: tuple[str, ...]
    root: Path
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[Sentence, ...] = field(default=())
    medium: str = "image"
    set_SK: np.ndarray | None = None
    warnings: tuple[Sentence, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    chosen_task: Task | None = None
    unlabelled: pd.DataFrame | None = None
    copies: Copies | None = None
    annotation: MaskData | None = None

    def __len__(self) -> int:
        return len(self.frame)

    def part(self, split: str) -> Table:
        """The rows of one split, with a new index from 0; or of "unlabelled", the samples without a label."""
        if split == UNLABELLED:
            return replace(
                self, frame=self.frame.iloc[:0] if self.unlabelled is None else self.unlabelled, unlabelled=None
            )
        return replace(self, frame=self.frame[self.frame["split"] == split].reset_index(drop=True))

    def with_frame(self, frame: pd.DataFrame, *notes: Sentence) -> Table:
        return replace(self, frame=frame.reset_index(drop=True), notes=self.notes + notes)

    def warned(self, *warnings: Sentence) -> Table:
        return replace(self, notes=self.notes + warnings, warnings=self.warnings + warnings)

    @property
    def label_N(self) -> np.ndarray:
        """Class numbers, or numbers of label sets."""
        return self.frame["label"].to_numpy(np.int64)

    @property
    def task(self) -> Task:
        """The task: as set by `for_problem`, else classification by the form of the labels."""
        return self.chosen_task or _USUAL[self.label_kind]

    @property
    def label_kind(self) -> LabelKind:
        return "masks" if "masks" in self.frame else "class" if self.set_SK is None else "classes"

    def for_problem(self, problem: str, head: str = "auto") -> Table:
        """The same samples with the task of a recipe. DataError where the labels do not fit it, RecipeError where the head does
        not."""
        task = task_for(problem, self.label_kind)
        if task is None:
            have = _USUAL[self.label_kind].title
            raise DataError(f"the samples have {have}, which does not fit {problem}")
        task = task if head == "auto" else task.with_head(head)
        if isinstance(task, MaskTask) and task.counts_objects:
            self._require_objects(problem)
        found = replace(self, chosen_task=task)
        objects = self.annotation is not None and self.annotation.task != problem
        if objects and isinstance(task, MaskTask) and not task.counts_objects:
            note = english(
                "the data hold objects; they are read as the classes of their pixels (semantic-segmentation)"
            )
            return replace(found, notes=(*found.notes, note))
        return found

    def _require_objects(self, problem: str) -> None:
        trains_N = self.frame["split"] == "train" if "split" in self.frame else [False] * len(self)
        pairs = zip(self.frame["masks"], trains_N, strict=True)
        without = [reason for masks, trains in pairs if (reason := masks.without_objects(boxes=trains))]
        if without:
            raise DataError(
                f"data {self.root}: {problem} needs a mask for every object, which {len(without)} of {len(self)} images do not "
                f"have ({without[0]}). The data can train --task semantic-segmentation, or image-classification by the classes in "
                "each image. Objects are in COCO JSON, YOLO-seg, labelme and CVAT files, in Pascal VOC's SegmentationObject/, and "
                "in files of object numbers, instances/ beside images/; training images may have boxes"
            )

    def judged_by_masks(self) -> Table:
        """The same samples, all to be predicted and compared with their masks. DataError where masks are to be predicted, and an
        image has boxes, points, scribbles or classes in their place."""
        if isinstance(self.task, MaskTask):
            weak = [name for name, masks in zip(self.frame["id"], self.frame["masks"]) if masks.weak]
            if weak:
                raise DataError(
                    f"data {self.root}: {len(weak)} of {len(self)} images to validate or test on have boxes, points, scribbles or "
                    f"classes in place of masks, such as {weak[0]}; they can be trained on, but only masks tell how good the "
                    "result is: draw the masks of some images, about 10 for each class (docs/weak_masks.md)"
                )
        return self

    @property
    def labels(self) -> np.ndarray:
        """Class numbers (N,); or, for multi-label data, the classes of each sample, bool (N, K)."""
        return self.label_N if self.set_SK is None else self.set_SK[self.label_N]

    @property
    def true_NK(self) -> np.ndarray:
        """The classes of each sample, bool (N, K)."""
        return self.label_N[:, None] == np.arange(len(self.classes)) if self.set_SK is None else self.labels

    @property
    def targets(self) -> ClassTargets:
        """Of class labels."""
        found = cast(VectorTask, self.task).targets(self.labels, len(self.classes))
        if not self.has_soft_targets:
            return found
        probs_BK = found.probs_BK.clone()
        for row, given in enumerate(self.frame["probs"]):
            if isinstance(given, np.ndarray):
                probs_BK[row] = probs_BK.new_tensor(given)
        return found.having(probs_BK)

    @property
    def has_soft_targets(self) -> bool:
        """Whether some samples have soft targets, in the column probs: samples with pseudo-labels."""
        return "probs" in self.frame and bool(self.frame["probs"].notna().any())

    def unlabelled_targets(self, count: int, size: Sequence[int] = ()) -> Targets:
        """Of this many samples without a label. size: height and width of their rendered images."""
        some = np.zeros(count, dtype=np.int64)
        return self.task.unknown(some if self.set_SK is None else self.set_SK[some], len(self.classes), size)

    def evidence(self, index_M: np.ndarray, statistics_MS: np.ndarray) -> Evidence:
        """The evidence from the statistics (`Task.statistics`) of some of the samples, given by row number."""
        ids = self.frame["id"].to_numpy()[index_M]
        return self.task.evidence(self.classes, ids, self.labels[index_M], statistics_MS)

    @property
    def counts_K(self) -> np.ndarray:
        """Samples per class."""
        if self.set_SK is not None:
            return self.labels.sum(axis=0)
        return np.bincount(self.label_N, minlength=len(self.classes))

    @property
    def pixel_counts_K(self) -> np.ndarray:
        """Pixels per class in the masks, without ignored ones."""
        K = len(self.classes)
        counts = [np.bincount(masks.class_map().ravel(), minlength=K)[:K] for masks in self.frame["masks"]]
        return np.sum(counts, axis=0)

    def cell_of(self, label: int) -> str:
        """A label as a table cell: the class name, or the label set as a JSON list."""
        return self.task.cell(label if self.set_SK is None else self.set_SK[label], self.classes)

    def text_of(self, label: int) -> str:
        """A label for display: the class name, or the names of the label set."""
        return self.task.text(label if self.set_SK is None else self.set_SK[label], self.classes)

    def fingerprint(self) -> str:
        """SHA-256 over every sample's id, content, class and split, and over the samples without a label; it identifies the data
        independent of their location."""
        frame = self.frame
        if self.set_SK is not None:
            frame = frame.assign(label=[self.cell_of(label) for label in self.label_N])
        if "masks" in frame:
            frame = frame.assign(
                digest=[f"{digest} {masks.digest()}" for digest, masks in zip(frame["digest"], frame["masks"])]
            )
        rows = frame[["id", "digest", "label", "split"]].sort_values("id").to_numpy().tolist()
        content = [list(self.classes), rows]
        if self.unlabelled is not None:
            content.append(self.unlabelled[["id", "digest"]].sort_values("id").to_numpy().tolist())
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def make_frame(rows: list[dict]) -> pd.DataFrame:
    """Rows as dicts -> the frame of a Table, with default values for missing columns."""
    filled = {"split": "", "group": "", "weight": 1.0, "digest": ""}
    rows = [{**filled, **row} for row in rows]
    # Paths as object columns: the pandas string type cannot hold a file name that is not UTF-8.
    columns = {
        name: pd.Series([row[name] for row in rows], dtype=object if name == "path" else None) for name in COLUMNS
    }
    return pd.DataFrame(columns)


def read_table(path: Path, spec: DataSpec = AS_IT_IS, *, parts: bool = False) -> Table:
    """Read a table (see `cells.py`) with one row per sample: a file, its label, and where present split, group and sample weight
    (see `columns.py`). Rows without a file or a label are left out and listed. For multi-label data see `labels.py`.

    File names are relative to `spec.files_root`; by default to the table's own folder, or if none is found there, to the subfolder
    that contains most of them. A name with backslashes that does not exist is read as a Windows path.

    parts (for audio clips): also read start and end where present, so that a file may occur in several rows. Segments of one file
    form a group unless the table has its own groups, because they are not independent.
    """
    cells = read_cells(path)
    if cells.frame.empty:
        raise DataError(f"{path}: no rows")
    columns = Columns(cells.frame, spec, path)
    file_column = columns.require("file")
    labels, label_cells = find_labels(columns, spec)
    files = [
        word(cell, path, line, file_column).strip() for line, cell in zip(cells.frame.index, cells.frame[file_column])
    ]
    skipped = []
    for line, file, label in zip(cells.frame.index, files, labels):
        if not file or label is None:
            skipped.append(Skipped(file or f"{path.name}:{line}", NO_LABEL if file else "no file name"))
    kept = [bool(file) and label is not None for file, label in zip(files, labels)]
    if not any(kept):
        raise DataError(
            f"{path}: no file with a label among {len(kept)} rows; the first left out: {skipped[0].id}: {skipped[0].reason}"
        )
    raw, files = cells.frame[kept], [file for file, keep in zip(files, kept) if keep]
    names, whole = whole_numbers([label for label, keep in zip(labels, kept) if keep])
    root, notes = _files_root(path, spec, files)
    paths, turned = _paths(root, files)
    classes, numbers, set_SK = numbered(names, () if label_cells is None else label_cells.known)
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
        notes += (english("{table}: {n} names with backslashes are read as paths", table=path.name, n=backslashes),)
    all_notes = [*cells.all_notes(), *columns.notes(), *notes, *([whole] if whole else [])]
    all_notes += () if label_cells is None else label_cells.notes
    medium = "audio" if parts else "image"
    table = Table(frame, classes, root, tuple(skipped), tuple(all_notes), medium, set_SK, (), columns.read)
    return table.warned(*cells.warnings)


def read_unlabelled_files(path: Path, spec: DataSpec, *, parts: bool = False) -> pd.DataFrame:
    """The files of a table, with or without labels, as in `read_table`: path ("" where the row has none), and with `parts` start
    and end in seconds. File names are relative to the table's own folder first, not to the folder used in training."""
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


def _files_root(path: Path, spec: DataSpec, files: list[str]) -> tuple[Path, tuple[Sentence, ...]]:
    if spec.files_root is not None:
        root = Path(spec.files_root).expanduser()
        if not root.is_dir():
            raise DataError(f"data.files_root = {spec.files_root}: no such folder")
        return root, ()
    first = [file.replace("\\", "/") for file in files[:_LOOKED_FOR]]
    folders = sorted(folder for folder in path.parent.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    found = {folder: sum((folder / file).is_file() for file in first) for folder in (path.parent, *folders)}
    root = path.parent if found[path.parent] else max(found, key=lambda folder: found[folder])
    return root, () if root == path.parent else (
        english("{table}: its files were found in {folder}/", table=path.name, folder=root.name),
    )


def _paths(root: Path, files: list[str]) -> tuple[list[str], list[str]]:
    """(the path of each file, its name); a name with backslashes that does not exist is read as a Windows path."""
    names = [file.replace("\\", "/") if "\\" in file and not (root / file).exists() else file for file in files]
    return [str(root / name) for name in names], names


def path_from(folder: Path, path: str) -> str:
    """How a table in this folder names a file."""
    return "./" + Path(os.path.relpath(Path(path).absolute(), folder.absolute())).as_posix()


def is_writable(path: str) -> bool:
    """Whether the name of a file can be written to a table."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def with_folds(frame: pd.DataFrame, columns: Columns, raw: pd.DataFrame) -> pd.DataFrame:
    """The frame with a column fold, where the table has one."""
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
    for line, cell in zip(raw.index, _texts(raw[column])):
        name = split_name(cell) if cell else ""
        if name is None:
            raise DataError(
                f"{columns.path}, row {line}: {column} '{cell}' is unknown; accepted: train, val, test or empty (specify another "
                "column with --split-column)"
            )
        names.append(name)
    return names


def given_weights(columns: Columns, raw: pd.DataFrame) -> np.ndarray:
    """A non-negative weight for every row, whose index is its line in the file; 1 without a weight column."""
    column = columns.find("weight")
    if column is None:
        return np.ones(len(raw))
    weights = pd.to_numeric(raw[column], errors="coerce").to_numpy(float)
    bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(bad):
        line, weight = raw.index[bad[0]], raw[column].iloc[bad[0]]
        raise DataError(f"{columns.path}, row {line}: {column} '{weight}' must be a non-negative number")
    return weights


def _texts(cells: pd.Series) -> list[str]:
    return ["" if missing(cell) else str(cell).strip() for cell in cells]


def _with_parts(frame: pd.DataFrame, columns: Columns, raw: pd.DataFrame) -> pd.DataFrame:
    """The frame with start and end in seconds, which become part of the id."""
    start, end = (_seconds(columns, raw, side) for side in ("start", "end"))
    bad = np.flatnonzero(end <= np.nan_to_num(start))
    if len(bad):
        row = bad[0]
        raise DataError(
            f"{columns.path}, row {raw.index[row]}: end {end[row]:g} must be after the start, {np.nan_to_num(start[row]):g}"
        )
    files = frame["id"]
    if "group" not in columns.used:
        frame = frame.assign(group=np.where(files.duplicated(keep=False), files, ""))
    names = [name + part_name(a, b) for name, a, b in zip(files, start, end)]
    return frame.assign(id=names, start=start, end=end)


def _seconds(columns: Columns, raw: pd.DataFrame, side: str) -> np.ndarray:
    """The column of this role in seconds, NaN where it is empty or missing."""
    column = columns.find(side)
    if column is None:
        return np.full(len(raw), np.nan)
    given = pd.Series(_texts(raw[column]))
    seconds = pd.to_numeric(given, errors="coerce").to_numpy(float)
    bad = np.flatnonzero((given != "").to_numpy() & ~((seconds >= 0) & np.isfinite(seconds)))
    if len(bad):
        raise DataError(
            f"{columns.path}, row {raw.index[bad[0]]}: {side} '{given.iloc[bad[0]]}' must be a non-negative number of seconds"
        )
    return seconds


def part_name(start: float, end: float) -> str:
    """The suffix of the id of a segment, "#1.5-2", in seconds; "" for the whole file (both NaN)."""
    plain = ["" if math.isnan(side) else f"{side:.6f}".rstrip("0").rstrip(".") for side in (start, end)]
    return "#" + "-".join(plain) if any(plain) else ""
