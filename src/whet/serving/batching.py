"""Samples of several requests computed together: a bounded queue before one onnxruntime session."""

from __future__ import annotations

import asyncio
import contextlib
import os
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
_LONGEST = 0.25  # seconds that one batch may take
_LONGEST_SIDE = 2048  # pixels of a predicted mask; those of larger images are as much smaller


class Full(Exception):
    """The queue has no room for the samples of a request."""


class Batcher:
    """Predicts samples from many requests at once. A batch starts at once where no other sample is being decoded, else it waits for
    up to `settings.window`. Samples of cancelled requests are skipped. `work` must run as a task meanwhile."""

    def __init__(self, bundle: Bundle, settings: Settings, metrics: Metrics) -> None:
        self._bundle, self._settings, self._metrics = bundle, settings, metrics
        self.batch = settings.batch or best_batch(bundle)
        self.pending = 0  # samples admitted and not yet predicted
        self._decoding = 0
        self._waiting: deque[tuple[Prepared, asyncio.Future[np.ndarray]]] = deque()
        self._changed = asyncio.Event()
        self._decoders = ThreadPoolExecutor(max(2, min(8, os.cpu_count() or 1)), "decode")
        self._session = ThreadPoolExecutor(1, "session")

    async def predict(self, samples: Sequence[bytes | str]) -> list[dict[str, Any] | Unreadable]:
        """The predictions of samples in order (see `Bundle.decide`), or why one cannot be read. Raises Full."""
        with self._admitted(len(samples)):
            return await asyncio.gather(*(self._one(sample) for sample in samples))

    async def predict_one(self, sample: bytes | str) -> dict[str, Any] | Unreadable:
        return (await self.predict([sample]))[0]

    async def predict_with_heat(self, sample: bytes | str) -> dict[str, Any] | Unreadable:
        """The prediction with `heat`, or why the sample cannot be read. It counts as `heat.COST` samples. Raises Full."""
        with self._admitted(COST):
            prepared = await self._decoded(sample)
            if isinstance(prepared, Unreadable):
                return prepared
            p_K = await self._computed(prepared)
            parts = await asyncio.get_running_loop().run_in_executor(self._decoders, covered, prepared)
            heat = heat_of(self._bundle, p_K, await asyncio.gather(*map(self._computed, parts)))
            return {**await self._decided(prepared, p_K), "heat": heat}

    @contextlib.contextmanager
    def _admitted(self, samples: int) -> Iterator[None]:
        if self.pending + samples > self._settings.queue:
            raise Full
        self.pending += samples
        try:
            yield
        finally:
            self.pending -= samples

    async def work(self) -> None:
        """Compute batches, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._gathered()
            batch = [self._waiting.popleft() for _ in range(min(self.batch, len(self._waiting)))]
            batch = [(prepared, future) for prepared, future in batch if not future.done()]
            if not batch:
                continue
            self._metrics.batches.observe(len(batch))
            run = loop.run_in_executor(self._session, self._bundle.run, [prepared for prepared, _ in batch])
            await asyncio.wait([run])
            error = run.exception()
            rows = run.result()[1] if error is None else [None] * len(batch)
            for (_, future), row in zip(batch, rows):
                if not future.done():
                    future.set_result(row) if error is None else future.set_exception(error)

    def close(self) -> None:
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._session.shutdown(wait=False, cancel_futures=True)

    async def _one(self, sample: bytes | str) -> dict[str, Any] | Unreadable:
        prepared = await self._decoded(sample)
        if isinstance(prepared, Unreadable):
            return prepared
        return await self._decided(prepared, await self._computed(prepared))

    async def _decoded(self, sample: bytes | str) -> Prepared | Unreadable:
        self._decoding += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._decoders, self._prepared, sample)
        except Unreadable as error:
            self._metrics.samples["too_large" if isinstance(error, TooLarge) else "unreadable"] += 1
            return error
        finally:
            self._decoding -= 1
            self._changed.set()

    def _computed(self, prepared: Prepared) -> asyncio.Future[np.ndarray]:
        future: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        self._waiting.append((prepared, future))
        self._changed.set()
        return future

    async def _decided(self, prepared: Prepared, probabilities: np.ndarray) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        if probabilities.ndim == 1:
            found = self._bundle.decide(prepared, probabilities)
        else:  # of masks, in the size of the image
            found = await loop.run_in_executor(self._decoders, self._bundle.decide, prepared, probabilities)
        self._metrics.samples["unsure" if found.get("unsure") else "predicted"] += 1
        return found

    def _prepared(self, sample: bytes | str) -> Prepared:
        require_moderate(sample, self._bundle.medium, self._settings)
        prepared = self._bundle.prepare(sample)
        if prepared.size is None or max(prepared.size) <= _LONGEST_SIDE:
            return prepared
        height, width = (max(1, side * _LONGEST_SIDE // max(prepared.size)) for side in prepared.size)
        return replace(prepared, size=(height, width))

    async def _gathered(self) -> None:
        """Return once there is a batch to compute."""
        while not self._waiting:
            self._changed.clear()
            await self._changed.wait()
        loop = asyncio.get_running_loop()
        end = loop.time() + self._settings.window
        while len(self._waiting) < self.batch and self._decoding and (left := end - loop.time()) > 0:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()


def best_batch(bundle: Bundle) -> int:
    """The batch size with the least time per sample on this machine, among 1, 2, 4, …, 32 and up to a quarter of a second."""
    sample, best = _blank(bundle), 1
    cost = _seconds(bundle, [sample])
    for size in _SIZES:
        if size * cost > _LONGEST:
            break
        each = _seconds(bundle, [sample] * size) / size
        if each < _GAIN * cost:
            best, cost = size, each
    return best


def _seconds(bundle: Bundle, samples: list[Prepared]) -> float:
    """The least of three computations."""
    found = []
    for _ in range(3):
        began = time.perf_counter()
        bundle.run(samples)
        found.append(time.perf_counter() - began)
    return min(found)


def _blank(bundle: Bundle) -> Prepared:
    given = bundle.info["input"]
    if bundle.medium == "text":
        return Prepared(np.full(min(32, given["limit"]), given["unknown_id"], dtype=np.int64))
    return Prepared(np.zeros(given["shape"][1:], dtype=given["dtype"]))
