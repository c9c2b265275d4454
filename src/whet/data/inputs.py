"""Reads the inputs of a prediction: one row per sample, and one row with an error for everything that is not a sample.

The rules:
- The name of an existing file or folder refers to it. In a folder, every file counts that is not hidden, with links followed as in
  training; files with other suffixes than those of the run's medium get a row with an error.
- A table is read by the column used in training, or by a specified one. Every line of it gets a row.
- For images and audio, anything else is a pattern. For texts it is a text, unless it looks like a path: it has the suffix of a text
  file or a table, starts with /, ./, ../ or ~/, ends with / or is a pattern within a folder, without white space.
- It is an error if something looks like a path and does not exist, or if a folder contains no sample.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whet.core.errors import DataError
from whet.core.spec import DataSpec
from whet.data.below import all_below
from whet.data.cells import TABLE_SUFFIXES
from whet.data.folder import AUDIO_FILES, IMAGE_FILES, TEXTS, Files
from whet.data.loader import why
from whet.data.table import part_name, read_unlabelled_files
from whet.data.text import clean_text
from whet.data.text_table import read_unlabelled_texts

_LONGEST_PATH = 4096
_PATH_STARTS = ("/", "./", "../", "~/")
_NO_TEXT = "no text"


@dataclass(frozen=True)
class _Reader:
    """Reads the inputs of one medium. tables: the suffixes of supported tables."""

    spec: DataSpec
    files: Files
    tables: frozenset[str]

    @property
    def is_text(self) -> bool:
        return self.files is TEXTS

    @property
    def accepted(self) -> str:
        return " ".join(sorted(self.files.suffixes | self.tables))

    def rows(self, given: Any) -> Iterator[dict[str, Any]]:
        if self.is_text and (given is None or given is pd.NA or (isinstance(given, float) and np.isnan(given))):
            given = ""
        if isinstance(given, bytes | list | tuple | dict | set):
            raise DataError(f"input {given!r}: a {type(given).__name__}; accepted: a path, or one text")
        if isinstance(given, str | os.PathLike):
            name = os.fspath(given)
        elif self.is_text and np.isscalar(given):
            name = str(given)
        else:
            raise DataError(f"input {given!r}: a {type(given).__name__}; accepted: a path")
        path = _path_of(name)
        if path is not None and os.path.isdir(path):
            yield from self._below(path)
        elif path is not None and os.path.isfile(path):
            yield from self._file(path)
        elif self.is_text and not isinstance(given, os.PathLike) and not self._looks_like_a_path(name):
            yield self._text(name)
        else:
            found = sorted(glob.glob(str(path), recursive=True)) if path is not None else []
            if not found:
                hint = (
                    "; to predict a text that ends like this, put it in a .txt file or a table" if self.is_text else ""
                )
                raise DataError(f"input {name}: no such file or folder, and no file matches it as a pattern{hint}")
            for match in map(Path, found):
                yield from self._below(match, refuse=False) if match.is_dir() else self._file(match)

    def _looks_like_a_path(self, name: str) -> bool:
        if len(name) > _LONGEST_PATH or "\n" in name or "://" in name:
            return False
        if Path(name).suffix.lower() in self.files.suffixes | self.tables:
            return True
        if not name or any(character.isspace() for character in name):
            return False
        return name.startswith(_PATH_STARTS) or name.endswith("/") or ("/" in name and glob.has_magic(name))

    def _below(self, folder: Path, *, refuse: bool = True) -> Iterator[dict[str, Any]]:
        files = list(all_below(folder))
        known = self.files.suffixes | (self.tables if self.is_text else set())
        if refuse and not any(file.suffix.lower() in known for file in files):
            raise DataError(f"folder {folder} contains no {self.files.name} ({self.accepted})")
        for file in files:
            if file.suffix.lower() in known:
                yield from self._file(file)
            else:
                yield self._unread(file, self._foreign(file))

    def _foreign(self, file: Path) -> str:
        return f"no {self.files.medium} by its suffix ({file.suffix.lower() or 'no suffix'}); accepted: {self.accepted}"

    def _file(self, file: Path) -> Iterator[dict[str, Any]]:
        try:
            if file.suffix.lower() in self.tables:
                yield from self._table(file)
            elif not self.is_text:
                yield {"name": _printable(file), "path": str(file)}
            elif file.suffix.lower() in self.files.suffixes:
                (text,) = read_unlabelled_texts(file)
                yield self._text(text)
            else:
                yield self._unread(file, self._foreign(file))
        except (DataError, OSError) as error:
            yield self._unread(file, why(error))

    def _table(self, table: Path) -> list[dict[str, Any]]:
        if self.is_text:
            return [self._text(text) for text in read_unlabelled_texts(table, self.spec.text_column)]
        frame = read_unlabelled_files(table, self.spec, parts=self.files is AUDIO_FILES)
        rows: list[dict[str, Any]] = []
        for line, row in zip(frame.index, frame.to_dict("records")):
            if row["path"]:
                part = part_name(row.get("start", np.nan), row.get("end", np.nan))
                rows.append({**row, "name": _printable(row["path"]) + part})
            else:
                rows.append({"name": f"{_printable(table)}:{line}", "path": f"{table}:{line}", "error": "no file name"})
        return rows

    def _text(self, given: str) -> dict[str, Any]:
        text = clean_text(given)
        return {"name": text.text, "text": text.text, "error": _NO_TEXT if text.blank else ""}

    def _unread(self, file: Path, reason: str) -> dict[str, Any]:
        return {"name": _printable(file), ("text" if self.is_text else "path"): str(file), "error": reason}


_MEDIA = {
    "image": (IMAGE_FILES, frozenset(TABLE_SUFFIXES)),
    "audio": (AUDIO_FILES, frozenset(TABLE_SUFFIXES)),
    "text": (TEXTS, frozenset(TABLE_SUFFIXES)),
}


def read_inputs(given: Any, spec: DataSpec, medium: str) -> pd.DataFrame:
    """One row per input, in order: name (for display), path (and for audio start and end, seconds, NaN for the file's own) or
    text, and error: '' or the reason why it is not a sample. A file or segment given twice has one row.

    given: a path or text, or several. spec: how the run's own data are read; its columns are read in tables. medium: image, audio
    or text. Raises DataError for something that looks like a path and does not exist."""
    if isinstance(given, pd.DataFrame):
        raise DataError("inputs: a DataFrame; give one of its columns")
    one = isinstance(given, str | os.PathLike) or not isinstance(given, Iterable)
    files, tables = _MEDIA[medium]
    reader = _Reader(spec, files, tables)
    rows = [row for item in ([given] if one else given) for row in reader.rows(item)]
    content = {"text": ["text"], "image": ["path"], "audio": ["path", "start", "end"]}[medium]
    missing: dict[str, Any] = {"error": "", "start": np.nan, "end": np.nan}
    columns = ["name", *content, "error"]
    # Object columns: the pandas string type cannot hold a file name that is not UTF-8.
    frame = pd.DataFrame(
        {key: pd.Series([row.get(key, missing.get(key)) for row in rows], dtype=object) for key in columns}
    )
    if medium == "text":
        return frame
    if medium == "audio":
        frame = frame.astype({"start": float, "end": float})
    return frame.drop_duplicates(content, ignore_index=True)


def _path_of(name: str) -> Path | None:
    """The path for this name, None if it cannot be one."""
    if not name or len(name) > _LONGEST_PATH or "\0" in name:
        return None
    try:
        return Path(name).expanduser()
    except RuntimeError:  # ~name without a home folder
        return Path(name)


def _printable(path: str | Path) -> str:
    """A file name as text; names that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
