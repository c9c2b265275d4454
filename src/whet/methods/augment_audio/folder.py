"""Audio files of a folder, for methods with a `folder` parameter."""

from __future__ import annotations

import functools
from pathlib import Path

from whet.core.errors import DataError
from whet.data.folder import AUDIO_FILES, files_below


@functools.lru_cache(maxsize=16)
def audio_below(method: str, folder: str) -> tuple[str, ...]:
    """Return the sorted paths of all audio files below `folder`. Raises DataError if there are none."""
    found = tuple(str(path) for path in files_below(Path(folder).expanduser(), AUDIO_FILES))
    if not found:
        raise DataError(
            f"{method}.folder: {folder} holds no audio clips; accepted: {' '.join(sorted(AUDIO_FILES.suffixes))}"
        )
    return found
