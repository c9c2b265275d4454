"""Keeps the outputs of a predictor, so that what is fitted to them in several passes predicts the samples once."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from whet.core.outputs import Chunk, Outputs
from whet.core.task import VectorTask
from whet.core.writing import writing
from whet.data.store import free_disk
from whet.data.table import Table
from whet.evaluate.inference import concatenated

IN_MEMORY = 256 * 2**20  # bytes
_CHUNK = 16 * 2**20  # bytes
_DISK_SHARE = 0.5  # of the free disk

Batches = Iterator[tuple[Tensor, np.ndarray]]
"""(outputs, row numbers) of one batch after the other."""


def keep_outputs(predict: Callable[[], Batches], part: Table, folder: Path, in_memory: int = IN_MEMORY) -> Outputs:
    """Predict these samples and keep the outputs: in memory where they need at most `in_memory` bytes, else in a nameless file
    below `folder`, which the system removes even if the process is killed. Where that needs more than half of the free disk, every
    iteration predicts the samples again."""
    ids_N, targets = part.frame["id"].to_numpy(), part.targets if isinstance(part.task, VectorTask) else None

    def chunk(outputs: Tensor, index_B: np.ndarray) -> Chunk:
        return Chunk(ids_N[index_B], outputs, None if targets is None else targets[torch.from_numpy(index_B)])

    kept: list[Chunk] = []
    file: _File | None = None
    indices: list[np.ndarray] = [np.empty(0, dtype=np.int64)]
    needed = 0
    for outputs, index_B in _in_chunks(predict()):
        needed = needed or outputs.nbytes // len(outputs) * len(part)
        indices.append(index_B)
        if needed <= in_memory:
            kept.append(chunk(outputs, index_B))
        elif needed <= _DISK_SHARE * free_disk(folder) or file is not None:
            file = file or _File(folder)
            file.add(outputs, index_B)
    index_N = np.concatenate(indices)
    if needed <= in_memory:
        return Outputs(kept, index_N)
    read = file.read if file is not None else lambda: _in_chunks(predict())
    return Outputs(lambda: (chunk(*found) for found in read()), index_N)


def _in_chunks(batches: Batches) -> Batches:
    """Join small batches: a pass over few chunks is faster."""
    waiting: list[tuple[Tensor, np.ndarray]] = []
    for batch in batches:
        waiting.append(batch)
        if sum(outputs.nbytes for outputs, _ in waiting) >= _CHUNK:
            yield concatenated(waiting)
            waiting.clear()
    if waiting:
        yield concatenated(waiting)


class _File:
    """Outputs in a nameless file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with writing(folder):
            self._file: IO[Any] = tempfile.TemporaryFile(dir=folder, prefix=".outputs-")  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._places: list[tuple[int, np.dtype, torch.Size, np.ndarray]] = []

    def add(self, outputs: Tensor, index_B: np.ndarray) -> None:
        values = outputs.contiguous().numpy()
        with writing(self._folder, values.nbytes):
            self._places.append((self._file.tell(), values.dtype, outputs.shape, index_B))
            self._file.write(values.data)
            self._file.flush()

    def read(self) -> Batches:
        for place, kind, shape, index_B in self._places:
            yield torch.from_numpy(np.array(np.memmap(self._file, kind, "r", place, tuple(shape)))), index_B
