"""YOLO: data.yaml with the class names and the folders of the splits, and beside images/ a folder labels/ of text files.

The rules:
- A line is `class x y x y …`, a polygon, or `class x y width height`, a box around (x, y); all as shares of the image's sides.
- Every line is one object: two lines are two objects.
- An image without a text file, or with an empty one, is an image without objects.
- Text files do not say the size of the image, so an image with an EXIF orientation needs `data.masks.frame`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from whet.core.errors import DataError
from whet.core.mask_spec import MaskSpec
from whet.core.masks import Masks
from whet.data.folder import IMAGE_FILES, files_below
from whet.data.masks.data import INSTANCES, MaskData, MaskImage, image_id, many
from whet.data.masks.frame import Frame, frames_of
from whet.data.masks.named import BACKGROUND, numbered
from whet.data.masks.shapes import Placed, checked_name
from whet.data.table import Skipped

_SPLITS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
_SLACK = 0.01  # beyond the border, by rounding; further out the coordinates are not shares
Line = tuple[int, list[float]]


def yolo_file(path: Path) -> Path | None:
    """The data file of a YOLO folder, or the given file if it is one."""
    files = [path / name for name in ("data.yaml", "data.yml", "dataset.yaml")] if path.is_dir() else [path]
    for file in files:
        if file.suffix.lower() in (".yaml", ".yml") and file.is_file():
            content = _load(file)
            if isinstance(content, dict) and "names" in content and _SPLITS.keys() & content.keys():
                return file
    return None


def _load(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not readable as YAML: {error}") from None


def read_yolo(path: Path, spec: MaskSpec, threads: int = 4) -> MaskData:
    """The images and objects of a data.yaml."""
    content, root = _load(path), path.parent
    names = _names(content["names"], path)
    split_of = _images(content, path)
    if not split_of:
        raise DataError(
            f"{path}: no image found in {', '.join(str(content[key]) for key in _SPLITS if content.get(key))}"
        )
    lines, dropped, without = {}, list[Skipped](), 0
    for image in split_of:
        label = _label_file(image)
        without += not label.is_file()
        lines[image] = _lines(label, names, image_id(image, root), dropped) if label.is_file() else []
    used = [names[number] for found in lines.values() for _, (number, _) in found]
    numbers, notes = numbered(list(names.values()), used)
    if not used:
        raise DataError(f"{path}: no object in the text files of {len(split_of)} images")
    if without:
        notes.append(f"{many(without, 'image')} of {len(split_of)} without a text file: images without objects")
    read, skipped, objects = list[MaskImage](), list[Skipped](), 0
    for image, frame in zip(split_of, frames_of(split_of, threads)):
        name = image_id(image, root)
        if isinstance(frame, str):
            skipped.append(Skipped(name, frame))
            continue
        placed = _placed(lines[image], frame, spec, names, numbers, name)
        dropped += placed.dropped
        objects += len(placed.shapes)
        read.append(MaskImage(name, str(image), Masks(frame.size, tuple(placed.shapes)), split_of[image]))
    classes = (BACKGROUND, *(name for name, number in numbers.items() if number))
    return MaskData(
        root, "yolo", tuple(read), classes, True, INSTANCES, objects, tuple(skipped), tuple(dropped), tuple(notes)
    )


def _names(given: Any, path: Path) -> dict[int, str]:
    if isinstance(given, list):
        given = dict(enumerate(given))
    if not isinstance(given, dict) or not given or not all(isinstance(number, int) for number in given):
        raise DataError(f"{path}: names = {given!r}; accepted: a list of names, or a name for each number")
    names = {number: checked_name(name, f"{path}: class {number}") for number, name in sorted(given.items())}
    twice = next((name for name in names.values() if list(names.values()).count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: the class '{twice}' occurs twice in names")
    return names


def _images(content: dict[str, Any], path: Path) -> dict[Path, str]:
    """The split of every image file."""
    base = path.parent / str(content.get("path") or "")
    if not base.is_dir():
        base = path.parent
    found: dict[Path, str] = {}
    for key, split in _SPLITS.items():
        places = content.get(key) or []
        for place in places if isinstance(places, list) else [places]:
            for image in _listed(base, path.parent, str(place), f"{path}: {key}"):
                if found.setdefault(image, split) != split:
                    raise DataError(f"{path}: {image} is in {found[image]} and in {split}")
    return found


def _listed(base: Path, beside: Path, place: str, where: str) -> list[Path]:
    # Exports write ../train/images for a folder beside the file.
    candidates = [folder / name for name in (place, place.removeprefix("../")) for folder in (base, beside)]
    there = next((candidate for candidate in candidates if candidate.exists()), None)
    if there is None:
        if where.endswith(": test"):  # often written without a test part
            return []
        raise DataError(f"{where} = {place}: no such folder or file")
    if there.is_dir():
        return files_below(there, IMAGE_FILES)
    names = [line.strip() for line in there.read_text(encoding="utf-8", errors="replace").splitlines()]
    images = [there.parent / name if name.startswith("./") else base / name for name in names if name]
    return [image for image in images if image.suffix.lower() in IMAGE_FILES.suffixes]


def _label_file(image: Path) -> Path:
    """images/a/1.jpg -> labels/a/1.txt, by the last folder called images; else beside the image."""
    parts = list(image.parts)
    places = [k for k, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")


def _lines(path: Path, names: dict[int, str], image: str, dropped: list[Skipped]) -> list[tuple[int, Line]]:
    """(line number, (class number in the file, numbers)) of every line that can be read."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        cells = line.split()
        if not cells:
            continue
        try:
            class_number, values = float(cells[0]), [float(cell) for cell in cells[1:]]
        except ValueError:
            dropped.append(Skipped(f"{image}, line {number}", f"'{line[:40]}' is not a line of numbers"))
            continue
        if class_number not in names:
            raise DataError(f"{path}:{number}: class {cells[0]} is not among the names ({', '.join(map(str, names))})")
        found.append((number, (int(class_number), values)))
    return found


def _placed(
    lines: list[tuple[int, Line]],
    frame: Frame,
    spec: MaskSpec,
    names: dict[int, str],
    numbers: dict[str, int],
    name: str,
) -> Placed:
    if not lines:
        return Placed(frame)
    placed = Placed(frame, frame.turn_for(None, spec.frame, name))
    height, width = placed.size_there
    for line, (class_number, values) in lines:
        thing, number = f"{name}, line {line}", numbers[names[class_number]]
        if any(value > 1 + _SLACK or value < -_SLACK for value in values):
            placed.drop(thing, "coordinates that are not shares of the image, from 0 to 1")
        elif len(values) == 4:
            x, y, w, h = values[0] * width, values[1] * height, values[2] * width, values[3] * height
            placed.add_box(thing, number, (x - w / 2, y - h / 2, x + w / 2, y + h / 2))
        elif len(values) % 2:
            placed.drop(thing, f"{len(values)} coordinates; accepted: pairs, or a box of four")
        else:
            scaled = [value * (height if k % 2 else width) for k, value in enumerate(values)]
            placed.add_polygons(thing, number, [scaled])
    return placed
