"""Lists the files below a folder, in the same way for training, checks and prediction.

The rules:
- Links to files and folders are followed, after everything that is not a link. A link to a folder that was already read is skipped,
  so that there are no loops and nothing is read twice.
- Hidden files and folders (names that begin with a dot) are skipped, and so are `__MACOSX` and `__pycache__`.
- Output of whet is never data: a folder with its marker, or with the files of an older run, study or check.
- A folder that cannot be opened is skipped.

`Passed` records everything skipped, for the notes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from whet.core.language import Sentence, english, named
from whet.core.output import MARKER

_JUNK = frozenset({"__MACOSX", "__pycache__"})
_OURS = frozenset(
    {
        MARKER,
        "requested.yaml",
        "study.yaml",
        "tune.yaml",
        "improvement.json",
        "architectures.json",
        "check.json",
    }
)
_SHOWN = 3


@dataclass
class Passed:
    """Skipped files and folders, by the rule that applied."""

    hidden: list[Path] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    looping: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)

    def notes(self, root: Path) -> list[Sentence]:
        """One note per rule, with names relative to `root`."""
        found: list[Sentence] = []
        if self.hidden:
            values = {"n": len(self.hidden), "names": _named(self.hidden, root)}
            found.append(english("{n} hidden, skipped: {names!n}", **values))
        if self.written:
            values = {"n": len(self.written), "names": _named(self.written, root)}
            found.append(english("{n} written by whet, skipped: {names!n}", **values))
        if self.looping:
            values = {"n": len(self.looping), "names": _named(self.looping, root)}
            found.append(english("{n} links to folders that were already read, skipped: {names!n}", **values))
        if self.closed:
            values = {"n": len(self.closed), "names": _named(self.closed, root)}
            found.append(english("{n} folders that cannot be opened, skipped: {names!n}", **values))
        return found


def _named(paths: list[Path], root: Path) -> str:
    return named(
        [os.fsencode(os.path.relpath(path, root)).decode("utf-8", "backslashreplace") for path in paths], _SHOWN
    )


def all_below(folder: Path, passed: Passed | None = None) -> Iterator[Path]:
    """Every file below a folder, sorted by name within each folder; a folder's own files come before those of its subfolders, and
    linked folders last."""
    passed = passed if passed is not None else Passed()
    read: set[str] = set()
    waiting, links = [folder], list[Path]()
    while waiting or links:
        here = waiting.pop() if waiting else links.pop(0)
        real = os.path.realpath(here)
        if real in read:
            passed.looping.append(here)
            continue
        read.add(real)
        try:
            with os.scandir(here) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            passed.closed.append(here)
            continue
        if here != folder and any(entry.name in _OURS for entry in entries):
            passed.written.append(here)
            continue
        folders: list[Path] = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _JUNK:
                passed.hidden.append(here / entry.name)
            elif _is_folder(entry):
                (links if entry.is_symlink() else folders).append(here / entry.name)
            else:
                yield here / entry.name
        waiting += reversed(folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def folders_in(folder: Path) -> list[Path]:
    """The direct subfolders, by the same rules, sorted by name."""
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".") and path.name not in _JUNK
    )
