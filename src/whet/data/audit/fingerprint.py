"""Image records: each file is decoded once and downscaled, and what the checks need is stored.

A fingerprint is one record of about 7 KB. The records are cached by content, so that a second check of the same images decodes none
of them.
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
LOOKED_AT = 192  # minimum shorter side of a decoded JPEG: about the input size of a network
FINGERPRINT = np.dtype(
    [
        ("thumb", "u1", (THUMB, THUMB, 3)),  # the whole image resized to a square by area averaging, RGB
        ("height", "<u4"),  # after EXIF rotation
        ("width", "<u4"),
        ("bytes", "<u8"),  # of the file
        (
            "sharpness",
            "<f4",
        ),  # standard deviation of the Laplacian of the grey image at 192 px or its own size, on 0…255
        ("format", "S8"),
        ("mode", "S8"),
        ("orientation", "u1"),
        ("frames", "<u4"),
        ("outside", "<f4"),  # share of the pixels outside the range from black to white
        ("not_finite", "<f4"),  # share of non-finite pixels
        ("camera", "S48"),
        ("taken", "S19"),
        ("reason", "S160"),  # why it cannot be read; all other fields are then zero
    ]
)
_REVISION = 2  # increase it when the computation of a field changes


def fingerprint(data: bytes) -> np.ndarray:
    """The fingerprint of one file's bytes, a record (). An unreadable file has only `reason` and `bytes` set."""
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
    """The fingerprints of a table's files, (N,) of FINGERPRINT; `advance` is called with the number of newly finished files."""
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
    """A key of the cache that changes with the decoders and the fields of the record."""
    packages = ("simplejpeg", "Pillow", "opencv-python-headless")
    parts = [_REVISION, LOOKED_AT, FINGERPRINT.descr, *(importlib.metadata.version(name) for name in packages)]
    return hashlib.blake2b(str(parts).encode(), digest_size=8).hexdigest()
