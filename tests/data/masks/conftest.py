"""Small annotated images on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def save_image(path: Path, width: int = 60, height: int = 60, orientation: int = 1) -> Path:
    """A grey image; with an EXIF orientation where it is not 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (width, height), (90, 90, 90))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, **({"exif": exif} if orientation != 1 else {}))
    return path


def save_mask(path: Path, values, mode: str | None = None) -> Path:
    """Numbers of pixels as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(values))
    if mode == "P":
        image = image.convert("L")
        image.putpalette(list(np.random.default_rng(0).integers(0, 256, 768)))
    image.save(path)
    return path


def rectangle(x0, y0, x1, y1):
    """Flat coordinates of a rectangle, as in COCO."""
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def annotation(category, segmentation, image=1, **rest):
    return {"id": 1, "image_id": image, "category_id": category, "segmentation": segmentation, "iscrowd": 0, **rest}


def save_coco(path: Path, annotations, images=None, categories=None, size=(60, 60)) -> Path:
    """A COCO file with one image 1.jpg of (width, height) by default, its image file, and the classes a and b."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if images is None:
        images = [{"id": 1, "file_name": "1.jpg", "width": size[0], "height": size[1]}]
        if not (path.parent / "1.jpg").exists():
            save_image(path.parent / "1.jpg", *size)
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}] if categories is None else categories
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


@pytest.fixture
def coco(tmp_path):
    """Writes data.json with these annotations, and returns its path."""
    return lambda annotations, **rest: save_coco(tmp_path / "data.json", annotations, **rest)
