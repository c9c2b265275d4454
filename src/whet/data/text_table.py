"""Text samples: from a CSV, TSV, JSONL or Parquet table, a folder with one table a part, or class folders of .txt files.

The rules for encodings and for one text are in `text.py`, those for the cells of a table in `cells.py`. Further rules:
- A row without a label, and a text without a character that can be seen, is left out and named. Where a sample may have several
  labels, those without any may stay: see `labels.py`.
- A folder is read by its tables: `train.csv` (.tsv, .jsonl, .parquet), `val` or `dev`, and `test`; or by its one table,
  whatever its name; else by its class folders.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from whet.core.errors import DataError
from whet.core.spec import DataSpec
from whet.data.cells import TABLE_SUFFIXES, read_cells, word
from whet.data.class_names import whole_numbers
from whet.data.columns import AS_IT_IS, Columns, usual_column
from whet.data.folder import TEXTS, read_folder
from whet.data.labels import Names, find_labels, numbered
from whet.data.store import digest_of
from whet.data.table import Skipped, Table, given_groups, given_splits, given_weights, split_name, with_folds
from whet.data.text import MAX_CHARACTERS, CleanText, UnreadableText, clean_text, decode

_SHOWN = 5


def read_texts(path: Path, spec: DataSpec = AS_IT_IS, *, threads: int = 4) -> Table:
    """Every text with its class, in the splits they came with. Besides the usual columns the table's frame has `text`.

    `path` is the file a text came from, `digest` the hash of the text, `id` "train.csv:17" (file and line; of Parquet the
    row, the first is 1) or the path below the class folders' root."""
    if path.is_dir():
        tables = text_tables_in(path)
        if not tables:
            return _read_class_folders(path, spec, threads)
    elif path.suffix.lower() in TABLE_SUFFIXES:
        tables = [("", path)]
    else:
        raise DataError(f"data {path}: neither a folder nor a table; accepted: a folder, {', '.join(TABLE_SUFFIXES)}")
    root = path if path.is_dir() else path.parent
    told = _Told()
    frames = [_read_rows(table, part, spec, told) for part, table in tables]
    _require_one_kind(frames, tables)
    raw = pd.concat(frames, ignore_index=True)
    if raw.empty:
        raise DataError(
            f"{path}: no text with a label is left of {len(told.skipped)} rows; the first left out: {told.first()}"
        )
    labels, whole = whole_numbers(raw["label"].tolist())
    told.further += [whole] if whole else []
    classes, numbers, set_SK = numbered(labels, told.classes)
    frame = raw.assign(label=numbers, digest=_digests(raw["text"]))
    order = ["id", "path", "label", "split", "group", "weight", "digest", "text"]
    frame = frame[[*order, *(["fold"] if "fold" in frame else [])]]
    read = dict(set.intersection(*(set(found.items()) for found in told.columns)))
    table = Table(frame, classes, root, tuple(told.skipped), told.notes(), "text", set_SK, (), read)
    return table.warned(*told.warnings)


def _require_one_kind(frames: list[pd.DataFrame], tables: list[tuple[str, Path]]) -> None:
    """Either every table holds one class a row, or every table holds several."""
    several = {
        isinstance(frame["label"].iloc[0], tuple): path for frame, (_, path) in zip(frames, tables) if len(frame)
    }
    if len(several) > 1:
        raise DataError(
            f"{several[True]} holds lists of labels, but {several[False]} one class a row; accepted: the same form in every table"
        )


@dataclass
class _Told:
    """What was left out or changed while reading, to be named in the table's notes."""

    skipped: list[Skipped] = field(default_factory=list)
    encodings: Counter[str] = field(default_factory=Counter)
    cut: list[str] = field(default_factory=list)
    had_nul: list[str] = field(default_factory=list)
    further: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    classes: Names = ()  # that there are, whether a sample has them or not
    columns: list[dict[str, str]] = field(default_factory=list)  # those read, by their keys in DataSpec, of every table

    def skip(self, id_: str, reason: str) -> None:
        self.skipped.append(Skipped(id_, reason))

    def keep(self, id_: str, text: CleanText) -> None:
        if text.cut:
            self.cut.append(id_)
        if text.had_nul:
            self.had_nul.append(id_)

    def first(self) -> str:
        return f"{self.skipped[0].id}: {self.skipped[0].reason}" if self.skipped else "none"

    def notes(self) -> tuple[str, ...]:
        notes = list(self.further)
        if self.encodings.total():
            counted = ", ".join(f"{name} ({_files(count)})" for name, count in self.encodings.most_common())
            notes.insert(0, f"encoding: {counted}")
        if self.cut:
            notes.append(f"longer than {MAX_CHARACTERS:,} characters and cut there: {_named(self.cut)}")
        if self.had_nul:
            notes.append(f"NUL characters were taken out of {_named(self.had_nul)}")
        return tuple(notes)


def _files(count: int) -> str:
    return f"{count} file" + ("s" if count != 1 else "")


def _named(ids: list[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def _digests(texts: pd.Series) -> list[str]:
    return [digest_of(text.encode()) for text in texts]


# --- class folders ------------------------------------------------------------------------------------------------------
def _read_class_folders(root: Path, spec: DataSpec, threads: int) -> Table:
    table = read_folder(root, TEXTS, spec.class_folder)

    def read(path: str) -> tuple[CleanText | None, str]:
        """(the text, its encoding), or (None, why there is none)."""
        try:
            text, encoding = decode(Path(path).read_bytes())
        except OSError as error:
            return None, error.strerror or type(error).__name__
        except UnreadableText as error:
            return None, str(error)
        return clean_text(text), encoding

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(read, table.frame["path"], chunksize=64))
    told, texts = _Told(list(table.skipped), further=list(table.notes)), []
    for id_, (text, said) in zip(table.frame["id"], found):
        if text is None or text.blank:
            told.skip(id_, said if text is None else "no text")
            texts.append("")
            continue
        told.keep(id_, text)
        told.encodings[said] += 1
        texts.append(text.text)
    frame = table.frame.assign(text=pd.Series(texts, dtype=object))
    frame = frame[frame["text"] != ""].reset_index(drop=True)
    if frame.empty:
        raise DataError(f"none of the {len(texts)} texts below {root} can be read; the first: {told.first()}")
    return Table(
        frame.assign(digest=_digests(frame["text"])), table.classes, root, tuple(told.skipped), told.notes(), "text"
    )


# --- tables -------------------------------------------------------------------------------------------------------------
def text_tables_in(folder: Path) -> list[tuple[str, Path]]:
    """(part, table) of the tables in a folder, train first; none where it holds class folders instead."""
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in TABLE_SUFFIXES and not p.name.startswith("."))
    parts: dict[str, Path] = {}
    for path in found:
        part = split_name(path.stem)
        if part in parts:
            raise DataError(f"{folder}: {parts[part].name} and {path.name} both hold the part '{part}'; keep one")
        if part:
            parts[part] = path
    if "train" in parts:
        return [(part, parts[part]) for part in ("train", "val", "test") if part in parts]
    if len(found) > 1 or parts:
        raise DataError(
            f"{folder} holds {', '.join(p.name for p in found)} but no train table; name one table, "
            "or call them train, val (or dev) and test"
        )
    return [("", found[0])] if found else []


def _read_rows(path: Path, part: str, spec: DataSpec, told: _Told) -> pd.DataFrame:
    """The rows that are samples: id, path, label (its name; a tuple of names where there may be several), split, group,
    weight, text."""
    cells = read_cells(path)
    if cells.frame.empty:
        raise DataError(f"{path}: no rows")
    told.encodings[cells.encoding] += bool(cells.encoding)
    told.further += cells.notes
    told.warnings += cells.warnings
    columns = Columns(cells.frame, spec, path)
    text_column = columns.require("text")
    labels, said = find_labels(columns, spec)
    if said is not None:
        told.classes += said.known
        told.further += [f"{path.name}: {note}" for note in said.notes]
    if text_column == columns.used.get("label"):
        raise DataError(f"{path}: column '{text_column}' cannot hold both the text and the label")
    told.columns.append(columns.read)
    kept, texts, given, name = [], [], [], path.name
    for line, words, label in zip(cells.frame.index, cells.frame[text_column], labels):
        id_ = f"{name}:{line}"
        text = clean_text(word(words, path, line, text_column))
        kept.append(label is not None and not text.blank)
        if not kept[-1]:
            told.skip(id_, "no label" if label is None else "no text")
            continue
        told.keep(id_, text)
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
    told.further += columns.notes()
    if part and usual_column([str(name) for name in raw.columns], "split"):
        told.further.append(f"{path.name}: its column 'split' is passed over, the file's name says {part}")
    return frame


def read_unlabelled_texts(path: Path, text_column: str | None = None) -> list[str]:
    """The texts of a file, labelled or not, as training reads them: of a table its column, else the file's own text. Blank ones
    are among them. Raises DataError, OSError."""
    if path.suffix.lower() not in TABLE_SUFFIXES:
        return [clean_text(decode(path.read_bytes())[0]).text]
    cells = read_cells(path).frame
    column = Columns(cells, DataSpec(text_column=text_column), path).require("text")
    return [clean_text(word(cell, path, line, column)).text for line, cell in zip(cells.index, cells[column])]
