"""COCO JSON: polygons, both kinds of RLE, crowds; or, in images where no object has a segmentation, boxes.

The rules:
- Categories become classes by name, in the order of the first file; those without objects are left out, and noted. Numbers in the
  file (from 0, with gaps) mean nothing.
- Several files are read together if each names its split, by its folder or in its own name.
- Several polygons of an object are a union. A hole needs RLE, or a ring that runs in and out along the same line.
- An image without annotation is an image without objects.
- Polygons that cover nothing are left out and listed; an RLE of another size than its image is an error.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from whet.core import rle
from whet.core.errors import DataError
from whet.core.mask_spec import MaskSpec
from whet.core.masks import Masks
from whet.data.below import folders_in
from whet.data.masks.data import INSTANCES, MaskData, MaskImage, image_id, many
from whet.data.masks.frame import Frame, FrameUnknown, OtherSize, frames_of
from whet.data.masks.named import BACKGROUND, numbered
from whet.data.masks.shapes import Placed, checked_name
from whet.data.table import Skipped, split_name

_LOOKED_FOR = 100
_MANY_CROWDS = 0.05  # of the objects; 1 % in COCO itself


@dataclass
class _File:
    """One JSON file. split: train, val, test or ""."""

    path: Path
    split: str
    content: dict[str, Any]
    folder: Path = Path()
    names: dict[Any, str] = field(default_factory=dict)  # by category id
    of_image: dict[Any, list[dict[str, Any]]] = field(default_factory=dict)


@dataclass
class _Reading:
    """What was read so far."""

    root: Path
    numbers: dict[str, int]
    frame: str | None
    boxes: int = 0  # images
    images: list[MaskImage] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    dropped: list[Skipped] = field(default_factory=list)
    objects: int = 0
    read_by: dict[str, Path] = field(default_factory=dict)  # the file of each image


def is_coco(content: Any) -> bool:
    """Whether parsed JSON has the parts of a COCO file of objects."""
    return isinstance(content, dict) and all(
        isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
    )


def split_of(path: Path, root: Path) -> str:
    """The split that a file's folders below the root, or its own name, state: train/annotations.json, instances_val2017.json."""
    inside = Path(os.path.relpath(path, root)).parts
    for folder in inside[:-1]:
        if (found := split_name(folder)) is not None:
            return found
    words = [split_name(word) for word in re.findall(r"[a-z]+", path.stem.lower())]
    return next((word for word in words if word is not None), "")


def read_coco(
    paths: list[Path], root: Path, spec: MaskSpec, files_root: Path | None = None, threads: int = 4
) -> MaskData:
    """The images and objects of one or several COCO files. root: the folder that ids are relative to. files_root: the folder of the
    images; by default it is looked for around the JSON file."""
    files = [_load(path, split_of(path, root)) for path in paths]
    if len(files) > 1 and not all(file.split for file in files):
        listed = ", ".join(image_id(file.path, root) for file in files)
        raise DataError(f"{root}: several COCO files that do not all name their split ({listed}); give one of them")
    for file in files:
        file.folder = files_root or _images_folder(file)
    used = [file.names[ann["category_id"]] for file in files for ann in _annotations(file)]
    names = list(dict.fromkeys(name for file in files for name in file.names.values()))
    numbers, empty = numbered(names, used, "categories")
    notes = [*empty, *(f"{image_id(file.path, root)}: {many(len(file.content['images']), 'image')}" for file in files)]
    if not used:
        raise DataError(f"{files[0].path}: no object in {sum(len(file.content['images']) for file in files)} images")
    reading = _Reading(root, numbers, spec.frame)
    for file in files:
        _read_images(file, reading, threads)
    if reading.boxes:
        masks = any(ann.get("segmentation") for file in files for ann in _annotations(file))
        where = f"in {many(reading.boxes, 'image')} " if masks else ""
        notes.append(f"{where}no object has a segmentation: the boxes are read")
    data = MaskData(
        root,
        "coco",
        tuple(reading.images),
        (BACKGROUND, *(name for name, number in numbers.items() if number)),
        True,
        INSTANCES,
        reading.objects,
        tuple(reading.skipped),
        tuple(reading.dropped),
        tuple(notes),
    )
    return data.warned(*_crowd_warning(files))


def _load(path: Path, split: str) -> _File:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as JSON: {error}") from None
    if not is_coco(content):
        raise DataError(f"{path}: not a COCO file; it needs the lists images, annotations and categories")
    file = _File(path, split, content)
    _read_categories(file)
    known = Counter(_key(image, "id", file) for image in content["images"])
    _refuse_twice(file, "image id", known)
    _refuse_twice(file, "file_name", Counter(_key(image, "file_name", file) for image in content["images"]))
    file.of_image = {key: [] for key in known}
    for ann in content["annotations"]:
        image, category = _key(ann, "image_id", file), _key(ann, "category_id", file)
        if category not in file.names:
            same = sum(
                isinstance(other, dict) and other.get("category_id") == category for other in content["annotations"]
            )
            raise DataError(
                f"{path}: category_id {category} of {same} annotations is not among the categories "
                f"({', '.join(f'{key}: {name}' for key, name in file.names.items())})"
            )
        if image not in file.of_image:
            raise DataError(f"{path}: annotation {ann.get('id')}: image_id {image} is not among the images")
        file.of_image[image].append(ann)
    return file


def _key(entry: Any, key: str, file: _File) -> Any:
    value = entry.get(key) if isinstance(entry, dict) else None
    accepted = str if key == "file_name" else int | str
    if not isinstance(value, accepted) or isinstance(value, bool):
        what = "text" if key == "file_name" else "a number or text"
        raise DataError(f"{file.path}: {key} is {value!r} in {str(entry)[:80]}; accepted: {what}")
    return value


def _read_categories(file: _File) -> None:
    categories = file.content["categories"]
    used = {_key(ann, "category_id", file) for ann in file.content["annotations"]}
    _refuse_twice(file, "category id", Counter(_key(category, "id", file) for category in categories))
    for category in categories:
        name = checked_name(category.get("name"), f"{file.path}: category {category['id']}")
        file.names[category["id"]] = name
    # Roboflow lists the project as an empty category 0, parent of all others, sometimes with the name of one of them.
    for category in categories:
        children = [
            other for other in categories if other.get("supercategory") == category["name"] and other != category
        ]
        if category["id"] not in used and any(other["name"] == category["name"] for other in children):
            del file.names[category["id"]]
    _refuse_twice(file, "category name", Counter(file.names.values()))


def _refuse_twice(file: _File, what: str, counts: Counter[Any]) -> None:
    twice = next((value for value, count in counts.items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{file.path}: the {what} {twice!r} occurs {counts[twice]} times; each must be unique")


def _annotations(file: _File) -> list[dict[str, Any]]:
    return file.content["annotations"]


def _images_folder(file: _File) -> Path:
    """The folder around the JSON file in which most images are found."""
    here = file.path.parent
    beside = [here.parent, *folders_in(here.parent)] if here.name.lower().startswith("annotation") else []
    near = [here, *folders_in(here), *beside]
    near += [
        inner for folder in near[1:] if folder.name.lower() in ("images", "imgs", "img") for inner in folders_in(folder)
    ]
    names = [image["file_name"] for image in file.content["images"][:_LOOKED_FOR]]
    found = {folder: sum((folder / _as_path(name)).is_file() for name in names) for folder in near}
    return max(near, key=lambda folder: found[folder])  # the first of equals


def _as_path(name: str) -> str:
    return PureWindowsPath(name).as_posix() if "\\" in name else name


def _read_images(file: _File, reading: _Reading, threads: int) -> None:
    entries = file.content["images"]
    paths = [file.folder / _as_path(entry["file_name"]) for entry in entries]
    paths = [path if path.is_file() else file.folder / path.name for path in paths]
    for entry, path, frame in zip(entries, paths, frames_of(paths, threads)):
        name = image_id(path, reading.root)
        if isinstance(frame, str):
            reading.skipped.append(Skipped(name, frame))
            continue
        try:
            turn = frame.turn_for(_stated(entry, file), reading.frame, f"{file.path}: {name}")
        except (FrameUnknown, OtherSize) as error:
            if not file.of_image[entry["id"]]:
                turn = 1
            elif isinstance(error, OtherSize):
                reading.skipped.append(Skipped(name, str(error)))
                continue
            else:
                raise
        if (other := reading.read_by.setdefault(name, file.path)) != file.path:
            raise DataError(f"{file.path}: {name} is also in {other}; give one of the files")
        masks = _masks(file, entry, frame, turn, name, reading)
        reading.images.append(MaskImage(name, str(path), masks, file.split))


def _stated(entry: dict[str, Any], file: _File) -> rle.Size | None:
    height, width = entry.get("height"), entry.get("width")
    if height is None and width is None:
        return None
    if not all(isinstance(side, int) or (isinstance(side, float) and side.is_integer()) for side in (height, width)):
        raise DataError(
            f"{file.path}: image {entry['id']} has the size {width!r} x {height!r}; accepted: whole numbers"
        )
    return int(height), int(width)  # type: ignore[arg-type]


def _masks(file: _File, entry: dict[str, Any], frame: Frame, turn: int, name: str, reading: _Reading) -> Masks:
    placed = Placed(frame, turn)
    boxes_only = not any(ann.get("segmentation") for ann in file.of_image[entry["id"]])
    reading.boxes += boxes_only and any(ann.get("bbox") for ann in file.of_image[entry["id"]])
    for ann in file.of_image[entry["id"]]:
        thing = f"{name}, annotation {ann.get('id')}"
        number, crowd = reading.numbers[file.names[ann["category_id"]]], bool(ann.get("iscrowd"))
        given = ann.get("segmentation")
        if boxes_only:
            _add_box(placed, thing, number, ann.get("bbox"), crowd)
        elif isinstance(given, dict):
            try:
                counts = rle.from_coco(given, placed.size_there)
            except DataError as error:
                raise DataError(f"{file.path}: {thing}: {error}") from None
            placed.add_rle(thing, number, counts, crowd=crowd)
        elif isinstance(given, list):
            flat = bool(given) and all(isinstance(value, int | float) for value in given)
            placed.add_polygons(thing, number, [given] if flat else given, crowd=crowd)
        else:
            placed.drop(thing, "no segmentation" if given is None else f"the segmentation {given!r}")
    reading.dropped += placed.dropped
    reading.objects += len(placed.shapes)
    return Masks(frame.size, tuple(placed.shapes))


def _add_box(placed: Placed, thing: str, number: int, bbox: Any, crowd: bool) -> None:
    if not isinstance(bbox, list | tuple) or len(bbox) != 4 or not all(isinstance(v, int | float) for v in bbox):
        placed.drop(thing, f"neither a segmentation nor a box [x, y, width, height]: {bbox!r}")
        return
    x, y, width, height = bbox
    if not (width > 0 and height > 0):
        placed.drop(thing, f"a box of {width} x {height}")
        return
    placed.add_box(thing, number, (x, y, x + width, y + height), crowd=crowd)


def _crowd_warning(files: list[_File]) -> list[str]:
    """CVAT writes every mask drawn with a brush as a crowd."""
    every = [ann for file in files for ann in _annotations(file)]
    masks = [ann for ann in every if isinstance(ann.get("segmentation"), dict)]
    if not masks or not all(ann.get("iscrowd") for ann in masks) or len(masks) <= _MANY_CROWDS * len(every):
        return []
    return [
        f"all {len(masks)} masks given as RLE are marked as crowds, as CVAT writes them: their pixels do not count in training; "
        "set iscrowd to 0 where each is one object"
    ]
