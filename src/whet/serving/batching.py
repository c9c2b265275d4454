"""Samples of several requests computed together: a bounded queue before one onnxruntime session."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from whet.bundle import Bundle, Prepared, Unreadable
from whet.serving.heat import COST, covered, heat_of
from whet.serving.intake import TooLarge, require_moderate
from whet.serving.metrics import Metrics
from whet.serving.settings import Settings

_SIZES = (2, 4, 8, 16, 32)
_GAIN = 0.9  # a larger batch is worthwhile where a sample costs at most this share
_TURN = 0.001  # seconds that threads and caches lose whenever the session takes its turn, about
_LONGEST = 0.25  # seconds that one batch may take
_LONGEST_SIDE = 2048  # pixels of a predicted mask; those of larger images are as much smaller


Computed = asyncio.Future[tuple[Prepared, np.ndarray]]


class Full(Exception):
    """The queue has no room for the samples of a request."""


class Batcher:
    """Predicts samples from many requests at once. A batch starts at once where no other sample is being decoded, else it waits for
    up to `settings.window`. Samples of cancelled requests are skipped.

    A sample goes from the event loop to a thread that decodes, from there to the thread of the session, and back: the loop wakes up
    once per batch. Every future belongs to the loop, and has the prepared sample and its row of probabilities as its result."""

    def __init__(self, bundle: Bundle, settings: Settings, metrics: Metrics) -> None:
        self._bundle, self._settings, self._metrics = bundle, settings, metrics
        self.batch = settings.batch or best_batch(bundle)
        self.pending = 0  # samples admitted and not yet predicted
        self._decoding = 0
        self._waiting: deque[tuple[Prepared, Computed]] = deque()
        self._changed = threading.Condition()  # of the two above
        self._decoders = ThreadPoolExecutor(max(2, min(8, os.cpu_count() or 1)), "decode")
        self._session = ThreadPoolExecutor(1, "session")

    async def predict(self, samples: Sequence[bytes | str]) -> list[dict[str, Any] | Unreadable]:
        """The predictions of samples in order (see `Bundle.decide`), or why one cannot be read. Raises Full."""
        with self._admitted(len(samples)):
            return await asyncio.gather(*(self._one(sample) for sample in samples))

    async def predict_one(self, sample: bytes | str) -> dict[str, Any] | Unreadable:
        with self._admitted(1):
            return await self._one(sample)

    async def predict_with_heat(self, sample: bytes | str) -> dict[str, Any] | Unreadable:
        """The prediction with `heat`, or why the sample cannot be read. It counts as `heat.COST` samples. Raises Full."""
        loop = asyncio.get_running_loop()
        with self._admitted(COST):
            found = await self._computed(sample)
            if isinstance(found, Unreadable):
                return found
            prepared, p_K = found
            parts = [
                (one, loop.create_future()) for one in await loop.run_in_executor(self._decoders, covered, prepared)
            ]
            for part in parts:
                self._queue(*part)
            rows = [row_K for _, row_K in await asyncio.gather(*(future for _, future in parts))]
            return {**await self._decided(prepared, p_K), "heat": heat_of(self._bundle, p_K, rows)}

    @contextlib.contextmanager
    def _admitted(self, samples: int) -> Iterator[None]:
        if self.pending + samples > self._settings.queue:
            raise Full
        self.pending += samples
        try:
            yield
        finally:
            self.pending -= samples

    def close(self) -> None:
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._session.shutdown(wait=False, cancel_futures=True)

    # --- in the event loop --------------------------------------------------------------------------------------------
    async def _one(self, sample: bytes | str) -> dict[str, Any] | Unreadable:
        found = await self._computed(sample)
        return found if isinstance(found, Unreadable) else await self._decided(*found)

    async def _computed(self, sample: bytes | str) -> tuple[Prepared, np.ndarray] | Unreadable:
        future: Computed = asyncio.get_running_loop().create_future()
        with self._changed:
            self._decoding += 1
        self._decoders.submit(self._decode, sample, future)
        try:
            return await future
        except Unreadable as error:
            self._metrics.samples["too_large" if isinstance(error, TooLarge) else "unreadable"] += 1
            return error

    async def _decided(self, prepared: Prepared, probabilities: np.ndarray) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        if probabilities.ndim == 1:
            found = self._bundle.decide(prepared, probabilities)
        else:  # of masks, in the size of the image
            found = await loop.run_in_executor(self._decoders, self._bundle.decide, prepared, probabilities)
        self._metrics.samples["unsure" if found.get("unsure") else "predicted"] += 1
        return found

    # --- in other threads ---------------------------------------------------------------------------------------------
    def _decode(self, sample: bytes | str, future: Computed) -> None:
        try:
            if not future.done():
                self._queue(self._prepared(sample), future)
        except Exception as error:
            _settle([future], error)
            if not isinstance(error, Unreadable):
                raise
        finally:
            with self._changed:
                self._decoding -= 1
                self._changed.notify()

    def _prepared(self, sample: bytes | str) -> Prepared:
        require_moderate(sample, self._bundle.medium, self._settings)
        prepared = self._bundle.prepare(sample)
        if prepared.size is None or max(prepared.size) <= _LONGEST_SIDE:
            return prepared
        height, width = (max(1, side * _LONGEST_SIDE // max(prepared.size)) for side in prepared.size)
        return replace(prepared, size=(height, width))

    def _queue(self, prepared: Prepared, future: Computed) -> None:
        with self._changed:
            self._waiting.append((prepared, future))
            self._changed.notify()
        self._session.submit(self._compute)

    def _compute(self) -> None:
        """Compute the next batch, if an earlier call has not taken these samples."""
        batch = self._gathered()
        if not batch:
            return
        self._metrics.batches.observe(len(batch))
        futures = [future for _, future in batch]
        try:
            rows = self._bundle.run([prepared for prepared, _ in batch])[1]
        except Exception as error:
            _settle(futures, error)
            raise
        _settle(futures, [(prepared, row) for (prepared, _), row in zip(batch, rows)])

    def _gathered(self) -> list[tuple[Prepared, Computed]]:
        """The next batch, after the wait for samples that are being decoded."""
        end = time.monotonic() + self._settings.window
        with self._changed:
            while 0 < len(self._waiting) < self.batch and self._decoding and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            batch = [self._waiting.popleft() for _ in range(min(self.batch, len(self._waiting)))]
        return [(prepared, future) for prepared, future in batch if not future.done()]


def _settle(futures: Sequence[Computed], found: Exception | Sequence[tuple[Prepared, np.ndarray]]) -> None:
    """Give futures of one loop their results, or an error to them all, from another thread."""

    def settle() -> None:
        for k, future in enumerate(futures):
            if not future.done():
                future.set_exception(found) if isinstance(found, Exception) else future.set_result(found[k])

    futures[0].get_loop().call_soon_threadsafe(settle)


def best_batch(bundle: Bundle) -> int:
    """The batch size with the least time per sample on this machine, among 1, 2, 4, …, 32 and up to a quarter of a second."""
    sample, best = _blank(bundle), 1
    cost = _TURN + _seconds(bundle, [sample])
    for size in _SIZES:
        if size * cost > _LONGEST:
            break
        each = (_TURN + _seconds(bundle, [sample] * size)) / size
        if each < _GAIN * cost:
            best, cost = size, each
    return best


def _seconds(bundle: Bundle, samples: list[Prepared]) -> float:
    """The least of at least three computations, for at least a tenth of a second: other processes disturb some."""
    found: list[float] = []
    while len(found) < 3 or sum(found) < 0.1:
        began = time.perf_counter()
        bundle.run(samples)
        found.append(time.perf_counter() - began)
    return min(found)


def _blank(bundle: Bundle) -> Prepared:
    given = bundle.info["input"]
    if bundle.medium == "text":
        return Prepared(np.full(min(32, given["limit"]), given["unknown_id"], dtype=np.int64))
    return Prepared(np.zeros(given["shape"][1:], dtype=given["dtype"]))
