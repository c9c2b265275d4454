"""Paints views on the CPU with OpenCV: uint8 rows of RGB, one sample at a time, safe to call from several threads."""

from __future__ import annotations

import cv2
import numpy as np

from whet.core.view import Cover, Filter, ImageView, Tone
from whet.render.noise import pixel_noise
from whet.render.tone import autocontrast_table, equalize_table

# The loader paints samples in threads of its own, and torch brings another pool: OpenCV's would only fight with them.
cv2.setNumThreads(0)

_LINEAR = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
MEAN_ROWS = 4  # a picture's mean colour is taken over every fourth row
_CENTRE = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])  # pixel number -> its centre
_UNCENTRE = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])


class CpuPainter:
    """Paints the samples of one view. What can be worked out for the whole batch is worked out once, here."""

    def __init__(self, view: ImageView) -> None:
        self.view = view
        warp = view.warp_B33
        self._affine_B = (warp[:, 2, :2] == 0).all(axis=1)
        self._upright_B = self._affine_B & (warp[:, 0, 1] == 0) & (warp[:, 1, 0] == 0)
        self._matrix_B33 = _UNCENTRE @ warp @ _CENTRE
        self._size_B = [(int(height), int(width)) for height, width in view.source_size_B2]
        if view.colour_B37 is not None:
            self._colour_B34 = np.ascontiguousarray(view.colour_B37[:, :, [0, 1, 2, 6]])
            self._of_mean_B33 = view.colour_B37[:, :, 3:6]
            self._needs_mean_B = np.any(self._of_mean_B33 != 0, axis=(1, 2))

    def paint(self, i: int, pixels: np.ndarray, out: np.ndarray) -> None:
        """Paint sample i from its source pixels (H, W, 3), whole or shrunk, into `out` (h, w, 3), both RGB uint8."""
        view = self.view
        self._warp(i, pixels, out)
        for filter_ in view.filters:
            _filter(filter_, i, out)
        if view.colour_B37 is not None:
            self._colour(i, out)
        if view.tones:
            _tone(view.tones, i, out)
        for cover in view.covers:
            _cover(cover, i, out)

    def paint_mask(self, i: int, mask: np.ndarray) -> np.ndarray:
        """The mask (H, W) of sample i, of the full source size, under the same warp: nearest pixel, mirrored at the border
        as the picture is. Returns (h, w) of the same dtype."""
        height, width = self.view.size
        if mask.shape[:2] != self._size_B[i]:
            raise ValueError(f"mask {mask.shape[:2]} and picture {self._size_B[i]} differ in size")
        # OpenCV rounds a nearest-pixel position to even halves; looking the pixel up by floor is exact.
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        points = np.stack([x, y, np.ones_like(x)], axis=-1) @ self.view.warp_B33[i].T
        points = points[..., :2] / points[..., 2:]
        columns = _mirror(np.floor(points[..., 0]).astype(np.int64), mask.shape[1])
        rows = _mirror(np.floor(points[..., 1]).astype(np.int64), mask.shape[0])
        return mask[rows, columns]

    def _warp(self, i: int, pixels: np.ndarray, out: np.ndarray) -> None:
        per_y, per_x = pixels.shape[0] / self._size_B[i][0], pixels.shape[1] / self._size_B[i][1]
        if self._upright_B[i] and _resize_box(self.view.warp_B33[i], per_x, per_y, pixels, out):
            return
        matrix = self._matrix_B33[i]
        if per_x != 1 or per_y != 1:
            matrix = _UNCENTRE @ (self.view.warp_B33[i] * np.array([[per_x], [per_y], [1.0]])) @ _CENTRE
        size = self.view.size[::-1]
        if self._affine_B[i]:
            cv2.warpAffine(pixels, matrix[:2], size, dst=out, flags=_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        else:
            cv2.warpPerspective(pixels, matrix, size, dst=out, flags=_LINEAR, borderMode=cv2.BORDER_REFLECT_101)

    def _colour(self, i: int, out: np.ndarray) -> None:
        matrix_34 = self._colour_B34[i]
        if self._needs_mean_B[i]:
            matrix_34 = matrix_34.copy()
            matrix_34[:, 3] += self._of_mean_B33[i] @ cv2.mean(out[::MEAN_ROWS])[:3]
        cv2.transform(out, matrix_34, dst=out)


def _resize_box(warp: np.ndarray, per_x: float, per_y: float, pixels: np.ndarray, out: np.ndarray) -> bool:
    """Crop, flip and resize without a general warp, where the box falls on whole source pixels; False where it does not."""
    height, width = out.shape[:2]
    x0, x1 = warp[0, 2] * per_x, (warp[0, 2] + warp[0, 0] * width) * per_x
    y0, y1 = warp[1, 2] * per_y, (warp[1, 2] + warp[1, 1] * height) * per_y
    flip_x, flip_y = x1 < x0, y1 < y0
    edges = sorted((x0, x1)) + sorted((y0, y1))
    left, right, top, bottom = whole = [round(edge) for edge in edges]
    if any(abs(edge - near) > 1e-3 for edge, near in zip(edges, whole)):
        return False
    if left < 0 or top < 0 or right > pixels.shape[1] or bottom > pixels.shape[0] or right <= left or bottom <= top:
        return False
    box = pixels[top:bottom, left:right]
    if box.shape[:2] == (height, width):
        np.copyto(out, box)
    else:
        cv2.resize(box, (width, height), dst=out, interpolation=cv2.INTER_LINEAR)
    if flip_x or flip_y:
        cv2.flip(out, -1 if flip_x and flip_y else int(flip_x), dst=out)
    return True


def _mirror(index: np.ndarray, size: int) -> np.ndarray:
    """Reflect whole positions into 0 … size - 1 without repeating the edge (…2 1 0 1 2…)."""
    if size == 1:
        return np.zeros_like(index)
    period = 2 * size - 2
    index = np.abs(index) % period
    return np.where(index >= size, period - index, index)


def _filter(filter_: Filter, i: int, out: np.ndarray) -> None:
    strength = float(filter_.strength_B[i])
    if strength == 0:
        return
    smooth = cv2.filter2D(out, -1, SMOOTH, borderType=cv2.BORDER_REPLICATE)
    smooth[0], smooth[-1], smooth[:, 0], smooth[:, -1] = out[0], out[-1], out[:, 0], out[:, -1]
    cv2.addWeighted(out, 1 + strength, smooth, -strength, 0, dst=out)


SMOOTH = (
    np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=np.float32) / 13
)  # Pillow's ImageFilter.SMOOTH; edges are kept


def _tone(tones: tuple[Tone, ...], i: int, out: np.ndarray) -> None:
    table = None
    for tone in tones:
        if not tone.where_B[i]:
            continue
        before = np.tile(np.arange(256.0), (3, 1)) if table is None else table
        if tone.table_BC256 is not None:
            step = tone.table_BC256[i]
        else:
            # The histogram as the curves so far leave it: moved from bin to bin, without another look at the pixels.
            histogram = np.zeros((3, 256))
            levels = np.rint(before).astype(np.int64)
            for channel in range(3):
                counts = cv2.calcHist([out], [channel], None, [256], [0, 256])[:, 0]
                np.add.at(histogram[channel], levels[channel], counts)
            step = (equalize_table if tone.adaptive == "equalize" else autocontrast_table)(histogram)
        table = np.take_along_axis(step, np.clip(np.rint(before), 0, 255).astype(np.int64), axis=1)
    if table is not None:
        cv2.LUT(out, np.clip(np.rint(table.T), 0, 255).astype(np.uint8)[None], dst=out)


def _cover(cover: Cover, i: int, out: np.ndarray) -> None:
    x0, y0, x1, y1 = (int(edge) for edge in cover.box_B4[i])
    if x1 <= x0 or y1 <= y0:
        return
    if cover.fill == "noise":
        out[y0:y1, x0:x1] = pixel_noise(int(cover.key_B[i]), (x0, y0, x1, y1))
    elif cover.fill == "mean":
        out[y0:y1, x0:x1] = np.rint(cv2.mean(out)[:3]).astype(np.uint8)
    else:
        out[y0:y1, x0:x1] = 0
