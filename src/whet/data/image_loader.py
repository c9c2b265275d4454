"""The loader of images: reads, draws, decodes and renders them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from whet.core.errors import DataError
from whet.core.masks import IGNORE, IdMap
from whet.core.view import ImageView
from whet.data.image import ImageSample, UnreadableImage
from whet.data.loader import Draw, Loader, Rendered, why
from whet.data.mask_store import MaskStore
from whet.data.store import ImageStore, Kept, WorkingImage
from whet.render.image_cpu import CpuRenderer
from whet.render.masks import Map, warped_map
from whet.render.shrink import decoder_factors, sampling_steps, shrink, shrink_factors

Fit = Literal["squash", "crop"]

AnyImage = ImageSample | WorkingImage | Kept

_BUFFER_BYTES = 64_000_000
_SCRATCH = threading.local()


@dataclass(frozen=True)
class MasksBeside:
    """The masks to return with the images: as shown by the view of each image, or in their own size."""

    store: MaskStore
    as_shown: bool

    def of(self, index: int, size: tuple[int, int], view: ImageView, i: int) -> Map:
        """DataError where the mask cannot be read or has another size than its image."""
        found: Map = self.store[index % len(self.store)]
        if found.shape != size:
            raise DataError(f"its mask has {found.shape[1]} x {found.shape[0]} pixels, the image {size[1]} x {size[0]}")
        return warped_map(view, i, found) if self.as_shown else found

    def classes(self, index: int) -> np.ndarray:
        """The class of every pixel of the source; unknown where the mask cannot be read, which `of` reports."""
        try:
            found: Map = self.store[index % len(self.store)]
        except DataError:
            return np.full((1, 1), IGNORE, np.uint8)
        return found.class_map() if isinstance(found, IdMap) else found


class ImageLoader(Loader):
    """Renders the images at `paths`, and their masks where given; `store` caches decoded images."""

    def __init__(
        self, paths: Sequence[str], threads: int, fit: Fit = "squash", store: ImageStore | None = None,
        masks: MasksBeside | None = None,
    ) -> None:  # fmt: skip
        super().__init__(threads)
        self._paths, self._store, self._masks = list(paths), store, masks
        self._fit: Fit = fit

    def __len__(self) -> int:
        return len(self._paths)

    def sizes(self, index_B: np.ndarray) -> list[tuple[int, int]]:
        """(height, width) of these images; unreadable ones are left out."""
        found = []
        for index in index_B:
            try:
                found.append(self._open(int(index)).size)
            except (OSError, UnreadableImage):
                continue
        return found

    def _open(self, index: int) -> AnyImage:
        return ImageSample(Path(self._paths[index]).read_bytes()) if self._store is None else self._store.open(index)

    def _render(self, index_B: np.ndarray, size: int, draw: Draw) -> Rendered:
        images: list[AnyImage] = []
        kept, failed = [], []
        for index in index_B.tolist():
            try:
                images.append(self._open(index % len(self)))
                kept.append(index)
            except (OSError, UnreadableImage) as error:
                failed.append((index, why(error)))
        index_B = np.array(kept, dtype=np.int64)
        return render_images(images, index_B, size, self._fit, draw, tuple(failed), self._masks)


def render_images(
    images: Sequence[AnyImage],
    index_B: np.ndarray,
    size: int,
    fit: Fit,
    draw: Draw,
    failed: tuple[tuple[int, str], ...] = (),
    masks: MasksBeside | None = None,
) -> Rendered:
    """Draw one batch and render it; an image that proves damaged during decoding, or has no readable mask, is added to
    `failed`."""
    out = np.empty((len(images), size, size, 3), dtype=np.uint8)
    shown: list[Map] = []
    if not images:
        return Rendered(out, index_B, failed, None if masks is None else shown)
    whole = ImageView.whole([image.size for image in images], (size, size), fit)
    if masks is not None:
        whole = replace(whole, class_maps=tuple(partial(masks.classes, index) for index in index_B.tolist()))
    view = draw(whole, index_B)
    factors_B2, magnified_B = shrink_factors(view), np.any(sampling_steps(view) < 1, axis=1).tolist()
    decoder_B = decoder_factors(factors_B2).tolist()
    renderer, good = CpuRenderer(view), []
    for i, image in enumerate(images):
        # A decoder needs the buffer; cached pixels are copied into it only where this is faster.
        buffer = _buffer() if renderer.jumps_B[i] or not isinstance(image, Kept) else None
        try:
            if masks is not None:
                beside = masks.of(int(index_B[i]), image.size, view, i)
            pixels = image.pixels(decoder_B[i], buffer, fine=magnified_B[i])
        except (UnreadableImage, DataError) as error:
            failed = (*failed, (int(index_B[i]), why(error)))
            continue
        renderer.render(i, shrink(pixels, image.size, factors_B2[i]), out[i])
        good.append(i)
        if masks is not None:
            shown.append(beside)
    if len(good) < len(images):
        out, index_B = out[good], index_B[good]
    return Rendered(out, index_B, failed, None if masks is None else shown)


def _buffer() -> np.ndarray:
    """Thread-local memory to decode into: allocating memory for every image would cost as much as the decoding."""
    if not hasattr(_SCRATCH, "buffer"):
        _SCRATCH.buffer = np.empty(_BUFFER_BYTES, dtype=np.uint8)
    return _SCRATCH.buffer
