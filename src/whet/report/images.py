"""Samples inside the page."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any


def inline_jpeg(path: Path) -> str:
    """A data: address of a JPEG file."""
    return _inline(path, "image/jpeg")


def _inline(path: Path, kind: str) -> str:
    return f"data:{kind};base64," + base64.b64encode(path.read_bytes()).decode()


def shown(plain: dict[str, Any], folder: Path) -> dict[str, str]:
    """What a page shows of a sample that was written into a folder: its picture ("image"), what is heard ("sound") and its words
    ("text"), each empty where there is none."""
    image = inline_jpeg(folder / plain["image"]) if "image" in plain else ""
    sound = _inline(folder / plain["sound"], "audio/ogg") if "sound" in plain else ""
    return {"image": image, "sound": sound, "text": plain.get("text", "")}
