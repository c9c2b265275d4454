"""Clear error messages for failed writes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from whet.core.errors import OutputError


@contextlib.contextmanager
def writing(path: Path, size: int | None = None, then: str = "") -> Iterator[None]:
    """Within the block this path is written, with `size` bytes where known. Errors of the system (a full disk, a quota, no
    permission) become OutputError with the path and the size. then: the end of the message."""

    try:
        yield
    except (OSError, SafetensorError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        named = str(path) if size is None else f"{path} ({size:,} bytes)"
        raise OutputError(f"{named} cannot be written: {why}{then}") from None
