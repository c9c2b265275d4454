"""Degradations of a poor channel, applied to a rendered image; on the CPU for both renderers."""

from __future__ import annotations

import cv2
import numpy as np

from whet.core.view import Codec


def coded(codec: Codec, i: int, pixels: np.ndarray) -> np.ndarray:
    """Sample i (h, w, 3) uint8 after the channel; may return the input array, which is not modified."""
    setting = float(codec.setting_B[i])
    if setting == 0:
        return pixels
    height, width = pixels.shape[:2]
    if codec.kind == "downscale":
        small = (max(1, round(width / setting)), max(1, round(height / setting)))
        return cv2.resize(cv2.resize(pixels, small, interpolation=cv2.INTER_AREA), (width, height))
    written = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, round(setting)])[
        1
    ]
    read = cv2.imdecode(written, cv2.IMREAD_COLOR)
    assert read is not None  # it was encoded above
    return cv2.cvtColor(read, cv2.COLOR_BGR2RGB)
