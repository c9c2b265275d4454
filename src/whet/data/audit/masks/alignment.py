"""Masks that lie beside their objects: compares the outlines with the edges of the images.

An outline lies on an edge of the image: the gradient there is larger than a few pixels away. If it is larger on the outlines
shifted by the same few pixels in most images, the masks are misplaced: they were drawn on images of another size or crop, or in
another frame.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from whet.core.errors import DataError
from whet.core.language import english
from whet.core.masks import IGNORE, IGNORE_ID, Masks
from whet.data.audit.finding import Finding
from whet.data.image import decode
from whet.data.masks import MaskData, MaskImage

LOOKED_AT = 200  # images
FEWEST = 8  # images with outlines, to say anything
RADII = (1, 2, 3, 4, 6, 8)
LEAST_SHIFT = 2  # pixels; programs differ by one in where a pixel begins
SURE = 4.0  # standard errors of the mean gain
LEAST_GAIN = 0.05  # of the logarithm of the gradient
_LARGEST = 1024  # pixels of the longer side; larger images are reduced
_DIRECTIONS = {
    (1, 0): english("to the right"), (-1, 0): english("to the left"), (0, 1): english("downwards"), (0, -1): english("upwards"),
    (1, 1): english("right and down"), (-1, 1): english("left and down"), (1, -1): english("right and up"),
    (-1, -1): english("left and up"),
}  # fmt: skip
SHIFTS = ((0, 0), *((radius * dx, radius * dy) for radius in RADII for dx, dy in _DIRECTIONS))


def check_alignment(data: MaskData) -> list[Finding]:
    """A warning where the outlines of most images fit the edges better after one and the same shift, in up to 200 images."""
    images = [image for image in data.images if "mask" in image.masks.kinds]
    step = max(1, len(images) // LOOKED_AT)
    rows = [found for image in images[::step][:LOOKED_AT] if (found := _measured(image)) is not None]
    if len(rows) < FEWEST:
        return []
    gain_NS, scale_N = np.array([gain for gain, _ in rows]), np.array([scale for _, scale in rows])
    mean_S = gain_NS.mean(axis=0)
    best = int(mean_S.argmax())
    dx, dy = SHIFTS[best]
    error = gain_NS[:, best].std(ddof=1) / len(rows) ** 0.5
    if max(abs(dx), abs(dy)) < LEAST_SHIFT or mean_S[best] < LEAST_GAIN or mean_S[best] < SURE * error:
        return []
    away = max(abs(dx), abs(dy)) * float(np.median(scale_N))
    where = _DIRECTIONS[int(np.sign(-dx)), int(np.sign(-dy))]
    better = int((gain_NS[:, best] > 0).sum())
    return [
        Finding(
            english("misplaced masks"),
            "warning",
            english(
                "the masks lie about {away:.0f} pixels too far {where!t}: moved back, their outlines are on edges "
                "{times:.1f} times as strong (in {better:d} of {n} images); were they drawn on images of another size or crop?",
                away=away,
                where=where,
                times=np.exp(mean_S[best]),
                better=better,
                n=len(rows),
            ),
        )
    ]


def _measured(image: MaskImage) -> tuple[np.ndarray, float] | None:
    """(the gain of every shift, original pixels for each pixel compared); None without outlines or a readable image."""
    try:
        pixels, numbers_HW = decode(Path(image.path).read_bytes()), _numbers(image.masks)
    except (DataError, OSError):  # reported by other checks
        return None
    scale = max(1.0, max(pixels.shape[:2]) / _LARGEST)
    if scale > 1:
        size = (round(pixels.shape[1] / scale), round(pixels.shape[0] / scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        rows, columns = ((np.arange(new) + 0.5) * old / new for new, old in zip(size[::-1], numbers_HW.shape))
        numbers_HW = numbers_HW[rows.astype(int)[:, None], columns.astype(int)]
    gains = shift_gains(pixels, numbers_HW)
    return None if gains is None else (gains, scale)


def _numbers(masks: Masks) -> np.ndarray:
    """Different numbers on the two sides of every outline; IGNORE_ID where it is not known."""
    if masks.class_file is not None and masks.id_file is None:
        found = masks.class_map().astype(np.uint16)
        found[found == IGNORE] = IGNORE_ID
        return found
    return masks.id_map().ids_HW


def shift_gains(pixels_HW3: np.ndarray, numbers_HW: np.ndarray) -> np.ndarray | None:
    """The logarithm of the mean gradient on the outlines after every shift of `SHIFTS`, (S,), minus that before; None without
    outlines away from the border."""
    margin = max(RADII)
    height, width = numbers_HW.shape
    outline = np.zeros(numbers_HW.shape, bool)
    # Both sides of a change, so that the outline's middle is where the change is.
    for near, far in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        change = (numbers_HW[near] != numbers_HW[far]) & (numbers_HW[near] < IGNORE_ID) & (numbers_HW[far] < IGNORE_ID)
        outline[near] |= change
        outline[far] |= change
    outline[:margin], outline[height - margin :], outline[:, :margin], outline[:, width - margin :] = (False,) * 4
    y, x = np.nonzero(outline)
    if len(y) < 4 * margin:
        return None
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels_HW3, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.0)
    slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    level = np.log(
        np.array([float(slope[y + dy, x + dx].mean()) for dx, dy in SHIFTS]) + 0.05 * float(slope.mean()) + 1e-6
    )
    return level - level[0]
