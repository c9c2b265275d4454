"""The labels of a sample that may have several, as tables hold them and as people read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

NO_LABEL = "no label"


def labels_cell(names: Iterable[str]) -> str:
    """As one cell of a table: a JSON list, `["blue", "red"]`, which whet reads back."""
    return json.dumps(list(names), ensure_ascii=False)


def cell_labels(cell: str) -> list[str]:
    """The names that `labels_cell` was given."""
    return json.loads(cell)


def labels_said(names: Sequence[str]) -> str:
    """As people read them: "blue, red", or that there is none."""
    return ", ".join(names) or NO_LABEL


def cell_said(cell: str) -> str:
    """What `labels_cell` made, as people read it."""
    return labels_said(cell_labels(cell))


def names_of(label_K: np.ndarray, classes: Sequence[str]) -> list[str]:
    """The names of the classes that are true, in the order of the classes."""
    return [name for name, true in zip(classes, label_K) if true]


def matrix_of(cells: Iterable[str], classes: Sequence[str]) -> np.ndarray:
    """Which classes these cells name, bool (N, K)."""
    number = {name: k for k, name in enumerate(classes)}
    cells = list(cells)
    found_NK = np.zeros((len(cells), len(classes)), dtype=bool)
    for row, cell in enumerate(cells):
        found_NK[row, [number[name] for name in cell_labels(cell)]] = True
    return found_NK
