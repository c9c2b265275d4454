"""Renders views on the CPU with OpenCV: RGB uint8, one sample at a time, thread-safe."""

from __future__ import annotations

import cv2
import numpy as np
import stringzilla

from whet.core.view import Cover, Filter, ImageView, Noise, Tone
from whet.render.codec import coded
from whet.render.kernels import gaussian_size, motion_kernel, without_empty_edges
from whet.render.noise import from_bank, normal_bank, pixel_noise, uniform_bank
from whet.render.tone import BYTES, LEVELS, adaptive_table, composed_tables, rounded

# The loader has its own threads and torch has another pool; OpenCV's threads would compete with them.
cv2.setNumThreads(0)

_LINEAR = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
MEAN_ROWS = 4  # an image's mean colour uses every fourth row
CENTRE = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])  # pixel number -> pixel centre
UNCENTRE = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])


class CpuRenderer:
    """Renders the samples of one view. Computations for the whole batch are done once, on construction. `jumps_B`: the samples
    whose warp reads their source non-sequentially, unlike a crop, a flip or a resize."""

    def __init__(self, view: ImageView) -> None:
        self.view = view
        warp = view.warp_B33
        self._affine_B = (warp[:, 2, :2] == 0).all(axis=1)
        self._upright_B = self._affine_B & (warp[:, 0, 1] == 0) & (warp[:, 1, 0] == 0)
        self._sideways_B = self._affine_B & (warp[:, 0, 0] == 0) & (warp[:, 1, 1] == 0)
        self._flowing_B = np.zeros(len(view), dtype=bool)
        if view.flow_BNN2 is not None:
            self._flowing_B = np.any(view.flow_BNN2 != 0, axis=(1, 2, 3))
        self._matrix_B33 = UNCENTRE @ warp @ CENTRE
        self._size_B = [(int(height), int(width)) for height, width in view.source_size_B2]
        self._box_B = _boxes(warp, view.source_size_B2, view.size)
        boxed_B = np.array([box is not None for box in self._box_B], dtype=bool) & ~self._flowing_B
        self.jumps_B = ~(boxed_B & (self._upright_B | self._sideways_B)) | bool(view.blends)
        self._plan_colours(view)
        self._others = [(blend.weight_B, CpuRenderer(blend.view)) for blend in view.blends]

    def _plan_colours(self, view: ImageView) -> None:
        """Compute look-up tables for the whole batch: fixed tone curves, preceded by a colour transform that does not mix the
        channels."""
        B = len(view)
        self._coloured_B, self._adaptive_B, self._curved_B = np.zeros((3, B), dtype=bool)
        if view.colour_B37 is None and not view.tones:
            return
        table_BC256 = np.broadcast_to(LEVELS, (B, 1, 256))
        if view.colour_B37 is not None:
            self._colour_B34 = np.ascontiguousarray(view.colour_B37[:, :, [0, 1, 2, 6]])
            self._of_mean_B33 = view.colour_B37[:, :, 3:6]
            self._needs_mean_B = np.any(self._of_mean_B33 != 0, axis=(1, 2))
            self._separable_B = (view.colour_B37[:, :, :3] * (1 - np.eye(3)) == 0).all(axis=(1, 2))
            tabled_B = self._separable_B & ~self._needs_mean_B
            self._coloured_B = ~tabled_B & (view.colour_B37 != np.eye(3, 7)).any(axis=(1, 2))
            if tabled_B.any():
                table_BC256 = np.where(tabled_B[:, None, None], _colour_table(self._colour_B34), table_BC256)
        for tone in view.tones:
            if tone.adaptive:
                self._adaptive_B |= tone.where_B
        self._before_BC256 = rounded(table_BC256)
        self._table_BC256 = rounded(composed_tables(view.tones, table_BC256))
        self._curved_B = (self._table_BC256 != BYTES).any(axis=(1, 2))

    def render(self, i: int, pixels: np.ndarray, out: np.ndarray) -> None:
        """Render sample i from its source pixels (H, W, 3), full size or shrunk, into `out` (h, w, 3), both RGB uint8."""
        view = self.view
        self._warp(i, pixels, out)
        for filter_ in view.filters:
            _filter(filter_, i, out)
        if self._coloured_B[i]:
            self._colour(i, out)
        if self._adaptive_B[i]:
            _look_up_adaptive(view.tones, i, self._before_BC256[i], out)
        elif self._curved_B[i]:
            _look_up(self._table_BC256[i], out)
        for noise in view.noises:
            _noise(noise, i, out)
        for cover in view.covers:
            _cover(cover, i, out)
        for codec in view.codecs:
            out[:] = coded(codec, i, out)
        for foreign in view.foreign:
            out[:] = foreign.transform(out.copy(), int(foreign.key_B[i]))
        if self._others:
            self._blend(i, pixels, out)

    def _warp(self, i: int, pixels: np.ndarray, out: np.ndarray) -> None:
        per_y, per_x = pixels.shape[0] / self._size_B[i][0], pixels.shape[1] / self._size_B[i][1]
        warp, flowing = self.view.warp_B33[i], self._flowing_B[i]
        if not flowing and (self._upright_B[i] or self._sideways_B[i]):
            whole, size = per_x == per_y == 1, self.view.size
            box = self._box_B[i] if whole else _boxes(warp[None], np.array([pixels.shape[:2]]), size, per_x, per_y)[0]
            if box is not None:
                _resize_box(box, pixels, out, sideways=not self._upright_B[i])
                return
        matrix = self._matrix_B33[i]
        if per_x != 1 or per_y != 1:
            matrix = UNCENTRE @ (warp * np.array([[per_x], [per_y], [1.0]])) @ CENTRE
        size = self.view.size[::-1]
        if flowing:
            x, y = _places(matrix, flow_field(self.view, i))
            cv2.remap(pixels, x, y, cv2.INTER_LINEAR, dst=out, borderMode=cv2.BORDER_REFLECT_101)
        elif self._affine_B[i]:
            cv2.warpAffine(pixels, matrix[:2], size, dst=out, flags=_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        else:
            cv2.warpPerspective(pixels, matrix, size, dst=out, flags=_LINEAR, borderMode=cv2.BORDER_REFLECT_101)

    def _colour(self, i: int, out: np.ndarray) -> None:
        matrix_34 = self._colour_B34[i]
        if self._needs_mean_B[i]:
            matrix_34 = matrix_34.copy()
            matrix_34[:, 3] += self._of_mean_B33[i] @ cv2.mean(out[::MEAN_ROWS])[:3]
        if self._separable_B[i]:
            _look_up(rounded(_colour_table(matrix_34)), out)
        else:
            cv2.transform(out, matrix_34, dst=out)

    def _blend(self, i: int, pixels: np.ndarray, out: np.ndarray) -> None:
        parts = [(float(weight_B[i]), renderer) for weight_B, renderer in self._others if weight_B[i] > 0]
        if not parts:
            return
        total = (1 - sum(weight for weight, _ in parts)) * out.astype(np.float32)
        other = np.empty_like(out)
        for weight, renderer in parts:
            renderer.render(i, pixels, other)
            total += weight * other.astype(np.float32)
        out[:] = np.clip(np.rint(total), 0, 255)


def flow_field(view: ImageView, i: int) -> np.ndarray:
    """The displacement of every output pixel of sample i, float32 (h, w, 2)."""
    assert view.flow_BNN2 is not None
    return cv2.resize(view.flow_BNN2[i].astype(np.float32), view.size[::-1], interpolation=cv2.INTER_CUBIC)


def _places(matrix_33: np.ndarray, flow_HW2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Source pixel numbers of every output pixel, two maps float32 (h, w)."""
    m = matrix_33.astype(np.float32)
    x = np.arange(flow_HW2.shape[1], dtype=np.float32)[None, :] + flow_HW2[..., 0]
    y = np.arange(flow_HW2.shape[0], dtype=np.float32)[:, None] + flow_HW2[..., 1]
    depth = m[2, 0] * x + m[2, 1] * y + m[2, 2] if m[2, :2].any() else m[2, 2]
    return (m[0, 0] * x + m[0, 1] * y + m[0, 2]) / depth, (m[1, 0] * x + m[1, 1] * y + m[1, 2]) / depth


_Box = tuple[int, int, int, int, bool, bool]  # left, right, top, bottom, flipped along x, along y


def _boxes(
    warp_B33: np.ndarray, source_size_B2: np.ndarray, size: tuple[int, int], per_x: float = 1.0, per_y: float = 1.0
) -> list[_Box | None]:
    """The box of whole source pixels of each output, with its flips, if the warp only crops, flips, resizes and possibly
    transposes; None where an edge lies between pixels or far outside."""
    height, width = size
    x0, y0 = warp_B33[:, 0, 2] * per_x, warp_B33[:, 1, 2] * per_y
    x1 = x0 + (warp_B33[:, 0, 0] * width + warp_B33[:, 0, 1] * height) * per_x
    y1 = y0 + (warp_B33[:, 1, 0] * width + warp_B33[:, 1, 1] * height) * per_y
    edges_4B = np.stack([np.minimum(x0, x1), np.maximum(x0, x1), np.minimum(y0, y1), np.maximum(y0, y1)])
    whole_4B = np.rint(edges_4B)
    left, right, top, bottom = whole_4B
    fits_B = (np.abs(edges_4B - whole_4B) <= 1e-3).all(axis=0) & (right > left) & (bottom > top)
    # Pixels beyond the image are reflected, which needs as many pixels inside.
    beyond_x, beyond_y = (
        np.maximum(-left, right - source_size_B2[:, 1]),
        np.maximum(-top, bottom - source_size_B2[:, 0]),
    )
    inside_x = np.minimum(right, source_size_B2[:, 1]) - np.maximum(left, 0)
    inside_y = np.minimum(bottom, source_size_B2[:, 0]) - np.maximum(top, 0)
    fits_B &= (beyond_x < inside_x) & (beyond_y < inside_y)
    rows = zip(*whole_4B.astype(np.int64).tolist(), (x1 < x0).tolist(), (y1 < y0).tolist())
    return [row if fits else None for row, fits in zip(rows, fits_B.tolist())]


def _resize_box(box: _Box, pixels: np.ndarray, out: np.ndarray, *, sideways: bool) -> None:
    """Crop, flip and resize without a general warp; `sideways`: transpose."""
    left, right, top, bottom, flip_x, flip_y = box
    height, width = pixels.shape[:2]
    part = pixels[max(top, 0) : bottom, max(left, 0) : right]
    if left < 0 or top < 0 or right > width or bottom > height:
        edges = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
        part = cv2.copyMakeBorder(part, *edges, cv2.BORDER_REFLECT_101)
    shown = np.empty((out.shape[1], out.shape[0], 3), dtype=np.uint8) if sideways else out
    if part.shape != shown.shape:
        part = cv2.resize(part, shown.shape[1::-1], dst=shown, interpolation=cv2.INTER_LINEAR)
    if flip_x or flip_y:
        part = cv2.flip(part, -1 if flip_x and flip_y else int(flip_x), dst=shown)
    if sideways:
        cv2.transpose(part, dst=out)
    elif part is not out:
        np.copyto(out, part)


def _filter(filter_: Filter, i: int, out: np.ndarray) -> None:
    strength = float(filter_.strength_B[i])
    if strength == 0:
        return
    if filter_.kind == "gaussian":
        size = gaussian_size(strength)
        cv2.GaussianBlur(out, (size, size), strength, dst=out, borderType=cv2.BORDER_REFLECT_101)
    elif filter_.kind == "motion":
        assert filter_.angle_B is not None
        kernel = without_empty_edges(motion_kernel(strength, float(filter_.angle_B[i])))
        cv2.filter2D(out, -1, kernel, dst=out, borderType=cv2.BORDER_REFLECT_101)
    else:
        smooth = cv2.filter2D(out, -1, SMOOTH, borderType=cv2.BORDER_REPLICATE)
        smooth[0], smooth[-1], smooth[:, 0], smooth[:, -1] = out[0], out[-1], out[:, 0], out[:, -1]
        cv2.addWeighted(out, 1 + strength, smooth, -strength, 0, dst=out)


SMOOTH = (
    np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=np.float32) / 13
)  # Pillow's ImageFilter.SMOOTH; edges are kept


def _colour_table(matrix_34: np.ndarray) -> np.ndarray:
    """A colour transform without channel mixing, (..., 3, 4), as curves, (..., 3, 256); (..., 1, 256) if all channels are equal."""
    scale, shift = np.diagonal(matrix_34[..., :3], axis1=-2, axis2=-1), matrix_34[..., 3]
    if (scale == scale[..., :1]).all() and (shift == shift[..., :1]).all():
        scale, shift = scale[..., :1], shift[..., :1]
    return scale[..., None] * LEVELS + shift[..., None]


def _look_up(table_C256: np.ndarray, out: np.ndarray) -> None:
    """Apply the table of each channel, or one for all. stringzilla's tables are about fifteen times as fast as OpenCV's."""
    if len(table_C256) == 1 or (table_C256 == table_C256[0]).all():
        stringzilla.translate(out.data, table_C256[0].data, inplace=True)
        return
    planes = cv2.split(out)
    for plane, table in zip(planes, table_C256):
        stringzilla.translate(plane.data, table.data, inplace=True)
    cv2.merge(planes, dst=out)


def _look_up_adaptive(tones: tuple[Tone, ...], i: int, before_C256: np.ndarray, out: np.ndarray) -> None:
    """Like `_look_up`, with curves that depend on the histogram."""
    planes = cv2.split(out)
    acting = [tone.adaptive for tone in tones if tone.where_B[i]]
    if (
        acting == ["autocontrast"] and (before_C256 == BYTES).all()
    ):  # autocontrast needs only the minimum and the maximum
        histogram = np.zeros((3, 256))
        for counts, plane in zip(histogram, planes):
            low, high, *_ = cv2.minMaxLoc(plane)
            counts[[int(low), int(high)]] = 1
    else:
        histogram = np.stack([cv2.calcHist([plane], [0], None, [256], [0, 256])[:, 0] for plane in planes])
    for plane, table in zip(planes, rounded(adaptive_table(tones, i, before_C256, histogram))):
        stringzilla.translate(plane.data, table.data, inplace=True)
    cv2.merge(planes, dst=out)


def _noise(noise: Noise, i: int, out: np.ndarray) -> None:
    strength, key = float(noise.strength_B[i]), int(noise.key_B[i])
    height, width = out.shape[:2]
    if strength == 0:
        return
    if noise.kind == "salt_pepper":
        drawn = from_bank(uniform_bank(), key, height, width)
        out[drawn < strength / 2] = 0
        out[drawn > 1 - strength / 2] = 255
        return
    drawn = from_bank(normal_bank(), key, height, width * 3).reshape(height, width, 3)
    if noise.kind == "shot":
        drawn = drawn * np.sqrt(strength * np.arange(256), dtype=np.float32)[out]
        strength = 1.0
    cv2.addWeighted(out, 1.0, drawn, strength, 0, dst=out, dtype=cv2.CV_8U)


def _cover(cover: Cover, i: int, out: np.ndarray) -> None:
    boxes = [box for box in cover.box_BN4[i].astype(int).tolist() if box[2] > box[0] and box[3] > box[1]]
    if not boxes:
        return
    if cover.fill == "noise":
        for x0, y0, x1, y1 in boxes:
            out[y0:y1, x0:x1] = pixel_noise(int(cover.key_B[i]), y1 - y0, x1 - x0)
        return
    colour = [round(level) for level in cv2.mean(out[::MEAN_ROWS])[:3]] if cover.fill == "mean" else (0, 0, 0)
    for x0, y0, x1, y1 in boxes:
        cv2.rectangle(out, (x0, y0), (x1 - 1, y1 - 1), colour, cv2.FILLED)
