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

from whet.core.errors import DataError, unknown
from whet.core.labels import labels_cell, labels_said, names_of
from whet.core.run_folder import raw_cell
from whet.data.labels import LabelColumns, Said, numbered, several_labels

if TYPE_CHECKING:
    from whet.core.targets import Targets

SPLITS = ("train", "val", "test")
COLUMNS = ("id", "path", "label", "split", "group", "weight", "digest")
TABLE_SUFFIXES = {".csv": ",", ".tsv": "\t", ".parquet": None}
_FILE_NAMES = ("file", "path", "image", "filename", "file_name", "filepath", "file_path", "image_path", "img", "audio", "sound",
               "recording", "audio_path", "name")  # fmt: skip
LABEL_NAMES = ("label", "class", "target", "category", "y", "label_name", "class_name")
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
    text. Of sounds, too: start and end (seconds of the part of its file that is the sample, NaN for the file's own). fold, where
    given. medium: picture, text or sound.

    columns: the table's columns of files, texts and labels that were read, by their keys in DataSpec.

    Where a sample may have several classes, label is the number of its label set (those of equal labels bear the same), and
    set_SK says which classes each set has, bool (S, K); None where every sample has exactly one class."""

    frame: pd.DataFrame
    classes: tuple[str, ...]
    root: Path
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = field(default=())
    medium: str = "picture"
    set_SK: np.ndarray | None = None
    columns: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    def part(self, split: str) -> Table:
        """The rows of one split, numbered anew from 0."""
        return replace(self, frame=self.frame[self.frame["split"] == split].reset_index(drop=True))

    def with_frame(self, frame: pd.DataFrame, *notes: str) -> Table:
        return replace(self, frame=frame.reset_index(drop=True), notes=self.notes + notes)

    @property
    def label_N(self) -> np.ndarray:
        """Class numbers, or numbers of label sets."""
        return self.frame["label"].to_numpy(np.int64)

    @property
    def multi_label(self) -> bool:
        """Whether a sample may have several classes, or none."""
        return self.set_SK is not None

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
        import torch

        from whet.core.targets import Targets

        truth = torch.tensor(self.truth)
        return Targets.from_label_sets(truth) if self.multi_label else Targets.from_labels(truth, len(self.classes))

    @property
    def counts_K(self) -> np.ndarray:
        """Samples a class."""
        if self.set_SK is not None:
            return self.truth.sum(axis=0)
        return np.bincount(self.label_N, minlength=len(self.classes))

    def cell_of(self, label: int) -> str:
        """A label as a cell of a table holds it: the class's name, or the label set as a JSON list."""
        return self.classes[label] if self.set_SK is None else labels_cell(names_of(self.set_SK[label], self.classes))

    def said_of(self, label: int) -> str:
        """A label as people read it: the class's name, or the names of the label set."""
        return self.classes[label] if self.set_SK is None else labels_said(names_of(self.set_SK[label], self.classes))

    def fingerprint(self) -> str:
        """SHA-256 over every sample's id, content, class and split: the same samples, wherever they lie."""
        frame = self.frame
        if self.multi_label:
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


def read_table(
    path: Path,
    file_column: str | None = None,
    label_column: str | None = None,
    label_columns: tuple[str, ...] | None = None,
    label_separator: str | None = None,
    *,
    parts: bool = False,
) -> Table:
    """A CSV, TSV or Parquet file with one row a sample. Files are named relative to the table's own folder. Where a sample may have
    several labels: see `labels.py`.

    Columns: file and label (found by their usual names, or named), and where present split, group and weight. With `parts` (of
    sounds), where present also start and end, so that a file may stand in several rows, and fold. Parts of one file are a group
    unless the table has groups of its own: what is heard in one part tells of the next.
    """
    raw = _read_frame(path, empty_alone=label_separator is not None)
    if raw.empty:
        raise DataError(f"{path}: no rows")
    raw.index = pd.RangeIndex(2, 2 + len(raw))  # lines of the file, the header is the first
    file_column = find_column(raw, file_column, _FILE_NAMES, "file", path)
    _require_filled(raw, file_column, path)
    asked = LabelColumns(label_column, label_columns, label_separator)
    label_column, said = find_labels(raw, asked, path)
    if said is None:
        assert label_column is not None
        _require_filled(raw, label_column, path)
        labels = raw[label_column].astype(str).str.strip().map(raw_cell)  # cleaned.csv guards its cells
        classes, numbers, set_SK = numbered(labels.tolist())
    else:
        silent = [line for line, names in zip(raw.index, said.names_N) if names is None]
        if silent:
            raise DataError(
                f"{path}: {len(silent)} rows have no '{label_column}', the first is row {silent[0]}; a sample without a label "
                "is written []"
            )
        classes, numbers, set_SK = numbered([names for names in said.names_N if names is not None], said.known)
    frame = pd.DataFrame({"id": [Path(str(name)).as_posix() for name in raw[file_column]]})
    frame["path"] = [str(path.parent / name) for name in raw[file_column].astype(str)]
    frame["label"] = numbers
    frame["split"] = given_splits(raw, path)
    frame["group"] = raw["group"].fillna("").astype(str).tolist() if "group" in raw else ""
    frame["weight"] = given_weights(raw, path)
    frame["digest"] = ""
    frame = with_folds(frame, raw)
    if parts:
        frame = _with_parts(frame, raw, path)
    twice = frame["id"][frame["id"].duplicated()]
    if len(twice):
        raise DataError(f"{path}: {len(twice)} files are listed more than once, for example {twice.iloc[0]}")
    notes = () if said is None else said.notes
    medium = "sound" if parts else "picture"
    columns = {"file_column": file_column, **({"label_column": label_column} if label_column is not None else {})}
    return Table(frame, classes, path.parent, notes=notes, medium=medium, set_SK=set_SK, columns=columns)


def read_unlabelled_files(path: Path, file_column: str | None = None, *, parts: bool = False) -> pd.DataFrame:
    """The files of a table, labelled or not, as `read_table` reads them: path ("" where the row names none), and with `parts` start
    and end in seconds."""
    raw = _read_frame(path)
    raw.index = pd.RangeIndex(2, 2 + len(raw))
    names = raw[find_column(raw, file_column, _FILE_NAMES, "file", path)].fillna("").astype(str)
    paths = [str(path.parent / name) if name.strip() else "" for name in names]
    frame = pd.DataFrame({"path": pd.Series(paths, index=raw.index, dtype=object)})
    return frame.assign(**{side: _seconds(raw, side, path) for side in ("start", "end")}) if parts else frame


def find_labels(raw: pd.DataFrame, asked: LabelColumns, path: Path) -> tuple[str | None, Said | None]:
    """(the label column, None where there are several; the labels of every row, None where the column holds one class a row)."""
    if asked.several is not None:
        return None, several_labels(raw, None, asked, path)
    column = find_column(raw, asked.column, LABEL_NAMES, "label", path)
    return column, several_labels(raw, column, asked, path)


def _require_filled(raw: pd.DataFrame, column: str, path: Path) -> None:
    empty = raw.index[raw[column].isna() | (raw[column].astype(str).str.strip() == "")]
    if len(empty):
        raise DataError(f"{path}: {len(empty)} rows have no '{column}', the first is row {empty[0]}")


def _read_frame(path: Path, *, empty_alone: bool = False) -> pd.DataFrame:
    """empty_alone: whether only an empty cell is missing, where one means something, and not what pandas takes for one too: NA."""
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        separator = TABLE_SUFFIXES[path.suffix.lower()]
        return pd.read_csv(path, sep=separator, dtype=str, encoding="utf-8-sig", keep_default_na=not empty_alone)
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs the extra 'parquet': pip install 'whet[parquet]'") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save the table as UTF-8"
        ) from None
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: not readable as a table: {error}") from None


def find_column(frame: pd.DataFrame, wanted: str | None, usual: tuple[str, ...], role: str, path: Path) -> str:
    """The column that was named, else the first of the usual names that is there, in whatever case."""
    columns = [str(column) for column in frame.columns]
    if wanted is not None:
        if wanted not in columns:
            raise DataError(unknown("column", wanted, columns, str(path)))
        return wanted
    lowered = {column.strip().lower(): column for column in columns}
    for name in usual:
        if name in lowered:
            return lowered[name]
    raise DataError(
        f"{path}: no {role} column found among {', '.join(columns)}; name it with --{role}-column, "
        f"or call it {', '.join(usual[:4])}"
    )


def with_folds(frame: pd.DataFrame, raw: pd.DataFrame) -> pd.DataFrame:
    """The frame with the column fold, where the table has one."""
    return frame.assign(fold=raw["fold"].fillna("").astype(str).tolist()) if "fold" in raw else frame


def given_splits(raw: pd.DataFrame, path: Path) -> list[str]:
    """train, val, test or '' for every row, whose index is its line in the file."""
    if "split" not in raw:
        return [""] * len(raw)
    names = []
    for line, word in raw["split"].fillna("").astype(str).items():
        name = split_name(word) if word.strip() else ""
        if name is None:
            raise DataError(f"{path}, row {line}: split '{word}' is unknown; accepted: train, val, test or empty")
        names.append(name)
    return names


def given_weights(raw: pd.DataFrame, path: Path) -> np.ndarray:
    """A number not below 0 for every row, whose index is its line in the file; 1 without a column for it."""
    if "weight" not in raw:
        return np.ones(len(raw))
    weights = pd.to_numeric(raw["weight"], errors="coerce").to_numpy(float)
    bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(bad):
        line, weight = raw.index[bad[0]], raw["weight"].iloc[bad[0]]
        raise DataError(f"{path}, row {line}: weight '{weight}' must be a number not below 0")
    return weights


def _with_parts(frame: pd.DataFrame, raw: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The frame with start and end in seconds, which become a part of the id, and fold where there is one."""
    seconds = {side: _seconds(raw, side, path) for side in ("start", "end")}
    start, end = seconds["start"], seconds["end"]
    bad = np.flatnonzero(end <= np.nan_to_num(start))
    if len(bad):
        raise DataError(
            f"{path}, row {bad[0] + 2}: end {end[bad[0]]:g} must lie after the start, {np.nan_to_num(start[bad[0]]):g}"
        )
    files = frame["id"]
    if "group" not in raw:
        frame = frame.assign(group=np.where(files.duplicated(keep=False), files, ""))
    names = [name + part_name(a, b) for name, a, b in zip(files, start, end)]
    return frame.assign(id=names, start=start, end=end)


def _seconds(raw: pd.DataFrame, side: str, path: Path) -> np.ndarray:
    """The column of this name as seconds, NaN where it is empty or missing."""
    if side not in raw:
        return np.full(len(raw), np.nan)
    given = raw[side].fillna("").astype(str).str.strip()
    seconds = pd.to_numeric(given, errors="coerce").to_numpy(float)
    bad = np.flatnonzero((given != "").to_numpy() & ~((seconds >= 0) & np.isfinite(seconds)))
    if len(bad):
        raise DataError(f"{path}, row {bad[0] + 2}: {side} '{given.iloc[bad[0]]}' must be seconds, not below 0")
    return seconds


def part_name(start: float, end: float) -> str:
    """What the id of a part of a file ends in, "#1.5-2", seconds; "" for the whole file (both NaN)."""
    plain = ["" if math.isnan(side) else f"{side:.6f}".rstrip("0").rstrip(".") for side in (start, end)]
    return "#" + "-".join(plain) if any(plain) else ""
