"""One look at every image: each file is decoded once, reduced, and what the checks need to know of it is kept.

A fingerprint is one record of some 7 KB. Those of known contents lie in whet's cache folder, so that a second check of the same
images opens none of them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from whet.data.image import ImageSample, UnreadableImage, read_header, uncertain_pixels
from whet.data.record_cache import RecordCache, looked_up, text_field
from whet.data.store import cache_folder, digest_of
from whet.data.table import Table

THUMB = 48  # pixels a side
LOOKED_AT = 192  # a JPEG is decoded to no less than this along its shorter side: about what a network sees
FINGERPRINT = np.dtype(
    [
        ("thumb", "u1", (THUMB, THUMB, 3)),  # the whole image squashed to a square by area averages, RGB
        ("height", "<u4"),  # upright, after EXIF rotation
        ("width", "<u4"),
        ("bytes", "<u8"),  # of the file
        (
            "sharpness",
            "<f4",
        ),  # standard deviation of the Laplacian of the grey image at 192 px or its own size, of 255
        ("format", "S8"),
        ("mode", "S8"),
        ("orientation", "u1"),
        ("frames", "<u4"),
        ("outside", "<f4"),  # share of the pixels beyond the range that is read as black to white
        ("not_finite", "<f4"),  # share of the pixels that are no numbers
        ("camera", "S48"),
        ("taken", "S19"),
        ("reason", "S160"),  # why it cannot be read; the rest is zero then
    ]
)
_REVISION = 2  # raise it when a field is computed another way


def fingerprint(data: bytes) -> np.ndarray:
    """The fingerprint of one file's bytes, a record (), of a file that cannot be read with the reason alone."""
    found = np.zeros((), FINGERPRINT)
    found["bytes"] = len(data)
    try:
        header, image = read_header(data), ImageSample(data)
        shrink = next((factor for factor in (8, 4, 2) if min(image.size) // factor >= LOOKED_AT), 1)
        pixels, uncertain = image.pixels(shrink), uncertain_pixels(data)
    except UnreadableImage as error:
        found["reason"] = text_field(FINGERPRINT, "reason", str(error))
        return found
    found["height"], found["width"] = image.size
    found["thumb"] = cv2.resize(pixels, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    found["sharpness"] = _sharpness(pixels)
    found["orientation"], found["frames"] = header.orientation, header.frames
    found["outside"], found["not_finite"] = (count / np.prod(image.size) for count in uncertain)
    for name in ("format", "mode", "camera", "taken"):
        found[name] = text_field(FINGERPRINT, name, getattr(header, name))
    return found


def _sharpness(pixels: np.ndarray) -> float:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    side = min(grey.shape)
    if side > LOOKED_AT:
        size = (max(1, round(grey.shape[1] * LOOKED_AT / side)), max(1, round(grey.shape[0] * LOOKED_AT / side)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey, cv2.CV_32F).std())


def fingerprints(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> np.ndarray:
    """The fingerprints of a table's files, (N,) of FINGERPRINT; `advance` is told how many more are done."""
    digests, paths = table.frame["digest"].tolist(), table.frame["path"].tolist()

    def look(row: int) -> tuple[np.ndarray, bool]:
        try:
            data = Path(paths[row]).read_bytes()
        except OSError as error:
            gone = np.zeros((), FINGERPRINT)
            gone["reason"] = text_field(FINGERPRINT, "reason", error.strerror or type(error).__name__)
            return gone, False
        return fingerprint(data), digest_of(data) == digests[row]

    kept = RecordCache(cache_folder("fingerprints") / f"{_version()}.sqlite", FINGERPRINT)
    return looked_up(digests, look, kept, threads, advance)


def _version() -> str:
    """A fingerprint of another decoder, or with other fields, is another one."""
    packages = ("simplejpeg", "Pillow", "opencv-python-headless")
    said = [_REVISION, LOOKED_AT, FINGERPRINT.descr, *(importlib.metadata.version(name) for name in packages)]
    return hashlib.blake2b(str(said).encode(), digest_size=8).hexdigest()
