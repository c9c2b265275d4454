"""Text samples: from a CSV, TSV, JSONL or Parquet table, a folder with one table a part, or class folders of .txt files.

The rules for encodings and for one text are in `text.py`. Further rules:
- A table's first line names its columns; every other line must have as many cells, or the table is refused with that line.
- A row without a label, and a text without a character that can be seen, is left out and named. Where a sample may have several
  labels, those without any may stay: see `labels.py`.
- A folder is read by its tables: `train.csv` (.tsv, .jsonl, .parquet), `val` or `dev`, and `test`; or by its one table,
  whatever its name; else by its class folders.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whet.core.errors import DataError
from whet.core.run_folder import raw_cell
from whet.data.folder import TEXTS, read_folder
from whet.data.labels import LabelColumns, Names, numbered
from whet.data.store import digest_of
from whet.data.table import (
    Skipped,
    Table,
    find_column,
    find_labels,
    given_splits,
    given_weights,
    split_name,
    with_folds,
)
from whet.data.text import MAX_CHARACTERS, CleanText, UnreadableText, clean_text, decode

TEXT_TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
TEXT_NAMES = ("text", "sentence", "content", "review", "comment", "question", "message", "title", "document", "utterance",
              "query", "tweet", "body")  # fmt: skip
_SHOWN = 5

csv.field_size_limit(2**31 - 1)  # a longer cell than the module's 131,072 characters is cut by our own rule


def read_texts(
    path: Path,
    text_column: str | None = None,
    label_column: str | None = None,
    label_columns: tuple[str, ...] | None = None,
    label_separator: str | None = None,
    *,
    threads: int = 4,
) -> Table:
    """Every text with its class, in the splits they came with. Besides the usual columns the table's frame has `text`.

    `path` is the file a text came from, `digest` the hash of the text, `id` "train.csv:17" (file and line; of Parquet the
    row, the first is 1) or the path below the class folders' root."""
    if path.is_dir():
        tables = _tables_in(path)
        if not tables:
            return _read_class_folders(path, threads)
    elif path.suffix.lower() in TEXT_TABLE_SUFFIXES:
        tables = [("", path)]
    else:
        raise DataError(
            f"data {path}: neither a folder nor a table; accepted: a folder, {', '.join(TEXT_TABLE_SUFFIXES)}"
        )
    root = path if path.is_dir() else path.parent
    told = _Told()
    asked = LabelColumns(label_column, label_columns, label_separator)
    frames = [_read_rows(table, part, text_column, asked, told) for part, table in tables]
    _require_one_kind(frames, tables)
    raw = pd.concat(frames, ignore_index=True)
    if raw.empty:
        raise DataError(
            f"{path}: no text with a label is left of {len(told.skipped)} rows; the first left out: {told.first()}"
        )
    classes, numbers, set_SK = numbered(raw["label"].tolist(), told.classes)
    frame = raw.assign(label=numbers, digest=_digests(raw["text"]))
    order = ["id", "path", "label", "split", "group", "weight", "digest", "text"]
    return Table(
        frame[[*order, *(["fold"] if "fold" in frame else [])]],
        classes,
        root,
        tuple(told.skipped),
        told.notes(),
        "text",
        set_SK,
        dict(set.intersection(*(set(found.items()) for found in told.columns))),
    )


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
        if self.encodings:
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
def _read_class_folders(root: Path, threads: int) -> Table:
    table = read_folder(root, TEXTS)

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
    told, texts = _Told(further=list(table.notes)), []
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
def _tables_in(folder: Path) -> list[tuple[str, Path]]:
    """(part, table) of the tables in a folder, train first; none where it holds class folders instead."""
    found = sorted(
        p for p in folder.iterdir() if p.suffix.lower() in TEXT_TABLE_SUFFIXES and not p.name.startswith(".")
    )
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


def _read_rows(path: Path, part: str, text_column: str | None, asked: LabelColumns, told: _Told) -> pd.DataFrame:
    """The rows that are samples: id, path, label (its name; a tuple of names where there may be several), split, group,
    weight, text."""
    raw = read_cells(path, told.encodings)
    if raw.empty:
        raise DataError(f"{path}: no rows")
    text_column = find_column(raw, text_column, TEXT_NAMES, "text", path)
    label_column, said = find_labels(raw, asked, path)
    if said is not None:
        told.classes += said.known
        told.further += [f"{path.name}: {note}" for note in said.notes]
    if text_column == label_column:
        raise DataError(f"{path}: column '{text_column}' cannot hold both the text and the label")
    guarded = _is_guarded(path)
    told.columns.append({"text_column": text_column, **({"label_column": label_column} if label_column else {})})
    kept, texts, labels = [], [], []
    given = _one_label(raw, label_column, path, guarded) if said is None else said.names_N
    for line, words, label in zip(raw.index, raw[text_column], given):
        id_ = f"{path.name}:{line}"
        text = _text_of(words, path, line, text_column, guarded)
        kept.append(label is not None and not text.blank)
        if not kept[-1]:
            told.skip(id_, "no label" if label is None else "no text")
            continue
        told.keep(id_, text)
        labels.append(label)
        texts.append(text.text)
    raw = raw[np.array(kept)]
    frame = pd.DataFrame({"id": [f"{path.name}:{line}" for line in raw.index]})
    frame["path"] = pd.Series([str(path)] * len(raw), dtype=object)
    frame["label"], frame["text"] = pd.Series(labels, dtype=object), pd.Series(texts, dtype=object)
    frame["split"] = [part] * len(raw) if part else given_splits(raw, path)
    frame["group"] = raw["group"].fillna("").astype(str).tolist() if "group" in raw else ""
    frame["weight"] = given_weights(raw, path)
    frame = with_folds(frame, raw)
    if part and "split" in raw:
        told.further.append(f"{path.name}: its column 'split' is passed over, the file's name says {part}")
    return frame


def _is_guarded(path: Path) -> bool:
    """Whether cells may bear the quote that whet's own tables put before formulas."""
    return path.suffix.lower() in (".csv", ".tsv")


def _text_of(cell: Any, path: Path, line: int, column: str, guarded: bool) -> CleanText:
    """The text of a cell, the same whether its row has a label or not."""
    text = clean_text(_word(cell, path, line, column))
    return replace(text, text=raw_cell(text.text)) if guarded else text


def _one_label(raw: pd.DataFrame, column: str | None, path: Path, guarded: bool) -> list[str | None]:
    """The class of every row, None where there is none."""
    assert column is not None
    words = [_word(label, path, line, column).strip() for line, label in raw[column].items()]
    return [(raw_cell(word) if guarded else word) if word else None for word in words]


def _word(value: Any, path: Path, line: int, column: str) -> str:
    """A cell as text, '' where there is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, dict, np.ndarray)):
        raise DataError(f"{path}:{line}: '{column}' holds a {type(value).__name__}; accepted: one text or number")
    return "" if pd.isna(value) else str(value)


def read_cells(path: Path, encodings: Counter[str] | None = None) -> pd.DataFrame:
    """The cells of a table as they stand, None where JSONL or Parquet has none. The index is the line that a row begins in,
    the first is 1 (of Parquet: its row). `encodings` counts the file's."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            frame = pd.read_parquet(path, dtype_backend="numpy_nullable").astype(object)
            frame.index = pd.RangeIndex(1, 1 + len(frame))
            return frame
        text, encoding = decode(path.read_bytes())
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs the extra 'parquet': pip install 'whet[parquet]'") from None
    except (OSError, ValueError) as error:  # also what is no text, and no Parquet
        raise DataError(f"{path}: not readable as a table: {error}") from None
    if encodings is not None:
        encodings[encoding] += 1
    read = _json_rows(text, path) if suffix in (".jsonl", ".ndjson") else _separated_rows(text, path, suffix)
    columns, lines, rows = read
    return pd.DataFrame(rows, columns=pd.Index(columns, dtype=object), index=lines, dtype=object)


_Rows = tuple[list[str], list[int], list[list[Any]]]  # columns, the line of each row, its cells


def _separated_rows(text: str, path: Path, suffix: str) -> _Rows:
    """Cells between commas or tabs, in double quotes where they hold one or a line end (RFC 4180). Empty lines are passed over."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if suffix == ".tsv" else ",", strict=True)
    columns: list[str] = []
    lines, rows = [], []
    line = 1
    try:
        for cells in reader:
            begins, line = line, reader.line_num + 1
            if not cells:
                continue
            if not columns:
                columns = cells
                twice = [name for name, count in Counter(columns).items() if count > 1 and name]
                if twice:
                    raise DataError(f"{path}:{begins}: two columns are called '{twice[0]}'")
                continue
            if len(cells) != len(columns):
                raise DataError(f"{path}:{begins}: {len(cells)} cells in this row, {len(columns)} in the first")
            lines.append(begins)
            rows.append(cells)
    except csv.Error as error:
        raise DataError(f"{path}:{line}: not readable as a table: {error} (a quote that is not closed?)") from None
    return columns, lines, rows


def _json_rows(text: str, path: Path) -> _Rows:
    """One JSON object a line; its keys are the columns. Empty lines are passed over."""
    columns: dict[str, None] = {}
    lines, objects = [], []
    for line, said in _json_lines(text):
        try:
            row = json.loads(said)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{line}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}:{line}: a {type(row).__name__}; accepted: one JSON object a line")
        columns |= dict.fromkeys(row)
        lines.append(line)
        objects.append(row)
    return list(columns), lines, [[row.get(name) for name in columns] for row in objects]


def _json_lines(text: str) -> Iterator[tuple[int, str]]:
    # Not splitlines(): a JSON text may hold U+2028 and its like as they are.
    for line, said in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        if said.strip():
            yield line, said


def read_unlabelled_texts(path: Path, text_column: str | None = None) -> list[str]:
    """The texts of a file, labelled or not, as training reads them: of a table its column, else the file's own text. Blank ones
    are among them. Raises DataError, OSError."""
    if path.suffix.lower() not in TEXT_TABLE_SUFFIXES:
        return [clean_text(decode(path.read_bytes())[0]).text]
    cells = read_cells(path)
    column = find_column(cells, text_column, TEXT_NAMES, "text", path)
    guarded = _is_guarded(path)
    return [_text_of(cell, path, line, column, guarded).text for line, cell in zip(cells.index, cells[column])]


def first_cells(path: Path) -> tuple[list[str], list[str]]:
    """(the names of a table's columns, the cells of its first row as text); nothing of what cannot be read."""
    try:
        cells = read_cells(path)
    except DataError:
        return [], []
    return [str(name) for name in cells.columns], [str(cell) for cell in cells.iloc[0]] if len(cells) else []
