"""The files below a folder, the same wherever a folder is read: to train, to check and to predict.

The rules:
- Links to files and folders are followed, after all that is no link. A link to a folder that is read already is passed over, so
  that no loop is entered and nothing is read twice.
- Hidden files and folders (names that begin with a dot) are passed over, and so are `__MACOSX` and `__pycache__`.
- What whet itself wrote is never data: a folder that bears its marker, or that holds what an older run, study or check wrote.
- A folder that cannot be opened is passed over.

`Passed` counts all of it, so that it can be told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

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
    """What was passed over, by the rule that passed it over."""

    hidden: list[Path] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    looping: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)

    def notes(self, root: Path) -> list[str]:
        """A line a rule, with the names below `root`."""
        told = [
            (self.hidden, "hidden, passed over"),
            (self.written, "written by whet and no data, passed over"),
            (self.looping, "links to folders that are read already, passed over"),
            (self.closed, "folders that cannot be opened, passed over"),
        ]
        return [f"{len(paths)} {what}: {_named(paths, root)}" for paths, what in told if paths]


def _named(paths: list[Path], root: Path) -> str:
    names = [os.fsencode(os.path.relpath(path, root)).decode("utf-8", "backslashreplace") for path in paths[:_SHOWN]]
    return ", ".join(names) + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")


def all_below(folder: Path, passed: Passed | None = None) -> Iterator[Path]:
    """Every file below a folder, in the order of their names within each folder, a folder's own before those of its folders, and
    what is behind links last."""
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
    except OSError:  # a link that leads to itself
        return False


def folders_in(folder: Path) -> list[Path]:
    """The folders that lie directly in a folder, by the same rules, in the order of their names."""
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".") and path.name not in _JUNK
    )
