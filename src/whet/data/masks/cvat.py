"""CVAT XML ("CVAT for images 1.1"): an annotations.xml beside the images, or above their folder.

The rules:
- Polygons and masks (run lengths inside their box, row by row, zeros first) are objects; ellipses, polylines, points, cuboids,
  skeletons and tags are left out, and their numbers noted. So are attributes. The order of painting is `z_order`.
- Polygons of one label with the same group_id are one object.
- Boxes beside polygons and masks are ignored pixels, as what is in them is not known. Where all objects are boxes, they are read as
  boxes.
- Classes have the order of the labels in the file. A `subset` names the split.
- Tracks, of "CVAT for video", are refused: their images are frames of a video.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from whet.core import rle
from whet.core.errors import DataError
from whet.core.mask_spec import MaskSpec
from whet.core.masks import Kind, Layer, Masks
from whet.core.polygons import box_points
from whet.data.masks.coco import split_of
from whet.data.masks.data import INSTANCES, MaskData, MaskImage, image_id, many
from whet.data.masks.frame import OtherSize, frames_of
from whet.data.masks.named import BACKGROUND, is_ignored, numbered
from whet.data.masks.shapes import Placed, checked_name
from whet.data.table import Skipped, split_name

_HEAD = 1 << 16  # bytes
_READ = ("polygon", "mask", "box")
_WORDS = {"box": "boxes", "polyline": "polylines", "points": "sets of points", "tag": "tags", "ellipse": "ellipses",
          "cuboid": "cuboids", "skeleton": "skeletons"}  # fmt: skip


def is_cvat(path: Path) -> bool:
    """Whether an XML file is CVAT's, from its beginning."""
    try:
        with path.open("rb") as handle:
            head = handle.read(_HEAD)
    except OSError:
        return False
    return b"<annotations" in head and (b"<meta" in head or b"<image " in head)


def read_cvat(files: list[Path], root: Path, spec: MaskSpec, threads: int = 4) -> MaskData:
    """The images and objects of CVAT's XML files."""
    trees = {file: _parse(file) for file in files}
    entries = [(file, entry) for file, tree in trees.items() for entry in tree.iter("image")]
    shapes = [(file, shape) for file, entry in entries for shape in entry if shape.tag in _READ]
    boxes_only = all(shape.tag == "box" for _, shape in shapes)
    labels = [checked_name(shape.get("label"), str(file)) for file, shape in shapes]
    listed = [(name.text or "").strip() for tree in trees.values() for name in tree.iterfind("meta//label/name")]
    numbers, notes = numbered(list(dict.fromkeys([*filter(None, listed), *labels])), labels, "labels")
    if not any(numbers[label] for label in labels if label in numbers):
        raise DataError(f"{root}: no polygon, mask or box in {many(len(entries), 'image')} of CVAT")
    notes += _notes(entries, boxes_only)
    paths = [_image_of(file, entry) for file, entry in entries]
    twice = next((path for path, count in Counter(paths).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{root}: {image_id(twice, root)} is annotated twice; give one of the files")
    read, skipped, dropped, objects = list[MaskImage](), list[Skipped](), list[Skipped](), 0
    for (file, entry), path, frame in zip(entries, paths, frames_of(paths, threads)):
        name = image_id(path, root)
        if isinstance(frame, str):
            skipped.append(Skipped(name, frame))
            continue
        stated = _number(entry, "height", file), _number(entry, "width", file)
        try:
            turn = frame.turn_for((int(stated[0]), int(stated[1])), spec.frame, f"{file}: {name}")
        except OtherSize as error:
            skipped.append(Skipped(name, str(error)))
            continue
        placed = Placed(frame, turn)
        _add_objects(placed, entry, numbers, name, file, "box" if boxes_only else "mask")
        dropped += placed.dropped
        objects += len(placed.shapes)
        read.append(
            MaskImage(name, str(path), Masks(frame.size, tuple(placed.shapes)), _split(entry, name, file, root))
        )
    classes = (BACKGROUND, *(name for name, number in numbers.items() if number))
    return MaskData(
        root, "cvat", tuple(read), classes, True, INSTANCES, objects, tuple(skipped), tuple(dropped), tuple(notes)
    )


def _parse(path: Path) -> ET.Element:
    try:
        tree = ET.parse(path).getroot()
    except (OSError, ET.ParseError) as error:
        raise DataError(f"{path}: not readable as XML: {error}") from None
    tracks = sum(1 for _ in tree.iter("track"))
    if tracks:
        raise DataError(
            f"{path}: {many(tracks, 'track')} of a video; accepted: the export 'CVAT for images 1.1', which has the shapes of each "
            "image"
        )
    return tree


def _notes(entries: Sequence[tuple[Path, ET.Element]], boxes_only: bool) -> list[str]:
    counts = Counter(shape.tag for _, entry in entries for shape in entry)
    notes = []
    if boxes_only:
        notes.append("no object is a polygon or a mask: the boxes are read")
    elif counts["box"]:
        notes.append(f"boxes beside polygons and masks: {counts['box']:,}; the pixels inside are ignored")
    other = [f"{count:,} {_WORDS.get(tag, tag)}" for tag, count in sorted(counts.items()) if tag not in _READ]
    if other:
        notes.append(f"not read, as they cover no pixels or more than an object: {', '.join(other)}")
    return notes


def _image_of(file: Path, entry: ET.Element) -> Path:
    """The image beside the file, in images/, or there in the folder of its subset; the first where none is found."""
    name = PurePosixPath(checked_name(entry.get("name"), f"{file}: image {entry.get('id')}").replace("\\", "/"))
    images = file.parent / "images"
    folders = [file.parent, images, *(folder / entry.get("subset", "") for folder in (images, file.parent))]
    places = [folder / found for found in (name, name.name) for folder in folders]
    return next((place for place in places if place.is_file()), places[0])


def _split(entry: ET.Element, name: str, file: Path, root: Path) -> str:
    words = [entry.get("subset", ""), *Path(name).parts[:-1]]
    return next((found for word in words if (found := split_name(word))), "") or split_of(file, root)


def _add_objects(
    placed: Placed, entry: ET.Element, numbers: dict[str, int], name: str, file: Path, boxes_are: Kind
) -> None:
    shapes = [(number, shape) for number, shape in enumerate(entry, start=1) if shape.tag in _READ]
    groups: dict[tuple[str, str], list[np.ndarray]] = {}
    for number, shape in sorted(shapes, key=lambda one: _number(one[1], "z_order", file, 0)):  # stable
        thing, label = f"{name}, shape {number}", shape.get("label", "").strip()
        k, crowd = numbers.get(label, 0), is_ignored(label)
        if shape.tag == "box":
            corners = [_number(shape, side, file) for side in ("xtl", "ytl", "xbr", "ybr")]
            if boxes_are == "box":
                placed.add_box(thing, k, corners, crowd=crowd)
            else:
                placed.add_polygons(thing, k, [box_points(*corners)], crowd=True)
        elif shape.tag == "mask":
            try:
                counts = _counts(shape, placed.size_there, file)
            except ValueError as error:
                placed.drop(thing, str(error))
                continue
            placed.add_rle(thing, k, counts, crowd=crowd)
        else:
            group = label, shape.get("group_id", "0")
            if group[1] == "0":
                placed.add_polygons(thing, k, [_points(shape)], crowd=crowd)
            elif group not in groups:
                same = [one for _, one in shapes if one.tag == "polygon" and one.get("group_id") == group[1]]
                outlines = groups[group] = [_points(one) for one in same if one.get("label", "").strip() == label]
                placed.add_polygons(thing, k, outlines, crowd=crowd)


def _points(shape: ET.Element) -> np.ndarray:
    """(P, 2), NaN where they are not numbers, which `Placed` names."""
    try:
        return np.array([pair.split(",") for pair in shape.get("points", "").split(";")], float).reshape(-1, 2)
    except ValueError:
        return np.full((3, 2), np.nan)


def _counts(shape: ET.Element, size: rle.Size, file: Path) -> bytes:
    """The runs of a mask inside its box as counts over the image. ValueError where they do not fill the box."""
    left, top, width, height = (int(_number(shape, key, file)) for key in ("left", "top", "width", "height"))
    try:
        runs = np.array(shape.get("rle", "").split(","), np.int64)
    except (ValueError, OverflowError):
        raise ValueError("an rle that is not a list of whole numbers") from None
    if width < 1 or height < 1 or (runs < 0).any() or runs.sum() != width * height:
        raise ValueError(f"an rle of {runs.sum()} pixels in a box of {width} x {height}")
    if left < 0 or top < 0 or left + width > size[1] or top + height > size[0]:
        raise ValueError(f"a mask that leaves the image of {size[1]} x {size[0]}")
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    return rle.encode(Layer(0, top, left, inside).whole(size))


def _number(element: ET.Element, key: str, path: Path, otherwise: float | None = None) -> float:
    text = element.get(key, "")
    if not text and otherwise is not None:
        return otherwise
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise DataError(f"{path}: {key} '{text}' of <{element.tag}> is not a number")
    return found
