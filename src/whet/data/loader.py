"""From rows to painted batches: reading, drawing, decoding and painting in threads, a few batches ahead.

Threads, because everything heavy (file reading, JPEG decoding, OpenCV) releases Python's lock. Every draw is a function of the
sample alone, so any number of threads gives the same batches.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from whet.core.view import ImageView
from whet.data.image import Picture, UnreadableImage
from whet.render.image_cpu import CpuPainter
from whet.render.shrink import decoder_factor, shrink, shrink_factors

Draw = Callable[[ImageView, np.ndarray], ImageView]
"""The empty view of a batch and its sample numbers -> the view with every wish drawn in."""

_BUFFER_BYTES = 64_000_000


@dataclass(frozen=True)
class Painted:
    """One painted batch. images_BHWC: uint8. index_B: the sample numbers that could be painted. failed: the others, with the
    reason; a failed sample is left out, never replaced."""

    images_BHWC: np.ndarray
    index_B: np.ndarray
    failed: tuple[tuple[int, str], ...] = ()


def plain(view: ImageView, index_B: np.ndarray) -> ImageView:
    """No wishes: the picture as it is shown at prediction time."""
    return view


class ImageLoader:
    """Paints the pictures at `paths`. `wait_seconds` counts how long its reader had to wait for a batch."""

    def __init__(self, paths: Sequence[str], threads: int, fit: Literal["squash", "crop"] = "squash") -> None:
        self._paths = list(paths)
        self._fit: Literal["squash", "crop"] = fit
        self._threads = max(1, threads)
        self._scratch = threading.local()
        self.wait_seconds = 0.0

    def __len__(self) -> int:
        return len(self._paths)

    def batches(self, orders: Iterable[np.ndarray], size: int, draw: Draw = plain) -> Iterator[Painted]:
        """One painted batch for each array of sample numbers, in that order."""
        pending: deque[Future[Painted]] = deque()
        orders = iter(orders)
        with ThreadPoolExecutor(self._threads, thread_name_prefix="whet-loader") as pool:
            try:
                while True:
                    while len(pending) < self._threads + 2 and (index_B := next(orders, None)) is not None:
                        pending.append(pool.submit(self._paint, index_B, size, draw))
                    if not pending:
                        return
                    start = time.perf_counter()
                    painted = pending.popleft().result()
                    self.wait_seconds += time.perf_counter() - start
                    yield painted
            finally:
                for future in pending:
                    future.cancel()

    def sizes(self, index_B: np.ndarray) -> list[tuple[int, int]]:
        """(height, width) of these pictures; unreadable ones are left out."""
        found = []
        for index in index_B:
            try:
                found.append(Picture(Path(self._paths[index]).read_bytes()).size)
            except (OSError, UnreadableImage):
                continue
        return found

    def _paint(self, index_B: np.ndarray, size: int, draw: Draw) -> Painted:
        pictures, kept, failed = [], [], []
        for index in index_B.tolist():
            try:
                pictures.append(Picture(Path(self._paths[index]).read_bytes()))
                kept.append(index)
            except (OSError, UnreadableImage) as error:
                failed.append((index, _reason(error)))
        out = np.empty((len(kept), size, size, 3), dtype=np.uint8)
        painted = []
        if kept:
            drawn_B = np.array(kept, dtype=np.int64)
            view = draw(ImageView.whole([p.size for p in pictures], (size, size), self._fit), drawn_B)
            factors_B2, painter = shrink_factors(view), CpuPainter(view)
            for i, picture in enumerate(pictures):
                try:
                    pixels = picture.pixels(decoder_factor(factors_B2[i]), self._buffer())
                except UnreadableImage as error:
                    failed.append((kept[i], _reason(error)))
                    continue
                painter.paint(i, shrink(pixels, picture.size, factors_B2[i]), out[i])
                painted.append(i)
        if len(painted) < len(kept):
            out, kept = out[painted], [kept[i] for i in painted]
        return Painted(out, np.array(kept, dtype=np.int64), tuple(failed))

    def _buffer(self) -> np.ndarray:
        """Memory of this thread to decode into: fresh memory for every picture would cost as much as the decoding."""
        if not hasattr(self._scratch, "buffer"):
            self._scratch.buffer = np.empty(_BUFFER_BYTES, dtype=np.uint8)
        return self._scratch.buffer


def _reason(error: Exception) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


def chunks(order_N: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """The order cut into batches; the last may be short."""
    return [order_N[start : start + batch_size] for start in range(0, len(order_N), batch_size)]
