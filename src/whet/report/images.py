"""Embed samples in a page."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from whet.report.words import coloured


def inline_jpeg(path: Path) -> str:
    """A JPEG file as a data: URL."""
    return _inline(path, "image/jpeg")


def _inline(path: Path, kind: str) -> str:
    return f"data:{kind};base64," + base64.b64encode(path.read_bytes()).decode()


def shown(plain: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The content of a saved sample for a page: its image ("image"), audio ("audio") and text ("text"), and the explanation of its
    prediction: a heatmap ("heat") or word attributions ("pieces"). Absent content is empty."""
    image = inline_jpeg(folder / plain["image"]) if "image" in plain else ""
    audio = _inline(folder / plain["audio"], "audio/ogg") if "audio" in plain else ""
    heat = inline_jpeg(folder / plain["heat"]) if "heat" in plain else ""
    pieces = coloured(plain.get("pieces", []))
    return {"image": image, "audio": audio, "text": plain.get("text", ""), "heat": heat, "pieces": pieces}
