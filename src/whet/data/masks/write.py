"""Writes masks: COCO JSON, and PNG files of numbers."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from whet.core import rle, strict_json
from whet.core.errors import DataError
from whet.core.masks import IGNORE, Layer, Masks, Shape
from whet.core.outlines import polygons_of
from whet.core.output import write_whole
from whet.render.overlay import coloured


@dataclass(frozen=True)
class CocoImage:
    """One image of a COCO file. file_name: as it is to be written. scores: for predictions, one for each of `Masks.layers`."""

    file_name: str
    masks: Masks
    scores: Sequence[float] | None = None


def coco_content(images: Iterable[CocoImage], classes: Sequence[str], *, polygons: bool = False) -> dict[str, Any]:
    """The content of a COCO file of objects. classes: by class number, the background first; it is not a category. The category of
    class k has the id k; images and annotations are numbered from 1, because pycocotools takes an annotation with the id 0 for a
    missing one. Polygons are written as they were read, other masks as compressed RLE, or with `polygons` as polygons that cover
    the same pixels. DataError for points, scribbles and labels, which COCO does not have."""
    categories = [{"id": k, "name": name, "supercategory": ""} for k, name in enumerate(classes) if k]
    rows: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_number, image in enumerate(images, start=1):
        height, width = image.masks.size
        rows.append({"id": image_number, "file_name": image.file_name, "height": height, "width": width})
        shapes = image.masks.shapes if image.masks.id_file is None else None
        for place, layer in enumerate(image.masks.layers()):
            if layer.kind in ("point", "scribble", "label"):
                raise DataError(f"{image.file_name}: COCO has no {layer.kind}; only masks and boxes can be written")
            if not layer.mask.size or not layer.class_number:
                continue
            shape = None if shapes is None else shapes[place]
            annotation = _annotation(layer, shape, image, polygons)
            annotation |= {"id": len(annotations) + 1, "image_id": image_number}
            if image.scores is not None:
                annotation["score"] = float(image.scores[place])
            annotations.append(annotation)
    return {"images": rows, "categories": categories, "annotations": annotations}


def write_coco(path: Path, images: Iterable[CocoImage], classes: Sequence[str], *, polygons: bool = False) -> None:
    """Write `coco_content` atomically."""
    content = coco_content(images, classes, polygons=polygons)
    write_whole(path, strict_json.dumps(content, indent=None) + "\n")


def _annotation(layer: Layer, shape: Shape | None, image: CocoImage, polygons: bool) -> dict[str, Any]:
    height, width = layer.mask.shape
    found: dict[str, Any] = {
        "category_id": layer.class_number,
        "iscrowd": int(layer.crowd),
        "bbox": [layer.left, layer.top, width, height],
        "area": int(layer.mask.sum()),
    }
    outlines: Sequence[np.ndarray] = ()
    if layer.kind == "box":
        return found | {"segmentation": []}
    if shape is not None and shape.polygons:
        outlines = shape.polygons
    elif polygons and not layer.crowd:
        outlines = [outline + (layer.left, layer.top) for outline in polygons_of(layer.mask)]
    if outlines:
        return found | {"segmentation": [outline.ravel().tolist() for outline in outlines]}
    size = image.masks.size
    counts = shape.rle if shape is not None and shape.rle is not None else rle.encode(layer.whole(size))
    return found | {"segmentation": {"size": list(size), "counts": counts.decode("ascii")}}


def write_png(path: Path, numbers_HW: np.ndarray) -> None:
    """Write class numbers (uint8, with a palette for people: the numbers stay) or object numbers (uint16) atomically."""
    if numbers_HW.dtype == np.uint8:
        image = Image.fromarray(numbers_HW, "P")
        image.putpalette(coloured(np.arange(256, dtype=np.uint8)[None], IGNORE)[0].ravel().tolist())
    elif numbers_HW.dtype == np.uint16:
        image = Image.fromarray(numbers_HW)
    else:
        raise DataError(f"{path}: numbers of the type {numbers_HW.dtype}; accepted: uint8 or uint16")
    content = io.BytesIO()
    image.save(content, "PNG")
    write_whole(path, content.getvalue())
