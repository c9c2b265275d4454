"""The labels of a sample in a multi-label task, as stored in tables and as shown to people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

NO_LABEL = "no label"


def labels_cell(names: Iterable[str]) -> str:
    """The labels as one table cell: a JSON list, `["blue", "red"]`, which whet can read back."""
    return json.dumps(list(names), ensure_ascii=False)


def cell_labels(cell: str) -> list[str]:
    """The inverse of `labels_cell`."""
    return json.loads(cell)


def labels_text(names: Sequence[str]) -> str:
    """The labels for display: "blue, red", or "no label"."""
    return ", ".join(names) or NO_LABEL


def names_of(label_K: np.ndarray, classes: Sequence[str]) -> list[str]:
    """The names of the positive classes, in the order of the classes."""
    return [name for name, true in zip(classes, label_K) if true]
