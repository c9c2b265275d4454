"""labelme: beside each image a JSON file with its shapes.

The rules:
- polygon, rectangle (two corners in any order) and circle (centre and a point of the rim) are masks, and so is mask (a picture of
  the pixels inside its two corners). line and linestrip are scribbles, point is a point.
- Shapes of one label with the same group_id are one object.
- The label `__ignore__` marks pixels that do not count, `_background_` the background.
- Classes are sorted by name. An image without a JSON file is not annotated, and left out.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from PIL import Image

from whet.core import rle
from whet.core.errors import DataError
from whet.core.mask_spec import MaskSpec
from whet.core.masks import Kind, Masks
from whet.core.outlines import polygons_of
from whet.core.polygons import box_points
from whet.data.folder import IMAGE_FILES, files_below
from whet.data.image import DAMAGE
from whet.data.masks.data import INSTANCES, MaskData, MaskImage, image_id, many
from whet.data.masks.frame import OtherSize, frames_of
from whet.data.masks.named import BACKGROUND, is_ignored, numbered
from whet.data.masks.shapes import Placed, as_points, checked_name
from whet.data.table import Skipped, split_name

_KINDS: dict[str, Kind] = {"polygon": "mask", "rectangle": "mask", "circle": "mask", "mask": "mask", "line": "scribble",
                           "linestrip": "scribble", "point": "point"}  # fmt: skip


@dataclass
class _Object:
    """The shapes of one object."""

    name: str
    label: str
    kind: Kind
    outlines: list[np.ndarray] = field(default_factory=list)


def read_labelme(files: list[Path], root: Path, spec: MaskSpec, threads: int = 4) -> MaskData:
    """The images and objects of labelme files."""
    loaded = [_load(file) for file in files]
    images = [_image_of(file, content) for file, content in zip(files, loaded)]
    labels = [
        checked_name(shape.get("label"), str(file))
        for file, content in zip(files, loaded)
        for shape in _shapes(content, file)
    ]
    numbers, notes = numbered(sorted(set(labels)), labels)
    if not any(numbers.values()):
        raise DataError(f"{root}: no object in {len(files)} labelme files")
    bare = [path for path in files_below(root, IMAGE_FILES) if path not in set(images)]
    if bare:
        notes.append(f"{many(len(bare), 'image')} without a JSON file, left out, such as {image_id(bare[0], root)}")
    read, skipped, dropped, objects = list[MaskImage](), list[Skipped](), list[Skipped](), 0
    for file, content, image, frame in zip(files, loaded, images, frames_of(images, threads)):
        name = image_id(image, root)
        if isinstance(frame, str):
            skipped.append(Skipped(name, frame))
            continue
        stated = content.get("imageHeight"), content.get("imageWidth")
        try:
            turn = frame.turn_for(None if None in stated else stated, spec.frame, f"{file}: {name}")  # type: ignore[arg-type]
        except OtherSize as error:
            skipped.append(Skipped(name, str(error)))
            continue
        placed = Placed(frame, turn)
        for thing in _objects(_shapes(content, file), name, placed):
            crowd = is_ignored(thing.label)
            placed.add_polygons(thing.name, numbers.get(thing.label, 0), thing.outlines, crowd=crowd, kind=thing.kind)
        dropped += placed.dropped
        objects += len(placed.shapes)
        split = next((found for part in Path(name).parts[:-1] if (found := split_name(part))), "")
        read.append(MaskImage(name, str(image), Masks(frame.size, tuple(placed.shapes)), split))
    classes = (BACKGROUND, *(name for name, number in numbers.items() if number))
    return MaskData(
        root, "labelme", tuple(read), classes, True, INSTANCES, objects, tuple(skipped), tuple(dropped), tuple(notes)
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise DataError(f"{path}: not a labelme file; it needs the list shapes")
    return content


def _shapes(content: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    if not all(isinstance(shape, dict) for shape in content["shapes"]):
        raise DataError(f"{path}: a shape that is not an object with label and points")
    return content["shapes"]


def _image_of(file: Path, content: dict[str, Any]) -> Path:
    """By imagePath, else by the name of the JSON file."""
    named = file.parent / PureWindowsPath(str(content.get("imagePath"))).as_posix()
    beside = [file.parent / named.name, *(file.with_suffix(suffix) for suffix in sorted(IMAGE_FILES.suffixes))]
    return next((path for path in (named, *beside) if path.is_file()), named)


def _objects(shapes: Iterable[dict[str, Any]], name: str, placed: Placed) -> list[_Object]:
    found: list[_Object] = []
    groups: dict[tuple[str, str | None, Kind], _Object] = {}
    for number, shape in enumerate(shapes, start=1):
        thing, form = f"{name}, shape {number}", str(shape.get("shape_type") or "polygon")
        group = None if shape.get("group_id") is None else str(shape["group_id"])
        label = str(shape["label"]).strip()
        kind = _KINDS.get(form)
        if kind is None:
            placed.drop(thing, f"a {form}; read are {', '.join(_KINDS)}")
            continue
        try:
            outlines = _outlines(shape, form, placed.size_there)
        except ValueError as error:
            placed.drop(thing, str(error))
            continue
        entry = groups.get((label, group, kind)) if group is not None else None
        if entry is None:
            entry = groups[label, group, kind] = _Object(thing, label, kind)
            found.append(entry)
        entry.outlines += outlines
    return found


def _outlines(shape: dict[str, Any], form: str, size: rle.Size) -> list[np.ndarray]:
    points = as_points(shape.get("points"))
    if points is None or not len(points) or not np.isfinite(points).all():
        raise ValueError("points that are not pairs of finite numbers")
    if form in ("rectangle", "circle", "mask") and len(points) != 2:
        raise ValueError(f"{len(points)} points; a {form} has 2")
    if form == "rectangle":
        return [box_points(*points.min(axis=0), *points.max(axis=0))]
    if form == "circle":
        radius = float(np.hypot(*(points[1] - points[0])))
        angles = np.linspace(0, 2 * math.pi, max(32, math.ceil(4 * radius)), endpoint=False)
        return [points[0] + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)]
    if form == "mask":
        return [outline + np.round(points.min(axis=0)) for outline in polygons_of(_picture(shape.get("mask")))]
    return [points]


def _picture(encoded: Any) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(base64.b64decode(encoded)), formats=("PNG",)) as image:
            return np.asarray(image.convert("L")) > 0
    except (binascii.Error, *DAMAGE):
        raise ValueError("a mask that is not a PNG in base64") from None
