"""Reads text samples from a CSV, TSV, JSONL or Parquet table, a folder with one table per split, or class folders of .txt files.

For the rules for encodings and texts see `text.py`, for the cells of a table `cells.py`. Further rules:
- Rows without a label, and texts without visible characters, are left out and listed. In multi-label data, samples without any
label
  may stay: see `labels.py`.
- A folder is read through its tables: `train.csv` (.tsv, .jsonl, .parquet), `val` or `dev`, and `test`; or through its only table,
  of any name; else through its class folders.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from whet.core.errors import DataError
from whet.core.language import Sentence, english, named
from whet.core.spec import DataSpec
from whet.data.cells import TABLE_SUFFIXES, read_cells, word
from whet.data.class_names import whole_numbers
from whet.data.columns import AS_IT_IS, Columns, usual_column
from whet.data.folder import TEXTS, read_folder
from whet.data.labels import Names, find_labels, numbered
from whet.data.store import digest_of
from whet.data.table import NO_LABEL, Skipped, Table, given_groups, given_splits, given_weights, split_name, with_folds
from whet.data.text import MAX_CHARACTERS, CleanText, UnreadableText, clean_text, decode

_SHOWN = 5


def read_texts(path: Path, spec: DataSpec = AS_IT_IS, *, threads: int = 4) -> Table:
    """Every text with its class and its given split. The frame has the column `text` in addition to the usual ones.

    `path` is the file of a text, `digest` the hash of the text, `id` "train.csv:17" (file and line; for Parquet the row, starting
    at 1) or the path below the root of the class folders."""
    if path.is_dir():
        tables = text_tables_in(path)
        if not tables:
            return _read_class_folders(path, spec, threads)
    elif path.suffix.lower() in TABLE_SUFFIXES:
        tables = [("", path)]
    else:
        raise DataError(f"data {path}: neither a folder nor a table; accepted: a folder, {', '.join(TABLE_SUFFIXES)}")
    root = path if path.is_dir() else path.parent
    log = _ReadLog()
    frames = [_read_rows(table, part, spec, log) for part, table in tables]
    _require_one_kind(frames, tables)
    raw = pd.concat(frames, ignore_index=True)
    if raw.empty:
        raise DataError(
            f"{path}: no text with a label among {len(log.skipped)} rows; the first left out: {log.first()}"
        )
    labels, whole = whole_numbers(raw["label"].tolist())
    log.further += [whole] if whole else []
    classes, numbers, set_SK = numbered(labels, log.classes)
    frame = raw.assign(label=numbers, digest=_digests(raw["text"]))
    order = ["id", "path", "label", "split", "group", "weight", "digest", "text"]
    frame = frame[[*order, *(["fold"] if "fold" in frame else [])]]
    read = dict(set.intersection(*(set(found.items()) for found in log.columns)))
    table = Table(frame, classes, root, tuple(log.skipped), log.notes(), "text", set_SK, (), read)
    return table.warned(*log.warnings)


def _require_one_kind(frames: list[pd.DataFrame], tables: list[tuple[str, Path]]) -> None:
    """Raise DataError unless all tables hold one class per row, or all hold several."""
    several = {
        isinstance(frame["label"].iloc[0], tuple): path for frame, (_, path) in zip(frames, tables) if len(frame)
    }
    if len(several) > 1:
        raise DataError(
            f"{several[True]} holds lists of labels, but {several[False]} one class per row; accepted: the same form in every table"
        )


@dataclass
class _ReadLog:
    """Omissions and changes while reading, for the table's notes."""

    skipped: list[Skipped] = field(default_factory=list)
    encodings: Counter[str] = field(default_factory=Counter)
    cut: list[str] = field(default_factory=list)
    had_nul: list[str] = field(default_factory=list)
    further: list[Sentence] = field(default_factory=list)
    warnings: list[Sentence] = field(default_factory=list)
    classes: Names = ()  # all classes, with or without samples
    columns: list[dict[str, str]] = field(
        default_factory=list
    )  # the columns read from every table, by their keys in DataSpec

    def skip(self, id_: str, reason: str) -> None:
        self.skipped.append(Skipped(id_, reason))

    def keep(self, id_: str, text: CleanText) -> None:
        if text.cut:
            self.cut.append(id_)
        if text.had_nul:
            self.had_nul.append(id_)

    def first(self) -> str:
        return f"{self.skipped[0].id}: {self.skipped[0].reason}" if self.skipped else "none"

    def notes(self) -> tuple[Sentence, ...]:
        notes = list(self.further)
        if self.encodings.total():
            counted = ", ".join(f"{name} ({count})" for name, count in self.encodings.most_common())
            notes.insert(0, english("encoding: {encoding}", encoding=counted))
        if self.cut:
            notes.append(
                english(
                    "longer than {n:,} characters and truncated: {names!n}",
                    n=MAX_CHARACTERS,
                    names=named(self.cut, _SHOWN),
                )
            )
        if self.had_nul:
            notes.append(english("NUL characters were removed from {names!n}", names=named(self.had_nul, _SHOWN)))
        return tuple(notes)


def _digests(texts: pd.Series) -> list[str]:
    return [digest_of(text.encode()) for text in texts]


# --- class folders ------------------------------------------------------------------------------------------------------
def _read_class_folders(root: Path, spec: DataSpec, threads: int) -> Table:
    table = read_folder(root, TEXTS, spec.class_folder)

    def read(path: str) -> tuple[CleanText | None, str]:
        """(the text, its encoding), or (None, the reason)."""
        try:
            text, encoding = decode(Path(path).read_bytes())
        except OSError as error:
            return None, error.strerror or type(error).__name__
        except UnreadableText as error:
            return None, str(error)
        return clean_text(text), encoding

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(read, table.frame["path"], chunksize=64))
    log, texts = _ReadLog(list(table.skipped), further=list(table.notes)), []
    for id_, (text, encoding) in zip(table.frame["id"], found):
        if text is None or text.blank:
            log.skip(id_, encoding if text is None else "no text")
            texts.append("")
            continue
        log.keep(id_, text)
        log.encodings[encoding] += 1
        texts.append(text.text)
    frame = table.frame.assign(text=pd.Series(texts, dtype=object))
    frame = frame[frame["text"] != ""].reset_index(drop=True)
    if frame.empty:
        raise DataError(f"none of the {len(texts)} texts below {root} can be read; the first: {log.first()}")
    return Table(
        frame.assign(digest=_digests(frame["text"])), table.classes, root, tuple(log.skipped), log.notes(), "text"
    )


# --- tables -------------------------------------------------------------------------------------------------------------
def text_tables_in(folder: Path) -> list[tuple[str, Path]]:
    """(split, table) for the tables in a folder, train first; empty where it contains class folders instead."""
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in TABLE_SUFFIXES and not p.name.startswith("."))
    parts: dict[str, Path] = {}
    for path in found:
        part = split_name(path.stem)
        if part in parts:
            raise DataError(f"{folder}: {parts[part].name} and {path.name} both hold the split '{part}'; keep one")
        if part:
            parts[part] = path
    if "train" in parts:
        return [(part, parts[part]) for part in ("train", "val", "test") if part in parts]
    if len(found) > 1 or parts:
        raise DataError(
            f"{folder} contains {', '.join(p.name for p in found)} but no train table; specify one table, "
            "or name them train, val (or dev) and test"
        )
    return [("", found[0])] if found else []


def _read_rows(path: Path, part: str, spec: DataSpec, log: _ReadLog) -> pd.DataFrame:
    """The rows that are samples: id, path, label (a name; for multi-label data a tuple of names), split, group, weight, text."""
    cells = read_cells(path)
    if cells.frame.empty:
        raise DataError(f"{path}: no rows")
    log.encodings[cells.encoding] += bool(cells.encoding)
    log.further += cells.notes
    log.warnings += cells.warnings
    columns = Columns(cells.frame, spec, path)
    text_column = columns.require("text")
    labels, label_cells = find_labels(columns, spec)
    if label_cells is not None:
        log.classes += label_cells.known
        log.further += label_cells.notes
    if text_column == columns.used.get("label"):
        raise DataError(f"{path}: column '{text_column}' cannot hold both the text and the label")
    log.columns.append(columns.read)
    kept, texts, given, name = [], [], [], path.name
    for line, words, label in zip(cells.frame.index, cells.frame[text_column], labels):
        id_ = f"{name}:{line}"
        text = clean_text(word(words, path, line, text_column))
        kept.append(label is not None and not text.blank)
        if not kept[-1]:
            log.skip(id_, NO_LABEL if label is None else "no text")
            continue
        log.keep(id_, text)
        given.append(label)
        texts.append(text.text)
    raw = cells.frame[np.array(kept)]
    frame = pd.DataFrame({"id": [f"{name}:{line}" for line in raw.index]})
    frame["path"] = pd.Series([str(path)] * len(raw), dtype=object)
    frame["label"], frame["text"] = pd.Series(given, dtype=object), pd.Series(texts, dtype=object)
    frame["split"] = [part] * len(raw) if part else given_splits(columns, raw)
    frame["group"] = given_groups(columns, raw)
    frame["weight"] = given_weights(columns, raw)
    frame = with_folds(frame, columns, raw)
    log.further += columns.notes()
    if part and usual_column([str(name) for name in raw.columns], "split"):
        log.further.append(
            english(
                "{table}: its column 'split' is ignored, because the file name gives the split {split}",
                table=path.name,
                split=part,
            )
        )
    return frame


def read_unlabelled_texts(path: Path, text_column: str | None = None) -> list[str]:
    """The texts of a file, with or without labels, as in training: the column of a table, or the file's own text. Blank texts are
    included. Raises DataError, OSError."""
    if path.suffix.lower() not in TABLE_SUFFIXES:
        return [clean_text(decode(path.read_bytes())[0]).text]
    cells = read_cells(path).frame
    column = Columns(cells, DataSpec(text_column=text_column), path).require("text")
    return [clean_text(word(cell, path, line, column)).text for line, cell in zip(cells.index, cells[column])]
