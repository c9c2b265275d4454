"""Samples inside the page."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from whet.report.words import coloured


def inline_jpeg(path: Path) -> str:
    """A data: address of a JPEG file."""
    return _inline(path, "image/jpeg")


def _inline(path: Path, kind: str) -> str:
    return f"data:{kind};base64," + base64.b64encode(path.read_bytes()).decode()


def shown(plain: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a page shows of a sample that was written into a folder: its image ("image"), what is heard ("audio"), its words
    ("text"), and why a network answered as it did: an image ("heat") or words for and against ("pieces"); each empty where there
    is none."""
    image = inline_jpeg(folder / plain["image"]) if "image" in plain else ""
    audio = _inline(folder / plain["audio"], "audio/ogg") if "audio" in plain else ""
    heat = inline_jpeg(folder / plain["heat"]) if "heat" in plain else ""
    pieces = coloured(plain.get("pieces", []))
    return {"image": image, "audio": audio, "text": plain.get("text", ""), "heat": heat, "pieces": pieces}
