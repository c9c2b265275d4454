"""Samples written where people look at them: pictures as small JPEG files, texts as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pandas as pd

from whet.data.image import UnreadableImage, decode

_THUMBNAIL, _LETTERS = 320, 600


def write_sample(content: Any, folder: Path, stem: str) -> dict[str, str]:
    """A painted sample: what a page shows of it, {"image": the name of a file in `folder`} or {"text": …}."""
    if isinstance(content, str):
        return {"text": content if len(content) <= _LETTERS else content[:_LETTERS] + " …"}
    data = cv2.imencode(".jpg", cv2.cvtColor(content, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    (folder / f"{stem}.jpg").write_bytes(data.tobytes())
    return {"image": f"{stem}.jpg"}


def write_row(row: pd.Series, medium: str, folder: Path, stem: str) -> dict[str, str] | None:
    """The same of a row of the table of samples; None where it can no longer be read."""
    if medium == "text":
        return write_sample(row["text"], folder, stem)
    try:
        pixels = decode(Path(row["path"]).read_bytes())
    except (OSError, UnreadableImage):
        return None
    shrink = min(1.0, _THUMBNAIL / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * shrink)), max(1, round(pixels.shape[0] * shrink)))
    return write_sample(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), folder, stem)
