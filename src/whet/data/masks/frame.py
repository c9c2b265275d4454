"""The frame of an annotation: the upright image, or the image as stored, before its EXIF orientation is applied.

The stated size of the annotation decides. Where both frames have the same size (a half turn, a mirror image, a square image), it
cannot be told, and `data.masks.frame` must say it.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from whet.core.errors import DataError
from whet.core.rle import Size
from whet.data.image import UnreadableImage, stored_frame
from whet.data.loader import why

_HEAD = 1 << 18  # bytes; the header of a JPEG, a preview included, is rarely longer
_SWAPS = frozenset({5, 6, 7, 8})


class FrameUnknown(DataError):
    """An annotation that may mean either frame."""


class OtherSize(DataError):
    """An annotation for an image of another size: it is skipped."""


@dataclass(frozen=True, slots=True)
class Frame:
    """stored: (height, width) as in the file. orientation: the EXIF orientation, 1 for upright."""

    stored: Size
    orientation: int = 1

    @property
    def size(self) -> Size:
        """(height, width) of the upright image."""
        return self.stored[::-1] if self.orientation in _SWAPS else self.stored

    def turn_for(self, stated: Size | None, chosen: str | None, where: str) -> int:
        """The orientation to apply to an annotation of this (height, width), 1 where it is upright. where: the image, for messages.
        FrameUnknown where either frame could be meant, OtherSize for another size."""
        if self.orientation == 1:
            fitting = [1] if stated in (None, self.stored) else []
        else:
            both = {"upright": (1, self.size), "stored": (self.orientation, self.stored)}
            fitting = [
                turn
                for name, (turn, size) in both.items()
                if chosen in (None, name) and (stated is None or stated == size)
            ]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise FrameUnknown(
                f"{where}: the image has the EXIF orientation {self.orientation}, and the size of its masks does not tell whether "
                "they mean the upright or the stored image; set data.masks.frame to upright or stored, or save the image upright"
            )
        assert stated is not None
        raise OtherSize(
            f"the masks are for {stated[1]} x {stated[0]} pixels, the image has {self.size[1]} x {self.size[0]}"
        )

    def turn_points(self, points_P2: np.ndarray, turn: int) -> np.ndarray:
        """Points of the stored image in the upright one."""
        if turn == 1:
            return points_P2
        height, width = self.size
        x, y = points_P2.T[::-1] if turn in _SWAPS else points_P2.T
        if turn in (3, 4, 7, 8):
            y = height - y
        if turn in (2, 3, 6, 7):
            x = width - x
        return np.stack([x, y], axis=1)


def frame_of(path: str | Path) -> Frame:
    """The frame of an image file, from its header. UnreadableImage or OSError where it is not one."""
    with open(path, "rb") as handle:
        data = handle.read(_HEAD)
        if not data:
            raise UnreadableImage("empty file")
        if data[:3] == b"\xff\xd8\xff" and len(data) == _HEAD:
            try:
                return Frame(*stored_frame(data))
            except UnreadableImage:
                pass
        data += handle.read()
    return Frame(*stored_frame(data))


def frames_of(paths: Iterable[str | Path], threads: int = 4) -> list[Frame | str]:
    """The frame of every image, or the reason why it cannot be read."""

    def one(path: str | Path) -> Frame | str:
        try:
            return frame_of(path)
        except (OSError, ValueError) as error:  # UnreadableImage, or a name that no file can have
            return why(error)

    with ThreadPoolExecutor(threads, thread_name_prefix="whet-header") as pool:
        return list(pool.map(one, paths, chunksize=64))
