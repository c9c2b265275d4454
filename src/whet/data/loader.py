"""From rows to batches: reading, drawing, decoding, painting, and what the network's front does with the result (tokens,
spectrograms, the copy to the device), in threads, a few batches ahead.

Threads, because everything heavy (file reading, JPEG decoding, OpenCV, resampling, tokenizing, torch) releases Python's lock. Every
draw is a function of the sample alone, so any number of threads gives the same batches.
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
"""The empty view of a batch and its sample numbers -> the view with every wish drawn in."""

Receive = Callable[[Any, int], Any]
"""The painted samples of a batch and their size -> what the network's front makes of them. Called by any number of threads at once;
see `whet.models.front.Front.receive`."""


@dataclass(frozen=True)
class Painted:
    """One painted batch. content: images, uint8 (B, H, W, 3); texts, a list of str; audio clips, float32 waves (B, T); or what
    `receive` made of them. index_B: the sample numbers that could be painted. failed: the others, with the reason; a failed sample
    is left out, never replaced."""

    content: Any
    index_B: np.ndarray
    failed: tuple[tuple[int, str], ...] = ()


def plain(view: Any, index_B: np.ndarray) -> Any:
    """No wishes: the sample as it is shown at prediction time."""
    return view


class Loader(ABC):
    """Paints samples by their numbers. `wait_seconds` counts how long its reader had to wait for a batch. `lengths`: of every
    sample, where those of one length cost least beside each other; else None."""

    lengths: np.ndarray | None = None

    def __init__(self, threads: int) -> None:
        self.threads = max(1, threads)
        self.wait_seconds = 0.0

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _paint(self, index_B: np.ndarray, size: int, draw: Draw) -> Painted: ...

    def batches(
        self, orders: Iterable[np.ndarray], size: int, draw: Draw = plain, receive: Receive | None = None
    ) -> Iterator[Painted]:
        """One painted batch for each array of sample numbers, in that order, received in the same thread where `receive` is given.
        A number beyond the last sample, n + k len(self), shows sample n again, with draws of its own. At most `threads` + 2 batches
        are under way. What a thread raises is raised here, in place of its batch."""
        pending: deque[Future[Painted]] = deque()
        orders = iter(orders)
        with ThreadPoolExecutor(self.threads, thread_name_prefix="whet-loader") as pool:
            try:
                while True:
                    while len(pending) < self.threads + 2 and (index_B := next(orders, None)) is not None:
                        pending.append(pool.submit(self._load, index_B, size, draw, receive))
                    if not pending:
                        return
                    start = time.perf_counter()
                    painted = pending.popleft().result()
                    self.wait_seconds += time.perf_counter() - start
                    yield painted
            finally:
                for future in pending:
                    future.cancel()

    def _load(self, index_B: np.ndarray, size: int, draw: Draw, receive: Receive | None) -> Painted:
        painted = self._paint(index_B, size, draw)
        return painted if receive is None else replace(painted, content=receive(painted.content, size))


def why(error: Exception) -> str:
    """A failure in the words of its reader, or of the system."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


def chunks(order_N: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """The order cut into batches; the last may be short."""
    return [order_N[start : start + batch_size] for start in range(0, len(order_N), batch_size)]
