"""Predicted masks of images: what `whet predict` writes for a segmentation run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy import ndimage

from whet.core import rle
from whet.core.masks import Masks, Shape
from whet.core.output import claim, write_whole
from whet.core.run_folder import write_csv
from whet.data.masks.write import CocoImage, write_coco, write_png
from whet.render.overlay import overlay


@dataclass(frozen=True)
class Segment:
    """A connected part of an image with one class. confidence: the mean probability of the class over its pixels."""

    class_number: int
    mask_HW: np.ndarray
    confidence: float

    @property
    def pixels(self) -> int:
        return int(self.mask_HW.sum())


@dataclass(frozen=True)
class SegmentedImage:
    """name: as given. error: the reason why it was not predicted, or "". map_HW: class numbers, uint8, in the size of the image.
    probability_HW: of these classes, float16. pixels: the image, RGB uint8."""

    name: str
    error: str
    map_HW: np.ndarray | None = None
    probability_HW: np.ndarray | None = None
    pixels: np.ndarray | None = None

    def segments(self, num_classes: int) -> list[Segment]:
        """The connected parts of every class but class 0, the largest first within a class."""
        if self.map_HW is None or self.probability_HW is None:
            return []
        found = []
        for k in range(1, num_classes):
            numbered, count = ndimage.label(self.map_HW == k, np.ones((3, 3)))
            parts = [numbered == part for part in range(1, count + 1)]
            made = [Segment(k, part, float(self.probability_HW[part].astype(np.float32).mean())) for part in parts]
            found += sorted(made, key=lambda segment: -segment.pixels)
        return found

    def row(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """file, error, and for every class its share of the pixels."""
        shares = [float("nan")] * len(classes)
        if self.map_HW is not None:
            shares = (np.bincount(self.map_HW.ravel(), minlength=len(classes)) / self.map_HW.size).tolist()
        return {
            "file": self.name,
            "error": self.error,
            **{f"area:{name}": share for name, share in zip(classes, shares)},
        }


def write_segments(
    images: Iterable[SegmentedImage], classes: tuple[str, ...], folder: Path
) -> Iterator[dict[str, Any]]:
    """Write the predictions as they come, and return a row for each image (`SegmentedImage.row`): masks/NAME.png (class numbers),
    overlays/NAME.jpg, annotations.json (COCO, the connected parts with their confidence) and segments.csv (a row for each
    part)."""
    claim(folder, "predictions")
    for name in ("masks", "overlays"):
        (folder / name).mkdir(exist_ok=True)
    coco: list[CocoImage] = []
    rows: list[list[Any]] = []
    taken: set[str] = set()
    for image in images:
        if image.map_HW is not None and image.pixels is not None:
            stem = _free_name(Path(image.name).stem, taken)
            write_png(folder / "masks" / f"{stem}.png", image.map_HW)
            _write_jpeg(folder / "overlays" / f"{stem}.jpg", overlay(image.pixels, image.map_HW, len(classes)))
            segments = image.segments(len(classes))
            shapes = tuple(Shape(one.class_number, rle=rle.encode(one.mask_HW)) for one in segments)
            coco.append(CocoImage(image.name, Masks(image.map_HW.shape, shapes), [one.confidence for one in segments]))
            for one in segments:
                share, sure = f"{one.pixels / image.map_HW.size:.6g}", f"{one.confidence:.4g}"
                rows.append([image.name, f"masks/{stem}.png", classes[one.class_number], one.pixels, share, sure])
        yield image.row(classes)
    write_coco(folder / "annotations.json", coco, classes)
    write_csv(folder / "segments.csv", ["file", "mask", "class", "pixels", "share", "confidence"], rows, exact=True)


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
