"""Samples inside the page."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any


def inline_jpeg(path: Path) -> str:
    """A data: address of a JPEG file."""
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()


def shown(plain: dict[str, Any], folder: Path) -> dict[str, str]:
    """What a page shows of a sample that was written into a folder: its picture ("image", else empty) and its words ("text")."""
    image = inline_jpeg(folder / plain["image"]) if "image" in plain else ""
    return {"image": image, "text": plain.get("text", "")}
