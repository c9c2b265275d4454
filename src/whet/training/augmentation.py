"""The augmentation of a recipe: methods that draw into the view, transform the rendered batch, or mix it."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from whet.core.batch import Batch
from whet.core.errors import RecipeError
from whet.core.method import Method
from whet.core.rng import Rng
from whet.core.spectrogram import NeedsSpectrogramScale
from whet.core.stages import Draws, Mixes, TransformsBatch
from whet.core.tokens import NeedsSpecialIds
from whet.core.view import ImageView, View
from whet.models.front import AudioFront, Front, TextFront

Watch = Callable[[str, np.ndarray], None]
"""Called with the name of each method and the mask (B,) of the samples it changed."""


class Augmentation:
    """The SAMPLE and BATCH methods among these, in the given order. `copies`: the number of copies of every sample in a batch.
    view: the name of a view with its own random draws; "" for the labelled samples. aligned_but: if given, all methods but these
    draw as in every other such view, and these must not move pixels."""

    def __init__(
        self, methods: Sequence[Method], rng: Rng, view: str = "", aligned_but: Container[str] | None = None
    ) -> None:
        self._rng, self._view, self._own = rng, view, aligned_but
        self._draws: list[Any] = [method for method in methods if isinstance(method, Draws)]
        self._batch_transforms: list[Any] = [method for method in methods if isinstance(method, TransformsBatch)]
        self._mixes = [method for method in methods if isinstance(method, Mixes)]
        self.copies = max((method.copies for method in methods), default=1)
        self._copies_differ = any(method.copies_differ for method in methods)

    @property
    def nothing(self) -> bool:
        """Whether the samples are the same in every epoch."""
        return not self._draws and not self._batch_transforms and not self._mixes and self.copies == 1

    def _purpose(self, method: Method) -> str:
        if self._own is not None and method.name not in self._own:
            return f"{method.name} of all views"
        return f"{method.name} of view {self._view}" if self._view else method.name

    def _must_not_move(self, method: Method, before: View, after: View) -> None:
        if self._own is None or method.name not in self._own or not isinstance(after, ImageView):
            return
        if isinstance(before, ImageView) and after.moves_since(before):
            raise RecipeError(
                f"view '{self._view}' of unlabelled images: {method.name} may move pixels, so that masks predicted from another "
                "view would not fit; accepted: methods that change colours, sharpness or noise, or cover parts"
            )

    def draw(self, epoch: int, copies: int = 1, watch: Watch | None = None) -> EpochDraw:
        """The draw function of the loader for this epoch, for batches that repeat their samples `copies` times."""
        return EpochDraw(self, epoch, copies, watch)

    def drawn(self, view: View, index_B: np.ndarray, epoch: int, copies: int, watch: Watch | None) -> View:
        copy_B = np.repeat(np.arange(copies), len(index_B) // copies)
        rngs = self._rng.batches([self._purpose(method) for method in self._draws], epoch, index_B, copy_B)
        for method, rng in zip(self._draws, rngs):
            before = view
            view = method.draw(view, rng.by_copy() if self._copies_differ else rng)
            self._must_not_move(method, before, view)
            if watch is not None:
                watch(method.name, view.changed_since(before))
        return view

    def transform_batch(
        self, received: Tensor, epoch: int, index_B: np.ndarray, copies: int = 1, watch: Watch | None = None
    ) -> Tensor:
        """Apply the methods that transform the input of the network's front, one row per sample."""
        copy_B = np.repeat(np.arange(copies), len(index_B) // copies)
        for method in self._batch_transforms:
            before = received
            rng = self._rng.batch(self._purpose(method), epoch, index_B, copy_B)
            received = method.transform_batch(received, rng.by_copy() if self._copies_differ else rng)
            if watch is not None:
                watch(method.name, (received != before).flatten(1).any(dim=1).cpu().numpy())
        return received

    def mix(self, batch: Batch, watch: Watch | None = None) -> Batch:
        for method in self._mixes:
            before = batch
            batch = method.apply(batch, self._rng.batch(method.name, batch.epoch, batch.index_B))
            if watch is not None:
                moved = (batch.x != before.x).flatten(1).any(dim=1)
                watch(method.name, (moved | before.targets.differs(batch.targets)).cpu().numpy())
        return batch


@dataclass(frozen=True)
class EpochDraw:
    """The draws of one epoch. Equal to others of the same augmentation and arguments."""

    augmentation: Augmentation
    epoch: int
    copies: int = 1
    watch: Watch | None = None

    def __call__(self, view: View, index_B: np.ndarray) -> View:
        return self.augmentation.drawn(view, index_B, self.epoch, self.copies, self.watch)


def informed(method: Method, front: Front | None) -> Method:
    """The method with access to the network's tokens or spectrograms, if it needs them."""
    if isinstance(method, NeedsSpectrogramScale) and isinstance(front, AudioFront):
        return method.with_scale(front)
    if isinstance(method, NeedsSpecialIds) and isinstance(front, TextFront):
        return method.with_special_ids(front.tokens.special)
    return method
