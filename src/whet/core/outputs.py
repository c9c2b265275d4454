"""The outputs of a predictor on validation samples, in chunks, for everything that is fitted to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from whet.core.targets import ClassTargets


class Chunk(NamedTuple):
    """Some of the samples: their ids (B,), the outputs (B, …), float, on the CPU, and the targets of class labels."""

    ids: np.ndarray
    outputs: Tensor
    targets: Any


class Outputs:
    """Chunks of samples, in the same order in every iteration. They may not all be in memory, so iterate as often as necessary, and
    keep sums or a number per sample. index_N: the row numbers of the samples, in this order.

    chunks: all of them, or a function that starts a new iteration. What is derived from a list is computed once, from a function
    in every iteration."""

    def __init__(self, chunks: list[Chunk] | Callable[[], Iterator[Chunk]], index_N: np.ndarray) -> None:
        self._chunks, self.index_N = chunks, index_N

    @classmethod
    def of(cls, outputs_N: Tensor, targets: ClassTargets) -> Outputs:
        """Outputs that are in memory, as one chunk. The ids are the row numbers."""
        index_N = np.arange(len(outputs_N))
        return cls([Chunk(index_N.astype(str), outputs_N, targets)], index_N)

    def __iter__(self) -> Iterator[Chunk]:
        return iter(self._chunks) if isinstance(self._chunks, list) else self._chunks()

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.index_N)

    def _derived(self, chunks: Callable[[], Iterator[Chunk]], index_N: np.ndarray) -> Outputs:
        return Outputs(list(chunks()) if isinstance(self._chunks, list) else chunks, index_N)

    def through(self, change: Callable[[Tensor], Tensor]) -> Outputs:
        """The same samples with changed outputs."""
        return self._derived(lambda: (chunk._replace(outputs=change(chunk.outputs)) for chunk in self), self.index_N)

    def rows(self, chosen_N: np.ndarray) -> Outputs:
        """A subset of the samples, bool (N,)."""

        def chunks() -> Iterator[Chunk]:
            import torch

            for chunk, chosen_B in _cut(self, chosen_N):
                rows_B = torch.from_numpy(np.flatnonzero(chosen_B))
                if len(rows_B):
                    targets = None if chunk.targets is None else chunk.targets[rows_B]
                    yield Chunk(chunk.ids[chosen_B], chunk.outputs[rows_B], targets)

        return self._derived(chunks, self.index_N[chosen_N])

    def whole(self) -> tuple[Tensor, ClassTargets]:
        """All outputs and targets in memory, for outputs that are one vector per sample. There must be a sample."""
        import torch

        chunks = list(self)
        targets = chunks[0].targets
        if len(chunks) > 1 and targets is not None:
            targets = targets.having(torch.cat([chunk.targets.probs_BK for chunk in chunks]))
        return rows_joined([chunk.outputs for chunk in chunks]), targets

    @classmethod
    def merged(cls, parts: Sequence[tuple[np.ndarray, Outputs]]) -> Outputs:
        """Each sample with the outputs of the part that has it: (bool (N,), outputs of all samples, in the same chunks)."""

        def chunks() -> Iterator[Chunk]:
            for cuts in zip(*(_cut(outputs, chosen_N) for chosen_N, outputs in parts), strict=True):
                alike = filled_up([chunk.outputs for chunk, _ in cuts])
                merged = alike[0].clone()
                for outputs, (_, chosen_B) in zip(alike, cuts):
                    rows_B = np.flatnonzero(chosen_B)
                    merged[rows_B] = outputs[rows_B]
                yield cuts[0][0]._replace(outputs=merged)

        return parts[0][1]._derived(chunks, parts[0][1].index_N)


def _cut(outputs: Outputs, chosen_N: np.ndarray) -> Iterator[tuple[Chunk, np.ndarray]]:
    """Every chunk with its part of an array over the samples."""
    start = 0
    for chunk in outputs:
        yield chunk, chosen_N[start : start + len(chunk.ids)]
        start += len(chunk.ids)


def filled_up(outputs: Sequence[Tensor]) -> list[Tensor]:
    """Outputs of equal width: statistics (B, S) of a task that has more of them for some samples are filled up with NaN."""
    from torch.nn.functional import pad

    if len({one.shape[1:] for one in outputs}) == 1:
        return list(outputs)
    widest = max(one.shape[1] for one in outputs)
    return [pad(one, (0, widest - one.shape[1]), value=float("nan")) for one in outputs]


def rows_joined(outputs: Sequence[Tensor]) -> Tensor:
    """The outputs of several batches in one tensor, filled up to equal width."""
    import torch

    return torch.cat(filled_up(outputs))
