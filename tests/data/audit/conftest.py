"""Photos to audit: smooth random scenes with fine detail, all different."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from whet.core.rng import Rng
from whet.core.spec import DataSpec
from whet.data import read_data
from whet.data.audit import survey_images


def scene(number: int, size: tuple[int, int] = (96, 128), seed: int = 0) -> np.ndarray:
    """RGB uint8 (H, W, 3): coarse colours and finer and finer grey detail, no two numbers alike."""
    rng = Rng(seed).batch("scene", 0, [number])
    coarse = rng.uniform(60, 200, (4, 5, 3))[0]
    image = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    for cells, strength in ((12, 30), (32, 18)):
        grain = rng.uniform(-strength, strength, (cells, cells))[0]
        image += cv2.resize(grain, size[::-1], interpolation=cv2.INTER_CUBIC)[..., None]
    return image.clip(0, 255).astype(np.uint8)


def save(pixels: np.ndarray, path: Path, quality: int = 92, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"quality": quality} if path.suffix == ".jpg" else {}), **options)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """24 different photos in two classes."""
    for number in range(24):
        save(scene(number), tmp_path / "photos" / "ab"[number % 2] / f"p{number}.jpg")
    return tmp_path / "photos"


@pytest.fixture
def survey():
    """survey(folder): what the checks look at."""

    def made(folder: Path, **options):
        return survey_images(read_data(DataSpec(path=str(folder), **options)), 2)

    return made
