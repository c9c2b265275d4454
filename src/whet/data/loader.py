"""From rows to batches: reading, drawing, decoding, rendering, and the preprocessing of the network's front (tokens, spectrograms,
the copy to the device), in threads, a few batches ahead.

It uses threads because all expensive steps (file reading, JPEG decoding, OpenCV, resampling, tokenizing, torch) release the GIL.
Every draw is a function of the sample alone, so the batches do not depend on the number of threads.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
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


@dataclass(frozen=True, eq=False)
class Job:
    """One batch to render, see `Loader.batches`."""

    index_B: np.ndarray
    size: int
    draw: Draw = plain
    receive: Receive | None = None

    def equals(self, other: Job) -> bool:
        """Whether the results are the same."""
        alike = (self.size, self.draw, self.receive) == (other.size, other.draw, other.receive)
        return alike and np.array_equal(self.index_B, other.index_B)


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
        return Stream(self).batches([Job(index_B, size, draw, receive) for index_B in orders])

    def load(self, job: Job) -> Rendered:
        """Render one batch in this thread."""
        rendered = self._render(job.index_B, job.size, job.draw)
        return rendered if job.receive is None else replace(rendered, content=job.receive(rendered.content, job.size))


class Stream:
    """Batches of a loader, call after call, as the epochs of a training follow each other. The batches that are expected next are
    begun before the call that asks for them, so an epoch of few batches does not wait for its first one. An expectation changes no
    result: what is asked for is compared with it, and rendered anew where it differs."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._begun: deque[tuple[Job, Future[Rendered]]] = deque()
        self._pool: ThreadPoolExecutor | None = None

    def batches(self, jobs: Sequence[Job], expected: Iterable[Job] = ()) -> Iterator[Rendered]:
        """The batch of each job, in order. expected: the jobs of the calls that follow, as far as they can be foreseen."""
        following, finished = self._after_begun(chain(jobs, expected)), False
        try:
            for _ in range(len(jobs)):
                self._begin(following)
                start = time.perf_counter()
                rendered = self._begun.popleft()[1].result()
                self._loader.wait_seconds += time.perf_counter() - start
                yield rendered
            finished = True
        finally:
            if not finished or not self._begun:
                self._cancel()

    def _after_begun(self, jobs: Iterator[Job]) -> Iterator[Job]:
        """The jobs that are not begun. If others than these are begun, they are cancelled."""
        for place, (begun, _) in enumerate(list(self._begun)):
            job = next(jobs, None)
            if job is None or not job.equals(begun):
                for _ in range(len(self._begun) - place):
                    self._begun.pop()[1].cancel()
                return jobs if job is None else chain([job], jobs)
        return jobs

    def _begin(self, following: Iterator[Job]) -> None:
        threads = self._loader.threads
        while len(self._begun) < threads + 2 and (job := next(following, None)) is not None:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(threads, thread_name_prefix="whet-loader")
            self._begun.append((job, self._pool.submit(self._loader.load, job)))

    def _cancel(self) -> None:
        self._begun.clear()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def why(error: Exception) -> str:
    """The message of an error, or the system's description of an OSError."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


def chunks(order_N: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Split the order into batches; the last may be smaller."""
    return [order_N[start : start + batch_size] for start in range(0, len(order_N), batch_size)]
