"""The JSON encoder for all output: RFC 8259, so non-finite numbers become null, never NaN."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from whet.core.output import write_whole


def dumps(value: Any, *, indent: int | None = 2) -> str:
    """JSON text. Accepts dicts, lists, tuples, sets of strings, numbers, NumPy scalars and arrays, and paths; anything else raises
    TypeError."""
    return json.dumps(_plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def write(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    write_whole(path, dumps(value) + "\n")


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key) if isinstance(key, Path) else key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy's, without importing it
        return _plain(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
