"""The view of a batch of images: the transforms requested by SAMPLE methods, as arrays. Methods change the view only; one renderer
then renders each sample once.

Coordinates are continuous pixels, x to the right and y down; pixel (0, 0) covers [0, 1) x [0, 1), so its centre lies at
(0.5, 0.5) and a resize is a pure scaling. `warp` maps an output point to its source point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, Self

import numpy as np

FLOW_NODES = 16
GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601 luma, as Pillow, OpenCV and torchvision take it


class View(Protocol):
    """The requested transforms of one batch of samples of any medium."""

    def __len__(self) -> int: ...

    def changed_since(self, before: Self) -> np.ndarray:
        """Which samples differ from `before`, the view this one was derived from: bool (B,)."""
        ...


@dataclass(frozen=True)
class Tone:
    """One tone curve. Either a fixed table (B, 3, 256) float, or (B, 1, 256) for all channels, or a curve computed from the
    histogram of the rendered image ("equalize", "autocontrast"), for the samples where `where_B` is true."""

    where_B: np.ndarray
    table_BC256: np.ndarray | None = None
    adaptive: Literal["equalize", "autocontrast"] | None = None

    @property
    def acts_B(self) -> np.ndarray:
        return self.where_B


@dataclass(frozen=True)
class Filter:
    """A filter with one strength per sample; 0 leaves the sample unchanged.

    "sharpen": strength s blends the image with its 3x3 smoothing, (1 + s) * image - s * smooth, so that -1 is the smoothing
    itself. "gaussian": the standard deviation in output pixels. "motion": the length in output pixels of a straight motion blur at
    angle_B degrees, counter-clockwise from the right.
    """

    kind: Literal["sharpen", "gaussian", "motion"]
    strength_B: np.ndarray
    angle_B: np.ndarray | None = None

    @property
    def acts_B(self) -> np.ndarray:
        return self.strength_B != 0


@dataclass(frozen=True)
class Noise:
    """Noise with one strength per sample; 0 leaves the sample unchanged. Both renderers draw the same noise from key_B (uint32).

    "gaussian": the standard deviation in grey levels (0…255), independent per channel. "shot": the variance per grey level of
    brightness: a pixel of value x gets noise of variance strength * x. "salt_pepper": the share of pixels that become black or
    white.
    """

    kind: Literal["gaussian", "shot", "salt_pepper"]
    strength_B: np.ndarray
    key_B: np.ndarray

    @property
    def acts_B(self) -> np.ndarray:
        return self.strength_B != 0


@dataclass(frozen=True)
class Cover:
    """Filled rectangles, in output pixels: box_BN4 int (x0, y0, x1, y1), empty where x1 <= x0. fill: "noise" draws uniform pixels
    from the sample's key_B (uint32), "mean" uses the image's mean colour, "black" zero."""

    box_BN4: np.ndarray
    fill: Literal["noise", "mean", "black"]
    key_B: np.ndarray

    @property
    def acts_B(self) -> np.ndarray:
        x0, y0, x1, y1 = np.moveaxis(self.box_BN4, -1, 0)
        return np.logical_and(x1 > x0, y1 > y0).any(axis=1)


@dataclass(frozen=True)
class Codec:
    """Degradation of a poor channel, with one setting per sample; 0 leaves the sample unchanged. "downscale": the factor (> 1) by
    which the image is downscaled before it is upscaled to its size again. "jpeg": the compression quality, 1…100."""

    kind: Literal["downscale", "jpeg"]
    setting_B: np.ndarray

    @property
    def acts_B(self) -> np.ndarray:
        return self.setting_B != 0


@dataclass(frozen=True)
class Foreign:
    """A transform of another library, applied to the rendered image: (pixels uint8 (h, w, 3), key) -> pixels of the same shape. It
    must return the same result for the same key, in any thread."""

    transform: Callable[[np.ndarray, int], np.ndarray]
    key_B: np.ndarray

    @property
    def acts_B(self) -> np.ndarray:
        return np.ones(len(self.key_B), dtype=bool)


@dataclass(frozen=True)
class Blend:
    """Another view of the same images, rendered separately and averaged in with weight_B (0…1, 0: not rendered)."""

    view: ImageView
    weight_B: np.ndarray

    @property
    def acts_B(self) -> np.ndarray:
        return self.weight_B > 0


@dataclass(frozen=True)
class ImageView:
    """The requested transforms of one batch of images. By default, every image is shown whole.

    source_size_B2: (height, width) of each image after EXIF rotation. size: (height, width) of the output.
    warp_B33: output pixel -> source pixel. flow_BNN2: a displacement (x, y) in output pixels on an N x N grid of FLOW_NODES, cell
    centred, bicubic in between: output point p shows the warped source at p + flow(p). colour_B37: [A | D | b],
    x' = A x + D mean + b on 0…255, where mean is the warped image's mean colour (needed for a contrast change about the mean).

    class_maps: for samples with masks, a function for each that gives the class of every pixel of the source, uint8 (H, W), 255
    where it is not known: for methods that look where the classes are.

    Rendering order: warp and flow in one resampling, filters, colour, tones, noises, covers, codecs, foreign transforms; then the
    blends, where this view keeps the remaining weight. Nothing is clipped between successive colour transforms.
    """

    source_size_B2: np.ndarray
    size: tuple[int, int]
    warp_B33: np.ndarray
    flow_BNN2: np.ndarray | None = None
    filters: tuple[Filter, ...] = ()
    colour_B37: np.ndarray | None = None
    tones: tuple[Tone, ...] = ()
    noises: tuple[Noise, ...] = ()
    covers: tuple[Cover, ...] = ()
    codecs: tuple[Codec, ...] = ()
    foreign: tuple[Foreign, ...] = ()
    blends: tuple[Blend, ...] = ()
    class_maps: tuple[Callable[[], np.ndarray], ...] = ()

    @classmethod
    def whole(cls, source_size_B2: Any, size: tuple[int, int], fit: Literal["squash", "crop"] = "squash") -> ImageView:
        """The view of each whole image (`squash`), or of its largest centred crop with the output's aspect ratio (`crop`)."""
        source = np.asarray(source_size_B2, dtype=np.float64).reshape(-1, 2)
        height, width = size
        per_y, per_x = source[:, 0] / height, source[:, 1] / width
        if fit == "crop":
            per_x = per_y = np.minimum(per_x, per_y)
        warp = scaling(per_x, per_y)
        warp[:, 0, 2] = (source[:, 1] - per_x * width) / 2
        warp[:, 1, 2] = (source[:, 0] - per_y * height) / 2
        return cls(source, size, warp)

    def __len__(self) -> int:
        return len(self.source_size_B2)

    def changed_since(self, before: ImageView) -> np.ndarray:
        """Which samples differ from `before`, the view this one was derived from: bool (B,)."""
        changed_B = (self.warp_B33 != before.warp_B33).any(axis=(1, 2))
        if self.flow_BNN2 is not None:
            flow = 0 if before.flow_BNN2 is None else before.flow_BNN2
            changed_B |= (self.flow_BNN2 != flow).any(axis=(1, 2, 3))
        if self.colour_B37 is not None:
            colour = np.eye(3, 7) if before.colour_B37 is None else before.colour_B37
            changed_B |= (self.colour_B37 != colour).any(axis=(1, 2))
        for parts in ("filters", "tones", "noises", "covers", "codecs", "foreign", "blends"):
            for part in getattr(self, parts)[len(getattr(before, parts)) :]:
                changed_B |= part.acts_B
        return changed_B

    def moves_since(self, before: ImageView) -> bool:
        """Whether pixels may lie elsewhere than in `before`, the view this one was derived from."""
        return (
            self.warp_B33 is not before.warp_B33
            or self.flow_BNN2 is not before.flow_BNN2
            or len(self.foreign) + len(self.blends) > len(before.foreign) + len(before.blends)
        )

    def crop(self, box_B4: np.ndarray) -> ImageView:
        """Show the source box (x0, y0, x1, y1) of each image, in source pixels, instead of the previous region."""
        height, width = self.size
        x0, y0, x1, y1 = np.asarray(box_B4, dtype=np.float64).T
        warp = scaling((x1 - x0) / width, (y1 - y0) / height)
        warp[:, 0, 2], warp[:, 1, 2] = x0, y0
        return replace(self, warp_B33=warp)

    def warped(self, matrix_B33: np.ndarray) -> ImageView:
        """Apply one more map, new output pixel -> old output pixel."""
        return replace(self, warp_B33=self.warp_B33 @ matrix_B33)

    def warped_about_centre(self, linear_B33: np.ndarray) -> ImageView:
        """Apply one more map with the output's centre as its origin."""
        centre = np.array([self.size[1] / 2, self.size[0] / 2])
        matrix = linear_B33.copy()
        matrix[:, :, 2] -= linear_B33[:, :, :2] @ centre  # translate to the centre, apply the map, translate back
        matrix[:, :2] += centre[:, None] * matrix[:, 2:]
        return self.warped(matrix)

    def flowing(self, flow_BNN2: np.ndarray) -> ImageView:
        """Add a displacement to every point."""
        return replace(self, flow_BNN2=flow_BNN2 if self.flow_BNN2 is None else self.flow_BNN2 + flow_BNN2)

    def coloured(self, a_B33: np.ndarray, d_B33: np.ndarray | None = None, b_B3: np.ndarray | None = None) -> ImageView:
        """Apply x' = A x + D mean + b after the previous colour transforms; `mean` is transformed by them too."""
        if self.colour_B37 is not None and d_B33 is None and b_B3 is None:
            return replace(self, colour_B37=a_B33 @ self.colour_B37)
        B = len(self)
        d = np.zeros((B, 3, 3)) if d_B33 is None else d_B33
        b = np.zeros((B, 3)) if b_B3 is None else b_B3
        if self.colour_B37 is None:
            return replace(self, colour_B37=np.concatenate([a_B33, d, b[:, :, None]], axis=2))
        a0, d0, b0 = self.colour_B37[:, :, :3], self.colour_B37[:, :, 3:6], self.colour_B37[:, :, 6:]
        colour = np.concatenate([a_B33 @ a0, a_B33 @ d0 + d @ (a0 + d0), (a_B33 + d) @ b0 + b[:, :, None]], axis=2)
        return replace(self, colour_B37=colour)

    def toned(self, tone: Tone) -> ImageView:
        return replace(self, tones=(*self.tones, tone))

    def filtered(self, filter_: Filter) -> ImageView:
        return replace(self, filters=(*self.filters, filter_))

    def noised(self, noise: Noise) -> ImageView:
        return replace(self, noises=(*self.noises, noise))

    def covered(self, cover: Cover) -> ImageView:
        return replace(self, covers=(*self.covers, cover))

    def coded(self, codec: Codec) -> ImageView:
        return replace(self, codecs=(*self.codecs, codec))

    def transformed(self, foreign: Foreign) -> ImageView:
        return replace(self, foreign=(*self.foreign, foreign))

    def blended(self, blend: Blend) -> ImageView:
        return replace(self, blends=(*self.blends, blend))


def _identity(count: int) -> np.ndarray:
    return np.tile(np.eye(3), (count, 1, 1))


def translation(x_B: np.ndarray, y_B: np.ndarray) -> np.ndarray:
    matrix = _identity(len(x_B))
    matrix[:, 0, 2], matrix[:, 1, 2] = x_B, y_B
    return matrix


def scaling(x_B: np.ndarray, y_B: np.ndarray) -> np.ndarray:
    matrix = _identity(len(x_B))
    matrix[:, 0, 0], matrix[:, 1, 1] = x_B, y_B
    return matrix


def rotation(degrees_B: np.ndarray) -> np.ndarray:
    """The map that rotates the image counter-clockwise by `degrees_B`."""
    angle = np.deg2rad(degrees_B)
    matrix = _identity(len(angle))
    matrix[:, 0, 0] = matrix[:, 1, 1] = np.cos(angle)
    matrix[:, 0, 1], matrix[:, 1, 0] = -np.sin(angle), np.sin(angle)
    return matrix


def shearing(x_degrees_B: np.ndarray, y_degrees_B: np.ndarray) -> np.ndarray:
    matrix = _identity(len(x_degrees_B))
    matrix[:, 0, 1], matrix[:, 1, 0] = np.tan(np.deg2rad(x_degrees_B)), np.tan(np.deg2rad(y_degrees_B))
    return matrix
