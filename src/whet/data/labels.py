"""Reads the label cells of a table, for one class per sample and for multi-label data.

The rules:
- `label_columns: [a, b, c]`: each column is a class, its cells are 0 or 1 (or false and true). An empty cell is an error.
- `label_separator: "|"`: the cells of the label column are names between separators. An empty cell is a sample without a label.
- Neither: a label column in which every cell is a list of names (in JSONL and Parquet a list, else the text of a JSON or Python
  list) is multi-label; any other column holds one class per sample. A separator is never guessed. A column with both lists and
  names is an error. `[]` is a sample without a label; an empty cell is missing, as in a table with one class per sample.
- White space around a name is removed. A name that occurs twice in one cell counts once, an empty name between two separators is
  ignored; the table's notes report how often.
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
from whet.core.language import Sentence, english_n
from whet.core.spec import DataSpec
from whet.data.cells import missing, word
from whet.data.columns import Columns

Names = tuple[str, ...]
"""The labels of a sample, sorted; empty where it has none."""

_TRUE, _FALSE = {"1", "1.0", "true"}, {"0", "0.0", "false"}


@dataclass(frozen=True)
class LabelCells:
    """names_N: the labels of every row, None where the cell is missing. known: all classes, including those without samples."""

    names_N: list[Names | None]
    known: Names = ()
    notes: tuple[Sentence, ...] = ()


def find_labels(columns: Columns, spec: DataSpec) -> tuple[list[str | Names | None], LabelCells | None]:
    """(the label of every row, None where its cell is missing; the multi-label cells, None where the column holds one class per
    row)."""
    raw, path = columns.frame, columns.path
    if spec.label_columns is not None:
        columns.several(spec.label_columns)
        cells = _of_columns(raw, spec.label_columns, path)
    else:
        column = columns.require("label")
        found = _of_lists(raw, column, spec.label_separator, path)
        if found is None:
            words = [word(cell, path, line, column).strip() for line, cell in zip(raw.index, raw[column])]
            return [label or None for label in words], None
        cells = found
    return list(cells.names_N), cells


def _of_lists(raw: pd.DataFrame, column: str, separator: str | None, path: Path) -> LabelCells | None:
    """The labels of every row, or None where the column holds one class per row."""
    cells = raw[column]
    if separator is not None:
        split = [_split(cell, separator, f"{path}, row {line}: '{column}'") for line, cell in cells.items()]
        return _tidied(split, cells.index, path)
    lists = [None if missing(cell) else _as_list(cell) for cell in cells]
    given = [one is not None for one, cell in zip(lists, cells) if not missing(cell)]
    if not any(given):
        return None
    for (line, cell), found in zip(cells.items(), lists):
        where = f"{path}, row {line}: '{column}' holds"
        if found is None and not missing(cell):
            raise DataError(
                f"{where} '{cell}', but other rows hold lists; accepted: a list of names in every row, or one name in every row"
            )
        for name in found or ():
            if isinstance(name, bool) or not isinstance(name, str | int | float | np.integer | np.floating):
                raise DataError(f"{where} {name!r} in a list; accepted: a list of names or numbers")
    return _tidied(lists, cells.index, path)


def _of_columns(raw: pd.DataFrame, columns: Sequence[str], path: Path) -> LabelCells:
    true_NK = np.zeros((len(raw), len(columns)), dtype=bool)
    for k, name in enumerate(columns):
        values = ["" if missing(cell) else str(cell).strip().lower() for cell in raw[name]]
        for row, value in enumerate(values):
            if value not in _TRUE | _FALSE:
                problem = f"holds '{raw[name].iloc[row]}'" if value else "is empty"
                raise DataError(f"{path}, row {raw.index[row]}: '{name}' {problem}; accepted: 0 or 1")
            true_NK[row, k] = value in _TRUE
    rows: list[Names | None] = [tuple(sorted(names_of(true_K, columns))) for true_K in true_NK]
    return LabelCells(rows, tuple(columns))


def _tidied(lists: Iterable[list[Any] | None], lines: pd.Index, path: Path) -> LabelCells:
    """Strip white space from names, and remove duplicate and empty ones."""
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
    notes: list[Sentence] = []
    if twice:
        notes.append(
            english_n(
                "{table}: row {first} names the same label twice: it counts once",
                "{table}: {n} rows, the first is {first}, name the same label twice: it counts once",
                len(twice), table=path.name, first=twice[0],
            )
        )  # fmt: skip
    if empty:
        notes.append(
            english_n(
                "{table}: row {first} has an empty name: it is ignored",
                "{table}: {n} rows, the first is {first}, have an empty name: it is ignored",
                len(empty), table=path.name, first=empty[0],
            )
        )  # fmt: skip
    return LabelCells(names_N, notes=tuple(notes))


def _split(cell: Any, separator: str, where: str) -> list[str]:
    if missing(cell):
        return []
    if not isinstance(cell, str):
        if isinstance(cell, list | tuple | np.ndarray | dict):
            raise DataError(f"{where} holds a {type(cell).__name__}; accepted with label_separator: text")
        cell = str(cell)
    return cell.strip().split(separator)


def _as_list(cell: Any) -> list[Any] | None:
    """The list in a cell, or the list that its text represents; None for other cells."""
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
    """(the classes, the number of each sample's label, the classes of each label set (S, K) or None). A sample's label is its class
    where all are text, or its label set where they are tuples of names."""
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
