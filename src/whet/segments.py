"""Predicted masks of images: what `whet predict` writes for a segmentation run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from whet.core import rle
from whet.core.errors import OutputError
from whet.core.masks import Masks, PredictedMasks, Shape
from whet.core.output import claim, record, recorded, remove_recorded, require_claimable, write_whole
from whet.core.run_folder import write_csv
from whet.data.masks.write import CocoImage, write_coco, write_png
from whet.render.overlay import overlay


@dataclass(frozen=True)
class SegmentedImage:
    """name: as given. error: the reason why it was not predicted, or "". found: its masks. pixels: the image, RGB uint8. objects:
    whether objects are predicted, in place of the classes of pixels."""

    name: str
    error: str
    found: PredictedMasks | None = None
    pixels: np.ndarray | None = None
    objects: bool = False

    def row(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """file, error, and the number of objects of every class where these are predicted, and the share of the pixels of every
        class."""
        K = len(classes)
        shares, numbers = np.full(K, np.nan), np.full(K, np.nan)
        if self.found is not None:
            shares = np.bincount(self.found.map_HW.ravel(), minlength=K) / self.found.map_HW.size
            numbers = np.bincount([one.layer.class_number for one in self.found.detections], minlength=K).astype(float)
        counts = {f"count:{name}": number for name, number in zip(classes[1:], numbers[1:].tolist())}
        area = {f"area:{name}": share for name, share in zip(classes, shares.tolist())}
        return {"file": self.name, "error": self.error, **(counts if self.objects else {}), **area}


def write_segments(
    images: Iterable[SegmentedImage],
    classes: tuple[str, ...],
    folder: Path,
    *,
    inputs: Iterable[str] = (),
    force: bool = False,
) -> Iterator[dict[str, Any]]:
    """Write the predictions as they come, and return a row for each image (`SegmentedImage.row`): masks/NAME.png (class numbers),
    overlays/NAME.jpg, annotations.json (COCO, the connected parts with their confidence) and segments.csv (a row for each part).
    Where objects are predicted, masks/NAME.png has object numbers, and objects.csv a row for each object. inputs: the images as
    given. force: delete the files of an earlier prediction in this folder first. Raises OutputError at once, before anything is
    predicted, for a folder that lies in the inputs, holds them, or without `force` holds predictions already."""
    require_claimable(folder, "predictions", data=inputs)
    if recorded(folder) and not force:
        raise OutputError(f"{folder} holds predictions already; choose another --out, or use --force to replace them")
    claim(folder, "predictions")
    remove_recorded(folder)
    return _written(images, classes, folder)


def _written(images: Iterable[SegmentedImage], classes: tuple[str, ...], folder: Path) -> Iterator[dict[str, Any]]:
    for name in ("masks", "overlays"):
        (folder / name).mkdir(exist_ok=True)
    coco: list[CocoImage] = []
    rows: list[list[Any]] = []
    taken: set[str] = set()
    objects = False
    for image in images:
        objects = image.objects
        if image.found is not None and image.pixels is not None:
            stem, found = _free_name(Path(image.name).stem, taken), image.found
            record(folder, f"masks/{stem}.png", f"overlays/{stem}.jpg")
            write_png(folder / "masks" / f"{stem}.png", found.map_HW if found.ids_HW is None else found.ids_HW)
            drawn = overlay(image.pixels, found.map_HW, len(classes), found.ids_HW)
            _write_jpeg(folder / "overlays" / f"{stem}.jpg", drawn)
            size, layers = found.map_HW.shape, [one.layer for one in found.detections]
            shapes = tuple(Shape(layer.class_number, rle=rle.encode(layer.whole(size))) for layer in layers)
            coco.append(CocoImage(image.name, Masks(size, shapes), [one.score for one in found.detections]))
            for number, one in enumerate(found.detections, start=1):
                area = int(one.layer.mask.sum())
                cells = [classes[one.layer.class_number], area, f"{area / found.map_HW.size:.6g}", f"{one.score:.4g}"]
                rows.append([image.name, f"masks/{stem}.png", *([number] if objects else []), *cells])
        yield image.row(classes)
    table = "objects.csv" if objects else "segments.csv"
    record(folder, "annotations.json", table)
    write_coco(folder / "annotations.json", coco, classes)
    columns = ["file", "mask", *(["number"] if objects else []), "class", "pixels", "share", "confidence"]
    write_csv(folder / table, columns, rows, exact=True)


def _free_name(stem: str, taken: set[str]) -> str:
    """The name with a number where another image has it already."""
    found, number = stem, 1
    while found.lower() in taken:
        number += 1
        found = f"{stem}-{number}"
    taken.add(found.lower())
    return found


def _write_jpeg(path: Path, pixels: np.ndarray) -> None:
    data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    write_whole(path, data.tobytes())
