"""What a disk refuses, in plain words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from whet.core.errors import OutputError


@contextlib.contextmanager
def writing(path: Path, size: int | None = None, then: str = "") -> Iterator[None]:
    """Within the block this path, of so many bytes where that is known, is written: what the system refuses (a full disk, a quota,
    no permission) is an OutputError that names both. then: what the message ends with."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        named = str(path) if size is None else f"{path} ({size:,} bytes)"
        raise OutputError(f"{named} cannot be written: {why}{then}") from None
