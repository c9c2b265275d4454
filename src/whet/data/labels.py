"""What the label cells of a table say where a sample may have several classes.

The rules:
- `label_columns: [a, b, c]`: each column is a class, its cells are 0 or 1 (or false and true). An empty cell is refused.
- `label_separator: "|"`: the cells of the label column are names between separators. An empty cell is a sample without a label.
- Neither: a label column whose every cell is a list of names (of JSONL and Parquet a list, else text that is one as JSON or Python
  writes it) holds several labels; any other column holds one class a sample. No separator is ever guessed. A column that holds
  both lists and names is refused. `[]` is a sample without a label; an empty cell says nothing, as in a table of one class each.
- White space around a name is taken off. A name that stands twice in one cell counts once, an empty name between two separators
  is passed over; the table's notes say how often either was so.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whet.core.errors import DataError
from whet.core.labels import names_of
from whet.core.spec import DataSpec
from whet.data.cells import missing, word
from whet.data.columns import Columns

Names = tuple[str, ...]
"""What a sample is, in the order of the alphabet; empty where it is nothing."""

_TRUE, _FALSE = {"1", "1.0", "true"}, {"0", "0.0", "false"}


@dataclass(frozen=True)
class Said:
    """names_N: of every row, None where its cell says nothing. known: classes that there are, named by a sample or not."""

    names_N: list[Names | None]
    known: Names = ()
    notes: tuple[str, ...] = ()


def find_labels(columns: Columns, spec: DataSpec) -> tuple[list[str | Names | None], Said | None]:
    """(the label of every row, None where its cell says nothing; what was said of several labels, None where the column holds one
    class a row)."""
    raw, path = columns.frame, columns.path
    if spec.label_columns is not None:
        columns.several(spec.label_columns)
        said = _of_columns(raw, spec.label_columns, path)
    else:
        column = columns.require("label")
        found = _of_lists(raw, column, spec.label_separator, path)
        if found is None:
            words = [word(cell, path, line, column).strip() for line, cell in zip(raw.index, raw[column])]
            return [label or None for label in words], None
        said = found
    return list(said.names_N), said


def _of_lists(raw: pd.DataFrame, column: str, separator: str | None, path: Path) -> Said | None:
    """The labels of every row, or None where the column holds one class a row."""
    cells = raw[column]
    if separator is not None:
        split = [_split(cell, separator, f"{path}, row {line}: '{column}'") for line, cell in cells.items()]
        return _tidied(split, cells.index)
    lists = [None if missing(cell) else _as_list(cell) for cell in cells]
    given = [one is not None for one, cell in zip(lists, cells) if not missing(cell)]
    if not any(given):
        return None
    for (line, cell), found in zip(cells.items(), lists):
        where = f"{path}, row {line}: '{column}' holds"
        if found is None and not missing(cell):
            raise DataError(
                f"{where} '{cell}', and other rows hold lists; accepted: a list of names in every row, or one name in every row"
            )
        for name in found or ():
            if isinstance(name, bool) or not isinstance(name, str | int | float | np.integer | np.floating):
                raise DataError(f"{where} {name!r} in a list; accepted: a list of names or numbers")
    return _tidied(lists, cells.index)


def _of_columns(raw: pd.DataFrame, columns: Sequence[str], path: Path) -> Said:
    true_NK = np.zeros((len(raw), len(columns)), dtype=bool)
    for k, name in enumerate(columns):
        values = ["" if missing(cell) else str(cell).strip().lower() for cell in raw[name]]
        for row, value in enumerate(values):
            if value not in _TRUE | _FALSE:
                said = f"holds '{raw[name].iloc[row]}'" if value else "is empty"
                raise DataError(f"{path}, row {raw.index[row]}: '{name}' {said}; accepted: 0 or 1")
            true_NK[row, k] = value in _TRUE
    rows: list[Names | None] = [tuple(sorted(names_of(true_K, columns))) for true_K in true_NK]
    return Said(rows, tuple(columns))


def _tidied(lists: Iterable[list[Any] | None], lines: pd.Index) -> Said:
    """Names without white space around them, none twice and none empty."""
    names_N: list[Names | None] = []
    twice, empty = [], []
    for line, found in zip(lines, lists):
        names = None if found is None else [str(name).strip() for name in found]
        if names is not None:
            named = [name for name in names if name]
            empty += [line] * (len(named) < len(names))
            twice += [line] * (len(set(named)) < len(named))
            names_N.append(tuple(sorted(set(named))))
        else:
            names_N.append(None)
    notes = []
    if twice:
        notes.append(f"{_rows(twice)} the same label twice: it counts once")
    if empty:
        notes.append(f"{_rows(empty)} an empty name: it was passed over")
    return Said(names_N, notes=tuple(notes))


def _rows(lines: list[int]) -> str:
    return f"row {lines[0]} names" if len(lines) == 1 else f"{len(lines)} rows, the first is {lines[0]}, name"


def _split(cell: Any, separator: str, where: str) -> list[str]:
    if missing(cell):
        return []
    if not isinstance(cell, str):
        if isinstance(cell, list | tuple | np.ndarray | dict):
            raise DataError(f"{where} holds a {type(cell).__name__}; accepted with label_separator: text")
        cell = str(cell)
    return cell.strip().split(separator)


def _as_list(cell: Any) -> list[Any] | None:
    """The list that a cell is, or is the text of; None where it is none."""
    if isinstance(cell, list | tuple | np.ndarray):
        return list(cell)
    text = cell.strip() if isinstance(cell, str) else ""
    if not (text.startswith("[") and text.endswith("]")):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return found if isinstance(found, list) else None
    return None


def numbered(names_N: Sequence[str | Names], known: Iterable[str] = ()) -> tuple[Names, list[int], np.ndarray | None]:
    """(the classes, the number of each sample's label, which classes each label set has (S, K) or None). A sample's label is its
    class where all are text, or its label set where they are tuples of names."""
    if all(isinstance(names, str) for names in names_N):
        classes = tuple(sorted({*known, *(str(name) for name in names_N)}))
        number = {name: k for k, name in enumerate(classes)}
        return classes, [number[str(name)] for name in names_N], None
    classes = tuple(sorted({*known, *(name for names in names_N for name in names)}))
    sets = sorted(set(names_N))
    place, column = {names: s for s, names in enumerate(sets)}, {name: k for k, name in enumerate(classes)}
    set_SK = np.zeros((len(sets), len(classes)), dtype=bool)
    for s, names in enumerate(sets):
        set_SK[s, [column[name] for name in names]] = True
    return classes, [place[names] for names in names_N], set_SK
