"""From rows to batches: reading, drawing, decoding, rendering, and the preprocessing of the network's front (tokens, spectrograms,
the copy to the device), in threads, a few batches ahead.

It uses threads because all expensive steps (file reading, JPEG decoding, OpenCV, resampling, tokenizing, torch) release the GIL.
Every draw is a function of the sample alone, so the batches do not depend on the number of threads.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Draw = Callable[[Any, np.ndarray], Any]
"""The empty view of a batch and its sample numbers -> the view with all transforms added."""

Receive = Callable[[Any, int], Any]
"""The rendered samples of a batch and their size -> the input of the network, from the network's front. Called by several threads
at once; see `whet.models.front.Front.receive`."""


@dataclass(frozen=True)
class Rendered:
    """One rendered batch. content: images, uint8 (B, H, W, 3); texts, a list of str; audio clips, float32 waves (B, T); or the
    output of `receive`. masks: of images with masks, the map of each (`Task.map_of`), as rendered with the image or in its own
    size. index_B: numbers of the rendered samples. failed: the others, with the reason; a failed sample is left out, never
    replaced."""

    content: Any
    index_B: np.ndarray
    failed: tuple[tuple[int, str], ...] = ()
    masks: Any = None


def plain(view: Any, index_B: np.ndarray) -> Any:
    """No transforms: the sample as at prediction time."""
    return view


class Loader(ABC):
    """Renders samples by number. `wait_seconds`: the time its consumer waited for batches. `lengths`: the length of every sample,
    where batches of similar lengths are cheaper; else None."""

    lengths: np.ndarray | None = None

    def __init__(self, threads: int) -> None:
        self.threads = max(1, threads)
        self.wait_seconds = 0.0

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _render(self, index_B: np.ndarray, size: int, draw: Draw) -> Rendered: ...

    def batches(
        self, orders: Iterable[np.ndarray], size: int, draw: Draw = plain, receive: Receive | None = None
    ) -> Iterator[Rendered]:
        """One rendered batch for each array of sample numbers, in that order; `receive`, where given, runs in the same thread. A
        number beyond the last sample, n + k len(self), renders sample n again, with its own draws. At most `threads` + 2 batches
        are in progress. An exception in a thread is raised here, in place of its batch."""
        pending: deque[Future[Rendered]] = deque()
        orders = iter(orders)
        with ThreadPoolExecutor(self.threads, thread_name_prefix="whet-loader") as pool:
            try:
                while True:
                    while len(pending) < self.threads + 2 and (index_B := next(orders, None)) is not None:
                        pending.append(pool.submit(self._load, index_B, size, draw, receive))
                    if not pending:
                        return
                    start = time.perf_counter()
                    rendered = pending.popleft().result()
                    self.wait_seconds += time.perf_counter() - start
                    yield rendered
            finally:
                for future in pending:
                    future.cancel()

    def _load(self, index_B: np.ndarray, size: int, draw: Draw, receive: Receive | None) -> Rendered:
        rendered = self._render(index_B, size, draw)
        return rendered if receive is None else replace(rendered, content=receive(rendered.content, size))


def why(error: Exception) -> str:
    """The message of an error, or the system's description of an OSError."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


def chunks(order_N: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Split the order into batches; the last may be smaller."""
    return [order_N[start : start + batch_size] for start in range(0, len(order_N), batch_size)]
