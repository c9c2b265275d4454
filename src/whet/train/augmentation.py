"""What a recipe does to pictures on their way to the network: the methods that draw into the view, those that repaint the painted
batch, and those that mix it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from whet.core.batch import Batch
from whet.core.method import Draws, Method, Mixes, Repaints
from whet.core.rng import Rng
from whet.core.view import ImageView

Watch = Callable[[str, np.ndarray], None]
"""Told of every method and of the samples (B,) that it changed."""


class Augmentation:
    """The SAMPLE and BATCH methods among these, in the order given. `copies`: how many of every sample a batch holds in turn."""

    def __init__(self, methods: Sequence[Method], rng: Rng) -> None:
        self._rng = rng
        self._draws = [method for method in methods if isinstance(method, Draws)]
        self._repaints = [method for method in methods if isinstance(method, Repaints)]
        self._mixes = [method for method in methods if isinstance(method, Mixes)]
        self.copies = max((method.copies for method in methods), default=1)

    @property
    def nothing(self) -> bool:
        """Whether every epoch shows the same pictures."""
        return not self._draws and not self._repaints and not self._mixes and self.copies == 1

    def draw(
        self, epoch: int, copies: int = 1, watch: Watch | None = None
    ) -> Callable[[ImageView, np.ndarray], ImageView]:
        """What the loader is to draw in this epoch, in batches that hold their samples so many times in turn."""

        def drawn(view: ImageView, index_B: np.ndarray) -> ImageView:
            copy_B = np.repeat(np.arange(copies), len(index_B) // copies)
            rngs = self._rng.batches([method.name for method in self._draws], epoch, index_B, copy_B)
            for method, rng in zip(self._draws, rngs):
                before = view
                view = method.draw(view, rng)
                if watch is not None:
                    watch(method.name, view.changed_since(before))
            return view

        return drawn

    def repaint(
        self, images_BHWC: Tensor, epoch: int, index_B: np.ndarray, copies: int = 1, watch: Watch | None = None
    ) -> Tensor:
        """Painted pictures (B, H, W, 3) as the methods that know pixels alone leave them."""
        copy_B = np.repeat(np.arange(copies), len(index_B) // copies)
        for method in self._repaints:
            rng, before = self._rng.batch(method.name, epoch, index_B, copy_B), images_BHWC
            images_BHWC = method.repaint(images_BHWC.permute(0, 3, 1, 2), rng).permute(0, 2, 3, 1)
            if watch is not None:
                watch(method.name, (images_BHWC != before).flatten(1).any(dim=1).cpu().numpy())
        return images_BHWC.contiguous()

    def mix(self, batch: Batch, watch: Watch | None = None) -> Batch:
        for method in self._mixes:
            before = batch
            batch = method.apply(batch, self._rng.batch(method.name, batch.epoch, batch.index_B))
            if watch is not None:
                moved = (batch.x_BCHW != before.x_BCHW).flatten(1).any(dim=1)
                mixed = (batch.targets.probs_BK != before.targets.probs_BK).any(dim=1)
                watch(method.name, (moved | mixed).cpu().numpy())
        return batch
