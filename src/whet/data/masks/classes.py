"""The classes of mask files: from their numbers or colours, and from a list of names beside them.

The rules for numbers:
- Names come from `data.masks.classes`, or from one of the files classes.txt, class_names.txt, labels.txt, codes.txt (a name in each
  line, from 0) or _classes.csv (number, name). With n names, the highest number n means that 0 is an unnamed background.
- Without names, 0 is the background, and every other number that occurs is a class, named by its number.
- 255 is ignored (`data.masks.ignore`), but if the masks hold nothing but 0 and 255, 255 is class 1.
- A number beyond the classes is an error. So is a colour that the colour table does not list.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from whet.core.errors import DataError
from whet.core.mask_spec import MaskSpec
from whet.core.masks import IGNORE
from whet.data.cells import read_cells
from whet.data.masks.named import BACKGROUND, is_background, is_ignored
from whet.data.masks.png import Seen, Table, packed, said
from whet.data.masks.shapes import checked_name
from whet.data.text import decode

_NAME_FILES = ("classes.txt", "class_names.txt", "labels.txt", "codes.txt", "_classes.csv")
_COLOUR_FILES = ("class_dict.csv", "labelmap.txt", "label_colors.txt")


@dataclass(frozen=True)
class Classes:
    """names: by class number. table: number or packed colour in the files -> class, or IGNORE."""

    names: tuple[str, ...]
    table: Table
    has_background: bool
    notes: tuple[str, ...] = ()


def colour_table(folders: Sequence[Path], spec: MaskSpec) -> tuple[dict[str, tuple[int, int, int]], str] | None:
    """(the colour of each class, where it was found): from the settings, or from a file in one of the folders."""
    if spec.colours is not None:
        return dict(spec.colours), "data.masks.colours"
    path = _first(folders, _COLOUR_FILES)
    if path is None:
        return None
    rows = re.split(r"\r\n|\r|\n", decode(path.read_bytes())[0])
    found: dict[str, tuple[int, int, int]] = {}
    for row in rows:
        if match := re.fullmatch(r"\s*([^:,#][^:,]*)[,:]\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(:.*)?", row):
            name, *levels = match.groups()[:4]
        elif match := re.fullmatch(r"\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S.*?)\s*", row):
            *levels, name = match.groups()
        else:
            continue
        if name.strip() in found or max(map(int, levels)) > 255:
            raise DataError(f"{path}: '{row}': each name once, with levels from 0 to 255")
        found[name.strip()] = (int(levels[0]), int(levels[1]), int(levels[2]))
    return (found, str(path)) if found else None


def of_colours(
    colours: dict[str, tuple[int, int, int]], where: str, paths: Sequence[str], seen: Sequence[Seen]
) -> Classes:
    """The classes of a colour table, the background first. DataError for two classes of one colour, or an unlisted colour."""
    names = [name for name in colours if not is_ignored(name)]
    names.sort(key=lambda name: not is_background(name))
    numbers = {name: number for number, name in enumerate(names)}
    table: dict[int, int] = {}
    for name, colour in colours.items():
        if packed(*colour) in table:
            raise DataError(f"{where}: '{name}' has the colour {colour} of another class")
        table[packed(*colour)] = numbers.get(name, IGNORE)
    _refuse_unknown(table, True, f"{where} lists {len(table)} colours", paths, seen)
    return Classes(tuple(names), tuple(table.items()), is_background(names[0]), (f"colours of classes: {where}",))


def of_numbers(folders: Sequence[Path], spec: MaskSpec, paths: Sequence[str], seen: Sequence[Seen]) -> Classes:
    """The classes of files with numbers."""
    present = {value for one in seen for value, _ in one.counts}
    ignored, notes = spec.ignore, []
    named = _names(folders, spec)
    if (
        present == {0, 255}
        and ignored == 255
        and (named is None or sum(not is_background(n) for n in named[0].values()) == 1)
    ):
        name = next((name for name in named[0].values() if not is_background(name)), "") if named else "foreground"
        note = (
            f"the masks hold only 0 and 255: 255 is the class '{name}' (data.masks.ignore says which number is ignored)"
        )
        return Classes((BACKGROUND, name), ((0, 0), (255, 1)), True, (note,))
    known = present - {ignored}
    if named is None:
        values = sorted(known)
        by_number = {value: BACKGROUND if value == 0 else str(value) for value in values}
        if known - {0}:
            notes.append(f"classes are named by their numbers: {_listed([str(value) for value in values if value])}")
    else:
        by_number, where = named
        notes.append(f"names of classes: {where}")
        if (
            not any(map(is_background, by_number.values()))
            and max(known, default=0) == len(by_number) == max(by_number) + 1
        ):
            by_number = {0: BACKGROUND} | {number + 1: name for number, name in by_number.items()}
        known_too = {ignored} if ignored is not None else set()
        _refuse_unknown(set(by_number) | known_too, False, f"there are {len(by_number)} classes ({where})", paths, seen)
    numbers = sorted(by_number, key=lambda number: (not is_background(by_number[number]), number))
    if len(numbers) > IGNORE:
        raise DataError(
            f"{paths[0]} and others hold {len(numbers)} different numbers; at most {IGNORE} classes are read. "
            "For numbers of objects set data.masks.objects: true"
        )
    table = {number: k for k, number in enumerate(numbers)}
    if ignored is not None and ignored not in table:
        table[ignored] = IGNORE
    names = tuple(by_number[number] for number in numbers)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{named[1] if named else 'the masks'}: the class '{twice}' occurs twice")
    return Classes(names, tuple(table.items()), bool(names) and is_background(names[0]), tuple(notes))


def thing_name(folders: Sequence[Path], spec: MaskSpec) -> str:
    """The name of the only class of objects."""
    named = _names(folders, spec)
    names = [name for name in named[0].values() if not is_background(name)] if named else ["object"]
    if len(names) != 1:
        raise DataError(
            f"{folders[0]}: {len(names)} class names ({named[1] if named else ''}), but numbers of objects alone have one class; "
            "put files with classes beside them, in masks/"
        )
    return names[0]


def _names(folders: Sequence[Path], spec: MaskSpec) -> tuple[dict[int, str], str] | None:
    """(the names by number, where they were found)."""
    if spec.classes is not None:
        return dict(enumerate(spec.classes)), "data.masks.classes"
    path = _first(folders, _NAME_FILES)
    if path is None:
        return None
    if path.suffix == ".csv":
        frame = read_cells(path).frame
        if frame.shape[1] != 2:
            raise DataError(f"{path}: {frame.shape[1]} columns; accepted: the number and the name of each class")
        numbers, names = (frame.iloc[:, column].astype(str).str.strip().tolist() for column in (0, 1))
        if not all(number.isdecimal() for number in numbers):
            raise DataError(f"{path}: '{next(n for n in numbers if not n.isdecimal())}' is not the number of a class")
        return {int(number): checked_name(name, str(path)) for number, name in zip(numbers, names)}, str(path)
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", decode(path.read_bytes())[0])]
    return dict(enumerate(line for line in lines if line)), str(path)


def _first(folders: Sequence[Path], names: Sequence[str]) -> Path | None:
    return next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)


def _refuse_unknown(
    known: set[int] | dict[int, int], colours: bool, there_are: str, paths: Sequence[str], seen: Sequence[Seen]
) -> None:
    unknown = [
        (path, value, count) for path, one in zip(paths, seen) for value, count in one.counts if value not in known
    ]
    if not unknown:
        return
    path, value, count = unknown[0]
    more = f"; {len({path for path, _, _ in unknown}) - 1} more files hold such pixels" if len(unknown) > 1 else ""
    raise DataError(f"{path}: {said(value, colours)} of {count} pixels is no class: {there_are}{more}")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
