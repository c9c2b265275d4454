"""Pascal VOC: JPEGImages/ with SegmentationClass/ and SegmentationObject/; or, without them, boxes in Annotations/*.xml.

The rules:
- Only images with a file in SegmentationClass/ are read; the number of the others is noted.
  ImageSets/Segmentation/train.txt, val.txt and test.txt state the splits.
- 255 is the border around objects, and does not count. SegmentationObject/ numbers the objects; without it, there are only classes.
- Numbers up to 20 without a list of names are the classes of VOC 2012.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

from whet.core.errors import DataError
from whet.core.mask_spec import MaskSpec
from whet.core.masks import Masks
from whet.data.below import folders_in
from whet.data.folder import IMAGE_FILES, files_below
from whet.data.masks.data import INSTANCES, SEMANTIC, MaskData, MaskImage, image_id, many
from whet.data.masks.frame import OtherSize, frames_of
from whet.data.masks.named import BACKGROUND, numbered
from whet.data.masks.pairs import Pairs, read_pairs
from whet.data.masks.shapes import Placed
from whet.data.table import Skipped, split_name

_VOC_2012 = ("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
             "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor")  # fmt: skip
_CLASSES, _OBJECTS = "SegmentationClass", "SegmentationObject"
_LABELME = ("SegmentationClassPNG", "SegmentationObjectPNG")  # what labelme's export calls them


def voc_root(path: Path) -> Path | None:
    """The folder that holds JPEGImages and the annotations, the given one or up to two levels below it."""
    level = [path] if path.is_dir() else []
    for _ in range(3):
        for folder in level:
            if (folder / "JPEGImages").is_dir() and any(
                (folder / name).is_dir() for name in (_CLASSES, _OBJECTS, *_LABELME, "Annotations")
            ):
                return folder
        level = [inner for folder in level for inner in folders_in(folder)]
    return None


def voc_task(root: Path) -> str:
    """Objects, unless there are only files of classes."""
    return (
        SEMANTIC if _by_stem(root, _CLASSES, _LABELME[0]) and not _by_stem(root, _OBJECTS, _LABELME[1]) else INSTANCES
    )


def read_voc(root: Path, spec: MaskSpec, threads: int = 4) -> MaskData:
    """The images and masks of a VOC folder, or its boxes."""
    files = {image.stem: image for image in files_below(root / "JPEGImages", IMAGE_FILES)}
    masks, objects = _by_stem(root, _CLASSES, _LABELME[0]), _by_stem(root, _OBJECTS, _LABELME[1])
    if not masks and not objects:
        return _with_splits(_read_boxes(files, root, spec, threads), root)
    keys = [stem for stem in files if stem in (masks or objects)]
    pairs = Pairs(root, {((), stem): [files[stem]] for stem in keys})
    pairs.masks = {((), stem): masks[stem] for stem in keys if stem in masks}
    pairs.objects = {((), stem): objects[stem] for stem in keys if stem in objects}
    pairs.alone = [path for stem, path in (masks or objects).items() if stem not in files]
    if len(keys) < len(files):
        pairs.notes.append(f"not read: {many(len(files) - len(keys), 'image')} without masks")
    data = read_pairs(pairs, spec, threads, border=255)
    if data.has_background and all(name.isdecimal() and int(name) < len(_VOC_2012) for name in data.things):
        names = tuple(_VOC_2012[int(name)] for name in data.things)
        data = replace(data, classes=(BACKGROUND, *names)).warned(
            "the classes have the names of VOC 2012, by their numbers"
        )
    return _with_splits(replace(data, format="voc"), root)


def _by_stem(root: Path, *names: str) -> dict[str, Path]:
    folder = next((root / name for name in names if (root / name).is_dir()), None)
    return {} if folder is None else {path.stem: path for path in files_below(folder, IMAGE_FILES)}


def _with_splits(data: MaskData, root: Path) -> MaskData:
    kind = "Segmentation" if "mask" in data.kinds else "Main"
    split_of: dict[str, str] = {}
    for path in sorted((root / "ImageSets" / kind).glob("*.txt")):
        split = split_name(path.stem)
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if split else []:
            stem = line.split()[0] if line.strip() else ""
            if stem and split_of.setdefault(stem, split or "") != split:
                raise DataError(f"{path}: {stem} is also in {split_of[stem]}")
    images = tuple(replace(image, split=split_of.get(Path(image.path).stem, "")) for image in data.images)
    return replace(data, images=images)


def _read_boxes(files: dict[str, Path], root: Path, spec: MaskSpec, threads: int) -> MaskData:
    found = {path.stem: path for path in sorted((root / "Annotations").glob("*.xml"))}
    trees = {stem: _parse(path) for stem, path in found.items() if stem in files}
    labels = [_text(thing, "name", found[stem]) for stem, tree in trees.items() for thing in tree.iter("object")]
    numbers, notes = numbered(sorted(set(labels)), labels)
    if not labels:
        raise DataError(f"{root}: neither masks nor boxes for {len(files)} images")
    notes.append(f"neither {_CLASSES} nor {_OBJECTS}: the boxes of Annotations are read")
    if len(trees) < len(files):
        notes.append(f"not read: {many(len(files) - len(trees), 'image')} without an XML file")
    read, skipped, dropped, objects = list[MaskImage](), list[Skipped](), list[Skipped](), 0
    for stem, frame in zip(trees, frames_of([files[stem] for stem in trees], threads)):
        name, path, tree = image_id(files[stem], root), found[stem], trees[stem]
        if isinstance(frame, str):
            skipped.append(Skipped(name, frame))
            continue
        size = tree.find("size")
        stated = None if size is None else (int(_number(size, "height", path)), int(_number(size, "width", path)))
        try:
            placed = Placed(frame, frame.turn_for(stated, spec.frame, f"{path}: {name}"))
        except OtherSize as error:
            skipped.append(Skipped(name, str(error)))
            continue
        for number, thing in enumerate(tree.iter("object"), start=1):
            box = thing.find("bndbox")
            if box is None:
                placed.drop(f"{name}, object {number}", "no bndbox")
                continue
            # Pixel numbers from 1, both included.
            x0, y0, x1, y1 = (_number(box, side, path) for side in ("xmin", "ymin", "xmax", "ymax"))
            placed.add_box(f"{name}, object {number}", numbers[_text(thing, "name", path)], (x0 - 1, y0 - 1, x1, y1))
        dropped += placed.dropped
        objects += len(placed.shapes)
        read.append(MaskImage(name, str(files[stem]), Masks(frame.size, tuple(placed.shapes))))
    classes = (BACKGROUND, *(name for name, number in numbers.items() if number))
    return MaskData(
        root, "voc", tuple(read), classes, True, INSTANCES, objects, tuple(skipped), tuple(dropped), tuple(notes)
    )


def _parse(path: Path) -> ET.Element:
    try:
        return ET.parse(path).getroot()
    except (OSError, ET.ParseError) as error:
        raise DataError(f"{path}: not readable as XML: {error}") from None


def _text(element: ET.Element, key: str, path: Path) -> str:
    text = (element.findtext(key) or "").strip()
    if not text:
        raise DataError(f"{path}: an object without a {key}")
    return text


def _number(element: ET.Element, key: str, path: Path) -> float:
    text = element.findtext(key) or ""
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{path}: {key} '{text}' is not a number") from None
