"""Which annotation a JSON file holds, from its beginning and its end."""

from __future__ import annotations

import json
import re
from pathlib import Path

_WHOLE = 1 << 20  # bytes; larger files are recognised by their keys
_SIDE = 1 << 16


def kind_of_json(path: Path) -> str | None:
    """The format of a file: coco for images, categories and annotations of objects, labelme for shapes of one image, else None.
    Captions and key points of COCO are None too."""
    try:
        size = path.stat().st_size
        with path.open("rb") as handle:
            data = handle.read(_WHOLE)
            if size > _WHOLE:
                handle.seek(-_SIDE, 2)
                data += handle.read()
    except OSError:
        return None
    keys = _keys(data) if size <= _WHOLE else {word.decode() for word in re.findall(rb'"(\w+)"\s*:', data)}
    if {"shapes", "imagePath"} <= keys:
        return "labelme"
    if keys & {"caption", "num_keypoints"}:
        return None
    # Of a large file, one of the lists may begin out of sight.
    return "coco" if len(keys & {"images", "annotations", "categories"}) >= (3 if size <= _WHOLE else 2) else None


def _keys(data: bytes) -> set[str]:
    """The keys of an object, and of its first annotation."""
    try:
        content = json.loads(data)
    except ValueError:
        return set()
    if not isinstance(content, dict):
        return set()
    annotations = content.get("annotations")
    first = annotations[0] if isinstance(annotations, list) and annotations else None
    return set(content) | (set(first) if isinstance(first, dict) else set())
