"""Files with one number for each pixel: PNG, BMP, TIFF or lossless WebP; L, P, 1, 16 bits, or RGB with a colour table.

In a palette file the indices are the numbers, never the colours. Grey files of 1, 2 or 4 bits keep their numbers too: decoders
usually scale them to 255.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from whet.core.errors import DataError
from whet.core.masks import IGNORE_ID
from whet.core.rle import Size
from whet.data.image import DAMAGE, MAX_PIXELS, upright
from whet.data.loader import why
from whet.data.store import digest_of

_FORMATS = ("PNG", "BMP", "TIFF", "WEBP")  # programs that save a GIF renumber its colours
_COLOURS = 1 << 24
_MOST_NUMBER = 65535
Table = tuple[tuple[int, int], ...]
"""(a number or packed colour in the file, the number it means), …"""


class MaskFileError(DataError):
    """A file that does not hold one number for each pixel."""


class ColouredMask(MaskFileError):
    """An RGB file, whose colours need a table."""


def packed(red: int, green: int, blue: int) -> int:
    """A colour as one number."""
    return (red << 16) | (green << 8) | blue


def unpacked(colour: int) -> tuple[int, int, int]:
    """The inverse of `packed`."""
    return colour >> 16, (colour >> 8) & 255, colour & 255


def read_numbers(path: str | Path, *, colours: bool = False) -> np.ndarray:
    """The numbers of a mask file as stored, uint8 or uint16 (H, W); with `colours`, packed colours, uint32. An RGB file with
    equal channels holds numbers. MaskFileError, OSError."""
    data = Path(path).read_bytes()
    if data[:3] == b"\xff\xd8\xff":
        raise MaskFileError("a JPEG, which changes the numbers of a mask; save masks as PNG")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise MaskFileError(f"{image.width}x{image.height} pixels exceed the limit of {MAX_PIXELS:,}")
            image.load()
            mode, values = image.mode, np.asarray(image)
    except DAMAGE as error:
        if isinstance(error, MaskFileError | OSError) and not isinstance(error, Image.UnidentifiedImageError):
            raise MaskFileError(str(error) or type(error).__name__) from None
        raise MaskFileError(f"not an image of an accepted format ({', '.join(_FORMATS)})") from None
    if mode in ("LA", "PA", "RGBA"):
        if (values[..., -1] != 255).any():
            raise MaskFileError(f"a mask with transparent pixels (mode {mode}); save it without an alpha channel")
        values, mode = values[..., :-1], mode.rstrip("A")
        values = values[..., 0] if mode != "RGB" else values
    if mode == "RGB":
        return _of_colours(values, colours)
    if mode == "1":
        values = values.astype(np.uint8)
    elif mode == "L":
        values = values // _grey_step(data)
    elif mode not in ("P",) and not mode.startswith("I"):
        raise MaskFileError(f"a mask in mode {mode}; accepted: whole numbers in L, P, 1 or 16 bits, or RGB")
    if values.min(initial=0) < 0 or values.max(initial=0) > _MOST_NUMBER:
        raise MaskFileError(f"numbers from {values.min()} to {values.max()}; accepted: 0 to {_MOST_NUMBER}")
    return values.astype(np.uint32 if colours else np.uint8 if values.dtype.itemsize == 1 else np.uint16)


def _grey_step(data: bytes) -> int:
    """Between neighbouring numbers after decoding a grey PNG of 2 or 4 bits; 1 for all others."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[25] != 0:
        return 1
    return {2: 85, 4: 17}.get(data[24], 1)


def _of_colours(values_HW3: np.ndarray, colours: bool) -> np.ndarray:
    red, green, blue = (values_HW3[..., channel] for channel in range(3))
    if colours:
        return (red.astype(np.uint32) << 16) | (green.astype(np.uint32) << 8) | blue
    if (red != green).any() or (red != blue).any():
        raise ColouredMask(
            "an RGB mask; give the colour of each class in data.masks.colours, or in class_dict.csv (name,r,g,b)"
        )
    return np.ascontiguousarray(red)


@lru_cache(maxsize=8)
def _lookup(table: Table, size: int) -> np.ndarray:
    """By number: its meaning, -1 where it has none."""
    found = np.full(size, -1, np.int32)
    numbers, meanings = np.array(table, np.int64).reshape(-1, 2).T
    found[numbers] = meanings
    return found


@dataclass(frozen=True, slots=True)
class NumberFile:
    """A mask file (`whet.core.masks.PixelFile`). table: what its numbers mean, as classes; None for object numbers, of which
    `ignored` is not known. colours: whether the numbers of the table are packed colours. turn: EXIF orientation to apply."""

    path: str
    table: Table | None = None
    colours: bool = False
    turn: int = 1
    ignored: int | None = None

    def __str__(self) -> str:
        return self.path

    def read(self) -> np.ndarray:
        """See `PixelFile.read`."""
        try:
            values = read_numbers(self.path, colours=self.colours)
        except (MaskFileError, OSError) as error:
            raise DataError(f"{self.path}: {why(error)}") from None
        if self.table is None:
            found = _numbered(values) if self.colours else values.astype(np.uint16)
            if self.ignored is not None:
                found[values == self.ignored] = IGNORE_ID
        else:
            meanings = _lookup(self.table, _COLOURS if self.colours else _MOST_NUMBER + 1)[values]
            if meanings.min(initial=0) < 0:
                value = int(values[meanings < 0][0])
                count = int((values == value).sum())
                raise DataError(f"{self.path}: {said(value, self.colours)} of {count} pixels is not a class")
            found = meanings.astype(np.uint8)
        return upright(found, self.turn)

    def digest(self) -> str:
        """See `PixelFile.digest`."""
        return digest_of(repr((self.table, self.turn, self.ignored)).encode() + Path(self.path).read_bytes())


def _numbered(colours_HW: np.ndarray) -> np.ndarray:
    """One number for each colour; black is 0."""
    known, place = np.unique(np.append(colours_HW.ravel(), 0), return_inverse=True)
    if len(known) > IGNORE_ID:
        raise DataError(f"{len(known)} colours in a mask of objects")
    return place[:-1].reshape(colours_HW.shape).astype(np.uint16)


def is_coloured(path: str | Path) -> bool:
    """Whether a mask file is RGB with channels that differ."""
    try:
        read_numbers(path)
    except ColouredMask:
        return True
    except (MaskFileError, OSError):
        pass
    return False


def said(value: int, colours: bool) -> str:
    """A number of a mask file in a message."""
    return f"the colour {unpacked(value)}" if colours else f"the number {value}"


@dataclass(frozen=True)
class Seen:
    """What a mask file holds: its (height, width) as stored, and the pixels of every number. reason: why it cannot be used."""

    size: Size = (0, 0)
    counts: tuple[tuple[int, int], ...] = ()
    reason: str = ""


def scan(paths: Sequence[str], *, colours: bool = False, threads: int = 4) -> list[Seen]:
    """Read every file once."""

    def one(path: str) -> Seen:
        try:
            values = read_numbers(path, colours=colours)
        except (MaskFileError, OSError) as error:
            return Seen(reason=why(error))
        if colours:
            found, counts = np.unique(values, return_counts=True)
        else:
            counts = np.bincount(values.ravel())
            found = np.flatnonzero(counts)
            counts = counts[found]
        return Seen(values.shape, tuple(zip(found.tolist(), counts.tolist())))

    with ThreadPoolExecutor(threads, thread_name_prefix="whet-masks") as pool:
        return list(pool.map(one, paths, chunksize=16))
