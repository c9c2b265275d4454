"""Splits and groups from a table beside the data: split.csv or splits.csv, with a file column and a split or group column."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from whet.core.errors import DataError
from whet.data.cells import TABLE_SUFFIXES, read_cells, word
from whet.data.columns import AS_IT_IS, Columns
from whet.data.masks.data import MaskImage
from whet.data.table import given_groups, given_splits

_NAMES = ("split", "splits")


def with_split_table(images: list[MaskImage], folder: Path) -> tuple[list[MaskImage], list[str]]:
    """(the images with the splits and groups of the table, notes). Images that it does not list stay undecided; its other rows are
    ignored. Splits that folders or file names state come first."""
    tables = [folder / f"{name}{suffix}" for name in _NAMES for suffix in TABLE_SUFFIXES]
    path = next((table for table in tables if table.is_file()), None)
    if path is None:
        return images, []
    cells = read_cells(path)
    columns = Columns(cells.frame, AS_IT_IS, path)
    column = columns.find("file")
    if column is None or not {columns.find("split"), columns.find("group")} - {None}:
        return images, [f"{path.name}: not read; it needs the columns file, and split or group"]
    rows: dict[str, tuple[str, str]] = {}
    for line, file, split, group in zip(
        cells.frame.index, cells.frame[column], given_splits(columns, cells.frame), given_groups(columns, cells.frame)
    ):
        name = str((folder / word(file, path, line, column).strip().replace("\\", "/")).resolve())
        if name in rows and rows[name] != (split, group):
            raise DataError(f"{path}, row {line}: {file} is listed before with another split or group")
        rows[name] = (split, group)
    listed = [rows.get(str(Path(image.path).resolve())) for image in images]
    count = sum(row is not None for row in listed)
    stated = any(image.split for image in images)
    found = [
        image if row is None else replace(image, split=image.split or row[0], group=row[1])
        for image, row in zip(images, listed)
    ]
    what = " and ".join(
        role for role in ("split", "group") if role in columns.used and not (stated and role == "split")
    )
    return found, [f"{path.name}: {what or 'nothing'} of {count} of {len(images)} images"]
