"""The media: which recipe settings apply to each, and the size of its samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from whet.core.errors import RecipeError, unknown
from whet.core.language import Sentence, english
from whet.core.spec import TrainSpec

_LEAST_PIXELS, _LEAST_PERCENT = 32, 25  # of the size of smaller images


class Medium(ABC):
    """The kind of a sample. unit: unit of its size. settings: (part, key) of the recipe settings that apply to this medium but not
    to all media; all other settings apply to every medium."""

    unit: ClassVar[str]
    settings: ClassVar[frozenset[tuple[str, str]]]

    @abstractmethod
    def size(self, train: TrainSpec) -> int:
        """The size of samples in training, in `unit`. The setting must be resolved."""

    def eval_size(self, train: TrainSpec) -> int:
        """The size of samples at prediction."""
        return self.size(train)

    def smaller(self, train: TrainSpec, share: float) -> TrainSpec:
        """The settings with samples at this share of their size, 0 … 1; unchanged where the medium does not support smaller
        samples."""
        return train


class _Images(Medium):
    unit = english("px")
    settings = frozenset(
        [("data", "files_root"), ("data", "file_column"), ("train", "store"), ("train", "store_share")]
        + [("train", "image_size"), ("train", "eval_size"), ("train", "fit")]
    )

    def size(self, train: TrainSpec) -> int:
        return int(train.image_size)

    def eval_size(self, train: TrainSpec) -> int:
        return int(train.eval_size)

    def smaller(self, train: TrainSpec, share: float) -> TrainSpec:
        """At least 32 pixels, or a quarter of the native size."""
        size = _scaled("100%" if train.image_size == "auto" else train.image_size, share)
        return train.replace(image_size=size, eval_size=_scaled(train.eval_size, share))


class _Texts(Medium):
    unit = english("tokens")
    settings = frozenset([("data", "text_column"), ("train", "max_tokens")])

    def size(self, train: TrainSpec) -> int:
        return int(train.max_tokens)


class _Audio(Medium):
    unit = english("ms")
    settings = frozenset(
        [("data", "files_root"), ("data", "file_column"), ("train", "store"), ("train", "store_share")]
        + [("train", "clip_seconds")]
    )

    def size(self, train: TrainSpec) -> int:
        return round(1000 * float(train.clip_seconds))


MEDIA: dict[str, Medium] = {"image": _Images(), "text": _Texts(), "audio": _Audio()}
"""The media by name, as in `Task.problems`."""


def medium_named(name: str) -> Medium:
    """The medium of this name; RecipeError if it is unknown."""
    if name not in MEDIA:
        raise RecipeError(unknown("medium", name, MEDIA, "Task.problems"))
    return MEDIA[name]


SETTINGS_OF_SOME_MEDIA = frozenset[tuple[str, str]]().union(*(medium.settings for medium in MEDIA.values()))
"""(part, key) of the settings that do not apply to every medium."""


def _scaled(size: int | str, share: float) -> int | str:
    if isinstance(size, int):
        return max(_LEAST_PIXELS, round(share * size / 8) * 8)
    return size if size == "auto" else f"{max(_LEAST_PERCENT, round(share * int(size.removesuffix('%'))))}%"


def plural(medium: str) -> Sentence:
    """The name of several samples of a medium: images, texts, audio clips."""
    return {"image": english("images"), "text": english("texts"), "audio": english("audio clips")}[medium]
