"""The maps of a table's masks, kept in memory as far as they fit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from whet.core.masks import Masks

_KEPT_BYTES = 256_000_000


class MaskStore:
    """Maps by row number. The first that fit are kept, because every epoch shows each image once; the others are painted again. For
    use by several threads. map_of: the map of some masks (`Task.map_of`)."""

    def __init__(self, masks: Sequence[Masks], map_of: Callable[[Masks], Any], kept_bytes: int = _KEPT_BYTES) -> None:
        self._masks, self._map_of, self._free = list(masks), map_of, kept_bytes
        self._kept: dict[int, Any] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._masks)

    def __getitem__(self, row: int) -> Any:
        """In the size of the upright image; not to be changed. DataError where its file cannot be read."""
        found = self._kept.get(row)
        if found is None:
            found = self._map_of(self._masks[row])
            with self._lock:
                if row not in self._kept and found.nbytes <= self._free:
                    self._kept[row] = found
                    self._free -= found.nbytes
        return found
