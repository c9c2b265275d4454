"""A person's sounds: class folders, or a table that may name parts of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from whet.core.errors import DataError
from whet.data.folder import SOUNDS, read_folder
from whet.data.table import TABLE_SUFFIXES, Table, read_table


def read_sounds(
    path: Path,
    file_column: str | None = None,
    label_column: str | None = None,
    label_columns: tuple[str, ...] | None = None,
    label_separator: str | None = None,
) -> Table:
    """The samples of a folder or a table, with the columns start and end (seconds, NaN for the file's own), and fold where the
    table has it. The contents are not hashed yet."""
    if path.is_dir():
        table = read_folder(path, SOUNDS)
        return table.with_frame(table.frame.assign(start=np.nan, end=np.nan))
    if path.suffix.lower() in TABLE_SUFFIXES:
        return read_table(path, file_column, label_column, label_columns, label_separator, parts=True)
    raise DataError(f"data {path}: neither a folder nor a table; accepted: a folder, {', '.join(TABLE_SUFFIXES)}")
