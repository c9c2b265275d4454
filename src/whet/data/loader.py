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
from whet.data.store import Kept, PictureStore, WorkingPicture
from whet.render.image_cpu import CpuPainter
from whet.render.shrink import decoder_factors, sampling_steps, shrink, shrink_factors

Draw = Callable[[ImageView, np.ndarray], ImageView]
"""The empty view of a batch and its sample numbers -> the view with every wish drawn in."""

Fit = Literal["squash", "crop"]

AnyPicture = Picture | WorkingPicture | Kept

_BUFFER_BYTES = 64_000_000
_SCRATCH = threading.local()


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
    """Paints the pictures at `paths`, of which `store` keeps the decoded ones. `wait_seconds` counts how long its reader had to
    wait for a batch."""

    def __init__(
        self, paths: Sequence[str], threads: int, fit: Fit = "squash", store: PictureStore | None = None
    ) -> None:
        self._paths, self._store = list(paths), store
        self._fit: Fit = fit
        self.threads = max(1, threads)
        self.wait_seconds = 0.0

    def __len__(self) -> int:
        return len(self._paths)

    def batches(self, orders: Iterable[np.ndarray], size: int, draw: Draw = plain) -> Iterator[Painted]:
        """One painted batch for each array of sample numbers, in that order. A number beyond the last sample,
        n + k len(self), shows sample n again, with draws of its own."""
        pending: deque[Future[Painted]] = deque()
        orders = iter(orders)
        with ThreadPoolExecutor(self.threads, thread_name_prefix="whet-loader") as pool:
            try:
                while True:
                    while len(pending) < self.threads + 2 and (index_B := next(orders, None)) is not None:
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
                found.append(self._open(int(index)).size)
            except (OSError, UnreadableImage):
                continue
        return found

    def _open(self, index: int) -> AnyPicture:
        return Picture(Path(self._paths[index]).read_bytes()) if self._store is None else self._store.open(index)

    def _paint(self, index_B: np.ndarray, size: int, draw: Draw) -> Painted:
        pictures: list[AnyPicture] = []
        kept, failed = [], []
        for index in index_B.tolist():
            try:
                pictures.append(self._open(index % len(self)))
                kept.append(index)
            except (OSError, UnreadableImage) as error:
                failed.append((index, _reason(error)))
        return paint_pictures(pictures, np.array(kept, dtype=np.int64), size, self._fit, draw, tuple(failed))


def paint_pictures(
    pictures: Sequence[AnyPicture],
    index_B: np.ndarray,
    size: int,
    fit: Fit,
    draw: Draw,
    failed: tuple[tuple[int, str], ...] = (),
) -> Painted:
    """Draw one batch and paint it; a picture that turns out damaged while it is decoded joins `failed`."""
    out = np.empty((len(pictures), size, size, 3), dtype=np.uint8)
    if not pictures:
        return Painted(out, index_B, failed)
    view = draw(ImageView.whole([picture.size for picture in pictures], (size, size), fit), index_B)
    factors_B2, magnified_B = shrink_factors(view), np.any(sampling_steps(view) < 1, axis=1).tolist()
    decoder_B = decoder_factors(factors_B2).tolist()
    painter, good = CpuPainter(view), []
    for i, picture in enumerate(pictures):
        # A decoder needs the buffer; what is kept decoded is copied into it only where that pays.
        buffer = _buffer() if painter.jumps_B[i] or not isinstance(picture, Kept) else None
        try:
            pixels = picture.pixels(decoder_B[i], buffer, fine=magnified_B[i])
        except UnreadableImage as error:
            failed = (*failed, (int(index_B[i]), _reason(error)))
            continue
        painter.paint(i, shrink(pixels, picture.size, factors_B2[i]), out[i])
        good.append(i)
    if len(good) < len(pictures):
        out, index_B = out[good], index_B[good]
    return Painted(out, index_B, failed)


def _buffer() -> np.ndarray:
    """Memory of this thread to decode into: fresh memory for every picture would cost as much as the decoding."""
    if not hasattr(_SCRATCH, "buffer"):
        _SCRATCH.buffer = np.empty(_BUFFER_BYTES, dtype=np.uint8)
    return _SCRATCH.buffer


def _reason(error: Exception) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


def chunks(order_N: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """The order cut into batches; the last may be short."""
    return [order_N[start : start + batch_size] for start in range(0, len(order_N), batch_size)]
