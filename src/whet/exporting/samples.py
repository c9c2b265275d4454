"""Samples as a bundle prepares them, and what a graph predicts for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from whet.bundle import Bundle, Prepared, Unreadable
from whet.core.errors import DataError
from whet.core.evidence import Evidence
from whet.core.outputs import rows_joined
from whet.exporting.reference import Part, Reference, evenly

BATCH = 16
Predicts = Callable[[Sequence[Prepared]], np.ndarray]
"""Prepared samples -> their scores."""


class Samples:
    """Samples of a part. most: at most this many, evenly from the part, which stay in memory; by default all, which are prepared
    anew in every pass. unread: the reason for every row that could not be prepared."""

    def __init__(self, bundle: Bundle, part: Part, most: int | None = None) -> None:
        self.part, self._bundle = part, bundle
        self.unread: dict[int, str] = {}
        self._rows = evenly(len(part), most or len(part))
        self._kept: dict[int, Prepared] | None = None if most is None else {}

    def inputs(self, count: int | None = None) -> list[np.ndarray]:
        """The first samples, each as a batch of one; by default all."""
        rows = self._rows[:count]
        return [self._bundle.batch([one]) for row in rows if (one := self._prepared(row)) is not None]

    def evidence(self, reference: Reference, *predicts: Predicts) -> list[Evidence]:
        """What each of these predicts for them, in one pass. DataError where none of the samples can be read."""
        rows: list[int] = []
        found: list[list] = [[] for _ in predicts]
        for ready in self._batches():
            maps, samples = self.part.maps(list(ready)), list(ready.values())
            for statistics, predict in zip(found, predicts):
                statistics.append(reference.kept(self._bundle, samples, predict(samples), maps))
            rows += ready
        if not rows:
            first = self._rows[0]
            raise DataError(
                f"none of the {len(self._rows)} {self.part.split} samples can be read; {self.part.ids[first]}: {self.unread[first]}"
            )
        joined = (rows_joined(statistics).double().numpy() for statistics in found)
        return [self.part.evidence(reference, np.array(rows), statistics_NS) for statistics_NS in joined]

    def _batches(self) -> Iterator[dict[int, Prepared]]:
        for start in range(0, len(self._rows), BATCH):
            found = {row: self._prepared(row) for row in self._rows[start : start + BATCH]}
            if ready := {row: one for row, one in found.items() if one is not None}:
                yield ready

    def _prepared(self, row: int) -> Prepared | None:
        if self._kept is not None and row in self._kept:
            return self._kept[row]
        try:
            self.part.maps([row])
            made = self._bundle.prepare(self.part.content(row))
        except (Unreadable, OSError, DataError) as error:
            self.unread[row] = str(error)
            return None
        if self._kept is not None:
            self._kept[row] = made
        return made
