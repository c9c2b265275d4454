"""A folder of class folders, or of train/ val/ test/ folders that hold class folders."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.data.table import Table, make_frame, split_name


@dataclass(frozen=True)
class Files:
    """The files that count as samples of a medium, by how their names end."""

    medium: str
    suffixes: frozenset[str]

    @property
    def name(self) -> str:
        """What they are called."""
        return f"{self.medium}s"


PICTURES = Files("picture", frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}))
TEXTS = Files("text", frozenset({".txt"}))
SOUNDS = Files("sound", frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff"}))


def read_folder(root: Path, files: Files = PICTURES) -> Table:
    """Every picture, text or sound below `root`, its class the name of its class folder; what is hidden is passed over."""
    children = _folders(root)
    splits = {child: split_name(child.name) for child in children}
    if children and all(splits.values()) and "train" in splits.values():
        class_folders = [(folder, split) for child, split in splits.items() for folder in _folders(child)]
    else:
        class_folders = [(child, "") for child in children]

    classes = tuple(sorted({folder.name for folder, _ in class_folders}))
    number = {name: k for k, name in enumerate(classes)}
    rows: list[dict[str, Any]] = []
    others = Counter[str]()
    for folder, split in class_folders:
        for path in all_below(folder):
            if path.suffix.lower() not in files.suffixes:
                others[path.suffix.lower() or "no suffix"] += 1
                continue
            # A name that is not UTF-8 keeps its path but gets a printable id.
            name = os.fsencode(path.relative_to(root)).decode("utf-8", "backslashreplace")
            rows.append(
                {"id": name.replace(os.sep, "/"), "path": str(path), "label": number[folder.name], "split": split}
            )
    if not rows:
        raise DataError(
            f"{root}: no {files.name} in class folders found. Accepted: a folder with one folder a class "
            f"(or train/ val/ test/ with class folders inside), holding {' '.join(sorted(files.suffixes))}; "
            f"or a table with {'text' if files is TEXTS else 'file'} and label columns"
        )
    notes = []
    if others:
        listed = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common())
        notes.append(
            f"{sum(others.values())} files in the class folders are not {files.name} by their names and were passed over: {listed}"
        )
    used = {row["label"] for row in rows}
    for name in classes:
        if number[name] not in used:
            notes.append(f"class folder '{name}' holds no {files.name} and was left out")
    kept = tuple(name for name in classes if number[name] in used)
    renumber = {number[name]: k for k, name in enumerate(kept)}
    for row in rows:
        row["label"] = renumber[row["label"]]
    return Table(
        make_frame(sorted(rows, key=lambda row: row["id"])), kept, root, notes=tuple(notes), medium=files.medium
    )


def files_below(folder: Path, files: Files) -> list[Path]:
    """The files below a folder whose names are those of such samples, hidden ones passed over."""
    return [path for path in all_below(folder) if path.suffix.lower() in files.suffixes]


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def all_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder in the order of their names, hidden ones passed over."""
    for parent, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith((".", "__")))
        yield from (Path(parent) / name for name in sorted(files) if not name.startswith("."))
