"""Splits from files that list the samples of a split."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from pathlib import Path

from whet.core.errors import DataError
from whet.data.cells import TABLE_SUFFIXES, read_cells
from whet.data.cells import word as word_of
from whet.data.columns import USUAL
from whet.data.table import Table, split_name
from whet.data.text import decode


def apply_split_files(table: Table, patterns: tuple[str, ...]) -> Table:
    """Apply split lists. Each pattern is FILE, PART=FILE, or a pattern with * or {a,b,c}.

    The split of a list is given by `PART=` or by the end of its name (…train.txt, …val.txt, …test.txt). It contains one file per
    line, with or without a class number after it. A table (.csv, .tsv) with file and split columns lists all splits.
    """
    find = _Finder(table)
    splits: dict[int, tuple[str, str]] = {}  # row -> (split, where it is listed)
    class_of: dict[str, tuple[int, str]] = {}  # the list's class word -> (our class, where it is listed)
    for part, path in _expand(patterns):
        for row, name, class_word, where in _entries(path, part, find):
            if row is None:  # a listed file that was skipped because it cannot be read
                continue
            listed = splits.setdefault(row, (name, where))
            if listed[0] != name:
                raise DataError(
                    f"{where}: {table.frame['id'].iloc[row]} is in {name}, but {listed[1]} puts it in {listed[0]}"
                )
            if class_word:
                label = int(table.frame["label"].iloc[row])
                known = class_of.setdefault(class_word, (label, where))
                if known[0] != label:
                    here, there = table.text_of(label), table.text_of(known[0])
                    raise DataError(f"{where}: class {class_word} means '{here}' here, but '{there}' at {known[1]}")
    frame = table.frame.copy()
    frame["split"] = [splits[row][0] if row in splits else "" for row in range(len(frame))]
    return table.with_frame(frame)


def _expand(patterns: tuple[str, ...]) -> list[tuple[str | None, Path]]:
    found: list[tuple[str | None, Path]] = []
    for pattern in patterns:
        head, equals, tail = pattern.partition("=")
        part = split_name(head) if equals else None
        if equals and part is None and not Path(pattern).exists():
            raise DataError(
                f"split file '{pattern}': '{head}' is not a split; accepted: train=FILE, val=FILE, test=FILE"
            )
        for name in _braces(tail if part else pattern):
            paths = sorted(glob.glob(str(Path(name).expanduser())))
            if not paths:
                raise DataError(f"split file {name} does not exist")
            found += [(part, Path(path)) for path in paths]
    return found


def _braces(pattern: str) -> list[str]:
    match = re.search(r"\{([^{}]*,[^{}]*)\}", pattern)
    if match is None:
        return [pattern]
    return [
        word
        for option in match[1].split(",")
        for word in _braces(pattern[: match.start()] + option + pattern[match.end() :])
    ]


def _entries(path: Path, part: str | None, find: _Finder) -> Iterator[tuple[int | None, str, str, str]]:
    """(row, split, class word or '', 'file:line') for every entry of one list."""
    if path.suffix.lower() in TABLE_SUFFIXES and part is None:
        frame = read_cells(path).frame
        lowered = {str(column).strip().lower(): column for column in frame.columns}
        file_column = next((lowered[name] for name in ("id", *USUAL["file"]) if name in lowered), None)
        if "split" not in lowered or file_column is None:
            raise DataError(
                f"split file {path}: needs the columns file (or id, path) and split; has {', '.join(map(str, frame.columns))}"
            )
        for number, name, cell in zip(frame.index, frame[file_column], frame[lowered["split"]]):
            split = split_name(word_of(cell, path, number, "split"))
            if split is None:
                raise DataError(f"{path}:{number}: split '{cell}' is unknown; accepted: train, val, test")
            yield find.row(str(name), f"{path}:{number}"), split, "", f"{path}:{number}"
        return
    if part is None:
        ending = re.search(r"(?:^|[^a-z])([a-z]+)$", path.stem.lower())
        part = split_name(ending[1]) if ending else None
    if part is None:
        raise DataError(f"split file {path}: the split is unknown; write train={path}, val={path} or test={path}")
    for number, line in enumerate(decode(path.read_bytes())[0].splitlines(), start=1):
        line = line.strip()
        if line and not line.startswith("#"):
            name, class_word = find.split_class(line)
            yield find.row(name, f"{path}:{number}"), part, class_word, f"{path}:{number}"


class _Finder:
    """Finds rows by the names in a list: the id, or the file name alone where it is unique."""

    def __init__(self, table: Table) -> None:
        ids = table.frame["id"].tolist()
        self._rows = {name: row for row, name in enumerate(ids)}
        bare: dict[str, list[int]] = {}
        for row, name in enumerate(ids):
            bare.setdefault(name.rsplit("/", 1)[-1], []).append(row)
        self._bare = bare
        skipped = {entry.id for entry in table.skipped}
        self._skipped = skipped | {id_.rsplit("/", 1)[-1] for id_ in skipped} - set(bare)

    def split_class(self, line: str) -> tuple[str, str]:
        """'a b.jpg 3' -> ('a b.jpg', '3'); a line that is a complete file name has no class word."""
        if line in self._rows or line in self._bare:
            return line, ""
        name, _, word = line.rpartition(" ") if " " in line else line.rpartition("\t")
        return (name.strip(), word) if name else (line, "")

    def row(self, name: str, where: str) -> int | None:
        name = name.removeprefix("./").replace("\\", "/")
        if name in self._skipped:
            return None
        if name in self._rows:
            return self._rows[name]
        rows = self._bare.get(name, [])
        if len(rows) == 1:
            return rows[0]
        if rows:
            raise DataError(
                f"{where}: {len(rows)} samples have the name '{name}'; write the path relative to the data folder"
            )
        raise DataError(f"{where}: '{name}' is not among the samples")
