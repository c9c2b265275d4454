"""The annotation of one image: shapes, or references to files of pixels, painted only when asked for.

Everything is in the upright frame: the EXIF orientation of the image is applied. Class numbers are those of the data set's classes;
where it has a background, this is class 0. What is not known of a pixel is `IGNORE`:

- "mask": the pixels inside have the class, the rest is background; crowds (several objects in one outline) are ignored.
- "box": the pixels outside are background, those inside are ignored.
- "point", "scribble": the pixels on it have the class, all others are ignored. Both are drawn with a pen of 1/125 of the diagonal,
  so that they are still there when the image is shown smaller.
- "label": the class occurs somewhere in the image; all pixels are ignored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, cast

import numpy as np
from scipy import ndimage

from whet.core import rle
from whet.core.errors import DataError
from whet.core.polygons import raster, trim

IGNORE = 255
"""A pixel of a class map that counts neither in training nor in metrics."""
IGNORE_ID = 65535
"""The same in a map of object numbers."""
Kind = Literal["mask", "box", "point", "scribble", "label"]
_PEN = 1 / 250  # radius of points and scribbles as a share of the diagonal, rounded to whole pixels


@dataclass(frozen=True, slots=True)
class Shape:
    """One labelled object. polygons: (P, 2) float arrays of (x, y) in pixels, whose union is the object; for a box its four
    corners, for a point or a scribble its points in order, for a label none. rle: instead of polygons, COCO's compressed counts
    over the whole image. crowd: several objects in one outline."""

    class_number: int
    polygons: tuple[np.ndarray, ...] = ()
    rle: bytes | None = None
    crowd: bool = False
    kind: Kind = "mask"


@dataclass(frozen=True, slots=True)
class Layer:
    """The pixels of one object inside its bounding box. mask: bool (h, w), (0, 0) where it has none."""

    class_number: int
    top: int
    left: int
    mask: np.ndarray
    crowd: bool = False
    kind: Kind = "mask"

    def within(self, canvas: np.ndarray) -> np.ndarray:
        """The part of an image-sized array inside the box."""
        height, width = self.mask.shape
        return canvas[self.top : self.top + height, self.left : self.left + width]

    def paint(self, canvas: np.ndarray, value: int) -> None:
        self.within(canvas)[self.mask] = value

    def whole(self, size: rle.Size) -> np.ndarray:
        """The mask over the whole image, bool (H, W)."""
        canvas = np.zeros(size, bool)
        self.paint(canvas, True)
        return canvas


@dataclass(frozen=True, slots=True)
class Detection:
    """A predicted object, or a connected part of a predicted class. score: its confidence, 0 … 1."""

    layer: Layer
    score: float


@dataclass(frozen=True)
class PredictedMasks:
    """What is predicted for an image. map_HW: class numbers, uint8, in the size of the image. detections: objects, or connected
    parts of classes. ids_HW: of objects, uint16: k for `detections[k - 1]`, 0 for none."""

    map_HW: np.ndarray
    detections: tuple[Detection, ...]
    ids_HW: np.ndarray | None = None


class PixelFile(Protocol):
    """A file with one number for each pixel. A small object that can be sent to another process."""

    def read(self) -> np.ndarray:
        """In the upright frame: class numbers, uint8 (H, W) with IGNORE; or object numbers, uint16 with 0 for none and IGNORE_ID.
        DataError where the file changed or cannot be read."""

    def digest(self) -> str:
        """A hash of the content."""


@dataclass(frozen=True)
class Renumbered:
    """A file of class numbers with other numbers: class k becomes `numbers[k]`."""

    file: PixelFile
    numbers: tuple[int, ...]

    def read(self) -> np.ndarray:
        table = np.full(IGNORE + 1, IGNORE, np.uint8)
        table[: len(self.numbers)] = self.numbers
        return table[self.file.read()]

    def digest(self) -> str:
        return f"{self.file.digest()} {self.numbers}"


@dataclass(frozen=True)
class IdMap:
    """The objects of one image, painted once. ids_HW: uint16, 0 where no object is, k for the object k, IGNORE_ID where unknown.
    Where objects overlap the later one is on top. class_of_id: (n,), the class of object k at k - 1. covered: the objects that
    others cover in part or whole, by k; their shapes still have all pixels, at a fraction of the memory. crowds: several objects
    in one outline each. boxed: the objects of which only the box is known, by k; their pixels are those of the box."""

    ids_HW: np.ndarray
    class_of_id: np.ndarray
    covered: dict[int, Shape] = field(default_factory=dict)
    crowds: tuple[Shape, ...] = ()
    boxed: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.class_of_id)

    @property
    def shape(self) -> tuple[int, int]:
        return cast("tuple[int, int]", self.ids_HW.shape)

    @property
    def nbytes(self) -> int:
        return self.ids_HW.nbytes

    def class_map(self) -> np.ndarray:
        """The class of each pixel, uint8 (H, W), IGNORE where it is not known."""
        table = np.zeros(IGNORE_ID + 1, np.uint8)
        table[1 : len(self) + 1], table[IGNORE_ID] = self.class_of_id, IGNORE
        return table[self.ids_HW]

    def targets(self) -> Iterator[Layer]:
        """What predicted objects are compared with: all pixels of each object, then crowds; pixels of unknown objects are a crowd
        of class 0."""
        yield from self.layers()
        for shape in self.crowds:
            yield Layer(shape.class_number, *_pixels(shape, self.shape), crowd=True)
        unknown_HW = self.ids_HW == IGNORE_ID
        if not self.crowds and unknown_HW.any():
            yield Layer(0, *trim(0, 0, unknown_HW), crowd=True)

    def layers(self) -> Iterator[Layer]:
        """All pixels of each object, covered ones too, in the order of their numbers."""
        size = self.ids_HW.shape
        plain = np.where(self.ids_HW == IGNORE_ID, 0, self.ids_HW)
        boxes = ndimage.find_objects(plain, len(self)) if len(self) else []
        for k, box in enumerate(boxes, start=1):
            if k in self.covered:
                found: rle.Cropped = _pixels(self.covered[k], size)
            elif box is None:
                found = (0, 0, np.zeros((0, 0), bool))
            else:
                found = (box[0].start, box[1].start, plain[box] == k)
            yield Layer(int(self.class_of_id[k - 1]), *found)


@dataclass(frozen=True, slots=True)
class Masks:
    """size: (height, width) of the upright image. Either shapes, in painting order, or files of pixels: class_file with class
    numbers, id_file with object numbers (of the majority class in class_file, or of class 1 without it)."""

    size: rle.Size
    shapes: tuple[Shape, ...] = ()
    class_file: PixelFile | None = None
    id_file: PixelFile | None = None

    @property
    def kinds(self) -> frozenset[Kind]:
        """What kinds of annotation this image has."""
        if self.class_file is not None or self.id_file is not None:
            return frozenset({"mask"})
        return frozenset(shape.kind for shape in self.shapes)

    @property
    def weak(self) -> bool:
        """Whether the annotation says less than a mask: boxes, points, scribbles or labels."""
        return bool(self.kinds - {"mask"})

    def layers(self) -> Iterator[Layer]:
        """Each object's pixels in order, one at a time. A box covers its whole area, a label nothing."""
        if self.id_file is not None:
            yield from self.id_map().layers()
            return
        self._require_shapes()
        for shape in self.shapes:
            yield Layer(shape.class_number, *_pixels(shape, self.size), shape.crowd, shape.kind)

    def class_map(self) -> np.ndarray:
        """The class of each pixel, uint8 (H, W), IGNORE where it is not known. Later shapes paint over earlier ones, boxes and
        crowds are below masks, points and scribbles above."""
        if self.class_file is not None:
            return self._read(self.class_file)
        if self.id_file is not None:
            return self.id_map().class_map()
        partial = bool(self.kinds & {"point", "scribble", "label"})
        canvas = np.full(self.size, IGNORE if partial else 0, np.uint8)
        for shape in sorted(self.shapes, key=_height):  # stable
            if shape.class_number >= IGNORE:
                raise DataError(f"class {shape.class_number}: maps of classes hold at most {IGNORE} classes")
            layer = Layer(shape.class_number, *_pixels(shape, self.size))
            layer.paint(canvas, IGNORE if _height(shape) == 0 else shape.class_number)
        return canvas

    def id_map(self, boxes: bool = False) -> IdMap:
        """The objects, painted once. Crowds are IGNORE_ID, below the objects. DataError for classes without objects, and for
        boxes, points and scribbles, which do not say which pixels belong to an object. With `boxes` they may be boxes too: these
        lie below the masks, the smaller above the larger."""
        if self.id_file is not None:
            return self._numbered(self._read(self.id_file))
        if missing := self.without_objects(boxes):
            raise DataError(missing)
        ids_HW = np.zeros(self.size, np.uint16)
        for shape in self.shapes:
            if shape.crowd:
                Layer(0, *_pixels(shape, self.size)).paint(ids_HW, IGNORE_ID)
        shapes = [shape for shape in self.shapes if not shape.crowd]
        if boxes:
            shapes.sort(key=lambda shape: -_pixels(shape, self.size)[2].size if shape.kind == "box" else 1)  # stable
        things = [shape for shape in shapes if shape.class_number]
        if len(things) >= IGNORE_ID:
            raise DataError(f"{len(things)} objects in one image; at most {IGNORE_ID - 1} are read")
        areas: list[int] = []
        for shape in shapes:
            layer = Layer(0, *_pixels(shape, self.size))
            if shape.class_number:
                areas.append(int(layer.mask.sum()))
            else:  # background drawn over objects: a hole in them
                for k, count in enumerate(
                    np.bincount(layer.within(ids_HW)[layer.mask], minlength=1)[1 : len(areas) + 1]
                ):
                    areas[k] -= int(count)
            layer.paint(ids_HW, len(areas) if shape.class_number else 0)
        left = np.bincount(ids_HW.ravel(), minlength=len(things) + 1)[1:]
        covered = {}
        for k, (shape, area) in enumerate(zip(things, areas), start=1):
            if left[k - 1] < area:
                covered[k] = shape
        class_of_id = np.array([shape.class_number for shape in things], np.int64)
        boxed = frozenset(k for k, shape in enumerate(things, start=1) if shape.kind == "box")
        return IdMap(ids_HW, class_of_id, covered, tuple(shape for shape in self.shapes if shape.crowd), boxed)

    def boxes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(the tight box (x0, y0, x1, y1) of each object in pixels, float (n, 4); its class (n,); whether it is a crowd (n,)), in
        the order of `layers`, without objects that have no pixel."""
        rows = []
        for layer in self.layers():
            height, width = layer.mask.shape
            if layer.mask.size:
                box = (layer.left, layer.top, layer.left + width, layer.top + height)
                rows.append((*box, layer.class_number, layer.crowd))
        found = np.array(rows, dtype=float).reshape(-1, 6)
        return found[:, :4], found[:, 4].astype(np.int64), found[:, 5].astype(bool)

    def as_masks(self) -> Masks:
        """The same with boxes taken for masks: every pixel inside has the class."""
        shapes = tuple(replace(shape, kind="mask") if shape.kind == "box" else shape for shape in self.shapes)
        return replace(self, shapes=shapes)

    def renumbered(self, numbers: tuple[int, ...]) -> Masks:
        """The same with other class numbers: class k becomes `numbers[k]`."""
        if numbers == tuple(range(len(numbers))):
            return self
        shapes = tuple(replace(shape, class_number=numbers[shape.class_number]) for shape in self.shapes)
        file = None if self.class_file is None else Renumbered(self.class_file, numbers)
        if self.id_file is not None and self.class_file is None and len(numbers) > 1 and numbers[1] != 1:
            raise DataError(f"{self.id_file}: its objects have no class, so they cannot get the class {numbers[1]}")
        return replace(self, shapes=shapes, class_file=file)

    def digest(self) -> str:
        """A hash of the annotation."""
        found = hashlib.blake2b(repr(self.size).encode(), digest_size=16)
        for file in (self.class_file, self.id_file):
            found.update(b"-" if file is None else file.digest().encode())
        for shape in self.shapes:
            found.update(repr((shape.class_number, shape.rle, shape.crowd, shape.kind)).encode())
            for points in shape.polygons:
                found.update(np.ascontiguousarray(points, np.float64).tobytes() + b"|")
        return found.hexdigest()

    def _read(self, file: PixelFile) -> np.ndarray:
        values = file.read()
        if values.shape != self.size:
            raise DataError(
                f"{file}: {values.shape[1]} x {values.shape[0]} pixels, the image {self.size[1]} x {self.size[0]}"
            )
        return values

    def without_objects(self, boxes: bool = False) -> str:
        """Why `id_map` cannot number the objects; "" where it can."""
        if self.id_file is not None:
            return ""
        if self.class_file is not None:
            return f"{self.class_file}: it holds classes, not objects"
        weak = sorted(self.kinds - ({"mask", "box"} if boxes else {"mask"}))
        return f"a {weak[0]} does not say which pixels belong to its object" if weak else ""

    def _require_shapes(self) -> None:
        if self.class_file is not None:
            raise DataError(self.without_objects())

    def _numbered(self, raw_HW: np.ndarray) -> IdMap:
        """The objects of a map with gaps in its numbers."""
        counts = np.bincount(raw_HW.ravel())
        present = np.flatnonzero(counts[1:IGNORE_ID]) + 1
        table = np.zeros(len(counts), np.uint16)
        table[present], table[IGNORE_ID:] = np.arange(1, len(present) + 1), IGNORE_ID
        ids_HW = table[raw_HW]
        if self.class_file is None:
            return IdMap(ids_HW, np.ones(len(present), np.int64))
        known = (ids_HW > 0) & (ids_HW < IGNORE_ID)
        pairs = ids_HW[known].astype(np.int64) * (IGNORE + 1) + self._read(self.class_file)[known]
        votes = np.bincount(pairs, minlength=(len(present) + 1) * (IGNORE + 1)).reshape(-1, IGNORE + 1)[1:]
        votes[:, IGNORE] = 0
        votes[:, 0] = 0
        return IdMap(ids_HW, votes.argmax(axis=1).astype(np.int64))


def _height(shape: Shape) -> int:
    """The order of painting a class map."""
    if shape.crowd or shape.kind == "box":
        return 0
    return 1 if shape.kind == "mask" else 2


def _pixels(shape: Shape, size: rle.Size) -> rle.Cropped:
    if shape.rle is not None:
        return rle.decode_cropped(shape.rle, size)
    if shape.kind in ("mask", "box"):
        return raster(shape.polygons, size)
    return _line_pixels(shape.polygons, size)


def _line_pixels(lines: tuple[np.ndarray, ...], size: rle.Size) -> rle.Cropped:
    """The pixels within the radius of the pen from a polyline or a point, sampled every quarter of a pixel."""
    canvas = np.zeros(size, bool)
    for points in lines:
        steps = np.abs(np.diff(points, axis=0)).max(axis=1, initial=0)
        dense = [
            start + np.linspace(0, 1, int(4 * step) + 2)[:, None] * (stop - start)
            for start, stop, step in zip(points, points[1:], steps)
        ]
        x, y = np.floor(np.concatenate([points, *dense])).astype(np.int64).T
        inside = (x >= 0) & (y >= 0) & (x < size[1]) & (y < size[0])
        canvas[y[inside], x[inside]] = True
    top, left, thin = trim(0, 0, canvas)
    radius = round(_PEN * float(np.hypot(*size)))
    if not radius or not thin.size:
        return top, left, thin
    # Only the part near the line: a photo has millions of pixels.
    rows = slice(max(0, top - radius), top + thin.shape[0] + radius)
    columns = slice(max(0, left - radius), left + thin.shape[1] + radius)
    return trim(rows.start, columns.start, ndimage.distance_transform_edt(~canvas[rows, columns]) <= radius)
