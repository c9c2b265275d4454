"""Which annotation a JSON file holds, from its beginning and its end."""

from __future__ import annotations

import json
import re
from pathlib import Path

_WHOLE = 1 << 20  # bytes; larger files are recognised by their keys
_SIDE = 1 << 16


def kind_of_json(path: Path) -> str | None:
    """ "coco" for images, annotations and categories of objects, "labelme" for shapes of one image, else None."""
    try:
        size = path.stat().st_size
        with path.open("rb") as handle:
            data = handle.read(_WHOLE)
            if size > _WHOLE:
                handle.seek(-_SIDE, 2)
                data += handle.read()
    except OSError:
        return None
    if size <= _WHOLE:
        try:
            content = json.loads(data)
        except ValueError:
            return None
        keys = set(content) if isinstance(content, dict) else set()
    else:
        keys = {word.decode() for word in re.findall(rb'"(\w+)"\s*:', data)}
    if {"shapes", "imagePath"} <= keys:
        return "labelme"
    coco = len(keys & {"images", "annotations", "categories"})
    return "coco" if coco == 3 or (coco == 2 and size > _WHOLE) else None
