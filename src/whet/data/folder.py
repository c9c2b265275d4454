"""Reads a folder of class folders, or of train/ val/ test/ folders that contain class folders.

The rules (for the listing of files see `below.py`):
- A folder that contains only one other folder is entered: zip files often have an extra level.
- `train` beside a folder for val or test, or `train` with class folders in it, is a folder of splits: every split contains class
  folders. Other folders beside them are an error, because they would otherwise become classes; a folder named unlabeled (or unsup)
  is left out.
- Otherwise each folder is a class, and all files below it belong to it.
- Where no class folder contains samples directly and its subfolders have recurring names (site/class, or class/day),
  `class_folder` must specify which level names the classes: "outer" or "inner". With "inner" the outer folders are groups.
- A sample outside every class folder has no class, and a file of an unsupported type cannot be read: both are left out and listed
  one by one, and more than 1 % of them stop a training. Files of other types (notes, annotations) are counted.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.core.language import Sentence, english
from whet.core.media import plural
from whet.data.below import Passed, all_below, folders_in
from whet.data.table import Skipped, Table, make_frame, split_name


@dataclass(frozen=True)
class Files:
    """The files of a medium, by file suffix. foreign: suffixes of unsupported formats of the same medium."""

    medium: str
    suffixes: frozenset[str]
    foreign: frozenset[str]

    @property
    def name(self) -> str:
        """The plural name for messages."""
        return plural(self.medium)

    def reason(self, path: Path) -> str:
        """Why an unsupported file is left out."""
        return f"{path.suffix.lower()} is not read; accepted: {' '.join(sorted(self.suffixes))}"


IMAGE_FILES = Files(
    "image",
    frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}),
    frozenset({".heic", ".heif", ".avif", ".jxl", ".jp2", ".jfif", ".svg", ".psd", ".dng", ".cr2", ".nef", ".arw", ".raw", ".ppm",
               ".pgm", ".tga", ".dcm"}),
)  # fmt: skip
TEXTS = Files(
    "text", frozenset({".txt"}), frozenset({".pdf", ".doc", ".docx", ".odt", ".rtf", ".html", ".htm", ".eml"})
)
AUDIO_FILES = Files(
    "audio",
    frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff"}),
    frozenset({".m4a", ".aac", ".wma", ".amr", ".mp4", ".webm", ".caf", ".au"}),
)
NO_CLASS = "is not in a class folder and so has no class"
WITHOUT_LABEL = "have no label and were left out"  # the end of a note
_UNLABELLED = frozenset({"unlabeled", "unlabelled", "unsup", "unsupervised"})
_SHOWN = 5


@dataclass
class _Found:
    """The samples below a root: the path components below the root, with the file name last, and the path of the file."""

    root: Path
    samples: list[tuple[tuple[str, ...], Path]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[Sentence] = field(default_factory=list)

    @property
    def folders(self) -> list[str]:
        """The direct subfolders of the root that contain samples."""
        return sorted({names[0] for names, _ in self.samples if len(names) > 1})

    def skip(self, names: tuple[str, ...], reason: str) -> None:
        self.skipped.append(Skipped(_id(names), reason))


def read_folder(root: Path, files: Files = IMAGE_FILES, class_folder: str | None = None) -> Table:
    """Every image, text or audio clip below `root`, with the name of its class folder as its class, by the rules above."""
    passed, others = Passed(), Counter[str]()
    found = _Found(root)
    for path in all_below(root, passed):
        names = path.relative_to(root).parts
        if path.suffix.lower() in files.suffixes | files.foreign:
            found.samples.append((names, path))
        elif len(names) > 1:
            others[path.suffix.lower() or "no suffix"] += 1
    _open_single(found)
    parts = _has_parts(found)
    empty = _without_samples(found, passed, parts=parts)
    rows = _rows_of_parts(found, files) if parts else _rows_of_classes(found, files, class_folder)
    rows = [row for row in rows if _is_read(row, found, files)]
    if not rows:
        first = f"; the first left out: {found.skipped[0].id}: {found.skipped[0].reason}" if found.skipped else ""
        raise DataError(
            f"{root}: no {files.name} in class folders found{first}. Accepted: a folder with one folder per class "
            f"(or train/ val/ test/ with class folders inside), containing {' '.join(sorted(files.suffixes))}; "
            f"or a table with {'text' if files is TEXTS else 'file'} and label columns"
        )
    if others:
        listed = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common())
        found.notes.append(
            english(
                "{n} files in the class folders are not {files!t} by their suffix and were skipped: {suffixes}",
                n=sum(others.values()),
                files=files.name,
                suffixes=listed,
            )
        )
    found.notes += [
        english("folder '{folder}' contains no {files!t} and was left out", folder=name, files=files.name)
        for name in empty
    ]
    found.notes += passed.notes(root)
    if found.skipped:
        found.notes.append(
            english(
                "{n} files were left out, the first: {id}: {reason}",
                n=len(found.skipped),
                id=found.skipped[0].id,
                reason=found.skipped[0].reason,
            )
        )
    classes = tuple(sorted({row["label"] for row in rows}))
    number = {name: k for k, name in enumerate(classes)}
    for row in rows:
        row["label"] = number[row["label"]]
    frame = make_frame(sorted(rows, key=lambda row: row["id"]))
    return Table(frame, classes, found.root, tuple(found.skipped), tuple(found.notes), files.medium)


def has_classes(root: Path, files: Files) -> bool:
    """Whether at least two direct subfolders of `root` contain such files."""
    return len({names[0] for path in files_below(root, files) if len(names := path.relative_to(root).parts) > 1}) > 1


def files_below(folder: Path, files: Files) -> list[Path]:
    """The files below a folder with a suffix of this medium, by the rules of `below.py`."""
    return [path for path in all_below(folder) if path.suffix.lower() in files.suffixes]


def _id(names: tuple[str, ...]) -> str:
    """The id of a sample; a name that is not UTF-8 is escaped."""
    return os.fsencode("/".join(names)).decode("utf-8", "backslashreplace")


def _open_single(found: _Found) -> None:
    """Enter the only folder repeatedly, as long as it contains its samples in subfolders."""
    while (
        found.samples
        and all(len(names) > 2 and names[0] == found.samples[0][0][0] for names, _ in found.samples)
        and split_name(found.folders[0]) is None
    ):
        inner = found.root / found.folders[0]
        found.notes.append(
            english(
                "{folder} contains only one folder: {inner} is read instead", folder=found.root.name, inner=inner.name
            )
        )
        found.root, found.samples = inner, [(names[1:], path) for names, path in found.samples]


def _has_parts(found: _Found) -> bool:
    parts = {name: split_name(name) for name in found.folders}
    if "train" not in parts.values():
        return False
    return len(set(parts.values()) - {None}) > 1 or any(
        parts[names[0]] == "train" and len(names) > 2 for names, _ in found.samples if len(names) > 1
    )


def _rows_of_parts(found: _Found, files: Files) -> list[dict[str, Any]]:
    counts = Counter(names[0] for names, _ in found.samples if len(names) > 1)
    beside = [name for name in found.folders if split_name(name) is None and name.lower() not in _UNLABELLED]
    if beside:
        listed = ", ".join(f"{name}/ ({counts[name]} {files.name})" for name in beside)
        raise DataError(
            f"{found.root}: {listed} beside {', '.join(f'{name}/' for name in found.folders if split_name(name))}: neither train, "
            "val nor test. Move it elsewhere, or write a table with the columns file, label and split"
        )
    parts_of: dict[str, set[str | None]] = {}  # splits of each class folder
    for names, _ in found.samples:
        if len(names) > 2:
            parts_of.setdefault(names[1], set()).add(split_name(names[0]))
    rows, unlabelled = [], Counter[str]()
    for names, path in found.samples:
        part = split_name(names[0]) if len(names) > 1 else None
        if len(names) > 1 and part is None:
            unlabelled[f"{names[0]}/"] += 1
        elif part is not None and len(names) > 2 and names[1].lower() in _UNLABELLED and len(parts_of[names[1]]) == 1:
            unlabelled[f"{names[0]}/{names[1]}/"] += 1
        elif len(names) < 3:
            found.skip(names, NO_CLASS)
        else:
            rows.append({"id": _id(names), "path": str(path), "label": names[1], "split": part})
    found.notes += [
        english("{n} {files!t} in {folder} have no label and were left out", n=count, files=files.name, folder=name)
        for name, count in unlabelled.items()
    ]
    return rows


def _rows_of_classes(found: _Found, files: Files, class_folder: str | None) -> list[dict[str, Any]]:
    inside = [names for names, _ in found.samples if len(names) > 1]
    if class_folder is None and inside and all(len(names) > 2 for names in inside):
        _refuse_nested(found.root, {(names[0], names[1]) for names in inside})
    rows = []
    for names, path in found.samples:
        if len(names) < 2:
            found.skip(names, NO_CLASS)
            continue
        inner = class_folder == "inner" and len(names) > 2
        label, group = (names[-2], "/".join(names[:-2])) if inner else (names[0], "")
        rows.append({"id": _id(names), "path": str(path), "label": label, "group": group})
    return rows


def _refuse_nested(root: Path, pairs: set[tuple[str, str]]) -> None:
    """DataError where the same names occur in half of the folders (at least two), because the classes are then ambiguous."""
    outer = sorted({name for name, _ in pairs})
    least = max(2, len(outer) / 2)
    often = sorted(name for name, count in Counter(name for _, name in pairs).items() if count >= least)
    if len(often) > 1:
        raise DataError(
            f"{root}: the folders {_listed(outer)} contain folders of the same names, {_listed(often)}: which are the classes? "
            "--class-folder outer: the former; --class-folder inner: the latter, and the former are groups"
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")


def _is_read(row: dict[str, Any], found: _Found, files: Files) -> bool:
    path = Path(row["path"])
    if path.suffix.lower() in files.suffixes:
        return True
    found.skipped.append(Skipped(row["id"], files.reason(path)))
    return False


def _without_samples(found: _Found, passed: Passed, *, parts: bool) -> list[str]:
    """Folders without samples that no other note mentions."""
    filled = {found.root.joinpath(*names[:depth]) for names, _ in found.samples for depth in range(1, len(names))}
    noted = {path for paths in (passed.written, passed.closed, passed.looping) for path in paths}
    outer = folders_in(found.root)
    inner = [folder for part in outer if parts and split_name(part.name) for folder in folders_in(part)]
    return [
        folder.relative_to(found.root).as_posix()
        for folder in (*outer, *inner)
        if folder not in filled and not any(path == folder or folder in path.parents for path in noted)
    ]
