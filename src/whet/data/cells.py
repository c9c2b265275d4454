"""Reads the cells of a table: CSV, TSV, JSON lines and Parquet, for all media.

The rules (for the encoding of a file see `text.py`):
- The first line contains the column names. Every other line must have as many cells; otherwise an error names the line. Empty lines
  are skipped. A cell is its text, including `NA`, `None` and `null`; only an empty cell is missing.
- CSV: cells are separated by commas; if the first line has none, by semicolons or tabs. A cell that contains the separator, a quote
  or a line end must be in double quotes (RFC 4180).
- TSV: cells are separated by tabs, one row per line, if every line has the right number of them; quotes around a cell are removed.
  If some cells begin with a quote and do not end with one, quotes are plain characters, unless the whole file is valid
  under RFC 4180, with line ends and tabs in cells. A file whose lines differ in their number of tabs is read by RFC 4180 only.
- JSON lines: one object per line; its keys are the columns. Parquet is read unchanged.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whet.core.errors import DataError
from whet.core.language import Sentence, english
from whet.data.text import decode

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_HEAD_BYTES = 1 << 20
_LINE_END = re.compile("\r\n|\r|\n")

csv.field_size_limit(2**31 - 1)  # the module's limit is 131,072 characters; longer texts are truncated by our own rule


@dataclass(frozen=True)
class Cells:
    """frame: text; for JSON lines and Parquet the values themselves, None where missing. Its index is the line in which a row
    begins, starting at 1 (for Parquet the row). encoding: "" for Parquet. notes: decisions made while reading. warnings: suspicious
    content."""

    frame: pd.DataFrame
    encoding: str = ""
    notes: tuple[Sentence, ...] = ()
    warnings: tuple[Sentence, ...] = ()

    def all_notes(self) -> tuple[Sentence, ...]:
        """The notes; the encoding first, unless it is UTF-8."""
        return (
            self.notes
            if self.encoding in ("", "UTF-8")
            else (english("encoding: {encoding}", encoding=self.encoding), *self.notes)
        )


def read_cells(path: Path) -> Cells:
    """All cells of a table. DataError with the line number."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            frame = pd.read_parquet(path, dtype_backend="numpy_nullable").astype(object)
            frame.index = pd.RangeIndex(1, 1 + len(frame))
            return Cells(frame)
        text, encoding = decode(path.read_bytes())
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs the extra 'parquet': pip install 'whet[parquet]'") from None
    except (OSError, ValueError) as error:  # also for files that are not text or Parquet
        raise DataError(f"{path}: not readable as a table: {error}") from None
    if suffix in (".jsonl", ".ndjson"):
        return Cells(_frame(*_json_rows(_json_lines(text), path)), encoding)
    delimiter = _delimiter(text, suffix)
    between = {";": english("semicolons"), "\t": english("tabs")}.get(delimiter) if suffix == ".csv" else None
    notes = (
        (english("{table}: the cells are separated by {separator!t}", table=path.name, separator=between),)
        if between
        else ()
    )
    if delimiter == "\t":
        return _tab_cells(text, path, encoding, notes)
    return _quoted_cells(text, delimiter, path, encoding, notes)


def first_rows(path: Path, count: int = 20) -> tuple[list[str], list[list[str]]]:
    """(column names, cells of the first rows as text), without reading the rest; empty if the table cannot be read."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            import pyarrow.parquet

            file = pyarrow.parquet.ParquetFile(path)
            records = next(file.iter_batches(batch_size=count)).to_pylist() if file.metadata.num_rows else []
            columns = [str(name) for name in file.schema_arrow.names]
            return columns, [["" if row[name] is None else str(row[name]) for name in columns] for row in records]
        text, _ = decode(_head(path))
        if suffix in (".jsonl", ".ndjson"):
            columns, _, rows = _json_rows(islice(_json_lines(text), count), path)
            return columns, [["" if cell is None else str(cell) for cell in row] for row in rows]
    except (ImportError, OSError, ValueError):  # ValueError includes DataError
        return [], []
    found: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, suffix))
    try:
        found = list(islice((cells for cells in reader if cells), count + 1))
    except csv.Error:
        return [], []
    return (found[0], found[1:]) if found else ([], [])


def _head(path: Path) -> bytes:
    """The first complete lines of a file."""
    with path.open("rb") as handle:
        data = handle.read(_HEAD_BYTES)
    if len(data) < _HEAD_BYTES:
        return data
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16: line ends have two bytes
        return data
    return data[: data.rfind(b"\n") + 1] or data


def _delimiter(text: str, suffix: str) -> str:
    """The first of comma, semicolon and tab that the first line of a .csv contains outside quotes."""
    if suffix == ".tsv":
        return "\t"
    for delimiter in (",", ";", "\t"):
        try:
            first = next(
                (cells for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if cells), []
            )
        except csv.Error:
            return ","
        if sum(bool(cell.strip()) for cell in first) > 1:
            return delimiter
    return ","


_Rows = tuple[list[str], list[int], list[list[Any]]]  # columns, the line of each row, its cells


def _frame(columns: list[str], lines: list[int], rows: list[list[Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(index=pd.Index(lines, dtype=np.int64))
    cells = list(zip(*rows)) if rows else [()] * len(columns)
    series = {k: pd.Series(column, dtype=object, index=frame.index) for k, column in enumerate(cells)}
    frame = pd.DataFrame(series, index=frame.index)
    frame.columns = pd.Index(columns, dtype=object)
    return frame


def _require_columns_once(columns: list[str], where: str) -> None:
    twice = [name for name, count in Counter(columns).items() if count > 1 and name]
    if twice:
        raise DataError(f"{where}: two columns have the name '{twice[0]}'")


def _tab_cells(text: str, path: Path, encoding: str, notes: tuple[Sentence, ...]) -> Cells:
    """Read tab-separated cells, by the rule above."""
    numbered = [(number, line) for number, line in enumerate(_LINE_END.split(text), start=1) if line]
    rows = [line.split("\t") for _, line in numbered]
    quoted = [cell for row in rows for cell in row if cell.startswith('"')]
    even = len({len(row) for row in rows}) < 2
    plain = not all(_is_quoted(cell) for cell in quoted)
    if not even or plain:
        try:
            found = _quoted_cells(text, "\t", path, encoding, notes)
        except DataError:
            if not even:
                raise
        else:
            if not even or not found.warnings:
                return found
    if plain:
        notes += (
            english(
                "{table}: quotes are read as plain characters, because some cells begin with one and do not end with one",
                table=path.name,
            ),
        )
    else:
        rows = [[cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for cell in row] for row in rows]
    columns = rows[0] if rows else []
    _require_columns_once(columns, f"{path}:{numbered[0][0] if numbered else 1}")
    return Cells(_frame(columns, [number for number, _ in numbered[1:]], rows[1:]), encoding, notes)


def _is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell.endswith('"') and '"' not in cell[1:-1].replace('""', "")


def _quoted_cells(text: str, delimiter: str, path: Path, encoding: str, notes: tuple[Sentence, ...] = ()) -> Cells:
    """Read cells that are quoted where they contain a delimiter, a quote or a line end (RFC 4180)."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
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
                _require_columns_once(columns, f"{path}:{begins}")
                continue
            if len(cells) != len(columns):
                raise DataError(f"{path}:{begins}: {len(cells)} cells in this row, {len(columns)} in the first")
            lines.append(begins)
            rows.append(cells)
    except csv.Error as error:
        raise DataError(f"{path}:{line}: not readable as a table: {error} (an unclosed quote?)") from None
    return Cells(_frame(columns, lines, rows), encoding, notes, _swallowed(columns, lines, rows, delimiter, path))


def _swallowed(
    columns: list[str], lines: list[int], rows: list[list[str]], delimiter: str, path: Path
) -> tuple[Sentence, ...]:
    """A warning where a quoted cell contains the end of one row and the beginning of another: its lines have as many delimiters as
    rows of the table, and one of the values between them occurs elsewhere in that column."""
    width = len(columns)
    suspects: list[tuple[int, int, str]] = []  # line, column, value
    for line, row in zip(lines, rows):
        for j, cell in enumerate(row):
            if "\n" not in cell or delimiter not in cell:
                continue
            first, *middle, last = _LINE_END.split(cell)
            counts = [part.count(delimiter) for part in (first, *middle, last)]
            if counts == [width - 1 - j, *[width - 1] * len(middle), j]:
                suspects += [(line, j + 1 + k, value) for k, value in enumerate(first.split(delimiter)[1:])]
                suspects += [(line, k, value) for k, value in enumerate(last.split(delimiter)[:-1])]
    suspected = {column for _, column, _ in suspects}
    known = {j: {row[j].strip() for row in rows} - {""} for j in suspected}
    bad = sorted({line for line, column, value in suspects if value.strip() in known[column]})
    if not bad:
        return ()
    return (
        english(
            "{table}: {n} rows seem to contain further rows in one cell, the first in line {line}: is a quote not "
            "closed? Quotes within a quoted cell must be doubled",
            table=path.name,
            n=len(bad),
            line=bad[0],
        ),
    )


def _json_rows(numbered: Iterator[tuple[int, str]], path: Path) -> _Rows:
    """Parse one JSON object per line; its keys are the columns. Empty lines are skipped."""
    columns: dict[str, None] = {}
    lines, objects = [], []
    for line, content in numbered:
        try:
            row = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{line}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}:{line}: a {type(row).__name__}; accepted: one JSON object per line")
        columns |= dict.fromkeys(row)
        lines.append(line)
        objects.append(row)
    return list(columns), lines, [[row.get(name) for name in columns] for row in objects]


def _json_lines(text: str) -> Iterator[tuple[int, str]]:
    # Not splitlines(): JSON text may contain U+2028 and similar characters.
    for line, content in enumerate(_LINE_END.split(text), start=1):
        if content.strip():
            yield line, content


def missing(cell: Any) -> bool:
    """Whether a cell is missing: None, NaN, or only white space."""
    if isinstance(cell, str):
        return not cell.strip()
    return not isinstance(cell, list | tuple | np.ndarray | dict) and bool(pd.isna(cell))


def word(cell: Any, path: Path, line: int, column: str) -> str:
    """A cell as text, "" where it is missing. DataError for a list or an object."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, list | tuple | dict | np.ndarray):
        raise DataError(f"{path}:{line}: '{column}' holds a {type(cell).__name__}; accepted: one text or number")
    return "" if pd.isna(cell) else str(cell)
