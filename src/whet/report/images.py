"""Pictures inside the page."""

from __future__ import annotations

import base64
from pathlib import Path


def inline_jpeg(path: Path) -> str:
    """A data: address of a JPEG file."""
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
