"""From the numbers of an annotation file to a `Shape`, in the upright frame, without the parts that cover nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from whet.core import rle
from whet.core.errors import DataError
from whet.core.masks import Kind, Layer, Shape
from whet.core.polygons import box_points, polygon_fault
from whet.data.image import upright
from whet.data.masks.frame import Frame
from whet.data.table import Skipped


@dataclass
class Placed:
    """The shapes of one image. turn: the EXIF orientation to apply to them. dropped: those that cover nothing, with the reason."""

    frame: Frame
    turn: int = 1
    shapes: list[Shape] = field(default_factory=list)
    dropped: list[Skipped] = field(default_factory=list)

    @property
    def size_there(self) -> rle.Size:
        """(height, width) in the annotation's frame."""
        return self.frame.size if self.turn == 1 else self.frame.stored

    def drop(self, name: str, reason: str) -> None:
        self.dropped.append(Skipped(name, reason))

    def add_polygons(
        self, name: str, class_number: int, given: Sequence[Any], *, crowd: bool = False, kind: Kind = "mask"
    ) -> None:
        """Add an object from polygons: flat coordinates x, y, x, y …, or points (P, 2). name: the object, for messages."""
        kept = []
        for number, coordinates in enumerate(given):
            part = name if len(given) == 1 else f"{name}, polygon {number + 1}"
            points = as_points(coordinates)
            fault = "coordinates that are not pairs of numbers" if points is None else self._fault(points, kind)
            if fault or points is None:
                self.drop(part, fault)
            else:
                kept.append(self.frame.turn_points(points, self.turn))
        if kept:
            self.shapes.append(Shape(class_number, tuple(kept), crowd=crowd, kind=kind))
        elif not given:
            self.drop(name, "no polygon")

    def _fault(self, points_P2: np.ndarray, kind: Kind) -> str:
        if kind in ("mask", "box"):
            return polygon_fault(points_P2, self.size_there)
        if not len(points_P2) or not np.isfinite(points_P2).all():
            return "no point with finite coordinates"
        height, width = self.size_there
        inside = (points_P2 >= 0).all(axis=1) & (points_P2 < (width, height)).all(axis=1)
        return "" if inside.any() else f"outside the image of {width} x {height}"

    def add_box(self, name: str, class_number: int, corners: Sequence[float], *, crowd: bool = False) -> None:
        """Add a box (x0, y0, x1, y1)."""
        self.add_polygons(name, class_number, [box_points(*corners)], crowd=crowd, kind="box")

    def add_rle(self, name: str, class_number: int, counts: bytes, *, crowd: bool = False) -> None:
        """Add an object from checked counts over the annotation's frame."""
        if not rle.runs_of(counts, self.size_there)[1::2].any():
            self.drop(name, "no pixel")
            return
        if self.turn != 1:
            layer = Layer(0, *rle.decode_cropped(counts, self.size_there))
            counts = rle.encode(upright(layer.whole(self.size_there), self.turn))
        self.shapes.append(Shape(class_number, rle=counts, crowd=crowd))


def as_points(coordinates: Any) -> np.ndarray | None:
    """(P, 2) float; None where they are not pairs of numbers."""
    try:
        values = np.array(coordinates, dtype=float)
    except (TypeError, ValueError):
        return None
    if values.ndim == 1 and len(values) % 2 == 0:
        return values.reshape(-1, 2)
    return values if values.ndim == 2 and values.shape[1] == 2 else None


def checked_name(name: Any, where: str) -> str:
    """A class name as text. DataError where there is none."""
    text = str(name).strip() if isinstance(name, str | int) and not isinstance(name, bool) else ""
    if not text:
        raise DataError(f"{where}: the name {name!r}; accepted: text")
    return text
