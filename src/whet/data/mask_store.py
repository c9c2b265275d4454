"""The class maps of a table's images, kept in memory as far as they fit."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from whet.core.masks import Masks

_KEPT_BYTES = 256_000_000


class MaskStore:
    """Class maps by row number. The first that fit are kept, because every epoch shows each image once; the others are painted
    again. For use by several threads."""

    def __init__(self, masks: Sequence[Masks], kept_bytes: int = _KEPT_BYTES) -> None:
        self._masks, self._free = list(masks), kept_bytes
        self._kept: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._masks)

    def __getitem__(self, row: int) -> np.ndarray:
        """uint8 (H, W) in the size of the upright image; not to be changed. DataError where its file cannot be read."""
        found = self._kept.get(row)
        if found is None:
            found = self._masks[row].class_map()
            with self._lock:
                if row not in self._kept and found.nbytes <= self._free:
                    self._kept[row] = found
                    self._free -= found.nbytes
        return found
